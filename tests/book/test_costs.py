import json
from pathlib import Path

import pytest

from mialib.book import chapters, costs
from mialib.book.costs import Training, cost
from mialib.datasets.catalog import load
from mialib.models.stack import NN

RESULTS = Path(__file__).parents[2] / "data" / "results" / "laptop"


def test_what_a_training_takes():
    training = Training("purchase", 3, 1000, 20, NN((128,)))
    assert training.multiplications == 3 * 3 * 1000 * 20 * (600 * 128 + 128 * 100)
    assert training.disk == 4 * 3 * (601 * 128 + 129 * 100)


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_plan_has_the_models_that_a_recorded_run_used(path):
    recorded = json.loads(path.read_text(encoding="utf-8"))
    parameters = chapters.all_parameters(path.stem, "sample") | recorded["parameters"]
    kept = (task.n_models for task in costs.PLANS[path.stem](parameters) if getattr(task, "kept", True))
    assert sum(kept) == recorded["models"]


def test_every_chapter_but_the_scoreboard_has_a_plan():
    assert set(costs.PLANS) == {path.stem for path in chapters.paths()} - {"scoreboard"}


def test_shapes_are_those_of_the_data():
    for name, source in (("adult", "sample"), ("digits", "sample"), ("hospital", "sample"), ("mnist", "sample")):
        data = load(name, source)
        assert costs.SHAPES[name] == (data.x.shape[1:], data.n_classes)
    purchase = load("purchase", "sample", n_classes=100)
    assert costs.SHAPES["purchase"] == (purchase.x.shape[1:], 100)
    for name in ("location", "cifar10", "cifar100"):
        data = load(name, "stand-in")
        assert costs.SHAPES[name] == (data.x.shape[1:], data.n_classes)


def test_an_estimate_scales_a_recorded_run_by_work_and_machine(monkeypatch):
    parameters = {"dataset": "purchase", "size": 1000, "epochs": 10, "n_shadow": 0}
    recorded = {
        "parameters": parameters,
        "seconds": 36.0,
        "CPU seconds": 72.0,
        "cores": 2,
        "peak memory in MiB": 100,
        "multiplications a core-second": 1e9,
    }
    monkeypatch.setattr(costs, "_recorded", lambda name: recorded)
    monkeypatch.setattr(costs.os, "cpu_count", lambda: 2)
    same = cost("threat_model", parameters)
    assert (same.models, same.hours, same.core_hours, same.memory) == (1, 0.012, 0.02, 100 * 2**20)
    more = cost("threat_model", parameters | {"epochs": 30}, rate=5e8)
    assert (more.hours, more.core_hours) == pytest.approx((0.072, 0.12))
    larger = cost("threat_model", parameters | {"size": 3000})
    assert larger.memory - same.memory == 2 * 2000 * 4 * 100
    monkeypatch.setattr(costs, "_recorded", lambda name: None)
    assert cost("threat_model", parameters) is None


def test_the_rate_of_this_machine_is_that_of_its_training():
    assert costs.multiplications_a_core_second(1) > 1e8
