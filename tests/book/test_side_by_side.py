import re
import shutil
import threading
from pathlib import Path

import nbformat
import pytest

from mialib.book import build, chapters, costs, runs
from mialib.book.chapters import ChapterError
from mialib.book.costs import Cost
from mialib.book.execution import Executed

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))


@pytest.fixture
def as_committed(monkeypatch):
    """Chapters are not run: what is committed stands for a run. Returns what was asked for."""
    asked = []

    def run(path, parameters, environment=None):
        asked.append((Path(path).stem, parameters, environment))
        return Executed(path, {})

    monkeypatch.setattr(build, "executed", run)
    monkeypatch.setattr(
        chapters, "execute", lambda source, output, parameters: asked.append((Path(source).stem, None, None))
    )
    return asked


def test_a_build_runs_every_chapter_in_its_profile_and_leaves_the_committed_ones_alone(
    tmp_path, as_committed, monkeypatch
):
    monkeypatch.setattr(build, "build_html", lambda folder: folder)  # the next test has one
    before = {path: path.read_bytes() for path in CHAPTERS}
    assert build.build(tmp_path / "build", "paper", 1, "tcp://cluster:1") == (tmp_path / "build", {})
    names = [name for name, _, _ in as_committed]
    assert sorted(names[:-2]) == sorted(chapters.measuring())
    assert tuple(names[-2:]) == chapters.OVERVIEWS
    hours = [costs.cost(name, parameters).hours for name, parameters, _ in as_committed[:-2]]
    assert hours == sorted(hours, reverse=True)
    for name, parameters, environment in as_committed[:-2]:
        assert parameters == chapters.profile_parameters(name, "paper")
        assert environment == {"MIALIB_CLUSTER": "tcp://cluster:1"}
    assert {path: path.read_bytes() for path in CHAPTERS} == before


def test_a_chapter_that_fails_leaves_a_page_that_says_so_and_the_others_go_on(tmp_path, as_committed, monkeypatch):
    run = build.executed

    def failing(path, parameters, environment=None):
        if Path(path).stem in ("location", "texas"):
            raise ChapterError(f"{Path(path).stem}: DataError: no file")
        return run(path, parameters, environment)

    monkeypatch.setattr(build, "executed", failing)
    page, failures = build.build(tmp_path / "build", "paper", 2)
    assert page.exists()
    assert (page.parent / "book" / "noise.html").exists()
    assert failures == {name: f"{name}: DataError: no file" for name in ("location", "texas")}
    text = re.sub("<[^>]+>", "", (page.parent / "book" / "texas.html").read_text(encoding="utf-8"))
    assert "This chapter did not run to its end:" in text
    assert "texas: DataError: no file" in text
    assert set(runs.runs_in_book(tmp_path / "build" / "book")) == {path.stem for path in CHAPTERS} - {
        "location",
        "texas",
        *chapters.OVERVIEWS,
    }


@pytest.mark.parametrize(
    ("cores", "n_jobs", "expected"),
    [
        (1, None, (1, {})),
        (2, None, (2, build.ONE_CORE)),
        (2, 1, (1, {})),
        (8, None, (4, {})),
        (8, 9, (9, build.ONE_CORE)),
    ],
)
def test_as_many_chapters_as_cores_keep_to_one_each(tmp_path, monkeypatch, cores, n_jobs, expected):
    given = []
    monkeypatch.setattr(build.os, "cpu_count", lambda: cores)
    monkeypatch.setattr(build, "run_side_by_side", lambda pages, parameters, *how: given.extend(how))
    monkeypatch.setattr(build, "build_html", lambda folder: folder)
    monkeypatch.setattr(chapters, "execute", lambda *_: None)
    build.build(tmp_path / "build", n_jobs=n_jobs)
    assert tuple(reversed(given)) == expected


def test_chapters_run_side_by_side_where_memory_allows(tmp_path, monkeypatch):
    names = ["location", "noise", "texas", "cifar"]
    for name in names:
        shutil.copy(ROOT / "book" / f"{name}.ipynb", tmp_path)
    needs = {"location": 3, "noise": 3, "texas": 5, "cifar": 20}
    monkeypatch.setattr(costs, "cost", lambda name, given: Cost(1, 1, 1, memory=needs[name], disk=1))
    monkeypatch.setattr(build.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 8 * 2**20}))
    lock, running, most, together = threading.Lock(), set(), [0], []

    def run(path, parameters, environment):
        with lock:
            running.add(Path(path).stem)
            most[0] = max(most[0], sum(needs[name] for name in running))
            together.append(frozenset(running))
        threading.Event().wait(0.3)
        with lock:
            running.discard(Path(path).stem)
        return Executed(path, {})

    monkeypatch.setattr(build, "executed", run)
    assert build.run_side_by_side(tmp_path, {name: {"seed": 0} for name in names}, {}, 3) == {}
    assert frozenset(("location", "noise")) in together
    assert frozenset(("cifar",)) in together  # more than there is: alone, rather than never
    assert most[0] == 20
    assert all("cifar" not in group or group == {"cifar"} for group in together)


def test_the_first_lines_of_a_dry_run(monkeypatch):
    monkeypatch.setattr(costs, "multiplications_a_core_second", lambda: 1e11)
    lines = build.cost_table("paper").splitlines()
    assert lines[0].split() == ["models", "core-hours", "hours", "here", "memory,", "MiB", "disk,", "MiB"]
    assert [line.split()[0] for line in lines[1:-2]] == chapters.measuring()
    assert lines[-2].startswith("all, one after the other")
    assert "nan" not in " ".join(lines)
    location = lines[1 + [path.stem for path in chapters.paths()].index("location")].split()
    took = runs.recorded("location").details
    assert (location[1], location[4]) == (str(took["models"]), f"{took['peak memory in MiB']:,}")
    assert "100 billion multiplications per second" in lines[-1]


def test_a_page_that_failed_is_a_notebook_under_its_own_title(tmp_path):
    shutil.copy(ROOT / "book" / "noise.ipynb", tmp_path)
    build._say_so(tmp_path / "noise.ipynb", "noise: ValueError: bad")
    (cell,) = nbformat.read(tmp_path / "noise.ipynb", as_version=4).cells
    assert cell.source.startswith("# Noisy shadow data\n")
    assert "noise: ValueError: bad" in cell.source
