"""A chapter over a grid of parameters, its numbers in one tidy table."""

import hashlib
import itertools
import json
from pathlib import Path

import pandas as pd
import yaml
from tqdm import tqdm

from mialib.base.machine import write_text
from mialib.book import chapters
from mialib.book.chapters import ChapterError
from mialib.book.execution import executed
from mialib.metrics import Estimate


def grid(texts):
    """Return the points of a grid.

    Parameters
    ----------
    texts : sequence of str
        Such as ``n_shadow=1,2,5`` or, whole numbers from first to last, ``seed=0..4``.

    Returns
    -------
    list of dict
        All combinations, a value for each name.

    Raises
    ------
    ValueError
        If a text is not of that form, or a name comes twice.
    """
    axes = {}
    for text in texts:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise ValueError(f"grid {text!r} has no values; write name=1,2,5 or name=0..4")
        if name in axes:
            raise ValueError(f"{name} is in the grid twice; give all its values at once")
        axes[name] = _values(values)
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def _values(text):
    first, dots, last = text.partition("..")
    if dots:
        try:
            values = list(range(int(first), int(last) + 1))
        except ValueError:
            raise ValueError(f"{text!r} is no range; write whole numbers, such as 0..4") from None
        if not values:
            raise ValueError(f"range {text!r} is empty; its last number must not be below its first")
        return values
    return [yaml.safe_load(value) for value in text.split(",")]


def sweep(chapter, points, given, folder, environment=None):
    """Run a chapter at every point of a grid and collect what it measured.

    Points that were run before are not run again. A point that fails is left out, and the others go on.

    Parameters
    ----------
    chapter : str
    points : list of dict
    given : dict
        Parameters that all points share.
    folder : path
        Where the executed notebooks go, and the table ``numbers.csv``.
    environment : dict of str to str, optional

    Returns
    -------
    numbers : DataFrame
        A row a point and quantity: the point's parameters, then ``quantity``, ``value``, ``low`` and
        ``high`` (NaN where there is no interval), ``data`` and ``sha256``.
    failures : dict of str to str
        What went wrong, by point.

    Raises
    ------
    ValueError
        If the chapter has no parameter of a name in the grid.
    ChapterError
        If there is no such chapter, or every point fails.
    """
    path, folder = chapters.path(chapter), Path(folder)
    names, known = set(given).union(*points), chapters.all_parameters(chapter, "sample")
    if unknown := sorted(names - set(known)):
        raise ValueError(f"{chapter} has no parameter {unknown[0]!r}; it has {', '.join(known)}")
    frames, failures = [], {}
    for point in tqdm(points, f"sweep of {chapter}", unit="run"):
        try:
            found = executed(path, {**given, **point}, environment)
        except ChapterError as error:
            failures[json.dumps(point)] = str(error)
            continue
        name = hashlib.sha256(json.dumps({**given, **point}, sort_keys=True).encode()).hexdigest()[:8]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{chapter}-{name}.ipynb").write_bytes(found.notebook.read_bytes())
        frames.append(_rows(point, found.run))
    if not frames:
        raise ChapterError(f"every point failed; the first: {next(iter(failures.values()))}")
    numbers = pd.concat(frames, ignore_index=True)
    write_text(folder / "numbers.csv", numbers.to_csv(index=False))
    return numbers, failures


def _rows(point, run):
    if run is None:
        raise ValueError("this chapter measures nothing; sweep another")
    rows = [
        {
            **{name: str(value) if isinstance(value, list | dict) else value for name, value in point.items()},
            "quantity": quantity,
            "value": float(getattr(value, "value", value)),
            "low": getattr(value, "low", float("nan")),
            "high": getattr(value, "high", float("nan")),
            "data": run.origin.data.kind,
            "sha256": run.origin.data.sha256,
        }
        for quantity, value in run.numbers.items()
    ]
    return pd.DataFrame(rows)


def lines(numbers, axis, quantity):
    """Return one quantity along one axis of a grid, for `mialib.plots.points.curve`.

    Parameters
    ----------
    numbers : DataFrame
        From `sweep`.
    axis : str
        Name of a parameter, the horizontal axis; of numbers.
    quantity : str

    Returns
    -------
    dict of str to dict of float to Estimate
        A line for each combination of the other parameters but the seed; mean and range over seeds.

    Raises
    ------
    ValueError
        If the chapter did not measure the quantity, or the axis holds no numbers.
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
        of = group.groupby(axis)["value"].agg(["mean", "min", "max"])
        drawn[name] = {x: Estimate(*map(float, row)) for x, *row in of.itertuples()}
    return drawn
