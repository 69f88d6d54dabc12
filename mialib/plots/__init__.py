"""The paper's figures, and ours.

Each function returns a matplotlib Figure, which `mialib.plots.style.sign` marks with where its numbers come from;
a ValueError says that there are more series than styles to tell them apart.
"""

from mialib.plots.bars import bars, precision_boxes
from mialib.plots.distributions import answer_grid, answer_histogram, precision_cdf, recorded_cdf, roc
from mialib.plots.images import image_rows
from mialib.plots.points import (
    climbs,
    curve,
    gap_and_precision,
    paper_against_ours,
    precision_by_shadows,
    scatter,
    scatter_runs,
    utility_and_leakage,
)

__all__ = [
    "answer_grid",
    "answer_histogram",
    "bars",
    "climbs",
    "curve",
    "gap_and_precision",
    "image_rows",
    "paper_against_ours",
    "precision_boxes",
    "precision_by_shadows",
    "precision_cdf",
    "recorded_cdf",
    "roc",
    "scatter",
    "scatter_runs",
    "utility_and_leakage",
]
