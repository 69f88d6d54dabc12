"""The paper's figures, and ours."""

from mialib.plots.bars import bars, by_category, precision_boxes
from mialib.plots.distributions import answer_grid, answer_histogram, precision_cdf, roc
from mialib.plots.images import image_rows
from mialib.plots.points import climbs, curve, gap_and_precision, paper_against_ours, precision_by_shadows, scatter

__all__ = [
    "answer_grid",
    "answer_histogram",
    "bars",
    "by_category",
    "climbs",
    "curve",
    "gap_and_precision",
    "image_rows",
    "paper_against_ours",
    "precision_boxes",
    "precision_by_shadows",
    "precision_cdf",
    "roc",
    "scatter",
]
