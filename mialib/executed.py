"""Executed chapters, kept with what they measured and what they took.

A run's key is the sha256 of everything that decides it: the chapter without its outputs, its
parameters, the package, the ledger of claims, the data at hand and what was recorded in other profiles. What
is in the cache under that key is the chapter's run; one that was killed left nothing there.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil

from mialib.cache import code_sha256
from mialib.claims import run_in_notebook
from mialib.measured import measured
from mialib.paths import cache_dir, shipped


@dataclass(frozen=True)
class Executed:
    """A chapter that was run.

    Parameters
    ----------
    notebook : Path
        With its outputs.
    took : dict
        As `mialib.measured.measured` returns it.
    """

    notebook: Path
    took: dict

    @property
    def run(self):
        """What it measured, a `mialib.claims.Run`, or None for a chapter that checks no claims."""
        return run_in_notebook(self.notebook)


def kept(chapter, parameters):
    """Return the run of a chapter with some parameters, an `Executed`, or None if there is none yet.

    Parameters
    ----------
    chapter : path
        Of a notebook.
    parameters : dict
    """
    return _read(_folder(chapter, parameters), chapter)


def _read(folder, chapter):
    try:
        took = json.loads((folder / "took.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return Executed(folder / Path(chapter).name, took)


def executed(chapter, parameters, environment=None):
    """Return the run of a chapter with some parameters, made now if there is none yet.

    Parameters
    ----------
    chapter : path
        Of a notebook.
    parameters : dict
    environment : dict of str to str, optional
        Variables to set for the run, which decide where it runs, but not what comes out.

    Returns
    -------
    Executed

    Raises
    ------
    mialib.chapters.ChapterError
        If a cell fails; nothing is kept then, except the models that were trained.
    """
    folder = _folder(chapter, parameters)
    if found := _read(folder, chapter):
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{os.getpid()}-", suffix=".part") as partial:
        notebook = Path(partial, "run", Path(chapter).name)
        took = measured(chapter, notebook, parameters, environment)
        (notebook.parent / "took.json").write_text(json.dumps(took), encoding="utf-8")
        try:
            os.replace(notebook.parent, folder)
        except OSError:
            if not folder.exists():  # another process was faster
                raise
    return _read(folder, chapter)


def all_kept():
    """Return the folders of all runs that are kept, a list of Path."""
    return [path.parent for path in sorted((cache_dir() / "chapters").glob("*/took.json"))]


def _sweep(folder):
    """Remove what processes that were killed left half-done."""
    for partial in folder.glob("*.part"):
        if not psutil.pid_exists(int(partial.name.split("-")[0])):
            shutil.rmtree(partial, ignore_errors=True)


def _folder(chapter, parameters):
    return cache_dir() / "chapters" / _key(chapter, parameters)


def _key(chapter, parameters):
    cells = nbformat.read(chapter, as_version=4).cells
    recorded = sorted(shipped("data", "results").glob(f"*/{Path(chapter).stem}.json"))
    others = [path for path in recorded if path.parent.name != parameters.get("profile")]
    parts = {
        "cells": [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in cells],
        "parameters": parameters,
        "code": code_sha256(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))),
        "claims": shipped("book", "claims.yaml").read_text(encoding="utf-8"),
        "data": [*_files(os.environ.get("MIALIB_DATA")), *_files(shipped("data"))],
        "recorded": [_numbers(path) for path in others],
        "versions": [version(name) for name in ("torch", "numpy", "scikit-learn", "matplotlib")],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _files(folder):
    """Return names and sizes; what is in them is checked when they are read."""
    return [[path.name, path.stat().st_size] for path in sorted(Path(folder).glob("*.*"))] if folder else []


def _numbers(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    return [content["origin"], content["numbers"]]
