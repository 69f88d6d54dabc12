"""Chapters that were run, each in a process of its own that is measured, and kept by everything that decides them."""

import atexit
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat

import mialib
from mialib.base.files import warn_once, working_folder, write_files
from mialib.base.machine import cache_dir, shipped
from mialib.book.chapters import ChapterError
from mialib.book.runs import run_in_notebook
from mialib.models.cache import USED, ModelCache, code_sha256


def measured(source, parameters, environment=None):
    """Run a notebook, with variables besides one's own; return it with its outputs (str), and what that took, a dict.

    This has ``seconds``, ``CPU seconds``, ``peak memory in MiB`` and ``models``, of which ``models from the cache``
    were trained before; the cache keeps ``cache in MiB`` of them. A ChapterError has the message of the cell that
    failed.
    """
    command = [sys.executable, "-m", "mialib.book.watched", source, str(os.getpid())]
    began = time.time()
    with working_folder(cache_dir() / "runs") as folder:
        used = folder / "models"
        used.touch()
        environment = {**os.environ, **(environment or {}), USED: str(used)}
        ended = subprocess.run(command, input=json.dumps(parameters), env=environment, capture_output=True, text=True)
        entries = [ModelCache().path(key) for key in set(used.read_text(encoding="utf-8").split())]
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"its process ended with {ended.returncode}"])[-1]
        raise ChapterError(last)
    notebook, took = json.loads(ended.stdout.splitlines()[-1])
    files = [path.stat() for path in entries if path.exists()]
    took |= {
        "models": len(entries),
        "models from the cache": sum(of.st_mtime < began for of in files),
        "cache in MiB": round(sum(of.st_size for of in files) / 2**20, 1),
    }
    return notebook, took


@dataclass(frozen=True)
class Executed:
    """A chapter that was run: its notebook with outputs, and what that took, as `measured` returns it."""

    notebook: Path
    took: dict

    @property
    def run(self):
        """What it measured, a `mialib.book.runs.Run`, or None for a chapter that checks no claims."""
        return run_in_notebook(self.notebook)


def kept(chapter, parameters):
    """Return the `Executed` of a notebook with some parameters, or None if it was not run yet."""
    folder = folder_of(chapter, parameters)
    try:
        return Executed(folder / Path(chapter).name, json.loads((folder / "took.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def executed(chapter, parameters, environment=None):
    """Return the `Executed` of a notebook with some parameters, run now if it was not yet.

    `environment` holds variables for the run, which decide where it runs, but not what comes out. A ChapterError says
    that a cell fails; nothing is kept then, except the models that were trained. Where the cache cannot be written,
    a UserWarning says so, and the run is kept until this process ends.
    """
    if found := kept(chapter, parameters):
        return found
    folder = folder_of(chapter, parameters)
    notebook, took = measured(chapter, parameters, environment)
    try:
        return _keep(folder, chapter, notebook, took)
    except OSError as error:
        warn_once("runs", f"runs of chapters are not kept: {error}")
        folder = Path(tempfile.mkdtemp(prefix="mialib-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return _keep(folder, chapter, notebook, took)


def _keep(folder, chapter, notebook, took):
    found = Executed(folder / Path(chapter).name, took)
    write_files({found.notebook: notebook, folder / "took.json": json.dumps(took)})
    return found


def folder_of(chapter, parameters):
    """Return where a notebook's run is kept, named by everything that decides what it shows with some parameters."""
    cells = nbformat.read(chapter, as_version=4).cells
    recorded = sorted(shipped("data", "results").glob(f"*/{Path(chapter).stem}/*.json"))
    others = [json.loads(path.read_text("utf-8")) for path in recorded if path.parts[-3] != parameters.get("profile")]
    code = sorted(Path(mialib.__file__).parent.rglob("*.py"))
    parts = {
        "cells": [[cell.cell_type, cell.source, cell.metadata.get("tags", [])] for cell in cells],
        "parameters": parameters,
        "code": code_sha256(path.read_text("utf-8") for path in code),
        "words": [shipped("book", f"{name}.yaml").read_text("utf-8") for name in ("claims", "paper", "heads")],
        "data": [*_files(os.environ.get("MIALIB_DATA")), *_files(shipped("data"))],
        "recorded": [[run["origin"], run["numbers"]] for run in others],
        "versions": [version(name) for name in ("torch", "numpy", "scikit-learn", "matplotlib")],
    }
    return cache_dir() / "chapters" / hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _files(folder):
    """Return names and sizes; what is in them is checked when they are read."""
    return [[path.name, path.stat().st_size] for path in sorted(Path(folder).glob("*.*"))] if folder else []
