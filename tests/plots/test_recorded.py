"""Points of recorded runs beside the paper's."""

import numpy as np
import pytest

from mialib.metrics import Estimate
from mialib.plots import scatter


def test_points_have_intervals_both_ways_and_the_papers_values():
    series = {"filter": {"a": (Estimate(0.6, 0.5, 0.8), 0.9), "b": (0.7, Estimate(0.8, 0.7, 0.85))}}
    (axes,) = scatter(series, "x", "y", 0.5, named=True, printed={"filter": [(0.66, 0.92)]}).axes
    (points,) = axes.containers
    across, up = (bars.get_segments() for bars in points[2])
    assert np.ravel(across[0]) == pytest.approx([0.5, 0.9, 0.8, 0.9])
    assert np.ravel(up[1]) == pytest.approx([0.7, 0.7, 0.7, 0.85])
    diamonds = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == [[[0.66, 0.92]], []]
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    assert "the paper's value" in [text.get_text() for text in axes.get_legend().get_texts()]
