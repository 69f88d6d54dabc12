"""Exercises say what their commands do, and their solutions what these found; `make exercises` runs them again."""

import re
import runpy
import shlex
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml

from mialib.book import chapters
from mialib.book.runs import runs_in_book

EXERCISES = runpy.run_path(str(Path(__file__).parents[1] / "exercises.py"))
FOUND = re.compile(r"```\{exercise\} [^\n]+\n:label: (\S+)\n(.*?)\n```", re.DOTALL)
SOLVED = re.compile(r"```\{solution\} (\S+)\n:class: dropdown\n(.*?)\n```", re.DOTALL)
BOOK = Path(__file__).parents[2] / "book"
CHAPTERS = sorted(runs_in_book(BOOK))


def prose(name):
    cells = nbformat.read(BOOK / f"{name}.ipynb", as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def parameters(given):
    """Return the parameters of a papermill command, a dict."""
    found, rest = {}, iter(given)
    for option in rest:
        assert option in ("-p", "-y")
        found |= {next(rest): yaml.safe_load(next(rest))} if option == "-p" else yaml.safe_load(next(rest))
    return found


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_two_exercises_whose_commands_and_solutions_are_those_that_are_run(name):
    exercises, solutions = dict(FOUND.findall(prose(name))), dict(SOLVED.findall(prose(name)))
    listed = {label: of for label, of in EXERCISES["read"]().items() if EXERCISES["chapter"](label) == name}
    assert len(exercises) >= 2
    assert exercises.keys() == solutions.keys() == listed.keys()
    for label, of in listed.items():
        (command,) = re.findall(r"`(papermill [^`]+)`", exercises[label])
        _, notebook, output, *given = shlex.split(command)
        assert (notebook, output) == (f"book/{name}.ipynb", "out.ipynb")
        read = parameters(given)
        assert read == of["parameters"]
        assert read.keys() <= papermill.inspect_notebook(str(chapters.path(name))).keys()
        assert of["finds"]
        for number, text in of["finds"].items():
            assert re.search(rf"(?<![\d.]){re.escape(text)}(?![\d])", solutions[label]), (
                f"{label} says no {text}: {number}"
            )


def test_a_solution_that_a_run_contradicts_is_found():
    numbers = {"precision": 0.7149, "share": 0.253, "queries": 1204.0}
    differences = EXERCISES["differences"]
    assert differences({"precision": "0.71", "share": "25 %", "queries": "1,200"}, numbers) == []
    assert differences({"precision": "0.68"}, numbers) == ["precision is 0.7149, the solution says 0.68"]
    assert differences({"share": "28 %"}, numbers) == ["share is 0.253, the solution says 28 %"]
    assert differences({"queries": "1,000"}, numbers) == ["queries is 1204, the solution says 1,000"]
    with pytest.raises(KeyError, match="AUC"):
        differences({"AUC": "0.5"}, numbers)
