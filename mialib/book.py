"""The chapters: which there are, how one is run through papermill, refreshed, recorded, and made a page."""

import ast
import base64
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
import yaml
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from mialib import claims
from mialib.executed import executed
from mialib.paths import shipped

SCOREBOARD = "scoreboard"
"""The chapter that reads what the others measured, and measures nothing itself."""


SCORE = re.compile("(<!-- score -->).*(<!-- /score -->)", re.DOTALL)
"""Where the README holds the score."""


class ChapterError(RuntimeError):
    """A chapter did not run to its end, or does not exist."""


def chapters():
    """Return the paths of the book's notebooks, in the order of its table of contents."""
    contents = yaml.safe_load(shipped("_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    paths = [shipped(f"{file}.ipynb") for file in files]
    return [path for path in paths if path.exists()]


def chapter(name):
    """Return the path of one chapter.

    Raises
    ------
    ChapterError
        If there is no such chapter.
    """
    paths = {path.stem: path for path in chapters()}
    if name not in paths:
        raise ChapterError(f"there is no chapter {name!r}; there are {', '.join(paths)}")
    return paths[name]


def profile_parameters(name, profile):
    """Return a chapter's parameters in a profile, a dict; the default profile ``sample`` changes none.

    Raises
    ------
    ChapterError
        If the profile has no file for this chapter.
    """
    if profile == "sample":
        return {}
    path = shipped("book", "profiles", profile, f"{name}.yaml")
    if not path.exists():
        raise ChapterError(f"profile {profile!r} has no parameters for {name}: {path} does not exist")
    parameters = yaml.safe_load(path.read_text(encoding="utf-8"))
    return parameters if name == SCOREBOARD else {"profile": profile, **parameters}


def all_parameters(name, profile):
    """Return all of a chapter's parameters in a profile, a dict, the chapter's defaults where the profile has none.

    Raises
    ------
    ChapterError
        If the profile has no file for this chapter.
    """
    given = profile_parameters(name, profile)
    defaults = papermill.inspect_notebook(str(chapter(name)))
    return {key: ast.literal_eval(of["default"]) for key, of in defaults.items()} | given


def execute(source, output, parameters=None):
    """Run a chapter beside its final place, then rename; a chapter that fails leaves nothing there.

    Parameters
    ----------
    source, output : path
    parameters : dict, optional

    Raises
    ------
    ChapterError
        With the message of the cell that failed.
    """
    output = Path(output).resolve()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        partial = Path(folder, output.name)
        try:
            papermill.execute_notebook(
                str(source),
                str(partial),
                parameters or {},
                cwd=str(Path(source).parent),
                kernel_name="python3",
                progress_bar=False,
            )
        except PapermillExecutionError as error:
            raise ChapterError(f"{Path(source).stem}: {error.ename}: {error.evalue}") from error
        strip(partial)
        os.replace(partial, output)


def strip(path):
    """Remove from an executed notebook what differs between runs: timings, paths, versions."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position}"
        kept = {"tags", "mystnb"}
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in kept and value}
    nbformat.write(notebook, path)


def refresh(names):
    """Run chapters at their defaults and write their outputs into ``book/``, to be committed.

    The figure of the cell tagged ``cover`` becomes ``book/cover.png``; the seconds that each
    chapter took go into ``book/times.json``.
    """
    kept = shipped("book", "times.json")
    times = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in tqdm(names, "refreshing", unit="chapter"):
        path, started = chapter(name), time.monotonic()
        execute(path, path)
        times[name] = round(time.monotonic() - started)
        write(kept, json.dumps(times, indent=1) + "\n")
        for image in _figures(path, "cover"):
            (path.parent / "cover.png").write_bytes(image)
    write_score()


def write_score():
    """Write the score of the recorded runs where readers look: ``book/score.md`` and the README."""
    line = claims.score_line()
    write(shipped("book", "score.md"), f"{line}\n")
    readme = shipped("README.md")
    if readme.exists():
        write(readme, SCORE.sub(lambda found: f"{found[1]}\n{line}\n{found[2]}", readme.read_text(encoding="utf-8")))


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
    parameters = profile_parameters(name, profile)
    found = executed(chapter(name), parameters)
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
    write(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for figure in _figures(found.notebook, "recorded"):
        path.with_suffix(".png").write_bytes(figure)
    write_score()
    return path


def write(path, text):
    """Write a file under a temporary name, then rename it."""
    partial = path.with_name(f"{path.name}.part")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


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
