import json
import logging

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mialib.attack.experiment import Experiment, train_target
from mialib.cli import main, serve
from mialib.models.cache import ModelCache
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.platforms.estimators import Classifier
from mialib.platforms.mitigations import LabelOnly, TopK
from mialib.service import server
from mialib.service.protocol import array_of, from_json, tensor, to_json


@pytest.fixture(scope="module")
def target(data, tmp_path_factory):
    experiment = Experiment(100, recipe=Recipe(NN((32,)), epochs=20, batch_size=20))
    return train_target(experiment, data, ModelCache(tmp_path_factory.mktemp("models")))[1]


@pytest.fixture
def client(target, data, start):
    """Return a function that starts a service of the target."""

    def started(answers=None, **limits):
        model = server.Served.from_data(target, data, answers)
        return start(server.app({"target": model}, server.Gate(**limits)))

    return started


JSON = {"Content-Type": "application/json"}


def asking(x):
    return to_json({"id": "7", "inputs": [tensor("records", x)]})


def infer(client, body, **options):
    options["headers"] = JSON | options.get("headers", {})
    return client.post("/v2/models/target/infer", content=body, **options)


def test_every_float_survives_json():
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32)
    floats = bits.view(np.float32)
    floats = np.concatenate([floats[np.isfinite(floats)], np.float32([0, 1, 1 / 3, 1e-45])])
    found = array_of(from_json(to_json(tensor("p", floats))))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, floats)


def test_it_answers_what_the_model_answers(client, target, data):
    started = client()
    reply = infer(started, asking(data.x[:50]))
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    assert (reply.json()["model_name"], reply.json()["id"]) == ("target", "7")
    np.testing.assert_array_equal(array_of(reply.json()["outputs"][0]), target.predict_proba(data.x[:50])[0])
    of_version = f"/v2/models/target/versions/{reply.json()['model_version']}/infer"
    assert started.post(of_version, content=asking(data.x[:50]), headers=JSON).content == reply.content


def test_a_forest_is_served_as_well_and_fills_no_disk(data, start):
    kept = serve.NullCache()
    experiment = Experiment(100, recipe=Classifier(RandomForestClassifier(10)), seed=2)
    _, forest = train_target(experiment, data, kept)
    found = infer(start(server.app({"target": server.Served.from_data(forest, data)})), asking(data.x[:50]))
    _, same = train_target(experiment, data)
    assert ModelCache().size() == (0, 0)
    np.testing.assert_array_equal(array_of(found.json()["outputs"][0]), same.predict_proba(data.x[:50])[0])


@pytest.mark.parametrize("answers", [TopK(2), LabelOnly()])
def test_it_answers_less_if_told(client, target, data, answers):
    started = client(answers)
    found = array_of(infer(started, asking(data.x[:50])).json()["outputs"][0])
    np.testing.assert_array_equal(found, answers(target.predict_proba(data.x[:50])[0]))
    metadata = started.get("/v2/models/target").json()
    assert metadata["parameters"]["answers"] == str(answers)
    assert metadata["versions"] != client().get("/v2/models/target").json()["versions"]


def test_health_and_metadata(client):
    started = client()
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/target/ready"):
        assert started.get(path).status_code == 200
    metadata = started.get("/v2/models/target").json()
    assert metadata["inputs"] == [{"name": "records", "datatype": "UINT8", "shape": [-1, 40]}]
    assert metadata["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 4]}]
    (version,) = metadata["versions"]
    assert started.get(f"/v2/models/target/versions/{version}").json() == metadata
    assert started.get(f"/v2/models/target/versions/{version}/ready").json() == {"name": "target", "ready": True}
    assert "no version '9' of target; there is " in started.get("/v2/models/target/versions/9/ready").json()["error"]
    assert started.get("/v2/models/other").status_code == 404
    assert "there is no model 'other'; there are target" in started.get("/v2/models/other").json()["error"]
    assert started.get("/docs").status_code == started.get("/openapi.json").status_code == 404


def test_a_key_is_asked_for(client, data):
    started, body = client(key="open sesame"), asking(data.x[:1])
    for headers in ({}, {"Authorization": "Bearer open"}, {"Authorization": "open sesame"}):
        for reply in (infer(started, body, headers=headers), started.get("/v2/models/target", headers=headers)):
            assert reply.status_code == 401
            assert "sesame" not in reply.text
    assert infer(started, body, headers={"Authorization": "Bearer open sesame"}).status_code == 200
    assert started.get("/v2/health/ready").status_code == 200
    assert "sesame" not in repr(server.Gate(key="open sesame"))


def test_a_large_request_is_not_read(client, data):
    started = client(largest=2000)
    assert infer(started, asking(data.x[:5])).status_code == 200
    reply = infer(started, asking(data.x[:50]))
    assert reply.status_code == 413
    assert "more than 2000 bytes" in reply.json()["error"]
    parts = (asking(data.x[:50])[i : i + 100] for i in range(0, 5000, 100))
    assert infer(started, parts).status_code == 413  # in chunks, without a length


def test_a_rate_counts_records(client, data):
    started = client(rate=10)
    assert infer(started, asking(data.x[:6])).status_code == 200
    reply = infer(started, asking(data.x[:6]))
    assert reply.status_code == 429
    assert 0 < int(reply.headers["retry-after"]) <= 61
    assert infer(started, asking(data.x[:11])).status_code == 413
    assert infer(started, asking(data.x[:4])).status_code == 200
    assert infer(started, b"not looked at").status_code == 429


def test_the_query_log_has_no_records_and_no_key(client, data, caplog):
    started = client(key="open sesame", rate=10)
    with caplog.at_level(logging.INFO, "mialib.queries"):
        infer(started, asking(data.x[:3]), headers={"Authorization": "Bearer open sesame"})
        infer(started, asking(data.x[:3]))
        infer(started, b"{}", headers={"Authorization": "Bearer open sesame"})
    entries = [json.loads(record.message) for record in caplog.records if record.name == "mialib.queries"]
    assert [(entry["records"], entry["status"]) for entry in entries] == [(3, 200), (0, 401), (0, 400)]
    assert set(entries[0]) == {"time", "client", "model", "records", "status", "milliseconds"}
    assert "sesame" not in caplog.text


def test_a_model_that_fails_is_logged_as_such(target, data, start, caplog):
    class Broken:
        def answers(self, models, x, index=None):
            if len(x) == 7:
                raise RuntimeError("out of order")
            return models.predict_proba(x)

    started = start(server.app({"target": server.Served.from_data(target, data, Broken())}))
    with caplog.at_level(logging.INFO, "mialib.queries"):
        reply = infer(started, asking(data.x[:7]))
    assert (reply.status_code, list(reply.json())) == (500, ["error"])
    assert "out of order" not in reply.text
    (query,) = (record for record in caplog.records if record.name == "mialib.queries")
    assert json.loads(query.message)["status"] == 500


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"no", "this is not JSON"),
        (b"[]", "JSON holds a list"),
        (b"{}", "one input, the records"),
        (to_json({"inputs": [1, 2]}), "one input, the records"),
        (to_json({"inputs": [{}]}), "a tensor must have name, shape, datatype and data"),
        (asking(np.full((2, 40), 2, np.uint8)), "records hold a 2; every feature must be 0 or 1"),
        (asking(np.zeros((2, 39), np.uint8)), "records have shape [2, 39]; it must be [-1, 40]"),
        (asking(np.zeros((0, 40), np.uint8)), "and not empty"),
        (asking(np.zeros(40, np.uint8)), "records have shape [40]"),
        (asking(np.zeros((2, 40), np.float32)), "records are FP32; they must be UINT8"),
        (to_json({"inputs": [{"shape": [1, 40], "datatype": "UINT8", "data": [300] * 40}]}), "data are not numbers"),
        (to_json({"inputs": [{"shape": [1, -40], "datatype": "UINT8", "data": []}]}), "a list of whole numbers"),
    ],
)
def test_a_bad_request_is_one_sentence(client, body, message):
    reply = infer(client(), body)
    assert reply.status_code == 400
    assert message in reply.json()["error"]


def test_values_that_are_not_finite_are_refused(target):
    model = server.Served(target, (2,), np.dtype(np.float32), 4)
    body = to_json({"inputs": [{"shape": [1, 2], "datatype": "FP32", "data": [1e300, 0]}]})
    with pytest.raises(ValueError, match="not finite"):
        model.records(from_json(body))


def test_other_machines_need_a_key():
    with pytest.raises(ValueError, match=r"0.0.0.0 can be reached from other machines; set an API key"):
        server.listen("0.0.0.0", 0, server.Gate())
    for host in ("127.0.0.1", "::1", "localhost"):
        server.listen(host, 0, server.Gate()).close()


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 99999), ("127.0.0.1", -1), ("a" * 300, 0), ("192.0.2.1", 0)])
def test_where_it_cannot_listen(host, port):
    with pytest.raises(ValueError, match=f"port is {port}; it must be|cannot listen at {host}, port 0: "):
        server.listen(host, port, server.Gate(key="k"))


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"key": " "}, "the API key is empty"), ({"rate": 0}, "rate is 0"), ({"largest": -1}, "largest is -1")],
)
def test_limits_out_of_range(limits, message):
    with pytest.raises(ValueError, match=message):
        server.Gate(**limits)


@pytest.mark.parametrize("answer", ["most", "top", "label:2", "full:1", "top:x", "top:0"])
def test_the_command_refuses_other_answers(answer, capsys):
    assert main.main(["serve", "mnist", "--answer", answer, "--port", "0"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("mia: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize(("option", "value"), [("largest", "0"), ("rate", "0"), ("port", "99999")])
def test_the_command_refuses_limits_out_of_range(option, value, capsys):
    assert main.main(["serve", "mnist", f"--{option}", value]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"mia: {option} is {value}; it must be a whole number")
    assert errors.count("\n") == 1


def test_a_proxy_is_an_address(capsys):
    with pytest.raises(SystemExit):
        main.main(["serve", "mnist", "--proxy", "everybody"])
    assert "argument --proxy: invalid address value: 'everybody'" in capsys.readouterr().err
