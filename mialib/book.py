"""The book as it is kept: chapters refreshed and recorded, the score, and the pages."""

import base64
import json
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from tqdm import tqdm

from mialib import chapters, claims
from mialib.chapters import ChapterError
from mialib.executed import executed
from mialib.paths import shipped, write_text

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


def html(folder):
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
