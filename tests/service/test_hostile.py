"""Requests that nobody should send, and pages that nobody should open."""

import asyncio
import json

import httpx
import pytest
from fuzz_protocol import IN_THE_BODY, Case, cases, good, verdict

from mialib.service.gate import client_of

JSON = {"Content-Type": "application/json"}
INFER = "/v2/models/target/infer"


def answered(service, asked):
    """Return what a service answers to cases, without a connection; what it raises is raised."""

    async def ask():
        transport = httpx.ASGITransport(service)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [
                await client.request(case.method, case.path, content=case.body, headers=list(case.headers))
                for case in asked
            ]

    return asyncio.run(ask())


def test_a_corpus_of_bad_bodies_is_answered_in_sentences(service):
    asked = list(cases(64, 0, 3, IN_THE_BODY))
    replies = answered(service(), asked)
    heard = [f"HTTP/1.1 {reply.status_code}\r\n\r\n".encode() + reply.content for reply in replies]
    assert {case.name: found for case, reply in zip(asked, heard, strict=True) if (found := verdict(case, reply))} == {}
    assert {reply.status_code for reply in replies} == {200, 400}


TENSOR = good(3)["inputs"][0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"datatype": ["UINT8"]}, "datatype is ['UINT8']; it must be one of"),
        ({"datatype": "x" * 10**6}, "xxx'; it must be one of"),
        ({"shape": [10**18] * 5000}, "it must be a list of whole numbers, at most 32"),
        ({"shape": [0, 2**63], "data": []}, "data are no array of UINT8"),
        ({"data": ["x" * 1000] + ["y"] * 5}, "some are missing, or text"),
        ({"data": {"0": 1}}, "some are missing, or text"),
        ({"data": [[0, 1, 0], 1, 0, 1]}, "some are missing, or text"),
        ({"data": [[0, 1, 0], [1, 0]]}, "data are no array of UINT8"),
        ({"datatype": "BOOL", "data": [2] * 6}, "some do not fit it"),
        ({"datatype": "UINT8", "data": [2] * 6}, "every feature must be 0 or 1"),
    ],
)
def test_a_bad_tensor_is_one_sentence(service, change, says):
    (reply,) = answered(service(), [Case("", json.dumps({"inputs": [TENSOR | change]}).encode())])
    assert (reply.status_code, list(reply.json())) == (400, ["error"])
    assert says in reply.json()["error"]


@pytest.mark.parametrize("given", [["7"], 7, None])
def test_an_id_is_text(service, given):
    (reply,) = answered(service(), [Case("", json.dumps(good(3) | {"id": given}).encode())])
    assert (reply.status_code, reply.json()["error"]) == (400, "the id of a request must be text")


def test_an_id_however_deep_is_refused(service):
    body = json.dumps(good(3)).encode().replace(b'"7"', b"[" * 254 + b"]" * 254)
    (reply,) = answered(service(), [Case("", body)])
    assert reply.status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/v2/", 404),
        ("GET", INFER, 405),
        ("POST", "/v2", 405),
        ("GET", "/v2/models/" + "x" * 5000, 404),
        ("POST", "/v2/models/target/versions/9/infer", 404),
    ],
)
def test_what_is_not_there_is_said_in_json(service, method, path, status):
    (reply,) = answered(service(), [Case("", json.dumps(good(3)).encode(), method, path)])
    assert (reply.status_code, list(reply.json())) == (status, ["error"])
    assert len(reply.text) < 400


def status(service, **headers):
    """Return the status of a good request with other headers."""
    sent = {"Host": "localhost:8000"} | JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return answered(service, [Case("", json.dumps(good(3)).encode(), headers=tuple(sent.items()))])[0].status_code


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "127.0.0.1"])
def test_loopback_is_a_name_of_every_service(service, host):
    assert status(service(), Host=host) == status(service(hosts=["x.org"]), Host=host) == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "[", "10.0.0.1", "127.0.0.1.evil.example"]
)
def test_a_page_that_gives_its_name_to_this_machine_is_refused(service, host):
    """DNS rebinding."""
    assert status(service(), Host=host) == 403
    assert status(service(hosts=["x.org"], key="k"), Host=host, Authorization="Bearer k") == 403
    assert status(service(key="k"), Host=host, Authorization="Bearer k") == 200  # which no page knows
    assert status(service(hosts=["Evil.example"]), Host=host) == (200 if host == "evil.example" else 403)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://localhost", "http://localhost:8000.evil"]
)
def test_a_page_of_somebody_else_may_not_ask(service, origin):
    assert status(service(), Origin=origin) == 403
    assert status(service(key="k"), Origin=origin, Authorization="Bearer k") == 403
    assert status(service(), Origin="http://localhost:8000") == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_a_form_cannot_ask(service, kind):
    assert status(service(), Content_Type=kind) == 415
    assert status(service(), Content_Type="Application/JSON; charset=utf-8") == 200


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("127.0.0.1", "127.0.0.2", True),
        ("127.0.0.1", "::1", True),
        ("::ffff:127.0.0.1", "127.0.0.9", True),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1:2:3", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("nonsense", "nonsense", True),
    ],
)
def test_which_addresses_are_one_client(one, other, same):
    assert (client_of(one) == client_of(other)) == same


def test_all_who_have_the_key_are_one_client(service):
    limited = service(key="k", rate=3)  # a good request has two records
    assert [status(limited, Authorization="Bearer k") for _ in range(3)] == [200, 429, 429]
    assert status(limited) == 401
