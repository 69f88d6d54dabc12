import gzip
import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import sleep as pause

import numpy as np
import pytest

from mialib.service.client import Remote
from mialib.service.store import AnswerStore, BudgetError, ServiceError, StoreError
from mialib.service.transport import seconds


@pytest.fixture
def x(rng):
    return rng.normal(size=(10, 3)).astype(np.float32)


@pytest.fixture
def store(tmp_path):
    opened = [AnswerStore(tmp_path / "a.sqlite", 2) for _ in range(2)]
    yield opened
    for each in opened:
        each.close()


def change(path, *statements):
    base = sqlite3.connect(path)
    for statement in statements:
        base.execute(statement)
    base.commit()
    base.close()


def folder_instead(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: path.write_bytes(b"garbage" * 999), "damaged; what was spent of a budget stands in it"),
        (lambda path: path.write_bytes(path.read_bytes()[:4096] + os.urandom(8192)), "damaged"),
        (lambda path: change(path, "UPDATE answers SET vector = x'00'"), "damaged"),
        (lambda path: change(path, "DROP TABLE spent"), "damaged"),
        (lambda path: change(path, "DELETE FROM spent"), "damaged"),
        (lambda path: change(path, "UPDATE spent SET n = 'many'"), "damaged"),
        (folder_instead, "cannot be opened; permit that"),
    ],
)
def test_a_damaged_store_is_one_sentence_and_not_replaced(endpoint, x, tmp_path, harm, message):
    with Remote(endpoint.url, folder=tmp_path, budget=10) as target:
        target.predict_proba(x)
    (path,) = tmp_path.iterdir()
    harm(path)
    before = path.is_file() and path.read_bytes()
    with Remote(endpoint.url, folder=tmp_path, budget=20) as target, pytest.raises(StoreError, match=message) as error:
        target.predict_proba(np.concatenate([x, x + 1]))
    assert str(error.value).startswith(str(path))
    assert (path.is_file() and path.read_bytes(), endpoint.asked) == (before, [10])


@pytest.mark.parametrize(
    ("pragma", "message"),
    [("max_page_count = 1", "its disk is full; make room"), ("query_only = 1", "it cannot be written; permit that")],
)
def test_no_room_or_right_to_write_is_one_sentence(endpoint, rng, tmp_path, pragma, message):
    x = rng.normal(size=(500, 3)).astype(np.float32)
    with Remote(endpoint.url, folder=tmp_path) as target:
        target.store._base.execute(f"PRAGMA {pragma}")
        with pytest.raises(StoreError, match=message):
            target.predict_proba(x)
        assert not endpoint.asked


def test_a_held_store_is_one_sentence(store, monkeypatch):
    store[1]._base.execute("PRAGMA busy_timeout = 20")
    store[0]._base.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="another process has held it for 30 seconds; wait"):
        store[1].spend(1, None, 1)


def test_a_folder_that_cannot_be_made_is_one_sentence(endpoint, x, tmp_path):
    (tmp_path / "file").write_text("")
    with Remote(endpoint.url, folder=tmp_path / "file") as target, pytest.raises(StoreError, match="cannot keep answ"):
        target.predict_proba(x)


def test_two_at_once_ask_about_a_record_once(endpoint, x, monkeypatch):
    """The second comes while the first waits for its answer, and has no budget of its own."""
    arrived, waited, answers = threading.Event(), threading.Event(), {}
    monkeypatch.setattr("mialib.service.client.time.sleep", lambda _: waited.set() or pause(0.01))

    def late(handler):
        arrived.set()
        waited.wait(5)
        handler.answer(endpoint.reply({"inputs": [{"shape": [10, 3], "data": x.ravel().tolist()}]}))

    def ask(name):
        with Remote(endpoint.url, budget=10) as target:
            answers[name] = target.predict_proba(x)[0], target.spent

    endpoint.replies = [late]
    threads = [threading.Thread(target=ask, args=(name,)) for name in ("first", "second")]
    threads[0].start()
    assert arrived.wait(5)
    threads[1].start()
    for thread in threads:
        thread.join(10)
    assert endpoint.asked == [10]
    for vectors, spent in answers.values():
        np.testing.assert_array_equal(vectors, endpoint.vectors(x))
        assert spent == 10
    assert len(answers) == 2


def test_who_fails_leaves_the_records_to_others(endpoint, x, store):
    endpoint.replies = [401]
    with Remote(endpoint.url) as first, Remote(endpoint.url, budget=10) as second:
        with pytest.raises(ServiceError, match="status 401"):
            first.predict_proba(x)
        second.predict_proba(x)
        assert second.spent == 10


def test_a_claim_ends_with_its_process_or_its_time(store):
    records, (mine, other) = [b"a", b"b"], store
    assert mine.claim(records[:1], None, 60) == [b"a"]
    assert other.claim(records, None, 60) == [b"b"]
    mine.keep(-1)
    assert other.claim(records, None, 60) == records
    ended = subprocess.Popen([sys.executable, "-S", "-c", ""])
    ended.wait()
    host, _, token = other._who.rsplit(" ", 2)
    change(other.path, f"UPDATE asking SET who = '{host} {ended.pid} {token}'")
    assert mine.claim(records, None, 60) == (records if os.name == "posix" else [])
    change(other.path, f"UPDATE asking SET who = 'elsewhere {ended.pid} {token}'")
    assert mine.claim(records, None, 60) == []


def test_no_claim_without_a_budget_for_it(store):
    mine, other = store
    assert mine.spend(3, 4, 60)
    assert not mine.spend(2, 4, 60)
    with pytest.raises(BudgetError, match="2 records are not answered yet, and of a budget of 4 queries 3 are spent"):
        mine.claim([b"a", b"b"], 4, 60)
    assert other.claim([b"a", b"b"], 10**30, 60) == [b"a", b"b"]
    other.put([b"a"], np.zeros((1, 2), np.float32))
    assert mine.claim([b"a", b"b"], None, 60) == []
    other.release()
    assert mine.claim([b"a", b"b"], None, 60) == [b"b"]


def test_a_batch_is_halved_until_the_endpoint_takes_it(endpoint, x):
    endpoint.replies = [413]
    with Remote(endpoint.url, budget=30) as target:
        np.testing.assert_array_equal(target.predict_proba(x)[0], endpoint.vectors(x))
        target.predict_proba(x + 1)
        assert (endpoint.asked, target.spent) == ([10, 5, 5, 5, 5], 20)
        endpoint.replies = [413] * 3
        with pytest.raises(ServiceError, match="takes not even one record in a request: status 413"):
            target.predict_proba(x + 2)
        assert (endpoint.asked[5:], target.spent) == ([5, 2, 1], 20)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("7", 7),
        ("2.5", 2.5),
        ("1e9", 1e9),
        *((asked, 0) for asked in ("", "inf", "nan", "-5", "\u00b2", "Wed, 99 Foo")),
    ],
)
def test_how_long_an_endpoint_asks_to_wait(asked, found):
    assert seconds(asked) == found


def test_an_endpoint_may_ask_to_wait_until_a_date():
    now = datetime.now(UTC)
    assert 3000 < seconds(format_datetime(now + timedelta(hours=1), usegmt=True)) <= 3600
    assert seconds(format_datetime(now - timedelta(hours=1), usegmt=True)) == 0
    assert 3000 < seconds(format_datetime((now + timedelta(hours=1)).replace(tzinfo=None))) <= 3600


@pytest.mark.parametrize("status", [201, 202, 206])
def test_every_success_with_a_prediction_is_an_answer(endpoint, x, status):
    answer = endpoint.reply({"inputs": [{"shape": [10, 3], "data": x.ravel().tolist()}]})
    endpoint.replies = [lambda handler: handler.answer(answer, status)]
    with Remote(endpoint.url) as target:
        np.testing.assert_array_equal(target.predict_proba(x)[0], endpoint.vectors(x))
    assert endpoint.asked == [10]


def compressed(content, how):
    def reply(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", how)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def drip(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    try:
        for _ in range(60):
            handler.wfile.write(b"a")
            handler.wfile.flush()
            pause(0.05)
    except OSError:
        pass


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (lambda handler: handler.answer(b"", 204), "with status 204 and nothing else; that is no answer"),
        (lambda handler: handler.answer(b"\x1b[31mred\n\nlines\x07", 400), r"status 400, \[31mred lines$"),
        (compressed(gzip.compress(gzip.compress(b"0" * 10**6)), "gzip, gzip"), "compresses its answers otherwise"),
        (compressed(b"this is no gzip", "gzip"), "the connection broke .DecodingError"),
        (drip, "nothing within 0.1 seconds"),
    ],
)
def test_what_is_no_answer_is_one_sentence(endpoint, x, reply, message):
    endpoint.replies = [reply]
    with Remote(endpoint.url, timeout=0.1 if reply is drip else 30, tries=1) as target:
        with pytest.raises(ServiceError, match=message):
            target.predict_proba(x)
        assert target.spent == 10
