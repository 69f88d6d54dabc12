"""Plant the faults of mutants.yaml, one at a time, and say which the tests find: ``python tests/mutants.py [id ...]``.

Faults are planted in a copy, so that a run that is killed leaves none behind.
"""

import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
COPIED = ("mialib", "tests", "book", "data")
HEAVY = ["joblib", "opacus", "pandas", "pytest", "scipy.stats", "sklearn.ensemble", "torch"]
"""Imported once, in a process that the tests' processes are forked from: this takes longer than most tests."""

ENVIRONMENT = {"LOKY_MAX_CPU_COUNT": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""No worker processes, whose start takes seconds, and no plugins of pytest, likewise."""

LONGEST = 900  # seconds that the tests of one fault, or all of them without one, may take


def read():
    """Return the faults of mutants.yaml, a list of dict: its fields, `area`, and `tests` as a list."""
    areas = yaml.safe_load((ROOT / "tests" / "mutants.yaml").read_text(encoding="utf-8"))
    return [{**fault, "area": area, "tests": fault["tests"].split()} for area, of in areas.items() for fault in of]


def copy(folder):
    """Copy into a folder what the tests need."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "_toc.yml"):
        shutil.copy(ROOT / name, folder)


def _test(folder, tests, printed, bytecode):
    """Run tests as ``python -m pytest`` would in a folder; exit with pytest's status."""
    file = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ |= ENVIRONMENT | {"PYTHONPATH": str(folder)}
    sys.dont_write_bytecode = not bytecode
    sys.exit(pytest.main(["-x", "-q", "-rfE", "-p", "no:cacheprovider", *tests]))


def run(context, folder, tests, bytecode=False):
    """Return the exit status of tests (negative for a signal), and what they print.

    Bytecode is kept of the sound modules alone: a fault's could pass for that of another, planted in the same second.
    """
    printed = folder / "printed.txt"
    process = context.Process(target=_test, args=(folder, tests, printed, bytecode))
    process.start()
    process.join(LONGEST)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode, printed.read_text(encoding="utf-8")


def plant(context, folder, fault):
    """Return what comes of a fault, one line, and whether a test found it; the copy is left as it was."""
    path = folder / fault["file"]
    sound = path.read_text(encoding="utf-8")
    if sound.count(fault["old"]) != 1:
        return f"ERROR: `old` stands {sound.count(fault['old'])} times in {fault['file']}", False
    path.write_text(sound.replace(fault["old"], fault["new"]), encoding="utf-8")
    try:
        status, printed = run(context, folder, fault["tests"])
    finally:
        path.write_text(sound, encoding="utf-8")
    if not status:
        return "NOT FOUND", False
    by = [line.partition(" - ")[0] for line in printed.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if status != 1 or not by:  # such as a module that cannot be imported
        return f"ERROR: pytest ended with {status}\n{printed[-2000:]}", False
    return f"found: {by[0]}", True


def main(ids):
    """Plant the faults of these ids, or all; return the exit status."""
    faults = [fault for fault in read() if not ids or fault["id"] in ids]
    if unknown := set(ids) - {fault["id"] for fault in faults}:
        print(f"there is no fault {', '.join(sorted(unknown))} in mutants.yaml")
        return 1
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(HEAVY)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        copy(folder)
        tests = sorted({test for fault in faults for test in fault["tests"]})
        status, printed = run(context, folder, tests, bytecode=True)
        if status:
            print(f"{printed}\nthe tests fail without a fault; nothing was planted")
            return 1
        n_found = 0
        for fault in faults:
            started = time.perf_counter()
            outcome, found = plant(context, folder, fault)
            n_found += found
            print(f"{time.perf_counter() - started:5.1f} s  {fault['area']}: {fault['id']}: {outcome}", flush=True)
    print(f"{len(faults)} planted, {n_found} found")
    return int(n_found < len(faults))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
