"""Run exercises of the book, and compare with what their solutions say: ``python tests/exercises.py [label ...]``.

``book/exercises.yaml`` has each one's parameters, and the numbers as its solution writes them.
"""

import sys
import tempfile
from pathlib import Path

import yaml

from mialib.book import chapters
from mialib.book.execution import measured
from mialib.book.runs import run_in_notebook

FARTHEST = 0.015
"""How far, besides rounding, a number may lie from the solution's: processors differ in the last bits of a training."""


def read():
    """Return the exercises of the book, a dict by label."""
    return yaml.safe_load((Path(__file__).parents[1] / "book" / "exercises.yaml").read_text(encoding="utf-8"))


def chapter(label):
    """Return the chapter that an exercise is of: the longest whose name its label begins with."""
    return max((path.stem for path in chapters.paths() if label.startswith(path.stem)), key=len)


def differences(finds, numbers):
    """Return what a run found otherwise than a solution says, a list of str."""
    found = []
    for name, text in finds.items():
        value, written = numbers[name], float(text.replace(",", "").rstrip(" %")) / (100 if "%" in text else 1)
        digits = len(text.rstrip(" %").partition(".")[2]) + (2 if "%" in text else 0)
        if abs(value - written) > 0.5 * 10**-digits + FARTHEST * max(1, abs(written)):
            found.append(f"{name} is {value:.4g}, the solution says {text}")
    return found


def main(labels):
    """Run exercises, all by default; return how many found something else than their solutions say."""
    exercises, wrong = read(), 0
    for label in labels or exercises:
        of = exercises[label]
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "run.ipynb")
            output.write_text(measured(chapters.path(chapter(label)), of["parameters"])[0], encoding="utf-8")
            found = differences(of["finds"], run_in_notebook(output).numbers)
        wrong += bool(found)
        print(f"{label}: {'; '.join(found) or 'as its solution says'}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
