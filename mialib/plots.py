"""One function a figure. Colours and dashes are told apart in grey and by colour-blind readers."""

import matplotlib.pyplot as plt
import numpy as np

from mialib import metrics

STYLES = [
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
    {"color": "#000000", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
]
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


def precision_by_shadows(runs, origin, quantity="precision"):
    """Draw a number against the number of shadow models (§V-C), mean and range over seeds.

    Parameters
    ----------
    runs : DataFrame
        As from `mialib.experiment.sweep`; a line for each value of its column ``out``.
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


def paper_against_ours(points, origin_line):
    """Draw every number that the paper gives against ours, one point each, with the diagonal.

    Parameters
    ----------
    points : dict of str to sequence of (float, float)
        Run and kind of data to pairs of the paper's value and ours, from
        `mialib.claims.paper_points`.
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


def _axes():
    figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    return figure, axes


def _finish(figure, axes, origin):
    axes.legend(frameon=False)
    return _signed(figure, origin)


def _signed(figure, origin):
    figure.supxlabel(getattr(origin, "badge", origin), fontsize=7, color="0.4", x=0.99, ha="right")
    plt.close(figure)
    return figure


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


def image_rows(rows, origin, columns=None):
    """Draw images in rows, a column for each class or record.

    Parameters
    ----------
    rows : dict of str to ndarray, shape (n, height, width) or (n, height, width, 3)
        Row to its images; pixels, 0 to 1.
    origin : Origin
    columns : sequence of str, optional
        Headings.

    Returns
    -------
    Figure
    """
    n_columns = max(map(len, rows.values()))
    size = (1.6 + 0.62 * n_columns, 0.35 + 0.66 * len(rows))
    figure, axes = plt.subplots(len(rows), n_columns, figsize=size, layout="constrained", squeeze=False)
    for row, (name, images) in zip(axes, rows.items(), strict=True):
        row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        for place, image in zip(row, images, strict=False):
            place.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    for place in axes.flat:
        place.set(xticks=[], yticks=[])
        place.spines[:].set_visible(False)
    for place, heading in zip(axes[0], columns or (), strict=False):
        place.set_title(heading, fontsize=8)
    return _signed(figure, origin)


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
