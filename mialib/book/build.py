"""The book: chapters run, recorded, refreshed, and built into HTML."""

import base64
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import fields
from pathlib import Path

import nbformat
import pandas as pd
import psutil
from tqdm import tqdm

from mialib.base.machine import CLUSTER, shipped, write_text
from mialib.book import chapters, claims, costs
from mialib.book.chapters import SCOREBOARD, ChapterError
from mialib.book.execution import executed


def build(folder, profile="sample", n_jobs=None, cluster=None):
    """Run all chapters in a profile, and build the book from what came out.

    A chapter that was run before, and of which nothing has changed, is not run again; so a build
    that was killed goes on where it stopped. A chapter that fails leaves a page that says why, and the others go on.

    Parameters
    ----------
    folder : path
        Made anew; the committed chapters stay as they are.
    profile : str
    n_jobs : int, optional
        Chapters at the same time, at the most; by default one for every two cores.
    cluster : str, optional
        Address of a Dask scheduler that trains the models.

    Returns
    -------
    page : Path
        The first page.
    failures : dict of str to str
        What went wrong, by chapter.

    Raises
    ------
    ChapterError
        If the pages do not build, or the profile lacks a chapter.
    """
    folder = Path(folder).resolve()
    parameters = {path.stem: chapters.profile_parameters(path.stem, profile) for path in chapters.paths()}
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(shipped("book"), folder / "book", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(shipped(name), folder / name)
    last = parameters.pop(SCOREBOARD)
    environment = {CLUSTER: cluster} if cluster else {}
    failures = run_side_by_side(folder / "book", parameters, environment, n_jobs or max(1, (os.cpu_count() or 1) // 2))
    board = folder / "book" / f"{SCOREBOARD}.ipynb"
    chapters.execute(board, board, last)
    return build_html(folder), failures


def run_side_by_side(pages, parameters, environment, n_jobs):
    """Run chapters, each as soon as there is room for it, and put them among the pages.

    Parameters
    ----------
    pages : Path
        The folder of the chapters.
    parameters : dict of str to dict
        Of each chapter.
    environment : dict of str to str
        Variables to set for the runs.
    n_jobs : int
        Chapters at the same time, at the most.

    Returns
    -------
    dict of str to str
        What went wrong, by chapter.
    """
    waiting, running, failures = list(parameters), {}, {}
    free = psutil.virtual_memory().available
    needs = {name: _memory(name, of) for name, of in parameters.items()}
    with ThreadPoolExecutor(n_jobs) as pool, tqdm(total=len(waiting), desc="chapters", unit="chapter") as bar:
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
                    shutil.copy(run.result().notebook, pages / f"{name}.ipynb")
                except ChapterError as error:
                    failures[name] = str(error)
                    _say_so(pages / f"{name}.ipynb", str(error))
                    bar.write(f"{name} failed: {error}")
                bar.update()
                bar.set_postfix_str(f"{name} done")
    return failures


def cost_table(profile):
    """Return what every chapter of a profile would take on this machine.

    Parameters
    ----------
    profile : str

    Returns
    -------
    str
        A line a chapter, and one for all; chapters of which no run was recorded say so.

    Raises
    ------
    ChapterError
        If the profile lacks a chapter.
    """
    rate, rows = costs.multiplications_a_core_second(), {}
    for path in chapters.paths():
        if path.stem != SCOREBOARD:
            of = costs.cost(path.stem, chapters.profile_parameters(path.stem, profile), rate)
            rows[path.stem] = vars(of) if of else {}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=[field.name for field in fields(costs.Cost)])
    total = frame.sum()
    total["memory"] = frame["memory"].max()
    frame.loc["all, one after the other"] = total
    shown = pd.DataFrame(
        {
            "models": frame["models"].map("{:,.0f}".format),
            "core-hours": frame["core_hours"].map("{:,.2f}".format),
            "hours here": frame["hours"].map("{:,.2f}".format),
            "memory, MiB": (frame["memory"] / 2**20).map("{:,.0f}".format),
            "disk, MiB": (frame["disk"] / 2**20).map("{:,.0f}".format),
        }
    ).replace("nan", "not known")
    speed = f"{rate / 1e9:.0f} billion multiplications a second on each of {os.cpu_count()} cores"
    return f"{shown.to_string()}\nmeasured here: {speed}; what is in the cache costs nothing"


def _memory(name, given):
    """Return the bytes of memory that a chapter is expected to need; a generous guess where no run was recorded."""
    expected = costs.cost(name, given)
    return expected.memory if expected else 4 * 2**30


def _say_so(path, message):
    """Leave a page that says why a chapter is missing, under the chapter's own title."""
    title = nbformat.read(path, as_version=4).cells[0].source.splitlines()[0]
    cell = nbformat.v4.new_markdown_cell(f"{title}\n\nThis chapter did not run to its end:\n\n```\n{message}\n```")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)


SCORE = re.compile("(<!-- score -->).*(<!-- /score -->)", re.DOTALL)
"""Where the README holds the score."""


def refresh(names):
    """Run chapters at their defaults and write their outputs into ``book/``, to be committed.

    The figure of the cell tagged ``cover`` becomes ``book/cover.png``; the seconds that each
    chapter took go into ``book/times.json``.
    """
    kept = shipped("book", "times.json")
    times = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in tqdm(names, "refreshing", unit="chapter"):
        path, started = chapters.path(name), time.monotonic()
        chapters.execute(path, path)
        times[name] = round(time.monotonic() - started)
        write_text(kept, json.dumps(times, indent=1) + "\n")
        for image in _figures(path, "cover"):
            (path.parent / "cover.png").write_bytes(image)
    write_score()


def write_score():
    """Write the score of the recorded runs where readers look: ``book/score.md`` and the README."""
    line = claims.score_line()
    write_text(shipped("book", "score.md"), f"{line}\n")
    readme = shipped("README.md")
    if readme.exists():
        before = readme.read_text(encoding="utf-8")
        write_text(readme, SCORE.sub(lambda found: f"{found[1]}\n{line}\n{found[2]}", before))


def _figures(path, tag):
    """Yield the figures, PNG files as bytes, of an executed chapter's cells with a tag."""
    for cell in nbformat.read(path, as_version=4).cells:
        if tag in cell.metadata.get("tags", ()):
            (image,) = (output.data["image/png"] for output in cell.outputs)
            yield base64.b64decode(image)


def record(name, profile):
    """Run a chapter in a profile, if it was not yet, and keep what it measured in ``data/results``.

    The figure of a cell tagged ``recorded`` is kept beside the numbers, as PNG. Such a figure must
    not show single records of data that may not ship.

    Parameters
    ----------
    name : str
    profile : str

    Returns
    -------
    Path
        Of the JSON file: origin, numbers, parameters, what it took, and on which machine.

    Raises
    ------
    ChapterError
        If the chapter fails, or checks no claims.
    """
    parameters = chapters.profile_parameters(name, profile)
    found = executed(chapters.path(name), parameters)
    if found.run is None:
        raise ChapterError(f"{name} checks no claims, so there is nothing to record; record another chapter")
    content = {
        **found.run.to_dict(),
        "parameters": parameters,
        **found.took,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    path = shipped("data") / "results" / profile / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for figure in _figures(found.notebook, "recorded"):
        path.with_suffix(".png").write_bytes(figure)
    write_score()
    return path


def build_html(folder):
    """Build the HTML of a folder that holds ``_config.yml``; warnings are errors.

    Returns
    -------
    Path
        Of the first page.

    Raises
    ------
    ChapterError
        If the build fails.
    """
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    if subprocess.run([*jupyter_book, "build", "-W", "--keep-going", str(folder)], check=False).returncode:
        raise ChapterError("the book did not build; the messages above say why")
    return Path(folder, "_build", "html", "index.html")
