"""Points and lines: numbers against numbers."""

import numpy as np

from mialib import metrics
from mialib.plots.style import STYLES, _axes, _finish, _signed


def precision_by_shadows(runs, origin, quantity="precision"):
    """Draw a number against the number of shadow models (§V-C), mean and range over seeds.

    Parameters
    ----------
    runs : DataFrame
        As from `mialib.attack.experiment.sweep`; a line for each value of its column ``out``.
    origin : Origin
    quantity : str
        Column of `runs`.

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    for style, (out, line) in zip(STYLES, runs.groupby("out"), strict=False):
        values = line.groupby("n_shadow")[quantity].agg(["mean", "min", "max"])
        axes.plot(values.index, values["mean"], label=f"{out} out records", **style)
        axes.fill_between(values.index, values["min"], values["max"], color=style["color"], alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    counts = sorted(set(runs["n_shadow"]))
    axes.set_xticks(counts, [str(k) for k in counts])
    axes.minorticks_off()
    axes.set(xlabel="number of shadow models", ylabel=f"attack {quantity}")
    return _finish(figure, axes, origin)


def paper_against_ours(points, origin_line):
    """Draw every number that the paper gives against ours, one point each, with the diagonal.

    Parameters
    ----------
    points : dict of str to sequence of (float, float)
        Run and kind of data to pairs of the paper's value and ours, from
        `mialib.book.claims.paper_points`.
    origin_line : str
        Where the numbers come from.

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=0)
    for style, (name, pairs) in zip(STYLES, points.items(), strict=False):
        if len(pairs):
            axes.scatter(*np.array(pairs).T, label=name, color=style["color"], marker=style["marker"], alpha=0.8)
    axes.set(xlabel="the paper", ylabel="here", xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.02, 1))
    return _signed(figure, origin_line)


def gap_and_precision(series, origin):
    """Draw attack precision against the gap between the target's accuracies, a point a target, as in Fig. 11.

    Parameters
    ----------
    series : dict of str to sequence of Result
        Line to its targets, joined in their order; the last is drawn larger.
    origin : Origin

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    for style, (name, results) in zip(STYLES, series.items(), strict=False):
        gaps = [result.target.train_accuracy - result.target.test_accuracy for result in results]
        precisions = [result.precision for result in results]
        axes.plot(gaps, precisions, label=name, **style)
        axes.plot(gaps[-1:], precisions[-1:], color=style["color"], marker=style["marker"], markersize=11)
    axes.axhline(metrics.BASELINE, color="0.6", linewidth=1, zorder=0, label="guessing")
    axes.set(xlabel="train accuracy minus test accuracy of the target", ylabel="attack precision")
    return _finish(figure, axes, origin)


def curve(lines, origin, xlabel, ylabel, level=None):
    """Draw numbers against what was varied, with their intervals where they have one.

    Parameters
    ----------
    lines : dict of str to dict of float to float or Estimate
        Line to its numbers by the value on the horizontal axis.
    origin : Origin
    xlabel, ylabel : str
    level : float, optional
        Draw a thin line at this height, such as `mialib.metrics.BASELINE`.

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    for style, (name, line) in zip(STYLES, lines.items(), strict=False):
        x, numbers = list(line), list(line.values())
        axes.plot(x, [getattr(number, "value", number) for number in numbers], label=name, **style)
        low, high = ([getattr(number, end, number) for number in numbers] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
    if level is not None:
        axes.axhline(level, color="0.6", linewidth=1, zorder=0)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return _finish(figure, axes, origin)


def climbs(paths, origin, conf_min):
    """Draw how searches climb: the target's confidence at each query (Algorithm 1).

    Parameters
    ----------
    paths : dict of str to ndarray of float
        Line to the confidence of each proposal, in the order of the queries.
    origin : Origin
    conf_min : float
        What a record must exceed.

    Returns
    -------
    Figure
    """
    figure, axes = _axes()
    for style, (name, path) in zip(STYLES, paths.items(), strict=False):
        query, line = np.arange(1, len(path) + 1), {key: style[key] for key in ("color", "linestyle")}
        axes.plot(query, path, ".", color=style["color"], markersize=2, alpha=0.5)
        axes.step(query, np.maximum.accumulate(path), where="post", label=name, **line)
        axes.plot(query[-1:], path[-1:], color=style["color"], marker=style["marker"])
    axes.axhline(conf_min, color="0.6", linewidth=1, zorder=0)
    place = {"xy": (1, conf_min), "xycoords": ("axes fraction", "data")}
    axes.annotate("conf_min", **place, color="0.4", ha="right", va="bottom", fontsize=8)
    axes.set(yscale="log", xlabel="queries", ylabel="probability of the class searched for")
    return _finish(figure, axes, origin)


def scatter(series, origin, xlabel, ylabel, level=None, named=False, joined=False, xscale="linear"):
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
    if len(series) > len(STYLES):
        raise ValueError(f"{len(series)} series cannot be told apart; draw at most {len(STYLES)}")
    figure, axes = _axes()
    for style, (name, of_series) in zip(STYLES, series.items(), strict=False):
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
        _label(axes, {name: xy for of_series in series.values() for name, xy in of_series.items()})
    return _finish(figure, axes, origin)


def _label(axes, of_points):
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
