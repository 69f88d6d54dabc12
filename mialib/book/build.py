"""The book: chapters run, recorded, refreshed, and built into HTML."""

import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path

import nbformat
import pandas as pd
import psutil

from mialib.base.files import check_writable, write_files, write_text
from mialib.base.machine import CLUSTER, is_checkout, processor, progress, shipped
from mialib.book import chapters, costs, ledger
from mialib.book.chapters import OVERVIEWS, ChapterError
from mialib.book.dependence import code_of
from mialib.book.execution import executed
from mialib.book.head import HEADS, Hero
from mialib.book.pictures import own_png, png
from mialib.book.runs import Run, recorded_path, recordings
from mialib.book.tables import VerdictTable

COVER = "shadow_training"
"""The chapter whose figure the first page of the book shows."""

SCORED = (("book", "score.md"), ("book", "cover.png"), ("README.md",))
"""Where readers look for the score, besides the chapters."""

ONE_CORE = {"OMP_NUM_THREADS": "1", "LOKY_MAX_CPU_COUNT": "1"}
"""Environment of a chapter that has one core: threads and processes of its own would only wait for each other."""

REPOSITORY = "https://github.com/mialib/mialib"


def build(folder, profile="sample", n_jobs=None, cluster=None):
    """Run all chapters in a profile, and build the book from what came out.

    A chapter that was run before, and of which nothing has changed, is not run again; so a build
    that was killed goes on where it stopped. A chapter that fails leaves a page that says why, and the others go on.

    The folder is made anew; the committed chapters stay as they are. At most `n_jobs` chapters run at the same time, by
    default two, or one for every two of many cores; if they are as many as cores, each keeps to one. `cluster` is the
    address of a Dask scheduler that trains the models.

    Returns
    -------
    page : Path
        The first page.
    failures : dict of str to str
        What went wrong, by chapter.
    """
    folder = Path(folder).resolve()
    check_writable(folder / "_config.yml")
    parameters = {path.stem: chapters.profile_parameters(path.stem, profile) for path in chapters.paths()}
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(shipped("book"), folder / "book", ignore=shutil.ignore_patterns(".ipynb_checkpoints", ".*.part"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(shipped(name), folder / name)
    overviews = {name: parameters.pop(name) for name in OVERVIEWS}
    cores = os.cpu_count() or 1
    n_jobs = n_jobs or min(cores, max(2, cores // 2))
    environment = {CLUSTER: cluster} if cluster else {}
    if 1 < cores <= n_jobs:
        environment |= ONE_CORE
    failures = run_side_by_side(folder / "book", parameters, environment, n_jobs)
    for name, given in overviews.items():
        overview = folder / "book" / f"{name}.ipynb"
        chapters.execute(overview, overview, given)
    return build_html(folder), failures


def run_side_by_side(pages, parameters, environment, n_jobs):
    """Run chapters, at most `n_jobs` at a time and as far as memory allows, and put them into the folder `pages`.

    `parameters` and the returned failures are dicts by chapter; `environment` holds variables for the runs. The longest
    come first, so that none runs alone at the end.
    """
    free = psutil.virtual_memory().available
    expected = {name: costs.cost(name, of) for name, of in parameters.items()}
    at_defaults = json.loads(shipped("book", "times.json").read_text(encoding="utf-8"))
    seconds = {
        name: 3600 * of.hours if of and parameters[name] else at_defaults.get(name, math.inf)
        for name, of in expected.items()
    }
    waiting, running, failures = sorted(parameters, key=seconds.get, reverse=True), {}, {}
    needs = {
        name: 2**20 * (of.memory if of else 4096) for name, of in expected.items()
    }  # a guess where none is recorded
    with ThreadPoolExecutor(n_jobs) as pool, progress("chapters", "chapter", total=len(waiting)) as bar:
        while waiting or running:
            for name in list(waiting):
                held = sum(needs[other] for other in running.values())
                if len(running) < n_jobs and (not running or held + needs[name] <= free):
                    waiting.remove(name)
                    run = pool.submit(executed, chapters.path(name), parameters[name], environment)
                    running[run] = name
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for run in done:
                name = running.pop(run)
                try:
                    write_files({pages / f"{name}.ipynb": run.result().notebook.read_bytes()})
                except ChapterError as error:
                    failures[name] = str(error)
                    _say_so(pages / f"{name}.ipynb", str(error))
                    bar.write(f"{name} failed: {error}")
                bar.update()
                bar.set_postfix_str(f"{name} done")
    return failures


def cost_table(profile):
    """Return what every chapter of a profile would take on this machine, one line per chapter and one for all (str)."""
    rate, rows = costs.multiplications_a_core_second(), {}
    for name in chapters.measuring():
        of = costs.cost(name, chapters.profile_parameters(name, profile), rate)
        rows[name] = vars(of) if of else {}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=[field.name for field in fields(costs.Cost)])
    frame.loc["all, one after the other"] = frame.agg(dict.fromkeys(frame, "sum") | {"memory": "max"})
    digits = {"models": 0, "core-hours": 2, "hours here": 2, "memory, MiB": 0, "disk, MiB": 0}
    frame.columns = list(digits)
    for column, n in digits.items():
        frame[column] = frame[column].map(f"{{:,.{n}f}}".format)
    shown = frame.replace("nan", "not known")
    speed = f"{rate / 1e9:.0f} billion multiplications per second on each of {os.cpu_count()} cores"
    return f"{shown.to_string()}\nmeasured here: {speed}; what is in the cache costs nothing"


def _say_so(path, message):
    """Leave a page that says why a chapter is missing, under the chapter's own title."""
    title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
    text = f"{title}\n\nThis chapter did not run to its end:\n\n```\n{message}\n```"
    cell = nbformat.v4.new_markdown_cell(text, id="cell-0")
    write_text(path, nbformat.writes(nbformat.v4.new_notebook(cells=[cell])) + "\n")


def refresh(names):
    """Run chapters at their defaults and write their outputs into ``book/``, to be committed.

    The seconds that each took become ``book/times.json``. A ChapterError says that this is no checkout, an OSError that
    it cannot be written: before anything runs.
    """
    kept = shipped("book", "times.json")
    _check_checkout("refresh", kept)
    times = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in progress("refreshing", "chapter", names):
        path, started = chapters.path(name), time.monotonic()
        notebook = chapters.outputs(path)
        times[name] = round(time.monotonic() - started)
        write_files({path: notebook, kept: json.dumps(times, indent=1) + "\n"})
    write_score()


def _check_checkout(verb, *paths):
    """Check, before a run, that what is to be committed afterwards can be written."""
    if not is_checkout():
        raise ChapterError(
            f"mia {verb} writes what is committed, so it needs a checkout: git clone {REPOSITORY} and pip install -e it"
        )
    check_writable(*paths, *(shipped(*of) for of in SCORED), *chapters.paths())


def write_score():
    """Write what the recorded runs say where readers look, all of it or, if that fails, nothing.

    That is ``book/score.md``, the README, heads and verdicts of chapters, and ``book/cover.png``, that of `COVER`.
    """
    _check_checkout("record")
    line = ledger.score_line()
    score, cover, readme = (shipped(*of) for of in SCORED)
    written = {score: f"{line}\n"}
    if figure := Hero(COVER).figure:
        written[cover] = png(figure, 120)
    if readme.exists():
        between = re.compile("(?<=<!-- score -->\n).*(?=\n<!-- /score -->)", re.DOTALL)
        written[readme] = between.sub(lambda _: line, readme.read_text(encoding="utf-8"))
    for path in chapters.paths():
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            for output in cell.get("outputs", ()):
                for tag in HEADS.keys() & cell.metadata.get("tags", ()):
                    output.data = HEADS[tag](path.stem).data
                if run := output.get("metadata", {}).get("mialib"):
                    output.data = VerdictTable(Run.from_dict(run)).data
        written[path] = nbformat.writes(notebook) + "\n"
    write_files(written)


def _figure(path, tag):
    """Return the figure of the cell with a tag in an executed chapter, a PNG file (bytes), or None."""
    for cell in nbformat.read(path, as_version=4).cells:
        if tag in cell.metadata.get("tags", ()):
            (html,) = (output.data["text/html"] for output in cell.outputs)
            return own_png(html)
    return None


def record(name, profile, seed=0):
    """Run a chapter in a profile from a seed, if it was not yet, and keep what it measured in ``data/results``.

    The figure of a cell tagged ``recorded`` is kept beside the numbers, as PNG; it must not show single records of
    data that may not ship. Returns the path of the JSON file; both are written, or neither. A ChapterError says
    that the chapter fails, or checks no claims, or that this is no checkout; an OSError, that it cannot be written.
    """
    path = recorded_path(name, profile, seed)
    _check_checkout("record", path)
    parameters = chapters.profile_parameters(name, profile, seed)
    circumstances = _circumstances(chapters.path(name))  # before the run: code may change while it takes its hours
    found = executed(chapters.path(name), parameters)
    if found.run is None:
        raise ChapterError(f"{name} checks no claims, so there is nothing to record; record another chapter")
    complete = chapters.all_parameters(name, profile, seed)
    run = replace(found.run, details={"parameters": complete, **found.took, **circumstances})
    written = {path: json.dumps(run.to_dict(), indent=1, ensure_ascii=False) + "\n"}
    if figure := _figure(found.notebook, "recorded"):
        written[path.with_suffix(".png")] = figure
    write_files(written)
    write_score()
    return path


def _circumstances(chapter):
    """Return on what a recording rests besides its data: machine, versions, commit, and the code that it ran."""
    commit = None
    with suppress(OSError):  # there may be no git
        head = ["git", "rev-parse", "HEAD"]
        commit = subprocess.run(head, cwd=chapter.parent, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "machine": f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "multiplications a core-second": round(costs.multiplications_a_core_second()),
        "versions": {name: version(name) for name in ("torch", "numpy", "scikit-learn")},
        "commit": commit or None,
        "code": code_of(chapter),
    }


def outdated():
    """Return the recorded seeds whose parameters, or the code that decides what they measure, are others now.

    A dict by chapter.
    """
    found = {}
    for name, recording in recordings().items():
        code = code_of(chapters.path(name))
        for run in recording.runs:
            of = run.origin
            now = {"code": code, "parameters": chapters.all_parameters(name, of.profile, of.seed)}
            if any(run.details.get(part) != value for part, value in now.items()):
                found.setdefault(name, []).append(of.seed)
    return found


def build_html(folder):
    """Build the HTML of a folder that holds ``_config.yml``, and return its first page.

    A warning is an error: then the book does not build, which a ChapterError says.
    """
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    if subprocess.run([*jupyter_book, "build", "-W", "--keep-going", str(folder)], check=False).returncode:
        raise ChapterError("the book did not build; the messages above say why")
    return Path(folder, "_build", "html", "index.html")
