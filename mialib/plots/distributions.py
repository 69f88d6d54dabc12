"""Distributions: CDFs over classes, histograms of answers, ROC curves."""

import numpy as np

from mialib import metrics
from mialib.plots import style


def precision_cdf(series, quantity="precision"):
    """Draw the distribution over classes of a per-class number, as in Figures 4, 5, 7, 8 and 9.

    `series` has the values of each line, NaN where a class has none.
    """
    axes = style.axes(f"attack {quantity} in a class", "share of classes up to this")
    for look, name, values in style.styled(series):
        value, share = metrics.cdf(values)
        axes.step(np.append(value[:1], value), np.append(0, share), where="post", label=name, **look | {"marker": ""})
    axes.axvline(metrics.BASELINE, color="0.6", linewidth=1, zorder=0, label="random guessing")
    axes.set(xlim=(None, 1.01), ylim=(0, 1.02))
    return style.finish(axes)


LEVELS = np.arange(1, 101) / 100
"""Shares of classes at which recorded distributions are drawn."""


def recorded_cdf(series, points, quantity="precision"):
    """Draw the distribution over classes of a number that several targets were measured by: `precision_cdf` of them.

    Parameters
    ----------
    series : dict of str to ndarray of float, shape (targets, classes)
        Of each line; NaN where a class has no value. The line is the mean over targets at each share of classes, the
        band, where there are several targets, its 95 % interval.
    points : dict of str to dict of float to float
        The paper's value at a share of classes, for lines of which it gives one; at share 0 stands its value of all
        records together. They are hollow diamonds.
    quantity : str
    """
    axes = style.axes(f"attack {quantity} in a class", "share of classes up to this")
    for look, name, rows in style.styled(series):
        means = [metrics.mean(at) for at in np.transpose([metrics.quantiles(row, LEVELS) for row in rows])]
        middle, low, high = np.clip(
            style.with_ends(means), 0, 1
        )  # no share is larger, though Student's interval may be
        axes.plot(middle, LEVELS, label=name, **look | {"marker": ""})
        axes.fill_betweenx(LEVELS, low, high, color=look["color"], alpha=0.2, linewidth=0)
        for share, value in points.get(name, {}).items():
            axes.plot(value, share, linestyle="none", color=look["color"], zorder=5, **style.DIAMOND)
    if any(points.values()):
        axes.plot([], [], linestyle="none", color="0.3", label="the paper's value", **style.DIAMOND)
    axes.axvline(metrics.BASELINE, color="0.4", linewidth=1, zorder=0, label="random guessing")
    axes.set(xlim=(None, 1.02), ylim=(0, 1.02))
    return style.finish(axes)


def _shares(axes, values, member, edges):
    """Draw how members and non-members are spread over bins of a number, as shares of each."""
    sides = {"members": member, "non-members": ~member}
    for hatch, (look, name, rows) in zip(style.HATCHES, style.styled(sides), strict=False):
        shares, colour = np.histogram(values[rows], edges)[0] / np.count_nonzero(rows), look["color"]
        line = {"edgecolor": colour, "linestyle": look["linestyle"], "linewidth": 1.5, "hatch": hatch}
        axes.stairs(shares, edges, fill=True, facecolor=(colour, 0.35), label=name, **line)


def answer_histogram(values, member, label, n_bins=20):
    """Draw how members and non-members differ in one number of the prediction vector, 0 to 1, as in Fig. 12."""
    axes = style.axes(label, "share of records")
    _shares(axes, values, member, np.linspace(0, 1, n_bins + 1))
    axes.set_xlim(0, 1)
    return style.finish(axes)


def answer_grid(answers):
    """Draw how members and non-members are answered: Figure 12, above P(true class), below the normalised entropy.

    `answers` has the `Answers` of a target for each column.
    """
    grid = style.grid(2, len(answers), (6.4, 4.4), sharex=True)
    for (above, below), (name, target) in zip(grid.T, answers.items(), strict=True):
        probability = metrics.true_class_probability(target.labels, target.vectors)
        entropy = metrics.normalised_entropy(target.vectors)
        for axes, value, label in ((above, probability, "P(true class)"), (below, entropy, "normalised entropy")):
            _shares(axes, value, target.member, np.linspace(0, 1, 11))
            axes.set(xlim=(0, 1), ylim=(0, 1.02))
            axes.set_xlabel(label, fontsize=8)
        above.set_title(name, fontsize=9)
    grid[0, 0].figure.supylabel("share of records", fontsize=8)
    return style.finish(grid[0, 0], fontsize=8)


def roc(curves):
    """Draw ROC curves on logarithmic axes, where few false positives can be read.

    `curves` has false and true positive rates for each line, as `mialib.metrics.roc` returns them.
    """
    axes = style.axes("false positive rate", "true positive rate (recall)")
    smallest = min(fpr[fpr > 0].min() for fpr, _ in curves.values())
    for look, name, (fpr, tpr) in style.styled(curves):
        axes.plot(fpr, tpr, label=name, drawstyle="steps-post", **look | {"marker": ""})
    axes.plot([smallest, 1], [smallest, 1], color="0.6", linewidth=1, label="random guessing", zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1.05))
    return style.finish(axes)
