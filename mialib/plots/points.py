"""Points and lines: numbers against numbers."""

import numpy as np

from mialib import metrics
from mialib.plots import style


def along(x, rows):
    """Return numbers by the value of `x` that each belongs to, as `curve` takes them: `Estimate` by float.

    `rows` are of shape (x,), or (targets, x): then their means with 95 % intervals.
    """
    return dict(zip(np.asarray(x).tolist(), map(metrics.mean, np.atleast_2d(rows).T), strict=True))


def curve(lines, xlabel, ylabel, level=None, xscale="linear"):
    """Draw numbers against what was varied, their intervals as a band where they have one.

    `lines` has the numbers of each line by the value, or the name, on the horizontal axis. A thin line may be drawn at
    a `level`, such as `mialib.metrics.BASELINE`; a logarithmic `xscale` has a tick at each value.
    """
    axes = style.axes(xlabel, ylabel)
    if xscale == "log":
        axes.set_xscale(xscale)
        ticks = sorted({x for line in lines.values() for x in line})
        axes.set_xticks(ticks, [f"{x:,g}" for x in ticks])
        axes.minorticks_off()
    for look, _, line in style.styled(lines):
        x = [style.plain(at) if isinstance(at, str) else at for at in line]
        middle, low, high = style.with_ends(line.values())
        axes.plot(x, middle, **look)
        axes.fill_between(x, low, high, color=look["color"], alpha=0.15, linewidth=0)
    return style.finish(axes, level)


def scatter(series, xlabel, ylabel, level=None, named=False, joined=False, xscale="linear", printed=None):
    """Draw points in series, with intervals where they have one.

    Parameters
    ----------
    series : dict of str to dict of str to (float or Estimate, float or Estimate)
        Series to its points by name.
    xlabel, ylabel, level
        As for `curve`.
    named : bool
        Write the points' names in a column next to them, in the order of their heights.
    joined : bool
        Join the points of a series by a line, in their order; the last is drawn larger.
    xscale : {"linear", "log"}
    printed : dict of str to sequence of (float, float), optional
        The paper's points of a series, hollow diamonds.
    """
    axes = style.axes(xlabel, ylabel)
    axes.set_xscale(xscale)
    for look, name, points in style.styled(series):
        x, y = zip(*points.values(), strict=True)
        (x, *across), (y, *up) = style.with_ends(x), style.with_ends(y)
        ends = {"yerr": (y - up[0], up[1] - y)}
        if (across[0] < across[1]).any():
            ends["xerr"] = x - across[0], across[1] - x
        line = look if joined else look | {"linestyle": "none"}
        axes.errorbar(x, y, **ends, elinewidth=1, alpha=0.8, **line)
        for point in (printed or {}).get(name, ()):
            axes.plot(*point, linestyle="none", color=look["color"], **style.DIAMOND)
        if joined:
            axes.plot(x[-1:], y[-1:], color=look["color"], marker=look["marker"], markersize=11)
    if printed:
        axes.plot([], [], linestyle="none", color="0.3", label="the paper's value", **style.DIAMOND)
    if named:
        _label(axes, {name: xy for points in series.values() for name, xy in points.items()})
    return style.finish(axes, level)


def _label(axes, points):
    """Write the names of points in a column at the right, each joined to its point by a line."""
    order = sorted(points, key=lambda name: points[name][1])
    for place, name in zip(np.linspace(0.02, 0.98, len(order)), order, strict=True):
        arrow = {"arrowstyle": "-", "color": "0.75", "linewidth": 0.5}
        where = {"xytext": (1.03, place), "textcoords": "axes fraction", "va": "center"}
        axes.annotate(style.plain(name), points[name], fontsize=7, arrowprops=arrow, **where)


def utility_and_leakage(rows):
    """Draw what mitigations cost and what they leave: attack accuracy against test accuracy, a series for each kind.

    `rows` are `attack_estimates` by mitigation.
    """
    kinds = {"L2": "L2 penalty", "dropout": "dropout", "DP-SGD": "DP-SGD", "none": "none"}
    series = {}
    for name, row in rows.items():
        kind = next((kind for start, kind in kinds.items() if name.startswith(start)), "filter")
        series.setdefault(kind, {})[name] = row["test accuracy"], row["attack accuracy"]
    axes = "test accuracy of the target: utility", "attack accuracy: leakage"
    return scatter(series, *axes, metrics.BASELINE, named=True)


LABELS = {
    "accuracy gap": "train accuracy minus test accuracy of the target",
    "share of training data": "share of the class in the training data",
    "AUC": "area under the ROC curve of the attack",
}


def scatter_runs(arrays, models, x, y, **looks):
    """Draw one number of runs, or of their classes, against another: `scatter`, with a series for each model type.

    `arrays` has the numbers of each model, such as ``"accuracy gap, forest"`` (and ``", runs of forest"``), a row for
    each target, of which the mean is drawn; `models` names the arrays' endings by line of the legend.
    """
    series = {}
    for line, ending in models.items():
        points = np.transpose([style.mean_of_targets(arrays[f"{name}, {ending}"]) for name in (x, y)])
        series[line] = {str(i): tuple(point) for i, point in enumerate(points) if not np.isnan(point).any()}
    return scatter(series, *(LABELS.get(name, f"attack {name}") for name in (x, y)), metrics.BASELINE, **looks)


def gap_and_precision(lines):
    """Draw attack precision against the gap between the target's accuracies, one point per target.

    `lines` has a gap and a precision for each target of a line, of shape (2,), or (runs, 2), of which the mean is
    drawn; they are joined in their order, the last is drawn larger.
    """
    points = {
        name: {str(i): tuple(style.mean_of_targets(of)) for i, of in enumerate(targets)}
        for name, targets in lines.items()
    }
    return scatter(points, LABELS["accuracy gap"], "attack precision", metrics.BASELINE, joined=True)


def paper_against_ours(points):
    """Draw every number that the paper gives against ours, and the diagonal, on axes that are logarithmic above 1.

    `points` has pairs of the paper's value and ours by kind of data, from `mialib.book.ledger.paper_points`.
    """
    axes = style.axes("the paper", "here")
    axes.figure.set_size_inches(5.6, 5.6)
    ends = np.concatenate([[(0, 1)], *filter(len, points.values())])
    ends = 1.1 * ends.min(), 1.1 * ends.max()
    ticks = [t for t in (-1, -0.5, 0, 0.2, 0.4, 0.6, 0.8, 1, 10, 100, 1000) if ends[0] <= t <= ends[1]]
    for set_scale, set_ticks in ((axes.set_xscale, axes.set_xticks), (axes.set_yscale, axes.set_yticks)):
        set_scale("symlog", linthresh=1, linscale=6)
        set_ticks(ticks, [f"{t:,}" for t in ticks])
    axes.plot(ends, ends, color="0.6", linewidth=1, zorder=0)
    for look, _, pairs in style.styled(points):
        axes.plot(*np.array(pairs).T, alpha=0.7, clip_on=False, **look | {"linestyle": "none"})
    axes.set(xlim=ends, ylim=ends, box_aspect=1)
    return style.finish(axes, loc="upper left")


def climbs(paths, conf_min):
    """Draw how searches climb: the target's confidence at each query (Algorithm 1).

    `paths` has the confidence of each proposal, in the order of the queries, for each line.
    """
    axes = style.axes("queries", "probability of the class searched for")
    axes.set_yscale("log")
    for look, _, path in style.styled(paths):
        query, colour = np.arange(1, len(path) + 1), look["color"]
        axes.plot(query, path, ".", color=colour, markersize=2, alpha=0.5)
        axes.step(query, np.maximum.accumulate(path), where="post", **look | {"marker": ""})
        axes.plot(query[-1:], path[-1:], color=colour, marker=look["marker"])
    axes.axhline(conf_min, color="0.6", linewidth=1, zorder=0, label="conf_min")
    return style.finish(axes)
