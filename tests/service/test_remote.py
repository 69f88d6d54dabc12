from time import sleep as pause

import httpx
import numpy as np
import pytest

from mialib.attack.experiment import Experiment, run
from mialib.datasets.catalog import load
from mialib.models.training import Recipe
from mialib.service.client import BudgetError, Remote, ServiceError
from mialib.service.process import serving


@pytest.fixture
def x(rng):
    return rng.normal(size=(10, 3)).astype(np.float32)


@pytest.fixture(autouse=True)
def no_naps(monkeypatch):
    """Waits between tries are counted, not spent."""
    naps = []
    monkeypatch.setattr("tenacity.nap.time.sleep", naps.append)
    return naps


def test_the_whole_attack_over_http_gives_the_same_numbers():
    """A service in another process, which trains the target itself: the same to the last bit, within its budget."""
    data = load("purchase", "sample", n_classes=10)
    experiment = Experiment(300, 3, Recipe(epochs=40), seed=5)
    words = ["purchase", "--source", "sample", "-d", "n_classes=10", "--size", 300, "--epochs", 40, "--seed", 5]
    with serving(*words) as url, Remote(url, budget=600) as target:
        over_http = run(experiment, data, target=target)
        assert target.spent == 600
        again = run(experiment, data, target=target)
        assert target.spent == 600
        with pytest.raises(BudgetError, match="1 records are not answered yet, and of a budget of 600 queries 600"):
            target.predict_proba(data.x, over_http.split.pool[None, :1])
    here = run(experiment, data)
    np.testing.assert_array_equal(over_http.target.vectors, here.target.vectors)
    np.testing.assert_array_equal(again.inference.score, over_http.inference.score)
    assert (over_http.inference.precision, over_http.inference.recall) == (
        here.inference.precision,
        here.inference.recall,
    )
    assert over_http.inference.precision > 0.6
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_it_asks_in_batches_and_in_order(endpoint, x):
    with Remote(endpoint.url, batch=4) as target:
        np.testing.assert_array_equal(target.predict_proba(x)[0], endpoint.vectors(x))
        assert endpoint.asked == [4, 4, 2]
        rows = np.array([[3, 0, 3]])
        np.testing.assert_array_equal(target.predict_proba(x, rows)[0], endpoint.vectors(x)[rows[0]])
        assert (target.spent, sum(endpoint.asked)) == (10, 10)
        with pytest.raises(ValueError, match="2 models are asked for"):
            target.predict_proba(x, np.zeros((2, 1), int))


def test_an_equal_record_is_asked_about_once(endpoint, x):
    with Remote(endpoint.url) as target:
        found = target.predict_proba(np.repeat(x[:2], 3, axis=0))[0]
    np.testing.assert_array_equal(found, np.repeat(endpoint.vectors(x[:2]), 3, axis=0))
    assert endpoint.asked == [2]


def test_a_broken_connection_costs_no_answered_query_twice(endpoint, x):
    def break_off(handler):
        handler.connection.close()

    endpoint.replies = [lambda handler: handler.answer(endpoint.reply(_asked(x[:4])))] + [break_off] * 2
    with Remote(endpoint.url, batch=4, tries=2) as target, pytest.raises(ServiceError, match="the connection broke"):
        target.predict_proba(x)
    assert endpoint.asked == [4, 4, 4]
    with Remote(endpoint.url, batch=4) as later:
        assert later.spent == 12  # nobody knows whether the endpoint has counted what it did not answer
        np.testing.assert_array_equal(later.predict_proba(x)[0], endpoint.vectors(x))
    assert endpoint.asked == [4, 4, 4, 4, 2]


def _asked(x):
    return {"inputs": [{"shape": list(x.shape), "data": x.ravel().tolist()}]}


def test_a_budget_is_never_passed_not_even_by_tries(endpoint, x):
    endpoint.replies = [500] * 9
    with Remote(endpoint.url, budget=10, batch=4, tries=9) as target:
        with pytest.raises(BudgetError, match="asking about 4 records would pass the budget of 10 queries"):
            target.predict_proba(x)
        assert target.spent == sum(endpoint.asked) == 8
    with Remote(endpoint.url, budget=11) as target, pytest.raises(BudgetError, match="8 are spent"):
        target.predict_proba(x)
    assert sum(endpoint.asked) == 8


def test_what_was_not_served_is_not_counted(endpoint, x, no_naps):
    endpoint.replies = [503, lambda handler: _later(handler, 7), 429]
    with Remote(endpoint.url, budget=10) as target:
        np.testing.assert_array_equal(target.predict_proba(x)[0], endpoint.vectors(x))
        assert (target.spent, endpoint.asked) == (10, [10] * 4)
    assert len(no_naps) == 3
    assert no_naps[1] == 7
    assert no_naps[0] < no_naps[2] < 7


def _later(handler, seconds):
    handler.send_response(429)
    handler.send_header("Retry-After", str(seconds))
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def test_a_key_is_sent_and_a_refusal_is_final(endpoint, x):
    endpoint.replies = [401]
    with Remote(endpoint.url, key="secret") as target, pytest.raises(ServiceError, match=r"refuses POST .* status 401"):
        target.predict_proba(x)
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"
    assert len(endpoint.asked) == 1


def output(shape, data, datatype="FP32"):
    return {"outputs": [{"name": "p", "datatype": datatype, "shape": shape, "data": data}]}


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (output([2, 3], [1, 0, 0] * 2), r"answers \(2, 3\) to 2 records; it said that it has 2 classes"),
        (output([1, 2], [1, 0]), r"answers \(1, 2\) to 2 records"),
        (output([2, 2], [1, 0]), r"shape \[2, 2\] wants 4 numbers; data hold 2"),
        (output([2, 2], [1, None, 0, 1]), "some are missing, or text"),
        (output([2, 2], ["1", "0", "0", "1"]), "some are missing, or text"),
        (output([2, 2], [1, 0, 1e300, 0]), "1 prediction vectors hold NaN or infinity .the first is that of record 2"),
        (output([2, 2], [1.5, -0.5, 1, 0]), "no probabilities .*values go from -0.5 to 1.5"),
        (output([2, 2], [1, 0, 0.3, 0.3]), "that sum to one .that of record 2 sums to 0.6,.*say complete=False"),
        (output([2, 2], [1, 0, 0, 1], "COMPLEX"), "datatype is 'COMPLEX'"),
        ({"outputs": []}, "answers what is no prediction"),
        ({}, "answers what is no prediction"),
        ([1, 2], "JSON holds a list"),
        (b'{"outputs": [{"shape": [1], "datatype": "FP32", "data": [NaN]}]}', "not JSON .which has no NaN"),
        (b"<html>", "no JSON object"),
    ],
)
def test_an_endpoint_that_lies_is_not_believed(endpoint, x, reply, message):
    endpoint.replies = [reply]
    with Remote(endpoint.url) as target:
        with pytest.raises(ServiceError, match=message):
            target.predict_proba(x[:2])
        np.testing.assert_array_equal(target.predict_proba(x[:2])[0], endpoint.vectors(x[:2]))  # the lie was not kept


@pytest.mark.parametrize(
    "change",
    [{"inputs": []}, {"outputs": [{"shape": [-1]}]}, {"outputs": [{"shape": [-1, 1]}]}, {"inputs": "none"}],
)
def test_metadata_that_say_nothing_are_an_error(endpoint, x, change):
    endpoint.metadata |= change
    with Remote(endpoint.url) as target, pytest.raises(ServiceError, match=r"says? "):
        target.predict_proba(x)


def test_a_slow_endpoint_is_given_up(endpoint, x):
    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            pause(0.05)

    endpoint.replies = [drip, drip]
    with (
        Remote(endpoint.url, timeout=0.3, tries=2) as target,
        pytest.raises(ServiceError, match=r"nothing within 0.3 sec"),
    ):
        target.predict_proba(x)
    assert endpoint.asked == [10, 10]


def test_no_endpoint_at_all(x):
    with Remote("http://127.0.0.1:9", tries=2) as target, pytest.raises(ServiceError, match=r"2 tries.*no connection"):
        target.predict_proba(x)


def test_leaving_classes_out_is_what_the_endpoint_says_or_the_client(endpoint, x):
    partial = output([2, 2], [0.7, 0, 1, 0])
    endpoint.replies = [partial]
    with Remote(endpoint.url, complete=False) as target:
        assert target.predict_proba(x[:2])[0, 0].tolist() == [np.float32(0.7), 0]
    endpoint.metadata["parameters"] = {"answers": "top k = 1"}
    endpoint.replies = [partial]
    with Remote(endpoint.url) as target:
        target.predict_proba(x[2:4])


def test_another_version_is_another_service(endpoint, x):
    with Remote(endpoint.url) as target:
        target.predict_proba(x)
    endpoint.metadata["versions"] = ["2"]
    with Remote(endpoint.url) as target:
        assert target.spent == 0
        target.predict_proba(x)
    assert endpoint.asked == [10, 10]


def test_records_of_another_shape_or_type(endpoint, x):
    with Remote(endpoint.url) as target:
        with pytest.raises(ValueError, match=r"records have shape \(2,\); the endpoint takes \(3,\)"):
            target.predict_proba(x[:, :2])
        endpoint.metadata["inputs"][0]["datatype"] = "UINT8"
    with Remote(endpoint.url) as target, pytest.raises(ValueError, match="takes UINT8, which cannot hold them"):
        target.predict_proba(x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": "ftp://x"}, "url is no address of a service"),
        ({"url": "http://example.org", "key": "k"}, "the API key would travel unencrypted to example.org; take https"),
        ({"url": "http://127.0.0.1", "batch": 0}, "batch is 0"),
        ({"url": "http://127.0.0.1", "budget": -1}, "budget is -1"),
        ({"url": "http://127.0.0.1", "tries": 1.5}, "tries is 1.5"),
    ],
)
def test_settings_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        Remote(**arguments)


def test_a_service_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr("mialib.service.process.LONGEST_START", 0.2)
    with pytest.raises(ServiceError, match="the service did not start"), serving("mnist"):
        pass


def test_a_service_that_does_not_start_says_why():
    with pytest.raises(ServiceError, match="there is no data set 'nothing'"), serving("nothing"):
        pass
