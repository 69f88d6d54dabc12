"""Bars and boxes: numbers by category."""

import numpy as np

from mialib import metrics
from mialib.plots.points import curve
from mialib.plots.style import STYLES, _axes, _finish


def precision_boxes(series, origin, axis, quantity="precision"):
    """Draw the distribution over classes of a per-class number as boxes side by side, as in Figure 10.

    Parameters
    ----------
    series : dict of str to ndarray of float64, shape (classes,)
        Box to its values; NaN where a class has none.
    origin : Origin
    axis : str
        What the boxes differ in.
    quantity : str

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    values = [v[~np.isnan(v)] for v in series.values()]
    axes.boxplot(
        values,
        widths=0.5,
        patch_artist=True,
        boxprops={"facecolor": "0.9"},
        medianprops={"color": STYLES[1]["color"], "linewidth": 2},
        flierprops={"marker": ".", "markersize": 4},
    )
    axes.axhline(metrics.BASELINE, color="0.6", linewidth=1, zorder=0, label="guessing")
    axes.set_xticks(range(1, len(series) + 1), list(series))
    axes.set(xlabel=axis, ylabel=f"attack {quantity} in a class")
    return _finish(figure, axes, origin)


def bars(series, origin, axis, quantity):
    """Draw one number for several things, one group of bars a thing.

    Parameters
    ----------
    series : dict of str to dict of str to float
        Line of the legend to the group's name to the number.
    origin : Origin
    axis : str
        What the groups differ in.
    quantity : str

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    groups = list(next(iter(series.values())))
    width, places = 0.8 / len(series), np.arange(len(groups))
    hatches = ("", "///", "...", "xx", "--")
    for i, (style, hatch, (name, values)) in enumerate(zip(STYLES, hatches, series.items(), strict=False)):
        heights = [float(values[group]) for group in groups]
        axes.bar(
            places + (i - (len(series) - 1) / 2) * width,
            heights,
            width * 0.92,
            label=name,
            color=style["color"],
            hatch=hatch,
            edgecolor="white",
        )
    axes.axhline(metrics.BASELINE, color="0.4", linewidth=1, label="guessing")
    axes.set_xticks(places, groups)
    axes.set_ylim(top=1.4 * axes.get_ylim()[1])  # room for the legend
    axes.set(xlabel=axis, ylabel=quantity)
    return _finish(figure, axes, origin)


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
    figure = curve(places, origin, xlabel, ylabel, level)
    figure.axes[0].set_xticks(range(len(names)), names)
    return figure
