import math
from dataclasses import replace

import pytest

from mialib.book import chapters, costs, runs
from mialib.book.costs import cost
from mialib.book.runs import Origin, Run
from mialib.datasets.dataset import Provenance

RECORDED = runs.recordings()
RUN = Run(Origin("toy", "paper", 0, (Provenance("set", "sample", "here", "none", "0" * 64),)), {})
PARAMETERS = {"size": 1000, "epochs": 10, "n_shadow": 4, "batch_size": 50, "class_counts": [2, 10], "source": "real"}
TOOK = {
    "seconds": 36.0,
    "CPU seconds": 72.0,
    "peak memory in MiB": 100,
    "models": 10,
    "cache in MiB": 3.0,
    "multiplications a core-second": 1e9,
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_chapter_costs_what_it_took_at_the_parameters_of_its_recorded_run(name):
    took = RECORDED[name].details
    same = cost(name, took["parameters"])
    assert same.models == took["models"]
    assert same.core_hours == pytest.approx(took["CPU seconds"] / 3600)
    assert same.memory == took["peak memory in MiB"]
    assert same.disk == pytest.approx(took.get("cache in MiB", math.nan), nan_ok=True)
    paper = cost(name, chapters.profile_parameters(name, "paper", took["parameters"]["seed"]))  # some seeds have more
    assert paper.core_hours >= same.core_hours
    assert paper.models >= same.models


@pytest.fixture
def recorded(monkeypatch):
    """The chapter toy was recorded with PARAMETERS, on two cores as this machine has."""
    run = replace(RUN, details={"parameters": PARAMETERS, **TOOK})
    monkeypatch.setattr(costs, "recorded", lambda name: run if name == "toy" else None)
    monkeypatch.setattr(chapters, "all_parameters", lambda name, profile: {**PARAMETERS, "size": 7})
    monkeypatch.setattr(costs.os, "cpu_count", lambda: 2)


def test_a_cost_scales_a_recorded_run_by_work_and_machine(recorded):
    same = cost("toy", PARAMETERS)
    assert (same.models, same.core_hours, same.memory, same.disk) == (10, 0.02, 100, 3)
    assert same.hours == pytest.approx(0.012)
    slower = cost("toy", PARAMETERS, rate=5e8)
    assert (slower.hours, slower.core_hours) == pytest.approx((0.024, 0.04))
    assert cost("other", PARAMETERS) is None


@pytest.mark.parametrize(
    ("given", "models", "core_hours", "disk"),
    [
        ({"size": 2000}, 10, 0.04, 3),
        ({"epochs": 30}, 10, 0.06, 3),
        ({"n_shadow": 9}, 20, 0.04, 6),
        ({"class_counts": [2, 10, 20]}, 15, 0.03, 4.5),
        ({"batch_size": 5, "source": "sample"}, 10, 0.02, 3),
        ({"size": 3000, "epochs": 20, "n_shadow": 14}, 30, 0.36, 9),
    ],
)
def test_work_is_told_by_the_names_of_parameters(recorded, given, models, core_hours, disk):
    found = cost("toy", {**PARAMETERS, **given})
    assert (found.models, found.core_hours, found.disk) == pytest.approx((models, core_hours, disk))


def test_memory_grows_with_the_answers_of_all_models_and_never_falls_below_the_recorded_run(recorded):
    assert cost("toy", {**PARAMETERS, "size": 3000}).memory == pytest.approx(100 + 5 * 2000 * 2 * 4 * 100 / 2**20)
    assert cost("toy", {**PARAMETERS, "size": 10}).memory == 100


def test_sums_of_lists_and_repetitions_count(recorded):
    then = {"sizes_10": [100, 200], "fewer_epochs": [5], "epochs": 5, "n_shadow": 1, "hospital_shadow": 2}
    now = {"sizes_10": [100, 200, 300], "fewer_epochs": [5, 10], "epochs": 10, "n_repetitions": 3}
    now, then = costs._amounts({**then, **now}), costs._amounts(then)
    assert costs._ratio(now, then, "records") == 2
    assert costs._ratio(now, then, "passes") == 2.5
    assert costs._ratio(now, then, "models") == 1
    assert costs._ratio(now, then, "repetitions") == 3
    assert costs._ratio(now, then, "entries") == pytest.approx(5 / 3)
    assert costs._ratio(now, then, "settings") == 1


def test_disk_is_not_known_where_it_was_not_recorded(recorded, monkeypatch):
    details = {"parameters": PARAMETERS, **TOOK}
    del details["cache in MiB"]
    monkeypatch.setattr(costs, "recorded", lambda name: replace(RUN, details=details))
    assert math.isnan(cost("toy", PARAMETERS).disk)


def test_the_rate_of_this_machine_is_that_of_its_training():
    assert costs.multiplications_a_core_second(1) > 1e8
