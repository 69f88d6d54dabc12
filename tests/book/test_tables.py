import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mialib.book import claims, runs, tables
from mialib.book.runs import Origin, Run
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

ORIGIN = Origin("location", "sample", 7, Provenance("location", "real", "here", "none", "ab" * 32))
NUMBERS = {
    "target train accuracy": 1.0,
    "target test accuracy": 0.1,
    "precision": Estimate(0.7, 0.6, 0.8),
    "recall": float("nan"),
}


def test_every_table_says_where_its_numbers_come_from():
    for table in (
        tables.numbers_table({"here": NUMBERS}, ORIGIN, "and another"),
        tables.quantile_table({"a": np.array([0.1, 0.2])}, ORIGIN),
        tables.check(ORIGIN, NUMBERS),
    ):
        assert "location · real data · profile sample · seed 7" in table._repr_html_()


def test_cells():
    table = tables.numbers_table({"paper": {"precision": 0.678, "other": 1.0}, "here": NUMBERS}, ORIGIN)
    assert list(table.frame.index) == ["precision", "other", "target train accuracy", "target test accuracy", "recall"]
    assert table.frame.loc["precision"].tolist() == ["0.678", "0.700 [0.600, 0.800]"]
    assert table.frame.loc["recall"].tolist() == ["–", "–"]
    assert "0.678" in repr(table)


def test_quantiles():
    frame = tables.quantile_table({"a": np.arange(1, 11) / 10}, ORIGIN).frame
    assert frame.columns.tolist() == ["10%", "25%", "median", "75%", "90%"]
    assert frame.loc["a"].tolist() == ["0.100", "0.300", "0.500", "0.800", "0.900"]


def test_text_in_a_foot_is_escaped():
    assert "a &lt;b&gt;" in tables.Table(pd.DataFrame({"x": [1]}), "a <b>")._repr_html_()


def test_verdicts_name_each_claim_and_keep_the_run():
    table = tables.check(ORIGIN, NUMBERS)
    lines = dict(line.split(": ") for line in repr(table).splitlines())
    assert lines["location-train-accuracy"] == "reproduced"
    assert lines["location-test-accuracy"] == "not reproduced"
    assert lines["location-recall"] == "not reproduced"
    assert lines["location-above-gap"] == "not testable here (not measured)"
    data, metadata = table._repr_mimebundle_()
    assert data["text/plain"] == repr(table)
    assert "not reproduced" in data["text/html"]
    kept = Run.from_dict(json.loads(json.dumps(metadata["mialib"])))
    assert kept.origin == ORIGIN
    assert kept.numbers["precision"] == NUMBERS["precision"]


def test_a_run_is_found_in_a_notebook(tmp_path):
    _, metadata = tables.check(ORIGIN, NUMBERS)._repr_mimebundle_()
    notebook = {"cells": [{"outputs": [{"data": {}}, {"metadata": metadata}]}, {"source": "no outputs"}]}
    (tmp_path / "location.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "other.ipynb").write_text(json.dumps({"cells": []}))
    assert list(runs.runs_in_book(tmp_path)) == ["location"]


def test_scoreboard_and_its_filters():
    runs = {"laptop": {"location": Run(ORIGIN, NUMBERS)}, "paper": {}, "this build": {}}
    whole = tables.scoreboard(runs).frame
    assert len(whole) == len(claims.read_claims())
    assert whole.columns.tolist() == ["chapter", "claim", "paper", "laptop"]
    assert whole.loc["location-train-accuracy", "laptop"] == "1.000: reproduced"
    assert whole.loc["attack-above-gap", "laptop"] == "not testable here"
    assert set(tables.scoreboard(runs, chapter="location").frame.index) == {
        c.id for c in claims.read_claims() if c.chapter == "location"
    }
    failed = tables.scoreboard(runs, outcome="not reproduced").frame
    assert "location-test-accuracy" in failed.index
    assert "location-train-accuracy" not in failed.index
    assert tables.score_table(runs).frame.index.tolist() == ["laptop"]
    assert len(tables.scoreboard(runs, chapter="nothing").frame) == len(tables.run_table({}).frame) == 0
    assert tables.run_table(runs).frame.loc["laptop", "sha256"] == "abababababababab…"


@pytest.mark.parametrize("folder", [".", "book"])
def test_the_books_folder_is_found_from_both_places(tmp_path, monkeypatch, folder):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "claims.yaml").touch()
    monkeypatch.chdir(tmp_path / folder)
    assert (tables.book_folder() / "claims.yaml").exists()
    monkeypatch.chdir("/")
    with pytest.raises(FileNotFoundError, match="neither the book's folder nor the one above"):
        tables.book_folder()


def test_numbers_stand_beside_the_papers_and_a_recorded_run(monkeypatch):
    recorded = Run(replace(ORIGIN, profile="laptop"), {"precision": 0.71, "recall": 0.99})
    monkeypatch.setattr(runs, "recorded_runs", lambda profile: {"location": recorded})
    table = tables.beside_paper("location", {**NUMBERS, "other": 1.0, "unknown": 2.0}, ORIGIN, also=["other"])
    assert table.frame.columns.tolist() == ["paper", "here", "recorded run"]
    assert table.frame.loc["precision"].tolist() == ["0.678", "0.700 [0.600, 0.800]", "0.710"]
    assert table.frame.loc["other"].tolist() == ["–", "1.000", "–"]
    assert "unknown" not in table.frame.index
    assert "recorded run: location · real data · profile laptop" in table.foot
    monkeypatch.setattr(runs, "recorded_runs", lambda profile: {})
    assert tables.beside_paper("location", NUMBERS, ORIGIN).frame.columns.tolist() == ["paper", "here"]


def test_a_recorded_figure_is_shown_and_a_missing_one_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    assert tables.recorded_figure("location", "laptop") is None
    path = tmp_path / "data" / "results" / "laptop" / "location.png"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert tables.recorded_figure("location", "laptop").data == path.read_bytes()


def test_an_estimate_that_is_not_defined_is_blank_and_one_without_interval_a_number():
    nan = float("nan")
    rows = {"a": {"x": Estimate(nan, nan, nan), "y": Estimate(0.5, nan, nan)}, "b": {"x": 0.25, "z": Estimate(1, 0, 1)}}
    frame = tables.by_row(rows, ORIGIN, "remark").frame
    assert frame.loc["a"].tolist() == ["–", "0.500", "–"]
    assert frame.loc["b"].tolist() == ["0.250", "–", "1.000 [0.000, 1.000]"]


def test_rows_become_numbers_by_name():
    assert tables.flat({"none": {"x": 1}, "L2": {"x": 2}}, "Texas") == {"x, none, Texas": 1, "x, L2, Texas": 2}


def test_the_papers_table_stands_beside_ours_and_the_recorded_run(monkeypatch):
    origin = replace(ORIGIN, chapter="mitigations")
    ours = {"none": {"attack accuracy": Estimate(0.961, 0.9, 1)}, "own": {"attack accuracy": 0.7}}
    monkeypatch.setattr(runs, "recorded_runs", lambda profile: {})
    frame = tables.beside_table_iii(ours, "Purchase", origin).frame
    assert frame.loc["none"].tolist() == ["0.66 / – / –", "0.92 / 0.96 / –", "0.87 / – / –", "1.00 / – / –"]
    assert frame.loc["own", "attack accuracy"] == "– / 0.70 / –"
    recorded = {"mitigations": Run(origin, {"attack accuracy, none, Purchase": Estimate(0.884, 0.8, 0.9)})}
    monkeypatch.setattr(runs, "recorded_runs", lambda profile: recorded)
    table = tables.beside_table_iii(ours, "Purchase", origin)
    assert table.frame.loc["none", "attack accuracy"] == "0.92 / 0.96 / 0.88"
    assert table.frame.loc["temperature 20", "recall"] == "0.86 / – / –"
    assert "recorded run: location · real data" in table.foot


def test_table_iii_is_as_printed():
    paper = tables.paper_table("table_iii")
    assert paper["Purchase"]["L2 1e-3"] == {
        "test accuracy": 0.72,
        "attack accuracy": 0.77,
        "precision": 0.73,
        "recall": 0.86,
    }
    assert (len(paper["Purchase"]), len(paper["Texas"])) == (11, 12)
    assert set(next(iter(paper["Texas"].values()))) == set(tables.QUANTITIES)
