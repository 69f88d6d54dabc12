"""The paper's figures, and ours.

Each function returns a matplotlib Figure, which `mialib.plots.style.sign` marks with where its numbers come from;
a ValueError says that there are more series than styles to tell them apart.
"""

from mialib.plots.bars import bars, precision_boxes
from mialib.plots.diagrams import (
    CHANNELS_ALT,
    PIPELINE_ALT,
    SYNTHESIS_FLOW_ALT,
    WHO_OWNS_WHAT_ALT,
    channels,
    pipeline,
    synthesis_flow,
    who_owns_what,
)
from mialib.plots.distributions import answer_grid, answer_histogram, precision_cdf, roc
from mialib.plots.images import image_rows
from mialib.plots.points import (
    along,
    climbs,
    curve,
    gap_and_precision,
    paper_against_ours,
    scatter,
    scatter_runs,
    utility_and_leakage,
)

__all__ = [
    "CHANNELS_ALT",
    "PIPELINE_ALT",
    "SYNTHESIS_FLOW_ALT",
    "WHO_OWNS_WHAT_ALT",
    "along",
    "answer_grid",
    "answer_histogram",
    "bars",
    "channels",
    "climbs",
    "curve",
    "gap_and_precision",
    "image_rows",
    "paper_against_ours",
    "pipeline",
    "precision_boxes",
    "precision_cdf",
    "roc",
    "scatter",
    "scatter_runs",
    "synthesis_flow",
    "utility_and_leakage",
    "who_owns_what",
]
