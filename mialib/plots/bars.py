"""Bars and boxes: numbers by category."""

import numpy as np

from mialib import metrics
from mialib.plots import style


def precision_boxes(series, axis, quantity="precision"):
    """Draw the distribution over classes of a per-class number as boxes side by side, as in Figure 10.

    `series` has the values of each box, NaN where a class has none, of several targets a row each, of which the mean in
    each class is drawn; `axis` says what the boxes differ in.
    """
    axes = style.axes(axis, f"attack {quantity} in a class")
    means = list(map(style.mean_of_targets, series.values()))
    values = [numbers[~np.isnan(numbers)] for numbers in means]
    median, flier = {"color": style.STYLES[1]["color"], "linewidth": 2}, {"marker": ".", "markersize": 4}
    box = {"widths": 0.5, "patch_artist": True, "boxprops": {"facecolor": "0.9"}}
    axes.boxplot(values, medianprops=median, flierprops=flier, **box)
    axes.set_xticks(range(1, len(series) + 1), list(map(style.plain, series)))
    return style.finish(axes, metrics.BASELINE)


def bars(series, axis, quantity, level=metrics.BASELINE):
    """Draw one number for several things, one group of bars for each, with intervals where they have one.

    `series` has a line of the legend, a group and the number, float or `Estimate`; `axis` says what the groups differ
    in. A line is drawn at what random guessing scores, the `level`; None draws none.
    """
    axes = style.axes(axis, quantity)
    groups = list(next(iter(series.values())))
    width, places = 0.8 / len(series), np.arange(len(groups))
    for i, (look, _, values) in enumerate(style.styled(series)):
        heights, low, high = style.with_ends([values[group] for group in groups])
        middles, ends = places + (i - (len(series) - 1) / 2) * width, (heights - low, high - heights)
        looks = {"color": look["color"], "hatch": style.HATCHES[i], "edgecolor": "white", "ecolor": "0.3"}
        axes.bar(middles, heights, 0.92 * width, yerr=ends, label=look["label"], **looks)
    axes.set_xticks(places, list(map(style.plain, groups)))
    if level is not None:
        axes.axhline(level, color="0.4", linewidth=1, label="random guessing")
    ncols = 2 if max(map(len, series)) < 25 else 1
    return style.finish(axes, loc="lower left", bbox_to_anchor=(0, 1), ncols=ncols)  # where no bar can reach
