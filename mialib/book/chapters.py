"""The book's notebooks: which there are, their parameters in each profile, and how one is run through papermill."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import nbformat
import papermill
import yaml
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError

from mialib.base.files import check_writable, working_folder, write_text
from mialib.base.machine import cache_dir, shipped
from mialib.base.signals import call
from mialib.book.parameters import checked, of_notebook

OVERVIEWS = ("paper_items", "scoreboard")
"""Notebooks that read what the chapters measured, and measure nothing themselves; in the order in which they run."""

KEPT = ("jupyter", "mystnb", "tags")
"""Metadata that the cells of an executed notebook keep."""


class ChapterError(RuntimeError):
    """A chapter did not run to its end, or does not exist."""


def paths():
    """Return the paths of the book's notebooks, in the order of its table of contents."""
    contents = yaml.safe_load(shipped("_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    return [notebook for notebook in (shipped(f"{file}.ipynb") for file in files) if notebook.exists()]


def path(name):
    """Return the path of one chapter; a ChapterError says that there is none of this name."""
    known = {notebook.stem: notebook for notebook in paths()}
    if name not in known:
        raise ChapterError(f"there is no chapter {name!r}; there are {', '.join(known)}")
    return known[name]


def measuring():
    """Return the names of the chapters that measure something, in the book's order: all notebooks but `OVERVIEWS`."""
    return [notebook.stem for notebook in paths() if notebook.stem not in OVERVIEWS]


def title(name):
    """Return the title of a chapter, the first line of its notebook (str)."""
    cells = json.loads(path(name).read_text(encoding="utf-8"))["cells"]
    return "".join(cells[0]["source"]).splitlines()[0].removeprefix("# ")


def profile_parameters(name, profile, seed=0):
    """Return a chapter's parameters in a profile, a dict; ``sample`` changes none.

    What the profile has under ``seed 0``, ``seed 1`` and so on holds for that seed alone: what is dear need not be
    repeated from every seed. A ChapterError says that the profile has no file for this chapter.
    """
    if profile == "sample" or name in OVERVIEWS:
        return {}
    file = shipped("book", "profiles", profile, f"{name}.yaml")
    if not file.exists():
        raise ChapterError(f"profile {profile!r} has no parameters for {name}: {file} does not exist")
    parameters = yaml.safe_load(file.read_text(encoding="utf-8"))
    of_all = {name: value for name, value in parameters.items() if not name.startswith("seed ")}
    return {"profile": profile, **of_all, **parameters.get(f"seed {seed}", {}), "seed": seed}


def all_parameters(name, profile, seed=0):
    """Return all of a chapter's parameters in a profile, a dict, the chapter's defaults where the profile has none."""
    given = profile_parameters(name, profile, seed)
    defaults = of_notebook(path(name))
    return {key: default for key, (_, default) in defaults.items()} | given


def check_parameters(source, given):
    """Return a notebook's parameters as it declares them; a ChapterError names all that it does not, or not so."""
    try:
        return checked(Path(source).stem, of_notebook(Path(source)), given) if given else {}
    except ValueError as error:
        raise ChapterError(str(error)) from error


def execute(source, output, parameters=None):
    """Run a notebook, and write it with its outputs; one that fails leaves nothing there.

    A ChapterError then has the message of the cell that failed, or names what is no parameter. `parameters` is a dict.
    An OSError says that `output` cannot be written: before anything runs.
    """
    check_writable(output)
    write_text(output, outputs(source, parameters))


def outputs(source, parameters=None):
    """Run a notebook as `execute` does, and return it with its outputs (str)."""
    parameters = check_parameters(source, parameters or {})
    where = {"cwd": str(Path(source).parent), "kernel_name": "python3"}
    try:
        with _runtime_folder():
            notebook = call(papermill.execute_notebook, str(source), None, parameters, progress_bar=False, **where)
    except PapermillExecutionError as error:
        raise ChapterError(f"{Path(source).stem}: {error.ename}: {error.evalue}") from error
    except DeadKernelError as error:
        raise ChapterError(f"{Path(source).stem}: its kernel died, perhaps for want of memory") from error
    return nbformat.writes(_stripped(notebook)) + "\n"


@contextmanager
def _runtime_folder():
    """Have Jupyter keep in a folder of ours what a kernel leaves behind if it is killed."""
    name = "JUPYTER_RUNTIME_DIR"
    before = os.environ.get(name)
    with working_folder(cache_dir() / "runs") as folder:
        os.environ[name] = str(folder)
        try:
            yield
        finally:
            os.environ.pop(name) if before is None else os.environ.update({name: before})


def _stripped(notebook):
    """Return an executed notebook without what differs between runs: timings, paths, versions."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for position, cell in enumerate(notebook.cells):
        cell.id = f"cell-{position}"
        cell.metadata = {key: value for key, value in cell.metadata.items() if key in KEPT and value}
    return notebook
