"""Palette, axes and badge of every figure."""

import matplotlib.pyplot as plt

STYLES = [
    {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    {"color": "#009E73", "linestyle": "-.", "marker": "^"},
    {"color": "#CC79A7", "linestyle": ":", "marker": "D"},
    {"color": "#000000", "linestyle": (0, (5, 1, 1, 1, 1, 1)), "marker": "v"},
]


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
