"""The answers at the heads of chapters."""

import nbformat
import pytest
import yaml

from mialib.book import answer as module
from mialib.book import chapters
from mialib.book.answer import Answer
from mialib.book.runs import Origin, Recording, Run
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

CHAPTERS = [path for path in chapters.paths() if path.stem != chapters.SCOREBOARD]
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
        (tmp_path / "answers.yaml").write_text(yaml.safe_dump({chapter: {"short": "Yes.", "sentences": sentences}}))
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
    said = yaml.safe_load((path.parent / "answers.yaml").read_text(encoding="utf-8"))[path.stem]
    first, second, *_ = nbformat.read(path, as_version=4).cells
    assert first.source.endswith(f"\n\n*{said['question']}*")
    assert "answer" in second.metadata.tags
    (output,) = second.outputs
    assert output.data == Answer(path.stem).data
