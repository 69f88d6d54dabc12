"""The heads of chapters: answers, and figures from recorded runs."""

import base64
import json

import nbformat
import pytest
import yaml

from mialib.book import chapters, runs
from mialib.book import head as module
from mialib.book.head import Answer, Hero
from mialib.book.runs import Origin, Recording, Run
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

CHAPTERS = [chapters.path(name) for name in chapters.measuring()]
ORIGIN = Origin("toy", "paper", 0, (Provenance("location", "real", "here", "none", "0" * 64),))


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Return a function that gives the `Answer` of a toy chapter whose sentences are given, from two recorded seeds."""
    numbers = [{"recall, forest (1, 1e-3)": Estimate(value), "queries": 12.4} for value in (0.98, 0.99)]
    details = {"parameters": {"size": 1200, "n_shadow": 60}}
    runs = [Run(ORIGIN, of, details=details) for of in numbers]
    monkeypatch.setattr(module, "recorded", lambda chapter: Recording(tuple(runs)) if chapter == "toy" else None)
    monkeypatch.setattr(module, "shipped", lambda *parts: tmp_path / parts[-1])

    def answer(sentences, chapter="toy"):
        (tmp_path / "heads.yaml").write_text(yaml.safe_dump({chapter: {"short": "Yes.", "sentences": sentences}}))
        return Answer(chapter)

    return answer


def test_a_sentence_has_the_numbers_of_the_recorded_run(said):
    found = said("Finds {recall, forest (1, 1e-3):.1%} with {queries:.0f} queries.")
    assert found.sentences == "Finds 98.5\N{NO-BREAK SPACE}% with 12 queries."
    assert found.foot.startswith("1,200 training records · 60 shadow models · 2 targets · location · real data")


def test_a_number_that_was_not_recorded_is_named(said):
    with pytest.raises(ValueError, match="the recorded run of toy has no number 'precision'"):
        said("{precision:.2f}")


def test_what_is_not_recorded_says_so(said):
    found = said("{precision:.2f}", "other")
    assert (found.short, found.foot, found.verdicts) == ("Not recorded yet.", "", {})


def test_html_is_escaped(said):
    assert "a &lt;b&gt;" in said("a <b>")._repr_html_()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_opens_with_its_question_and_the_answer_of_today(path):
    said = yaml.safe_load((path.parent / "heads.yaml").read_text(encoding="utf-8"))[path.stem]
    first, second, *_ = nbformat.read(path, as_version=4).cells
    assert first.source.endswith(f"\n\n*{said['question']}*")
    assert "answer" in second.metadata.tags
    (output,) = second.outputs
    assert output.data == Answer(path.stem).data


def drawn(path):
    return "figure" in yaml.safe_load((path.parent / "heads.yaml").read_text(encoding="utf-8"))[path.stem]


@pytest.mark.parametrize("path", [path for path in CHAPTERS if drawn(path)], ids=lambda path: path.stem)
def test_the_figure_of_a_head_is_that_of_today_with_caption_and_alternative(path):
    of = yaml.safe_load((path.parent / "heads.yaml").read_text(encoding="utf-8"))[path.stem]["figure"]
    third = nbformat.read(path, as_version=4).cells[2]
    assert "hero" in third.metadata.tags
    shown = third.metadata.mystnb
    assert (shown.figure.caption, shown.image.alt) == (of["caption"], of["alt"])
    (output,) = third.outputs
    today = Hero(path.stem)
    assert output.data["text/plain"] == today.data["text/plain"]
    if of["draws"] == "kept":
        assert output.data == today.data
    else:
        assert today.run is None or today.run.origin.badge in output.data["image/svg+xml"]  # the rest is matplotlib's


def test_a_hero_draws_mean_and_interval_of_its_targets_and_the_papers_values(said, monkeypatch):
    rows = ([0.6, 0.8], [0.7, 0.9])
    runs = tuple(Run(ORIGIN, {}, {"kept": row}) for row in rows)
    monkeypatch.setattr(module, "recorded", lambda chapter: Recording(runs))
    said("")
    place = ["Table II", None, "Location", "precision"]
    figure = {
        "draws": "classes",
        "lines": {"a line": "kept", "another": "not kept"},
        "paper": {"a line": {0.5: place}},
        "alt": "lines",
    }
    monkeypatch.setattr(module, "_said", lambda chapter: {"figure": figure})
    (axes,) = Hero("toy").figure.axes
    line, diamond, *_ = axes.lines
    assert [line.get_xdata()[49], line.get_xdata()[50]] == pytest.approx([0.65, 0.85])
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (0.678, 0.5)
    (band,) = axes.collections
    ends = band.get_paths()[0].get_extents()
    assert (ends.x0, ends.x1) == (pytest.approx(0.65 - 12.706 * 0.05, abs=1e-3), 1.0)


def test_what_is_not_recorded_has_no_figure(monkeypatch):
    monkeypatch.setattr(module, "recorded", lambda chapter: None)
    assert Hero("location").figure is None
    assert Hero("location").data["text/plain"].startswith("Not recorded yet.")


def test_a_picture_that_was_kept_is_shown_as_it_is(monkeypatch, tmp_path):
    monkeypatch.setattr(runs, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(module, "_said", lambda chapter: {"figure": {"draws": "kept", "alt": "a picture"}})
    assert Hero("toy").data == {"text/plain": "Not recorded yet. a picture"}
    path = runs.recorded_path("toy", "paper", 0)
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(Run(ORIGIN, {}).to_dict()), encoding="utf-8")
    assert Hero("toy").data == {"text/plain": "Not recorded yet. a picture"}
    path.with_suffix(".png").write_bytes(b"pixels")
    assert Hero("toy").data == {"text/plain": "a picture", "image/png": base64.b64encode(b"pixels").decode()}
    assert Hero("toy").figure is None


def test_lines_are_means_over_targets_with_a_band(monkeypatch):
    runs = tuple(Run(ORIGIN, {}, {"y": row}) for row in ([0.5, 0.6], [0.7, 0.6]))
    monkeypatch.setattr(module, "recorded", lambda chapter: Recording(runs))
    figure = {"draws": "lines", "lines": {"two": [[1, 2], "y"]}, "xlabel": "x", "ylabel": "y", "alt": "a line"}
    monkeypatch.setattr(module, "_said", lambda chapter: {"figure": figure})
    (axes,) = Hero("toy").figure.axes
    assert axes.lines[0].get_xydata().tolist() == [[1, pytest.approx(0.6)], [2, pytest.approx(0.6)]]
    ends = axes.collections[0].get_paths()[0].get_extents()
    assert (ends.y0, ends.y1) == pytest.approx((0.6 - 12.706 * 0.1, 0.6 + 12.706 * 0.1), abs=1e-3)
