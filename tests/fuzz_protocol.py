"""Ask a running `mia serve` what nobody should: `python tests/fuzz_protocol.py --n 1000 --seed 0`.

Each request must be answered in time, by a status of 200 to 499 and JSON (an error with its sentence), except one that
ends too early, where the connection may close. The service must print no traceback and hold less than twice its memory
of before. Exit code 1, and how to repeat them, if any is not so.
"""

import argparse
import copy
import json
import random
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass
from urllib.parse import urlsplit

IN_TIME = 20
"""Seconds."""
INFER = "/v2/models/target/infer"
ODD = [
    *(None, True, False, 0, 1, -1, 2, 255, 256, 0.5, -0.0, 1e308, 2**31, 2**63, 2**64 - 1, 10**30, -(2**63)),
    *(
        "",
        "1",
        "UINT8",
        "FP64",
        "BOOL",
        "\x00",
        "\ud83d\ude00",
        "x" * 10_000,
        [],
        {},
        [[]],
        [None],
        ["1"],
        [[1], [2, 3]],
    ),
    *([0] * 10_000, [10**18] * 5_000, ["x" * 10_000, *"y" * 100], {"shape": 1}, {str(i): i for i in range(1000)}),
]
"""What stands in the place of a value."""
LITERALS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-", b"01", b"'a'", b"\xff", b'"\\ud800"', b"/**/1"]
"""What is no JSON."""
METHODS = ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "FOO", "post"]
PATHS = [
    *("/", "//", "/v2/", "/v1/models", "/v2/models/", "/v2/models/other/infer", "/v2/models/target/infer/", "*"),
    *("/v2/models/%00/infer", "/v2/models/%ff%fe/infer", "/v2/models/..%2f..%2fetc%2fpasswd", "/v2/../v2"),
    *("/v2/models/" + "x" * 9000, "/v2/models/target/versions/9/infer", "/v2/models/target/versions/x/y/ready"),
    *("/v2/models/target/versions/%F0%9F%98%80/ready", "/v2?x=" + "y" * 9000, "http://evil.example/v2", "v2", "/docs"),
]
HEADERS = [
    *(
        ("Host", "evil.example"),
        ("Host", "["),
        ("Host", "a\tb"),
        ("Host", ""),
        ("Origin", "null"),
        ("Origin", "http://["),
    ),
    *(("Content-Type", "text/plain"), ("Content-Type", ""), ("Content-Type", "application/json; charset=utf-16")),
    *(("Content-Type", "\xff"), ("Content-Encoding", "gzip"), ("Accept", "text/xml"), ("Expect", "100-continue")),
    *(("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "gzip"), ("Transfer-Encoding", "chunked, chunked")),
    *(("Content-Length", "-1"), ("Content-Length", "x"), ("Content-Length", "9" * 30), ("Content-Length", "0")),
    *(
        ("Authorization", "Bearer \xff"),
        ("Authorization", "Basic x"),
        ("X-Forwarded-For", "' OR 1=1"),
        ("X", "y" * 99_999),
    ),
    *(
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Range", "bytes=0-1"),
        ("Cookie", ";" * 5000),
        ("a b", "c"),
    ),
    *(
        ("X\x00", "y"),
        ("X", "y\x00"),
        ("X", "y\r\nContent-Length: 3"),
        ("Content-Length", "1_0"),
        ("Content-Length", "٣"),
    ),
]


@dataclass
class Case:
    """One request: what was done to a good one, its parts, and whether it may be cut off without an answer."""

    name: str
    body: bytes
    method: str = "POST"
    path: str = INFER
    headers: tuple = (("Host", "localhost"), ("Content-Type", "application/json"))
    version: str = "HTTP/1.1"
    ends_early: bool = False

    def sent(self):
        """Return the bytes of the request, which asks for the connection to be closed."""
        stated = [name.lower() for name, _ in self.headers]
        length = (
            [] if {"content-length", "transfer-encoding"} & {*stated} else [("Content-Length", str(len(self.body)))]
        )
        lines = [f"{self.method} {self.path} {self.version}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in [*self.headers, *length]]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body


def good(n_features):
    """Return the content of a request that is answered."""
    tensor = {"name": "records", "shape": [2, n_features], "datatype": "UINT8", "data": [0, 1] * n_features}
    return {"id": "7", "parameters": {"a": 1}, "inputs": [tensor], "outputs": [{"name": "probabilities"}]}


def places(content, path=()):
    """Yield the path to each value in some content, itself first; of long lists only to two."""
    yield path
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in list(items)[:8] if isinstance(content, dict) else list(items)[:2]:
        yield from places(value, (*path, key))


def changed(content, path, change):
    """Return content in which what a path leads to is what `change` makes of its container and key."""
    holder = {"": copy.deepcopy(content)}
    inner, key = holder, ""
    for step in path:
        inner, key = inner[key], step
    change(inner, key)
    return holder[""]


def other_value(rng, content):
    """Put an odd value in the place of any."""
    path, value = rng.choice(list(places(content))), rng.choice(ODD)
    found = changed(content, path, lambda inner, key: inner.__setitem__(key, value))
    return Case(f"{path} is {str(value)[:30]!r}", json.dumps(found).encode())


def without(rng, content):
    """Leave out any value."""
    path = rng.choice([path for path in places(content) if path])
    return Case(f"no {path}", json.dumps(changed(content, path, lambda inner, key: inner.__delitem__(key))).encode())


def nested(rng, content):
    """Put lists or objects in each other, up to thousands deep, in the place of any value."""
    path, depth = rng.choice(list(places(content))), rng.choice([2, 33, 65, 254, 255, 1023, 1025, 100_000])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    found = changed(content, path, lambda inner, key: inner.__setitem__(key, "HERE"))
    deep = opening * depth + b"1" + closing * depth
    return Case(f"{path} is {depth} deep", json.dumps(found).encode().replace(b'"HERE"', deep))


def other_literal(rng, content):
    """Put what is no JSON in the place of any value."""
    path, literal = rng.choice(list(places(content))), rng.choice(LITERALS)
    found = changed(content, path, lambda inner, key: inner.__setitem__(key, "HERE"))
    return Case(f"{path} is {literal}", json.dumps(found).encode().replace(b'"HERE"', literal))


def twice(rng, content):
    """Name a key twice, the second time with an odd value."""
    key, value = rng.choice(["id", "inputs"]), rng.choice(ODD)
    text = json.dumps(content)
    return Case(f"{key} twice, then {str(value)[:30]!r}", f"{text[:-1]}, {json.dumps({key: value})[1:]}".encode())


def damaged(rng, content):
    """Change, insert or cut out bytes of the text."""
    text = bytearray(json.dumps(content).encode())
    start = rng.randrange(len(text))
    text[start : start + rng.randrange(40)] = rng.randbytes(rng.randrange(5))
    return Case(f"bytes from {start} damaged", bytes(text))


def encoded(rng, content):
    """Write the text in another encoding, or with what does not belong there around it."""
    text = json.dumps(content | {"id": "é"}, ensure_ascii=False)
    name = rng.choice(["utf-16", "utf-32", "latin-1", "utf-8-sig", "utf-7"])
    around = rng.choice([b"", b"\x00", b"\n" * 1000, b"]"])
    return Case(f"in {name}, then {around[:2]}", text.encode(name) + around)


def other_type(rng, content):
    """State another shape and type than the data have."""
    tensor = content["inputs"][0]
    n = tensor["shape"][1]
    shapes = [[], [1], [2, -1], [0, n], [2, n + 1], [2**31, 2**31], [0, 2**63], [1] * 40, [1, 2, n], "2", [2.0, n]]
    shape = rng.choice(shapes)
    kind = rng.choice(["UINT8", "INT64", "FP32", "FP64", "BOOL", "BYTES", "uint8", ["UINT8"], {"a": 1}, None])
    data = rng.choice([tensor["data"], [], *([value] * 2 * n for value in (2, -1, 0.5, 1e300)), [[0] * n] * 2])
    odd = tensor | {"shape": shape, "datatype": kind, "data": data}
    return Case(f"{kind} of {str(shape)[:30]}, {len(data)} data", json.dumps(content | {"inputs": [odd]}).encode())


def other_way(rng, content):
    """Ask by another method, or for another path, or in another version of HTTP."""
    method, path = rng.choice([*METHODS, "POST", "GET"]), rng.choice([*PATHS, INFER])
    version = rng.choice(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/9.9", "", "\x00"])
    body = json.dumps(content).encode() if rng.random() < 0.5 else b""
    return Case(f"{method} {path[:30]} {version}", body, method, path, version=version)


def other_header(rng, content):
    """Add one or two odd headers, in the place of the usual ones of that name."""
    odd = rng.sample(HEADERS, rng.choice([1, 1, 2]))
    names = {name.lower() for name, _ in odd}
    usual = [header for header in Case.headers if header[0].lower() not in names]
    framed = {"content-length", "transfer-encoding"} & names
    body = json.dumps(content).encode()
    return Case(f"headers {str(odd)[:80]}", body, headers=(*usual, *odd), ends_early=bool(framed))


def cut_off(rng, content):
    """Stop in the middle."""
    case = Case("cut off", json.dumps(content).encode(), ends_early=True)
    whole = case.sent()
    case.headers = (*case.headers, ("Content-Length", str(len(case.body))))
    case.body = case.body[: rng.randrange(len(case.body))]
    assert len(case.sent()) <= len(whole)
    return case


IN_THE_BODY = [other_value, without, nested, other_literal, twice, damaged, encoded, other_type]
AROUND_IT = [other_way, other_header, cut_off]


def cases(n, seed, n_features, kinds=(*IN_THE_BODY, *AROUND_IT)):
    """Yield so many cases, the same for the same seed."""
    rng, content = random.Random(seed), good(n_features)
    for i in range(n):
        case = kinds[i % len(kinds)](rng, content)
        case.name = f"{i}, {kinds[i % len(kinds)].__name__}: {case.name}"
        yield case


def last(reply):
    """Return the last answer in a reply, from its status on: before it may stand the one that says to go on."""
    return reply.rpartition(b"HTTP/1.1 ")[2]


def verdict(case, reply):
    """Return what is wrong with a reply, bytes of HTTP; or None."""
    head, _, body = last(reply).partition(b"\r\n\r\n")
    if not head:
        return None if case.ends_early else "no answer"
    status = int(head[:3])
    if not 200 <= status < 500 or status // 100 == 3:
        return f"status {status}: {body[:200]}"
    if case.method == "HEAD":
        return None
    try:
        content = json.loads(body)
    except ValueError:
        return f"status {status} is no JSON: {body[:200]}"
    if status >= 400 and not (list(content) == ["error"] and 0 < len(content["error"]) <= 400):
        return f"status {status} without one sentence: {body[:200]}"
    return None


def exchanged(address, case):
    """Return the bytes that a service answers."""
    with socket.create_connection(address, timeout=IN_TIME) as connection:
        try:
            connection.sendall(case.sent())
            if case.ends_early:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the answer may have come before the end
        reply = bytearray()
        try:
            while part := connection.recv(2**16):
                reply += part
        except ConnectionError:
            pass
    return bytes(reply)


def main():
    """Ask, and judge."""
    import psutil
    from load_service import started

    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--n", type=int, default=1000)
    words.add_argument("--seed", type=int, default=0)
    arguments = words.parse_args()
    statuses, wrong, slowest = Counter(), [], 0.0
    with started("--log", "/dev/null") as (process, url, said):
        address = urlsplit(url).hostname, urlsplit(url).port
        assert exchanged(address, Case("good", json.dumps(good(600)).encode())).startswith(b"HTTP/1.1 200")
        idle = psutil.Process(process.pid).memory_info().rss
        for case in cases(arguments.n, arguments.seed, 600):
            start = time.monotonic()
            try:
                reply = exchanged(address, case)
                fault = verdict(case, reply)
            except OSError as error:
                reply, fault = b"", f"{type(error).__name__} {error}"
            slowest = max(slowest, time.monotonic() - start)
            statuses[last(reply)[:3].decode() or "closed"] += 1
            if fault:
                wrong.append(f"{case.name}: {fault}")
        grown = psutil.Process(process.pid).memory_info().rss
        said.seek(0)
        tracebacks = said.read().count("Traceback")
    print(f"{arguments.n} requests of seed {arguments.seed}: {dict(sorted(statuses.items()))}")
    print(f"slowest {slowest:.1f} s, memory {idle / 2**20:.0f} -> {grown / 2**20:.0f} MiB, {tracebacks} tracebacks")
    print(*wrong, sep="\n")
    return int(bool(wrong or tracebacks) or grown > 2 * idle)


if __name__ == "__main__":
    sys.exit(main())
