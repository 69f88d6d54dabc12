"""Figures of many targets or classes, a point each; colours, markers and foot as in `mialib.plots`."""

import matplotlib.pyplot as plt
import numpy as np

from mialib import metrics, plots


def points(series, origin, xlabel, ylabel, level=None, named=False, joined=False, xscale="linear"):
    """Draw points in series, with intervals where they have one.

    Parameters
    ----------
    series : dict of str to dict of str to (float, float or Estimate)
        Series to its points by name.
    origin : Origin
    xlabel, ylabel : str
    level : float, optional
        Draw a thin line at this height, such as `mialib.metrics.BASELINE`.
    named : bool
        Write the points' names in a column beside them, in the order of their heights.
    joined : bool
        Join the points of a series by a line, in their order; the last is drawn larger.
    xscale : {"linear", "log"}

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there are more series than styles to tell them apart.
    """
    if len(series) > len(plots.STYLES):
        raise ValueError(f"{len(series)} series cannot be told apart; draw at most {len(plots.STYLES)}")
    figure, axes = plots._axes()
    for style, (name, of_series) in zip(plots.STYLES, series.items(), strict=False):
        x, y = zip(*of_series.values(), strict=True)
        middle, low, high = ([getattr(v, end, v) for v in y] for end in ("value", "low", "high"))
        lengths = np.abs(np.array([low, high]) - np.array(middle))
        axes.errorbar(
            x, middle, lengths, fmt=style["marker"], color=style["color"], elinewidth=1, alpha=0.8, label=name
        )
        if joined:
            axes.plot(x, middle, color=style["color"], linestyle=style["linestyle"], linewidth=1)
            axes.plot(x[-1:], middle[-1:], color=style["color"], marker=style["marker"], markersize=11)
    if level is not None:
        axes.axhline(level, color="0.6", linewidth=1, zorder=0)
    axes.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale)
    if named:
        _name(axes, {name: xy for of_series in series.values() for name, xy in of_series.items()})
    return plots._finish(figure, axes, origin)


def _name(axes, of_points):
    """Write the names of points in a column at the right, each joined to its point by a line."""
    height = {name: getattr(y, "value", y) for name, (_, y) in of_points.items()}
    order = sorted(height, key=height.get)
    for place, name in zip(np.linspace(0.02, 0.98, len(order)), order, strict=True):
        axes.annotate(
            name,
            (of_points[name][0], height[name]),
            (1.03, place),
            textcoords="axes fraction",
            fontsize=7,
            va="center",
            arrowprops={"arrowstyle": "-", "color": "0.75", "linewidth": 0.5},
        )


def by_category(lines, origin, xlabel, ylabel, level=None):
    """Draw numbers against names, in their order, with intervals where they have one.

    Parameters
    ----------
    lines : dict of str to dict of str to float or Estimate
        Line to its numbers by the name on the horizontal axis.
    origin : Origin
    xlabel, ylabel : str
    level : float, optional
        Draw a thin line at this height.

    Returns
    -------
    Figure
    """
    names = list(dict.fromkeys(name for line in lines.values() for name in line))
    places = {line: {names.index(name): value for name, value in values.items()} for line, values in lines.items()}
    figure = plots.curve(places, origin, xlabel, ylabel, level)
    figure.axes[0].set_xticks(range(len(names)), names)
    return figure


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
                (target.member, plots.MEMBER, "members"),
                (~target.member, plots.NON_MEMBER, "non-members"),
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
    return plots._signed(figure, origin)
