"""Clients that are slow, silent, or many, and a service that is told to stop; over real connections."""

import json
import logging
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mialib.service import connections, gate, server

JSON = {"Content-Type": "application/json"}
INFER = "/v2/models/target/infer"
RECORD = b'{"inputs": [{"name": "r", "shape": [1, 3], "datatype": "UINT8", "data": [0, 1, 0]}]}'
HALF = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"
CHUNKED = HALF.replace("Content-Length: 99", "Transfer-Encoding: chunked").encode().removesuffix(b"{")
LONG = 30  # seconds in which whatever a test waits for happens on the slowest machine


def connect(client):
    return socket.create_connection((client.base_url.host, client.base_url.port), timeout=LONG)


def ask(client, body=RECORD, **headers):
    return client.post(INFER, content=body, headers=JSON | headers, timeout=LONG)


def is_closed(connection):
    connection.settimeout(0.05)
    try:
        return not connection.recv(1)
    except TimeoutError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [b"", b"GET /v2 HT", b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\nGET"])
def test_a_client_that_sends_no_whole_request_is_dropped(service, start, monkeypatch, sent):
    monkeypatch.setattr(connections, "HEADERS", 0.2)
    with connect(start(service())) as slow:
        slow.sendall(sent)
        answered = slow.makefile("rb").read()  # until the service closes the connection
        assert answered.startswith(b"HTTP/1.1 200") == sent.endswith(b"GET")


def test_bytes_that_drip_do_not_hold_a_connection(service, start, monkeypatch):
    monkeypatch.setattr(connections, "HEADERS", 0.3)
    with connect(start(service())) as slow:
        begin = time.monotonic()
        while not is_closed(slow) and time.monotonic() < begin + LONG:
            slow.send(b"G")
    assert time.monotonic() < begin + LONG


def test_a_body_has_its_time(service, start, monkeypatch):
    monkeypatch.setattr(gate, "BODY", 0.2)
    with connect(start(service())) as slow:
        slow.sendall(HALF.encode())
        assert slow.recv(12) == b"HTTP/1.1 408"


def test_who_sends_all_of_a_body_that_is_refused_reads_why(service, start):
    """As a script does that writes first, reads then, and wants no second answer."""
    request = HALF.replace("99", "5000000\r\nConnection: close").encode() + b" " * 4_999_999
    with connect(start(service(key="k"))) as client:
        client.sendall(request)
        assert client.makefile("rb").read().startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("sent", [b"", b"GET /v2 HT", HALF.encode()])
def test_silent_connections_make_room_for_new_ones(service, start, monkeypatch, sent):
    monkeypatch.setattr(connections, "PER_CLIENT", 5)
    client = start(service())
    silent = [connect(client) for _ in range(20)]
    for connection in silent:
        connection.sendall(sent)
    assert ask(client).status_code == 200
    closed = [is_closed(connection) for connection in silent]
    assert closed == [True] * 16 + [False] * 4  # the oldest go
    for connection in silent:
        connection.close()


def test_clients_wait_for_their_turn(service, start, even):
    client = start(service())
    even.go.clear()
    with ThreadPoolExecutor(40) as pool:
        replies = [pool.submit(ask, client) for _ in range(40)]
        assert not replies[0].done()
        even.go.set()
        assert [reply.result().status_code for reply in replies] == [200] * 40


@pytest.mark.parametrize(("limit", "value", "says"), [("QUEUE", 1, "too many requests"), ("WAIT", 0.1, "is busy")])
def test_what_cannot_wait_is_told_when_to_come_again(service, start, even, monkeypatch, limit, value, says):
    monkeypatch.setattr(gate, limit, value)
    monkeypatch.setattr(gate, "AT_ONCE", 1)
    client = start(service())
    even.go.clear()
    with ThreadPoolExecutor(2) as pool:
        replies = [pool.submit(ask, client) for _ in range(2)]
        while not any(reply.done() for reply in replies):
            time.sleep(0.01)
        even.go.set()
        answered, shed = sorted((reply.result() for reply in replies), key=lambda reply: reply.status_code)
    assert (answered.status_code, shed.status_code) == (200, 503)
    assert shed.headers["retry-after"] == str(gate.RETRY)
    assert says in shed.json()["error"]


def test_large_bodies_are_few_at_a_time_and_small_ones_do_not_wait_for_them(service, start, monkeypatch):
    for name, value in {"SMALL": len(RECORD), "LARGE_AT_ONCE": 1, "WAIT": 0.1}.items():
        monkeypatch.setattr(gate, name, value)
    client = start(service())
    large = RECORD + b" " * 100
    with connect(client) as stalled:
        stalled.sendall(HALF.replace("99", "500").encode() + large)
        late = time.monotonic() + LONG
        while (reply := ask(client, large)).status_code == 200 and time.monotonic() < late:
            pass  # until the stalled one has the place
        assert (reply.status_code, "retry-after" in reply.headers) == (503, True)
        assert ask(client).status_code == 200
    while ask(client, large).status_code == 503:
        assert time.monotonic() < late


def test_nobody_is_believed_about_who_asks_but_a_proxy_that_is_named(service, start):
    def answered(client):
        replies = [ask(client, **{"X-Forwarded-For": f"192.0.2.{i}"}) for i in range(4)]
        return [reply.status_code for reply in replies]

    assert answered(start(service(rate=2))) == [200, 200, 429, 429]
    assert answered(start(service(rate=2), ["127.0.0.1"])) == [200] * 4
    assert answered(start(service(rate=2), ["192.0.2.1"])) == [200, 200, 429, 429]


def test_the_log_names_who_asked_and_not_who_was_said_to(service, start, caplog):
    with caplog.at_level(logging.INFO, "mialib.queries"):
        ask(start(service()), **{"X-Forwarded-For": "192.0.2.1"})
    assert json.loads(caplog.records[-1].message)["client"] == "127.0.0.1"


@pytest.mark.parametrize(
    "sent",
    [
        b"no HTTP\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000,
        CHUNKED + b"zz\r\n",
        HALF.replace("99", "-1").encode(),
    ],
)
def test_what_is_no_http_is_answered_in_json(service, start, caplog, sent):
    with connect(start(service())) as client:
        client.sendall(sent)
        status, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 400")
    assert list(json.loads(body)) == ["error"]
    assert not [record for record in caplog.records if record.exc_info]


def test_a_bad_end_of_a_body_that_was_refused_is_no_error(service, start, caplog, monkeypatch):
    monkeypatch.setattr(gate, "BODY", 0.1)
    with connect(start(service())) as client:
        client.sendall(
            HALF.replace("Content-Length: 99", "Transfer-Encoding: chunked").replace("json", "x").encode()[:-1]
        )
        assert client.recv(12) == b"HTTP/1.1 415"
        client.sendall(b"zz\r\n")
        client.makefile("rb").read()
    assert not [record for record in caplog.records if record.exc_info]


def test_a_request_that_the_model_still_works_at_is_told_that_the_service_stops(service, monkeypatch, even, caplog):
    import threading

    import httpx

    monkeypatch.setattr(connections, "STOP", 0.1)
    bound = server.listen("127.0.0.1", 0, server.Gate())
    running = connections.server_of(service())
    thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
    even.go.clear()
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}") as client:
        reply = pool.submit(ask, client)
        thread.start()
        while not any(not connection.idle for connection in list(running.server_state.connections)):
            time.sleep(0.01)
        running.should_exit = True
        assert (reply.result().status_code, "being stopped" in reply.result().text) == (503, True)
    even.go.set()
    thread.join(LONG)
    assert not thread.is_alive()
    assert not [record for record in caplog.records if record.exc_info]


SERVE = """
import numpy as np
from mialib.service import server
class Even:
    predict_proba = lambda self, x: np.full((1, len(x), 2), 0.5, np.float32)
bound = server.listen("127.0.0.1", 0, server.Gate())
service = server.app({"target": server.Served(Even(), (3,), np.dtype(np.uint8), 2)})
print(bound.getsockname()[1], flush=True)
server.listen_until_stopped(service, bound)
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_and_well_with_clients_in_mid_body(how):
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        address = "127.0.0.1", int(process.stdout.readline())
        with socket.create_connection(address) as slow, socket.create_connection(address) as prompt:
            slow.sendall(HALF.encode())
            prompt.sendall(b"GET /v2 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert prompt.recv(12) == b"HTTP/1.1 200"  # and so the other one was heard
            process.send_signal(how)
            assert process.wait(LONG) == 0
        assert process.stderr.read() == b""
