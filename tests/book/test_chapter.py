import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mialib import plots
from mialib.book import chapter as module
from mialib.book.chapter import Chapter
from mialib.book.runs import Recording, Run
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


def record(monkeypatch, origin, rows=(), **numbers):
    """Let the recorded runs of a chapter be these: a row of the array ``a`` each."""
    runs = tuple(Run(replace(origin, profile="paper", seed=i), numbers, {"a": row}) for i, row in enumerate(rows))
    monkeypatch.setattr(module, "recorded", {origin.chapter: Recording(runs)}.get)


def test_a_figure_shows_the_recorded_runs_before_this_one(chapter, monkeypatch):
    record(monkeypatch, chapter.origin, [[0.6, 0.8], [0.8, 0.8]])
    chapter.keep({"a": [0.5, 0.7]})
    drawn = chapter.figure(lambda run: plots.curve({"a": plots.along([1, 2], run.arrays["a"])}, "x", "y"), "It rises.")
    assert list(drawn.of_run) == ["recorded run", "this run"]
    lines = [figure.axes[0].lines[0].get_ydata().tolist() for figure in drawn.of_run.values()]
    assert lines == [pytest.approx([0.7, 0.8]), [0.5, 0.7]]
    badges = [figure.get_supxlabel() for figure in drawn.of_run.values()]
    assert badges == ["location · real data · profile paper · seeds 0 to 1", chapter.badge]


def test_what_the_recorded_run_did_not_measure_is_drawn_of_this_run_alone(chapter, monkeypatch):
    record(monkeypatch, chapter.origin, [[0.6, 0.8]], precision=0.9)
    chapter.note({"accuracy": 0.5})
    drawn = chapter.figure(lambda run: plots.bars({"a": {"x": run.numbers["accuracy"]}}, "set", "accuracy"), "Bars.")
    assert list(drawn.of_run) == ["this run"]
    with pytest.raises(KeyError, match="unheard of"):
        chapter.figure(lambda run: plots.bars({"a": {"x": run.numbers["unheard of"]}}, "set", "accuracy"), "Bars.")


def test_a_sentence_has_the_recorded_numbers_and_those_of_this_run_below(chapter, monkeypatch):
    record(monkeypatch, chapter.origin, [[0.6], [0.7]], **{"precision, local NN": 0.859})
    said = chapter.say("Precision is {precision,\nlocal NN:.1%}.", {"precision, local NN": Estimate(0.893, 0.8, 0.9)})
    assert said.text == "Precision is 85.9\N{NO-BREAK SPACE}%."
    kept = "Recorded run: location · real data · profile paper · seeds 0 to 1."
    assert said.small == f"{kept} This run: precision, local NN 89.3\N{NO-BREAK SPACE}%."
    assert said._repr_mimebundle_()["text/markdown"] == f'{said.text}\n\n<p class="mialib-origin">{said.small}</p>'


def test_a_sentence_mixes_no_two_runs(chapter, monkeypatch):
    record(monkeypatch, chapter.origin, [[0.6]], precision=0.859)
    said = chapter.say("{precision:.2f} and {recall:.2f}", {"precision": 0.7, "recall": 0.6})
    assert (said.text, said.small) == ("0.70 and 0.60", f"This run: {chapter.badge}")
    with pytest.raises(ValueError, match="neither this run nor the recorded one has a number 'AUC'"):
        chapter.say("{AUC:.2f}")


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


def test_numbers_stand_beside_the_papers_and_a_recorded_run(chapter, monkeypatch):
    recorded = Run(replace(chapter.origin, profile="paper"), {"precision": 0.71, "recall": 0.99})
    monkeypatch.setattr(module, "recorded", {"location": recorded}.get)
    monkeypatch.setattr(module.ledger, "paper_values", {"location": {"precision": 0.678}}.get)
    numbers = {**NUMBERS, "other": 1.0, "unknown": 2.0}
    table = chapter.beside_paper(numbers, also=["other"])
    assert table.frame.columns.tolist() == ["paper", "recorded run", "this run"]
    assert table.frame.loc["precision"].tolist() == ["0.678", "0.710", "0.700 [0.600, 0.800]"]
    assert table.frame.loc["other"].tolist() == ["–", "–", "1.000"]
    assert "unknown" not in table.frame.index
    assert "paper: Shokri et al. 2017; recorded run: location · real data · profile paper" in table.foot
    assert chapter.own.numbers == numbers
    assert list(chapter.beside_paper(numbers, numbers).frame.index) == list(numbers)
    monkeypatch.setattr(module, "recorded", lambda name: None)
    assert chapter.beside_paper(NUMBERS).frame.columns.tolist() == ["paper", "this run"]


def test_where_the_paper_gives_none_of_the_numbers_it_has_no_column(monkeypatch):
    chapter = Chapter("remember_too_much", "sample", 0, STAND_IN)
    recorded = {"remember_too_much": Run(replace(chapter.origin, profile="paper"), {})}
    monkeypatch.setattr(module, "recorded", recorded.get)
    table = chapter.beside_paper({"signs, test accuracy": 0.1}, ["signs, test accuracy"], "a remark")
    assert table.frame.columns.tolist() == ["recorded run", "this run"]
    assert f"{chapter.badge}; a remark; recorded run: " in table.foot
    assert "Shokri" not in table.foot


def test_the_recorded_run_is_that_of_the_chapter(chapter, monkeypatch):
    monkeypatch.setattr(module, "recorded", {"location": "that of location"}.get)
    assert chapter.recorded == "that of location"
    assert Chapter("nothing", "sample", 0, REAL).recorded is None


def test_a_figure_that_was_drawn_already_is_of_this_run_alone(chapter, monkeypatch):
    record(monkeypatch, chapter.origin, [[0.6]])
    drawn = plots.image_rows({"grey": np.zeros((1, 2, 2))})
    assert chapter.figure(drawn, "Images.").of_run == {"this run": drawn}
    assert drawn.get_supxlabel() == chapter.badge


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
    assert frame.loc["none"].tolist() == ["0.66 / – / –", "0.92 / – / 0.96", "0.87 / – / –", "1.00 / – / –"]
    assert frame.loc["own", "attack accuracy"] == "– / – / 0.70"
    recorded = {"mitigations": Run(chapter.origin, {"attack accuracy, none, Purchase": Estimate(0.884, 0.8, 0.9)})}
    monkeypatch.setattr(module, "recorded", recorded.get)
    table = chapter.beside_table_iii(ours, "Purchase")
    assert table.frame.loc["none", "attack accuracy"] == "0.92 / 0.88 / 0.96"
    assert table.frame.loc["temperature 20", "recall"] == "0.86 / – / –"
    assert "recorded run: location · real data" in table.foot


def test_a_chapter_needs_no_jupyter():
    heavy = "papermill", "nbformat", "nbclient", "jupyter_client", "IPython", "myst_nb", "sphinx"
    code = f"import sys; from mialib.book.chapter import Chapter; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
