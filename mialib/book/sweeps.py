"""A chapter over a grid of parameters, its numbers in one tidy table."""

import hashlib
import itertools
import json
import math
from pathlib import Path

import pandas as pd

from mialib.base.files import check_writable, write_files
from mialib.base.machine import progress
from mialib.book import chapters
from mialib.book.chapters import ChapterError
from mialib.book.execution import executed
from mialib.book.parameters import read_value
from mialib.metrics import Estimate

MOST = 10_000
"""Combinations of a grid; more are a slip of the pen."""


def grid(texts):
    """Return all combinations, a list of dict, of texts such as ``n_shadow=1,2,5`` or, whole numbers, ``seed=0..4``.

    A ValueError says that a text is not of that form, or a name comes twice.
    """
    axes = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise ValueError(f"grid {text!r} has no values; write name=1,2,5 or name=0..4")
        if name in axes:
            raise ValueError(f"{name} is in the grid twice; give all its values at once")
        axes[name] = _values(values)
    if (n := math.prod(map(len, axes.values()))) > MOST:
        raise ValueError(f"the grid has {n:,} combinations; give it at most {MOST:,}")
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _values(text):
    first, dots, last = text.partition("..")
    if not dots:
        try:
            return read_value(f"[{text}]")
        except ValueError:
            raise ValueError(f"{text!r} are no values; write them with commas between, such as 1,2,5") from None
    try:
        values = range(int(first), int(last) + 1)
    except ValueError:
        raise ValueError(f"{text!r} is no range; write whole numbers, such as 0..4") from None
    if not values:
        raise ValueError(f"range {text!r} is empty; its last number must not be below its first")
    return values


def sweep(chapter, combinations, given, folder, environment=None):
    """Run a chapter at every combination of a grid and collect what it measured.

    Combinations that were run before are not run again. One that fails is left out, and the others go on. The executed
    notebooks go into `folder`, and the table as ``numbers.csv``; `given` are the parameters that all combinations
    share, `environment` variables for the runs.

    Returns
    -------
    numbers : DataFrame
        A row for each combination and quantity: the combination's parameters, then ``quantity``, ``value``,
        ``low`` and ``high`` (NaN where there is no interval), ``data`` and ``sha256``.
    failures : dict of str to str
        What went wrong, by combination; if all fail, a ChapterError is raised.

    Raises
    ------
    OSError
        If `folder` cannot be written: before anything runs.
    """
    path, folder = chapters.path(chapter), Path(folder)
    check_writable(folder / "numbers.csv")
    for combination in combinations:
        chapters.check_parameters(path, {**given, **combination})
    rows, failures = [], {}
    for combination in progress(f"sweep of {chapter}", "run", combinations):
        parameters = {**given, **combination}
        try:
            found = executed(path, parameters, environment)
        except ChapterError as error:
            failures[json.dumps(combination)] = str(error)
            continue
        name = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:8]
        write_files({folder / f"{chapter}-{name}.ipynb": found.notebook.read_bytes()})
        rows += _rows(combination, found.run)
    if not rows:
        raise ChapterError(f"every point failed; the first: {next(iter(failures.values()))}")
    numbers = pd.DataFrame(rows)
    write_files({folder / "numbers.csv": numbers.to_csv(index=False)})
    return numbers, failures


def _rows(combination, run):
    if run is None:
        raise ValueError("this chapter measures nothing; sweep another")
    shown = {name: str(value) if isinstance(value, list | dict) else value for name, value in combination.items()}
    return [
        {
            **shown,
            "quantity": quantity,
            "value": float(value),
            "low": getattr(value, "low", float("nan")),
            "high": getattr(value, "high", float("nan")),
            "data": run.origin.data.kind,
            "sha256": run.origin.data.sha256,
        }
        for quantity, value in run.numbers.items()
    ]


def lines(numbers, axis, quantity):
    """Return one quantity along one axis of the numbers of `sweep`, as `mialib.plots.points.curve` takes it.

    A line for each combination of the other parameters but the seed: a dict from the value of the parameter `axis` to
    an Estimate, mean and range over seeds.
    """
    rows = numbers[numbers["quantity"] == quantity]
    if rows.empty:
        raise ValueError(
            f"nothing was measured under {quantity!r}; there are {', '.join(numbers['quantity'].unique())}"
        )
    if not pd.api.types.is_numeric_dtype(rows[axis]):
        raise ValueError(f"{axis} holds no numbers, so it cannot be an axis; put a parameter that does first")
    others = [name for name in numbers.columns[: list(numbers.columns).index("quantity")] if name not in (axis, "seed")]
    groups = rows.groupby(others) if others else [((), rows)]
    drawn = {}
    for key, group in groups:
        name = ", ".join(f"{other} {value}" for other, value in zip(others, key, strict=True)) or quantity
        along = group.groupby(axis)["value"].agg(["mean", "min", "max"])
        drawn[name] = {x: Estimate(*map(float, row)) for x, *row in along.itertuples()}
    return drawn
