"""What `mia serve` bears: slow and idle clients, many at once, large bodies, a stop under load. Prints one line each.

Run it with `python tests/load_service.py`; nothing is judged, the figures are for a reader.
"""

import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryFile
from urllib.parse import urlsplit

import httpx
import psutil

MODEL = ["purchase", "--source", "sample", "-d", "n_classes=10", "--size", "100", "--epochs", "1", "--port", "0"]
CODE = "import sys; from mialib.cli.main import main; sys.exit(main())"
PATH = "/v2/models/target/infer"
JSON = {"Content-Type": "application/json"}


@contextmanager
def started(*words):
    """Yield a service's process, its address, and the file that holds what it prints."""
    with TemporaryFile("w+") as said:
        command = [sys.executable, "-c", CODE, "serve", *MODEL, *words]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            yield process, process.stdout.readline().strip(), said
        finally:
            process.kill()
            process.wait()


def body(n=1, value=0):
    data = ",".join([str(value)] * (600 * n))
    return f'{{"inputs":[{{"name":"r","shape":[{n},600],"datatype":"UINT8","data":[{data}]}}]}}'.encode()


def connect(url):
    return socket.create_connection((urlsplit(url).hostname, urlsplit(url).port), timeout=60)


def head(length):
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )


def until_closed(url, first, drip, longest=45):
    """Return for how many seconds a client that sends `first`, and then `drip` each second, is borne."""
    with connect(url) as client:
        start = time.monotonic()
        client.settimeout(1)
        client.sendall(first)
        while time.monotonic() - start < longest:
            try:
                if not client.recv(1000):
                    break
            except TimeoutError:
                if drip:
                    client.sendall(drip)
            except OSError:
                break
        return time.monotonic() - start


def asked(url, content, **headers):
    try:
        reply = httpx.post(url + PATH, content=content, headers=JSON | headers, timeout=120)
    except httpx.TransportError as error:
        return type(error).__name__
    return reply.status_code, "retry-after" in reply.headers


def at_once(url, n, content):
    """Return what clients get that connect first, and then ask all at the same moment."""
    clients = [connect(url) for _ in range(n)]
    request = head(len(content)).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").encode() + content

    def ask(client):
        client.settimeout(120)
        try:
            client.sendall(request)
            reply = client.makefile("rb").read()
        except OSError as error:
            return type(error).__name__
        return int(reply[9:12] or 0), b"retry-after" in reply

    with ThreadPoolExecutor(n) as pool:
        replies = list(pool.map(ask, clients))
    return {str(reply): replies.count(reply) for reply in sorted(set(replies), key=str)}


@contextmanager
def highest_memory(process):
    """Yield a list that gets the resident memory before, at its highest, and afterwards, in MiB."""
    watched, found, done = psutil.Process(process.pid), [], threading.Event()
    found.append(watched.memory_info().rss)

    def watch():
        while not done.wait(0.01):
            found.append(watched.memory_info().rss)

    thread = threading.Thread(target=watch)
    thread.start()
    result = []
    yield result
    done.set()
    thread.join()
    result += [round(value / 2**20) for value in (found[0], max(found), found[-1])]


def slow_clients(url):
    half = [(b"GET /v2 HT", b"T"), (b"", b""), ((head(5000) + "x").encode(), b""), ((head(5000) + "x").encode(), b"x")]
    names = "a header of 1 byte/s", "no byte at all", "a body that stalls", "a body of 1 byte/s"
    with ThreadPoolExecutor(4) as pool:
        for name, seconds in zip(names, pool.map(lambda pair: until_closed(url, *pair), half), strict=True):
            print(f"{name}: closed after {seconds:.1f} s" if seconds < 45 else f"{name}: open after 45 s", flush=True)


def idle_connections(url, n=1000):
    clients = [connect(url) for _ in range(n)]
    start = time.monotonic()
    print(f"{n} idle connections, then a request: {asked(url, body())}, {time.monotonic() - start:.2f} s", flush=True)
    for client in clients:
        client.close()


def stopped(process, url, said):
    """Stop a service while 20 clients are in mid-body and 20 ask without an end."""
    silent = [connect(url) for _ in range(20)]
    for client in silent:
        client.sendall((head(5000) + "x").encode())
    done = threading.Event()

    def ask():
        while not done.is_set() and isinstance(asked(url, body(50)), tuple):
            pass

    busy = [threading.Thread(target=ask) for _ in range(20)]
    for thread in busy:
        thread.start()
    time.sleep(1)
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(30)
        print(f"SIGTERM under load: ended after {time.monotonic() - start:.1f} s, code {process.returncode}", end="")
    except subprocess.TimeoutExpired:
        print("SIGTERM under load: runs after 30 s", end="")
    process.kill()
    done.set()
    for thread in busy:
        thread.join()
    said.seek(0)
    print(f", {said.read().count('Traceback')} tracebacks in all it said", flush=True)


def main():
    """Print the figures."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
    with started("--rate", "10") as (_, url, _said):
        answered = sum(asked(url, body(), **{"X-Forwarded-For": f"10.0.0.{i}"}) == (200, False) for i in range(50))
        print(f"a rate of 10, 50 records, each with an X-Forwarded-For of its own: {answered} answered", flush=True)
    with started("--log", "/dev/null") as (process, url, said):
        print(f"80 clients at once (status, Retry-After): {at_once(url, 80, body(50))}", flush=True)
        large = body(31 * 2**20 // 1200)
        with highest_memory(process) as found:
            start = time.monotonic()
            replies = at_once(url, 12, large)
        took = time.monotonic() - start
        print(f"12 bodies of {len(large) / 2**20:.0f} MiB: {replies}, {took:.0f} s", flush=True)
        print(f"  memory before, highest, after: {found} MiB", flush=True)
        idle_connections(url)
        slow_clients(url)
        stopped(process, url, said)


if __name__ == "__main__":
    main()
