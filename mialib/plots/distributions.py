"""Distributions: CDFs over classes, histograms of answers, ROC curves."""

import matplotlib.pyplot as plt
import numpy as np

from mialib import metrics
from mialib.plots.style import STYLES, _axes, _finish, _signed

MEMBER, NON_MEMBER = STYLES[0], STYLES[1]


def precision_cdf(series, origin, quantity="precision"):
    """Draw the distribution over classes of a per-class number, as in Figures 4, 5, 7, 8 and 9.

    Parameters
    ----------
    series : dict of str to ndarray of float64, shape (classes,)
        Line to its values; NaN where a class has none.
    origin : Origin
    quantity : str

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    for style, (name, values) in zip(STYLES, series.items(), strict=False):
        value, fraction = metrics.cdf(values)
        line = {key: style[key] for key in ("color", "linestyle")}
        axes.step(np.append(value[:1], value), np.append(0, fraction), where="post", label=name, **line)
    axes.axvline(metrics.BASELINE, color="0.6", linewidth=1, zorder=0)
    axes.annotate("guessing", (metrics.BASELINE, 0.98), color="0.4", ha="right", va="top", rotation=90, fontsize=8)
    axes.set(xlabel=f"attack {quantity} in a class", ylabel="share of classes up to this", ylim=(0, 1.02))
    axes.set_xlim(right=1.01)
    return _finish(figure, axes, origin)


def answer_histogram(values, member, label, origin, n_bins=20):
    """Draw how members and non-members differ in one number of the prediction vector, as in Fig. 12.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
        In 0..1, such as the probability of the true class.
    member : ndarray of bool, shape (n,)
    label : str
        What the number is, for the axis.
    origin : Origin
    n_bins : int

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    edges = np.linspace(0, 1, n_bins + 1)
    for name, rows, style, hatch in (("members", member, MEMBER, ""), ("non-members", ~member, NON_MEMBER, "///")):
        shares = np.histogram(values[rows], edges)[0] / rows.sum()
        axes.stairs(shares, edges, fill=True, alpha=0.35, color=style["color"], hatch=hatch)
        axes.stairs(shares, edges, color=style["color"], linestyle=style["linestyle"], linewidth=1.5, label=name)
    axes.set(xlabel=label, ylabel="share of records", xlim=(0, 1))
    return _finish(figure, axes, origin)


def roc(curves, origin):
    """Draw ROC curves on logarithmic axes, where few false positives can be read.

    Parameters
    ----------
    curves : dict of str to tuple of ndarray
        Line to (false positive rate, true positive rate), as `mialib.metrics.roc` returns.
    origin : Origin

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    smallest = min(fpr[fpr > 0].min() for fpr, _ in curves.values())
    for style, (name, (fpr, tpr)) in zip(STYLES, curves.items(), strict=False):
        axes.plot(fpr, tpr, label=name, color=style["color"], linestyle=style["linestyle"], drawstyle="steps-post")
    axes.plot([smallest, 1], [smallest, 1], color="0.6", linewidth=1, label="guessing", zorder=0)
    axes.set(xscale="log", yscale="log", xlim=(smallest, 1), ylim=(smallest, 1.05))
    axes.set(xlabel="false positive rate", ylabel="true positive rate (recall)")
    return _finish(figure, axes, origin)


def answer_grid(answers, origin):
    """Draw how members and non-members are answered, by class count: Figure 12.

    Parameters
    ----------
    answers : dict of str to Answers
        Column to what a target answered.
    origin : Origin

    Returns
    -------
    Figure
        Above the probability of the true class, below the normalised entropy.
    """
    figure, grid = plt.subplots(2, len(answers), figsize=(6.4, 4.4), layout="constrained", sharex=True, squeeze=False)
    edges = np.linspace(0, 1, 11)
    for column, (name, target) in zip(grid.T, answers.items(), strict=True):
        values = (
            metrics.true_class_probability(target.labels, target.vectors),
            metrics.normalised_entropy(target.vectors),
        )
        for axes, value in zip(column, values, strict=True):
            for rows, style, label in (
                (target.member, MEMBER, "members"),
                (~target.member, NON_MEMBER, "non-members"),
            ):
                shares = np.histogram(value[rows], edges)[0] / np.count_nonzero(rows)
                axes.stairs(
                    shares, edges, color=style["color"], linestyle=style["linestyle"], linewidth=1.5, label=label
                )
            axes.set(xlim=(0, 1), ylim=(0, 1.02))
            axes.spines[["top", "right"]].set_visible(False)
        column[0].set_title(name, fontsize=9)
        column[0].set_xlabel("P(true class)", fontsize=8)
        column[1].set_xlabel("normalised entropy", fontsize=8)
    for row in grid:
        row[0].set_ylabel("share of records", fontsize=8)
    grid[0, 0].legend(frameon=False, fontsize=8)
    return _signed(figure, origin)
