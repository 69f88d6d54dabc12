import json
import subprocess
import sys
from dataclasses import replace

import myst_nb
import numpy as np
import pandas as pd
import pytest

from mialib import plots
from mialib.book import chapter as module
from mialib.book import runs
from mialib.book.chapter import Chapter
from mialib.book.runs import Run
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

REAL = Provenance("location", "real", "here", "none", "ab" * 32)
STAND_IN = Provenance("cifar10", "stand-in", "generated", "none", "cd" * 32)
NUMBERS = {
    "target train accuracy": 1.0,
    "target test accuracy": 0.1,
    "precision": Estimate(0.7, 0.6, 0.8),
    "recall": float("nan"),
}


@pytest.fixture
def chapter():
    return Chapter("location", "sample", 7, REAL)


@pytest.fixture
def glued(monkeypatch):
    """What is glued for the prose, pairs of name and value."""
    found = []
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: found.append((name, value)))
    return found


def test_a_chapter_says_under_which_conditions_it_measures(chapter, data):
    assert chapter.badge == "location · real data · profile sample · seed 7"
    assert Chapter("toy", "own", 0, data).origin.sets == (data.provenance,)
    both = Chapter("location", "sample", 7, REAL, STAND_IN, data)
    assert both.badge == "location and cifar10 and toy · stand-in data · profile sample · seed 7"
    with pytest.raises(TypeError, match="dataset"):
        Chapter("location", "sample", 7)


def test_every_table_says_where_its_numbers_come_from(chapter):
    for table in (
        chapter.table({"here": NUMBERS}, "and another"),
        chapter.quantiles({"a": np.array([0.1, 0.2])}),
        chapter.check(NUMBERS),
    ):
        assert "location · real data · profile sample · seed 7" in table._repr_html_()
    assert chapter.table({"here": NUMBERS}, "and another").foot.endswith("; and another")


def test_a_figure_is_signed_and_returned(chapter):
    figure = plots.bars({"a": {"x": 0.5}}, "set", "precision")
    assert chapter.figure(figure) is figure
    assert any(chapter.badge == text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def test_columns(chapter):
    table = chapter.table({"paper": {"precision": 0.678, "other": 1.0}, "here": NUMBERS})
    assert list(table.frame.index) == ["precision", "other", "target train accuracy", "target test accuracy", "recall"]
    assert table.frame.loc["precision"].tolist() == ["0.678", "0.700 [0.600, 0.800]"]
    assert table.frame.loc["recall"].tolist() == ["–", "–"]
    assert "0.678" in repr(table)


def test_rows(chapter):
    table = chapter.by_row({"a": NUMBERS, "b": {"recall": 0.5, "words": "one"}}, "remark")
    assert table.frame.columns.tolist() == [*NUMBERS, "words"]
    assert table.frame.loc["a"].tolist() == ["1.000", "0.100", "0.700 [0.600, 0.800]", "–", "–"]
    assert table.frame.loc["b", "words"] == "one"
    assert table.foot == f"{chapter.badge}; remark"
    assert chapter.by_row(pd.DataFrame({"x": [0.25]})).frame.iloc[0, 0] == "0.250"


def test_quantiles(chapter):
    frame = chapter.quantiles({"a": np.arange(1, 11) / 10}).frame
    assert frame.columns.tolist() == ["10%", "25%", "median", "75%", "90%"]
    assert frame.loc["a"].tolist() == ["0.100", "0.300", "0.500", "0.800", "0.900"]


def test_numbers_stand_beside_the_papers_and_a_recorded_run(chapter, glued, monkeypatch):
    recorded = Run(replace(chapter.origin, profile="paper"), {"precision": 0.71, "recall": 0.99})
    monkeypatch.setattr(module, "recorded", {"location": recorded}.get)
    monkeypatch.setattr(module.ledger, "paper_values", {"location": {"precision": 0.678}}.get)
    numbers = {**NUMBERS, "other": 1.0, "unknown": 2.0}
    table = chapter.beside_paper(numbers, also=["other"])
    assert table.frame.columns.tolist() == ["paper", "here", "recorded run"]
    assert table.frame.loc["precision"].tolist() == ["0.678", "0.700 [0.600, 0.800]", "0.710"]
    assert table.frame.loc["other"].tolist() == ["–", "1.000", "–"]
    assert "unknown" not in table.frame.index
    assert "paper: Shokri et al. 2017; recorded run: location · real data · profile paper" in table.foot
    assert [name for name, _ in glued] == list(numbers)
    assert {type(value) for _, value in glued} == {float}
    assert list(chapter.beside_paper(numbers, numbers).frame.index) == list(numbers)
    monkeypatch.setattr(module, "recorded", lambda name: None)
    assert chapter.beside_paper(NUMBERS).frame.columns.tolist() == ["paper", "here"]


def test_a_number_is_glued_once_for_the_book_does_not_build_with_two_of_one_name(chapter, glued):
    chapter.glue(NUMBERS)
    chapter.beside_paper({**NUMBERS, "other": 2})
    assert [name for name, _ in glued] == [*NUMBERS, "other"]
    chapter.glue({"other": 3})
    assert glued[-2:] == [("other", 2.0), ("other", 3.0)]


def test_where_the_paper_gives_none_of_the_numbers_it_has_no_column(glued, monkeypatch):
    chapter = Chapter("remember_too_much", "sample", 0, STAND_IN)
    recorded = {"remember_too_much": Run(replace(chapter.origin, profile="paper"), {})}
    monkeypatch.setattr(module, "recorded", recorded.get)
    table = chapter.beside_paper({"signs, test accuracy": 0.1}, ["signs, test accuracy"], "a remark")
    assert table.frame.columns.tolist() == ["here", "recorded run"]
    assert f"{chapter.badge}; a remark; recorded run: " in table.foot
    assert "Shokri" not in table.foot


def test_the_recorded_run_is_that_of_the_chapter(chapter, monkeypatch):
    monkeypatch.setattr(module, "recorded", {"location": "that of location"}.get)
    assert chapter.recorded == "that of location"
    assert Chapter("nothing", "sample", 0, REAL).recorded is None


def test_a_recorded_figure_is_shown_and_a_missing_one_is_not(chapter, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    assert chapter.recorded_figure is None
    path = runs.recorded_path("location", "paper", 3)
    path.parent.mkdir(parents=True)
    run = Run(replace(chapter.origin, profile="paper", seed=3), NUMBERS)
    path.write_text(json.dumps(run.to_dict()), encoding="utf-8")
    assert chapter.recorded_figure is None
    path.with_suffix(".png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert chapter.recorded_figure.data == path.with_suffix(".png").read_bytes()


def test_what_figures_draw_is_kept_with_the_numbers(chapter):
    chapter.keep({"precision by class": np.array([0.5, 0.75])})
    kept = chapter.check({"precision": 0.7}).run
    assert kept.arrays == {"precision by class": [0.5, 0.75]}
    assert Run.from_dict(json.loads(json.dumps(kept.to_dict()))) == kept


def test_the_papers_table_stands_beside_ours_and_the_recorded_run(monkeypatch):
    chapter = Chapter("mitigations", "sample", 7, REAL)
    ours = {"none": {"attack accuracy": Estimate(0.961, 0.9, 1)}, "own": {"attack accuracy": 0.7}}
    monkeypatch.setattr(module, "recorded", lambda name: None)
    frame = chapter.beside_table_iii(ours, "Purchase").frame
    assert frame.loc["none"].tolist() == ["0.66 / – / –", "0.92 / 0.96 / –", "0.87 / – / –", "1.00 / – / –"]
    assert frame.loc["own", "attack accuracy"] == "– / 0.70 / –"
    recorded = {"mitigations": Run(chapter.origin, {"attack accuracy, none, Purchase": Estimate(0.884, 0.8, 0.9)})}
    monkeypatch.setattr(module, "recorded", recorded.get)
    table = chapter.beside_table_iii(ours, "Purchase")
    assert table.frame.loc["none", "attack accuracy"] == "0.92 / 0.96 / 0.88"
    assert table.frame.loc["temperature 20", "recall"] == "0.86 / – / –"
    assert "recorded run: location · real data" in table.foot


def test_a_chapter_needs_no_jupyter():
    heavy = "papermill", "nbformat", "nbclient", "jupyter_client", "IPython", "myst_nb", "sphinx"
    code = f"import sys; from mialib.book.chapter import Chapter; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
