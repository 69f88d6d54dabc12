import hashlib
import json
import logging

import numpy as np
import pytest

from mialib.service.address import Address, is_address, redacted
from mialib.service.client import Remote
from mialib.service.store import ServiceError


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, 3)).astype(np.float32)


@pytest.fixture
def told(endpoint, x):
    """Return the paths that are asked for; the next request is answered."""
    paths, answer = [], endpoint.reply({"inputs": [{"shape": list(x.shape), "data": x.ravel().tolist()}]})

    def reply(handler):
        paths.append(handler.path)
        handler.answer(answer)

    endpoint.replies = [reply]
    return paths


@pytest.mark.parametrize(
    ("spellings", "others"),
    [
        (
            "http://127.0.0.1 http://127.0.0.1:80/ HTTP://LOCALHOST http://localhost.:80 http://[::1] http://127.1 "
            "http://2130706433 http://[::ffff:127.0.0.1] http://0.0.0.0 http://me:pw@127.0.0.1 http://127.0.0.1/./a/.. "
            "http://127.0.0.1//#f http://127.0.0.1/?key=1",
            "https://127.0.0.1 http://127.0.0.1:81 http://127.0.0.2 http://127.0.0.1/a",
        ),
        (
            "https://b\u00fccher.de/v%31/~me;x=1 https://B\u00dcCHER.de:443/v1/%7Eme%3Bx=1/ "
            "https://xn--bcher-kva.de/%2e/v1//~me;x%3D1",
            "https://b\u00fccher.de/V1/~me;x=1 https://b\u00fccher.de/v1%2F~me;x=1 https://bucher.de/v1/~me;x=1",
        ),
    ],
)
def test_every_spelling_of_an_address_is_one(spellings, others):
    assert len({Address.from_text(text).identity for text in spellings.split()}) == 1
    texts = [spellings.split()[0], *others.split()]
    assert len({Address.from_text(text).identity for text in texts}) == len(texts)


def test_a_budget_holds_for_every_spelling(endpoint, x):
    port = endpoint.url.rpartition(":")[2]
    spellings = [endpoint.url, f"HTTP://localhost:{port}/", f"http://me@127.1:{port}/./"]
    for row, url in enumerate(spellings):
        with Remote(url, budget=3) as target:
            target.predict_proba(x[row : row + 1])
            assert target.spent == row + 1
    with Remote(endpoint.url) as target:
        name = hashlib.sha256(f"{endpoint.url} target 1 2".encode()).hexdigest()[:32]
        assert target.store.path.name == f"{name}.sqlite"  # as it was before addresses had one spelling


def test_answers_to_another_query_are_others_and_keys_select_nothing(endpoint, x):
    for query in ("", "?deployment=a", "?deployment=b&api_key=1", "?api_key=2&deployment=b"):
        with Remote(endpoint.url + query, budget=12) as target:
            target.predict_proba(x)
    assert endpoint.asked == [4, 4, 4]


@pytest.mark.parametrize(
    ("user", "query", "hidden"),
    [
        ("", "?api_key=hush1&code=hush%202#hush3", "hush1 hush%202 hush+2 hush3"),
        ("hushme:hush%40pw@", "", "hushme hush@pw hush%40pw aHVzaG1lOmh1c2hAcHc="),
        ("", "/v;token=hush4", "hush4"),
    ],
)
def test_what_identifies_a_user_is_sent_and_never_shown(endpoint, x, told, caplog, user, query, hidden):
    url = endpoint.url.replace("://", f"://{user}") + query
    caplog.set_level(logging.DEBUG)
    with Remote(url, key=None if user else "hushkey") as target:
        target.predict_proba(x)
        endpoint.replies = [lambda handler: handler.answer(f"of {handler.path} {handler.headers}".encode(), 400)]
        with pytest.raises(ServiceError, match="status 400, of /") as error:
            target.predict_proba(x + 1)
    assert endpoint.headers[0]["Authorization"] == ("Basic aHVzaG1lOmh1c2hAcHc=" if user else "Bearer hushkey")
    assert told == [
        {"?": "/v2/models/target/infer?api_key=hush1&code=hush+2", "/": "/v;token=hush4/v2/models/target/infer"}.get(
            query[:1], "/v2/models/target/infer"
        )
    ]
    shown = f"{target.url} {target._address} {error.value} {redacted(url)} {caplog.text}"
    assert "httpx" in caplog.text
    assert not [secret for secret in [*hidden.split(), "hushkey", "hush"] if secret in shown]


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("http://me:hush@example.org", None, "the user in the address would travel unencrypted to example.org; take h"),
        ("http://example.org?a=hush", None, "the query of the address would travel unencrypted to example.org; take h"),
        ("http://127.0.0.1@example.org", None, "the user in the address would travel unencrypted to example.org"),
        ("https://me@example.org", "hush", "both an API key and a user"),
        ("https://example.org", "hush\u00e9", "the API key holds characters that cannot be sent"),
        ("https://example.org", "hush\r\nX: 1", "the API key holds characters that cannot be sent"),
        *((url, None, "url is no address of a service") for url in ("ftp://me:hush@h", "http://me:hu/sh@h", "hush@h")),
        *(
            (url, None, "url is no address")
            for url in ("http://h:99999", "http://[::1", "http://a..b", "http://h ?hush")
        ),
    ],
)
def test_what_must_not_travel_or_is_no_address_is_refused_unseen(url, key, message):
    with pytest.raises(ValueError, match=message) as error:
        Remote(url, key=key)
    assert "hu" not in str(error.value).replace("that", "")


def test_a_key_of_the_environment_gives_way_to_a_user_and_loses_its_newline(endpoint, x, monkeypatch):
    monkeypatch.setenv("MIALIB_API_KEY", "hush\n")
    for url in (endpoint.url, endpoint.url.replace("://", "://me:pw@")):
        with Remote(url) as target:
            target.predict_proba(x + len(endpoint.asked))
    assert [headers["Authorization"] for headers in endpoint.headers] == ["Bearer hush", "Basic bWU6cHc="]


def test_a_redirect_is_not_followed_and_costs_nothing(endpoint, x):
    def away(handler):
        handler.send_response(307)
        handler.send_header("Location", "http://other.example/?api_key=hush")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    endpoint.replies = [away]
    with Remote(f"{endpoint.url}?api_key=hush") as target:
        with pytest.raises(ServiceError, match=r"status 307, it sends on to http://other.example/\?\*\*\*; ask there"):
            target.predict_proba(x)
        assert target.spent == 0


def test_a_proxy_is_for_other_machines(endpoint, x, told, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Remote(endpoint.url, tries=1) as target:
        target.predict_proba(x)
    assert len(told) == 1
    monkeypatch.setenv("ALL_PROXY", "http5://127.0.0.1:9")
    with pytest.raises(ValueError, match="roxy"):
        Remote("https://example.org")


def test_a_models_name_is_one_part_of_a_path(endpoint, x, told):
    with Remote(endpoint.url, "../a b?\r\nX: 1") as target:
        target.predict_proba(x)
    assert told == ["/v2/models/..%2Fa%20b%3F%0D%0AX%3A%201/infer"]
    for name in ("", ".", ".."):
        with pytest.raises(ValueError, match="it must be the name of a model"):
            Remote(endpoint.url, name)


def test_what_is_meant_as_an_address():
    assert [is_address(text) for text in ("http://h", "HTTPS://h", "m.onnx", "http.onnx")] == [True, True, False, False]
    assert json.dumps(redacted("key=a/b;c")) == '"key=***"'
