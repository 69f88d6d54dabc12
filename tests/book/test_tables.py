import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mialib.book import ledger, runs, tables
from mialib.book.claims import Claim, Judge
from mialib.book.runs import Origin, Run
from mialib.book.tables import Table, VerdictTable
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

ORIGIN = Origin("location", "sample", 7, (Provenance("location", "real", "here", "none", "ab" * 32),))
NUMBERS = {
    "target train accuracy": 1.0,
    "target test accuracy": 0.1,
    "precision": Estimate(0.7, 0.6, 0.8),
    "recall": float("nan"),
}


def test_an_estimate_that_is_not_defined_is_blank_and_one_without_interval_a_number():
    nan = float("nan")
    rows = {"a": {"x": Estimate(nan), "y": Estimate(0.5), "n": 3}, "b": {"x": 0.25, "z": Estimate(1, 0, 1), "n": None}}
    frame = Table(rows, "foot").frame
    assert frame.columns.tolist() == ["x", "y", "n", "z"]
    assert frame.loc["a"].tolist() == ["–", "0.500", "3", "–"]
    assert frame.loc["b"].tolist() == ["0.250", "–", "–", "1.000 [0.000, 1.000]"]


def test_a_frame_is_a_table_too():
    frame = pd.DataFrame({"x": [0.25, np.nan], "n": [1, 2], "words": ["a", "b"]}, index=["one", "two"])
    table = Table(frame, "foot")
    assert table.frame.loc["one"].tolist() == ["0.250", "1", "a"]
    assert table.frame.loc["two"].tolist() == ["–", "2", "b"]
    mean = pd.DataFrame({("precision", "own"): [0.5]}, index=[3])
    assert Table(mean, "foot").frame.loc[3, ("precision", "own")] == "0.500"


def test_text_in_a_foot_is_escaped():
    assert "a &lt;b&gt;" in tables.Table(pd.DataFrame({"x": [1]}), "a <b>")._repr_html_()


def test_verdicts_name_each_claim_and_keep_the_run(monkeypatch):
    asked = {
        "leaks": ("precision", "at_least", 0.5),
        "leaks more": ("precision", "at_least", 0.9),
        "finds": ("recall", "at_least", 0.9),
        "is fast": ("speed", "at_least", 1),
    }
    claims = [
        Claim(name, "location", "Fig. 1", "It does.", (quantity,), Judge(kind, (bound,)), "A reason.")
        for name, (quantity, kind, bound) in asked.items()
    ]
    monkeypatch.setattr(ledger, "read_claims", lambda: claims)
    table = VerdictTable(Run(ORIGIN, NUMBERS))
    *lines, foot = repr(table).splitlines()
    assert foot.startswith(ORIGIN.badge)
    assert lines == [
        "leaks: reproduced",
        "leaks more: not reproduced",
        "finds: not testable here (not defined)",
        "is fast: not testable here (not measured)",
    ]
    data, metadata = table._repr_mimebundle_()
    assert data["text/plain"] == repr(table)
    assert "not reproduced" in data["text/html"]
    kept = Run.from_dict(json.loads(json.dumps(metadata["mialib"])))
    assert kept.origin == ORIGIN
    assert str(kept.numbers["precision"]) == "0.700 [0.600, 0.800]"


def test_a_run_is_found_in_a_notebook(tmp_path):
    _, metadata = VerdictTable(Run(ORIGIN, NUMBERS))._repr_mimebundle_()
    notebook = {"cells": [{"outputs": [{"data": {}}, {"metadata": metadata}]}, {"source": "no outputs"}]}
    (tmp_path / "location.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "other.ipynb").write_text(json.dumps({"cells": []}))
    assert list(runs.runs_in_book(tmp_path)) == ["location"]


def test_tables_of_scores_and_of_runs():
    run = Run(replace(ORIGIN, profile="paper"), {**NUMBERS, "train accuracy, Google stand-in": Estimate(1, 0.99, 1)})
    runs = {"recorded": {"location": run}, "this build": {}}
    score = tables.score_table(runs).frame
    assert score.index.tolist() == [f"recorded: {scope}" for scope in ledger.score({})]
    assert score.loc["recorded: the paper's data", "reproduced"] == "1"
    assert tables.run_table(runs).frame.loc["location, recorded", "sha256"] == "abababababababab…"
    assert len(tables.run_table({}).frame) == 0


def test_the_papers_items_and_their_claims():
    run = Run(replace(ORIGIN, profile="paper"), {"precision, Google stand-in": Estimate(0.5, 0.4, 0.55)})
    frame = tables.item_table({"location": run}).frame
    row = frame.loc[("Table II", "table-ii-location-precision")]
    assert row.tolist() == ["0.678", "0.500 [0.400, 0.550]", "the paper's data", "not reproduced"]
    assert {item for item, _ in frame.index} >= {"Table I", "Table III", "Fig. 4", "Fig. 13"}


def test_a_small_run_judges_no_value_of_the_paper():
    table = VerdictTable(Run(ORIGIN, {"precision, Google stand-in": Estimate(0.7, 0.65, 0.72)}))
    assert "table-ii-location-precision" not in table.frame.index
    n = sum(claim.chapter == "location" and claim.of_papers_size for claim in ledger.read_claims())
    assert f"of {n} values of the paper, judged at its sizes only, 1 are measured here" in repr(table)


@pytest.mark.parametrize("folder", [".", "book"])
def test_the_books_folder_is_found_from_both_places(tmp_path, monkeypatch, folder):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "claims.yaml").touch()
    monkeypatch.chdir(tmp_path / folder)
    assert (tables.book_folder() / "claims.yaml").exists()
    monkeypatch.chdir("/")
    with pytest.raises(FileNotFoundError, match="neither the book's folder nor the one above"):
        tables.book_folder()
