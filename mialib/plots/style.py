"""Palette, axes and badge of every figure."""

import matplotlib.pyplot as plt
import numpy as np

from mialib import metrics
from mialib.base.text import readable

STYLES = [
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
    {"color": "#000000", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
    {"color": "#E69F00", "linestyle": (0, (8, 2)), "marker": "P"},
    {"color": "#56B4E9", "linestyle": (0, (3, 1, 1, 1)), "marker": "X"},
    {"color": "#882255", "linestyle": (0, (1, 3)), "marker": "<"},
]
DIAMOND = {"marker": "D", "markersize": 8, "markerfacecolor": "white", "markeredgewidth": 1.8, "clip_on": False}
"""Look of the paper's values."""
HATCHES = ("", "///", "...", "xx", "--", "\\\\\\", "++", "oo")


LONGEST = 200
"""Letters of a text for which a figure has room."""


def plain(text):
    """Return a text, or what else has a name, as a figure shows it letter for letter: a $ in it begins no formula."""
    text = readable(str(text))
    text = f" {text}" if text.startswith("_") else text  # which a legend would leave out
    return (text if len(text) <= LONGEST else f"{text[:LONGEST]}…").replace("$", r"\$")


def styled(series):
    """Return (style, name, values) of each of some series; a ValueError if there are more than styles.

    The style has the ``label`` that the legend shows.
    """
    if len(series) > len(STYLES):
        raise ValueError(f"{len(series)} series cannot be told apart; draw at most {len(STYLES)}")
    return [
        (style | {"label": plain(name)}, name, values)
        for style, (name, values) in zip(STYLES, series.items(), strict=False)
    ]


def grid(n_rows, n_columns, size, **shared):
    """Return axes side by side, an ndarray of shape (n_rows, n_columns); `size` is in inches."""
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False, **shared)
    plt.close(figure)  # else a notebook shows it once more than it is returned
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
    return axes


def axes(xlabel, ylabel):
    """Return the axes of a figure that has one; `finish` gives the figure."""
    one = grid(1, 1, (6.4, 4)).item()
    one.set(xlabel=plain(xlabel), ylabel=plain(ylabel), axisbelow=True)
    one.grid(color="0.92")
    return one


def with_ends(numbers):
    """Return numbers, lower and upper ends, ndarrays of float64; what has no interval is its own ends."""
    middle, *ends = np.array([[n, getattr(n, "low", n), getattr(n, "high", n)] for n in numbers], np.float64).T
    return middle, *(np.where(np.isnan(end), middle, end) for end in ends)


def mean_of_targets(rows):
    """Return the mean over targets of numbers of shape (targets, n) or (n,); NaN where no target has one."""
    rows = np.atleast_2d(np.asarray(rows, np.float64))
    known = ~np.isnan(rows)
    counts = known.sum(axis=0)
    return np.where(counts, np.where(known, rows, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def finish(axes, level=None, **place):
    """Add a legend and, at a height, a thin line, named where this is `mialib.metrics.BASELINE`; return the figure."""
    if level is not None:
        label = "random guessing" if level == metrics.BASELINE else None
        axes.axhline(level, color="0.6", linewidth=1, zorder=0, label=label)
    axes.legend(frameon=False, **place)
    return axes.figure


def sign(figure, text):
    """Write where the numbers come from (data, profile, seed) into the corner of a figure, and return it."""
    figure.supxlabel(plain(text), fontsize=7, color="0.4", x=0.99, ha="right")
    return figure
