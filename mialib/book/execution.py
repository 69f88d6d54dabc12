"""Chapters that were run, each in a process of its own that is measured, and kept by everything that decides them."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil

from mialib.base.machine import cache_dir, shipped
from mialib.book.chapters import ChapterError, execute
from mialib.book.costs import multiplications_a_core_second
from mialib.book.runs import run_in_notebook
from mialib.models.cache import USED, code_sha256

PERIOD = 0.2
"""Seconds between two looks at what the chapter takes."""


class Meter:
    """Watches this process and all that it starts.

    Attributes
    ----------
    peak : int
        Most bytes of memory that all of them held together; what they share counts for each.
    """

    def __init__(self):
        self._process, self._parent = psutil.Process(), os.getppid()
        self.peak, self._cpu = 0, {}
        self.look()
        self._before = sum(self._cpu.values())

    @property
    def cpu_seconds(self):
        """Seconds of processor time of all of them, since the watch began (float)."""
        return sum(self._cpu.values()) - self._before

    def look(self):
        """Take note of what they hold and took."""
        held = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                with process.oneshot():
                    held += process.memory_info().rss
                    times = process.cpu_times()
                    self._cpu[process.pid, process.create_time()] = times.user + times.system
            except psutil.Error:
                continue
        self.peak = max(self.peak, held)

    def watch(self):
        """Look from time to time; end all of them if the process that started this one is gone."""
        while True:
            self.look()
            if os.getppid() != self._parent:
                for process in self._process.children(recursive=True):
                    process.kill()
                os._exit(1)
            time.sleep(PERIOD)


def measured(source, output, parameters, environment=None):
    """Run a notebook and return what that took.

    Parameters
    ----------
    source, output : path
    parameters : dict
    environment : dict of str to str, optional
        Variables to set besides one's own.

    Returns
    -------
    dict
        ``seconds``, ``CPU seconds``, ``peak memory in MiB`` and ``models``, trained or from the cache;
        ``multiplications a core-second`` that the machine made just before, and its ``cores``.

    Raises
    ------
    mialib.book.chapters.ChapterError
        With the message of the cell that failed. There is no output then.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "mialib.book.execution", source, output],
        input=json.dumps(parameters),
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"its process ended with {ended.returncode}"])[-1]
        raise ChapterError(last)
    return json.loads(ended.stdout.splitlines()[-1])


def main(source, output):
    """Run a notebook with the parameters of standard input; write what it took to standard output."""
    rate = round(multiplications_a_core_second())
    meter, started = Meter(), time.monotonic()
    threading.Thread(target=meter.watch, daemon=True).start()
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as used:
        os.environ[USED] = used.name
        try:
            execute(source, output, json.load(sys.stdin))
        except ChapterError as error:
            print(" ".join(str(error).split()), file=sys.stderr)
            return 1
        meter.look()
        took = {
            "seconds": round(time.monotonic() - started, 1),
            "CPU seconds": round(meter.cpu_seconds, 1),
            "peak memory in MiB": meter.peak // 2**20,
            "models": len(set(used.read().split())),
            "multiplications a core-second": rate,
            "cores": os.cpu_count(),
        }
    print(json.dumps(took))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))


@dataclass(frozen=True)
class Executed:
    """A chapter that was run.

    Parameters
    ----------
    notebook : Path
        With its outputs.
    took : dict
        As `mialib.book.execution.measured` returns it.
    """

    notebook: Path
    took: dict

    @property
    def run(self):
        """What it measured, a `mialib.book.runs.Run`, or None for a chapter that checks no claims."""
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
    mialib.book.chapters.ChapterError
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
        "code": code_sha256(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.parent.rglob("*.py"))),
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
