"""Distributions: CDFs over classes, histograms of answers, ROC curves."""

import numpy as np

from mialib import metrics
from mialib.plots import style
from mialib.plots.points import along

LEVELS = np.arange(1, 101) / 100
"""Shares of classes at which distributions are drawn."""


def precision_cdf(series, quantity="precision", points=None):
    """Draw the distribution over classes of a per-class number, as in Figures 4, 5, 7, 8 and 9.

    Parameters
    ----------
    series : dict of str to ndarray of float, shape (targets, classes) or (classes,)
        Of each line; NaN where a class has no value. The line is the mean over targets at each share of classes, the
        band, where there are several targets, its 95 % interval.
    quantity : str
    points : dict of str to dict of float to float, optional
        The paper's value at a share of classes, for lines of which it gives one; at share 0 stands its value of all
        records together. They are hollow diamonds.
    """
    points = points or {}
    axes = style.axes(f"attack {quantity} in a class", "share of classes up to this")
    for look, name, rows in style.styled(series):
        shown = along(LEVELS, [metrics.quantiles(row, LEVELS) for row in np.atleast_2d(rows)])
        middle, low, high = np.clip(style.with_ends(shown.values()), 0, 1)  # Student's interval may leave these bounds
        axes.plot(middle, LEVELS, **look | {"marker": ""})
        axes.fill_betweenx(LEVELS, low, high, color=look["color"], alpha=0.2, linewidth=0)
        for share, value in points.get(name, {}).items():
            axes.plot(value, share, linestyle="none", color=look["color"], zorder=5, **style.DIAMOND)
    if any(points.values()):
        axes.plot([], [], linestyle="none", color="0.3", label="the paper's value", **style.DIAMOND)
    axes.axvline(metrics.BASELINE, color="0.4", linewidth=1, zorder=0, label="random guessing")
    axes.set(xlim=(None, 1.02), ylim=(0, 1.02))
    return style.finish(axes)


def _shares(axes, shares):
    """Draw how members and non-members are spread over bins of a number from 0 to 1, as shares of each."""
    for hatch, (look, _, rows) in zip(style.HATCHES, style.styled(shares), strict=False):
        heights, colour = style.mean_of_targets(rows), look["color"]
        line = {"edgecolor": colour, "linestyle": look["linestyle"], "linewidth": 1.5, "hatch": hatch}
        edges = np.linspace(0, 1, len(heights) + 1)
        axes.stairs(heights, edges, fill=True, facecolor=(colour, 0.35), label=look["label"], **line)


def answer_histogram(shares, label):
    """Draw how members and non-members differ in one number of the prediction vector, 0 to 1, as in Fig. 12.

    `shares` has those of records in bins of one width, as `mialib.metrics.histogram` returns them, for each side; of
    several targets a row each, of which the mean is drawn.
    """
    axes = style.axes(label, "share of records")
    _shares(axes, shares)
    axes.set_xlim(0, 1)
    return style.finish(axes)


def answer_grid(shares):
    """Draw how members and non-members are answered: Figure 12, above P(true class), below the normalised entropy.

    `shares` has, for each target, a column, a dict from ``probability`` and ``entropy`` to those of both sides, as for
    `answer_histogram`.
    """
    grid = style.grid(2, len(shares), (6.4, 4.4), sharex=True)
    for column, (name, of) in zip(grid.T, shares.items(), strict=True):
        for axes, (what, label) in zip(column, ANSWERS.items(), strict=True):
            _shares(axes, of[what])
            axes.set(xlim=(0, 1), ylim=(0, 1.02))
            axes.set_xlabel(label, fontsize=8)
        column[0].set_title(style.plain(name), fontsize=9)
    figure = grid[0, 0].figure
    figure.supylabel("share of records", fontsize=8)
    figure.legend(
        *grid[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False, fontsize=8
    )
    return figure


ANSWERS = {"probability": "P(true class)", "entropy": "normalised entropy"}
"""The two numbers of Figure 12, and their labels."""


def roc(curves):
    """Draw ROC curves on logarithmic axes, where few false positives can be read.

    `curves` has false and true positive rates for each line, as `mialib.metrics.roc` returns them, or
    `mialib.metrics.FPR_GRID` and a row of true positive rates for each target: then their mean, with its 95 % interval.
    """
    axes = style.axes("false positive rate", "true positive rate (recall)")
    smallest = min(fpr[fpr > 0].min() for fpr, _ in curves.values())
    for look, _, (fpr, tpr) in style.styled(curves):
        middle, low, high = np.clip(style.with_ends(map(metrics.mean, np.atleast_2d(tpr).T)), 0, 1)
        axes.plot(fpr, middle, drawstyle="steps-post", **look | {"marker": ""})
        if np.ndim(tpr) > 1:
            axes.fill_between(fpr, low, high, step="post", color=look["color"], alpha=0.2, linewidth=0)
    axes.plot([smallest, 1], [smallest, 1], color="0.6", linewidth=1, label="random guessing", zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1.05))
    return style.finish(axes)
