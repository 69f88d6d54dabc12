"""The page on how to come by a figure's numbers again, and what it says about a run."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mialib.base.machine import shipped
from mialib.book import sphinx_ext
from mialib.book.reproduce import compared, sha256
from mialib.book.runs import recorded
from mialib.metrics import Estimate


@pytest.fixture
def write(tmp_path):
    """A function that writes a run as an executed notebook, and returns its path."""

    def written(run):
        kept = {"metadata": {"mialib": run.to_dict()}}
        path = tmp_path / "run.ipynb"
        path.write_text(json.dumps({"cells": [{"outputs": [kept]}]}), encoding="utf-8")
        return path

    return written


def test_the_page_has_each_recorded_chapter_of_a_figure_with_its_command_and_checksum():
    source = [shipped("book", "reproduce.md").read_text(encoding="utf-8")]

    app = SimpleNamespace(env=SimpleNamespace(doc2path=lambda docname: f"{docname}.md"))
    sphinx_ext._add(app, "book/reproduce", source)
    entries = source[0].partition("## Which command")[2].split("```\n\n")[:-1]
    (entry,) = (of for of in entries if "mia run noise --profile paper -p seed=0 -o noise.ipynb\n" in of)
    assert entry.startswith("**Fig. 8**: [")
    assert f"; {sphinx_ext._recorded('noise')}." in entry
    assert f"\n# {sha256(recorded('noise').runs[0])}\n" in entry
    items = {item for of in entries for item in of.strip().split("**")[1].split(", ")}
    assert items == {*(f"Fig. {n}" for n in range(4, 14)), "Table I", "Table II", "Table III"}


def test_the_checksum_leaves_out_time_and_machine():
    run = recorded("noise").runs[0]
    assert sha256(replace(run, details={"seconds": 1})) == sha256(run)
    name = next(iter(run.arrays))
    other = {**run.arrays, name: [*run.arrays[name][:-1], 0.123]}
    assert sha256(replace(run, arrays=other)) != sha256(run)


def test_a_run_is_held_against_the_recorded_one(write):
    run = recorded("noise").runs[0]
    assert compared(write(run)).endswith("the recorded numbers, to the last bit")
    name = next(name for name, of in run.numbers.items() if isinstance(of, Estimate))
    moved = {**run.numbers, name: Estimate(float(run.numbers[name]) + 0.25, 0, 1)}
    said = compared(write(replace(run, numbers=moved)))
    assert said.endswith(f"1 of {len(moved)} numbers differ, most {name!r}, by 0.25")
    fewer = {of: number for of, number in run.numbers.items() if of != name}
    assert f"1 numbers are in one of the two alone, such as {name!r}" in compared(write(replace(run, numbers=fewer)))
    with pytest.raises(ValueError, match="noise is not recorded with profile paper and seed 77"):
        compared(write(replace(run, origin=replace(run.origin, seed=77))))
    (path := write(run)).write_text('{"cells": []}', encoding="utf-8")
    with pytest.raises(ValueError, match="holds no run of a chapter; mia run CHAPTER --profile paper"):
        compared(path)
