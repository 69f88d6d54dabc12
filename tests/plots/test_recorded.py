"""Figures of recorded runs: means over targets, their intervals, and the paper's values."""

import numpy as np
import pytest

from mialib.metrics import Estimate
from mialib.plots import recorded_lines, recorded_points


def test_points_have_their_intervals_and_the_papers_values():
    series = {"filter": {"a": (Estimate(0.6, 0.5, 0.8), 0.9), "b": (0.7, Estimate(0.8, 0.7, 0.85))}}
    (axes,) = recorded_points(series, {"filter": {"a": (0.66, 0.92)}}, "x", "y", 0.5).axes
    (points,) = (c for c in axes.containers)
    across, up = (bars.get_segments() for bars in points[2])
    assert np.ravel(across[0]) == pytest.approx([0.5, 0.9, 0.8, 0.9])
    assert np.ravel(up[1]) == pytest.approx([0.7, 0.7, 0.7, 0.85])
    diamonds = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == [[[0.66, 0.92]], []]
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    assert "the paper's value" in [text.get_text() for text in axes.get_legend().get_texts()]


def test_lines_are_means_over_targets_with_a_band_and_of_one_target_without():
    y = np.array([[0.5, 0.6], [0.7, 0.6]])
    x = np.array([[1.0, 2.0]])
    (axes,) = recorded_lines({"two": (x, y), "one": (x, y[:1])}, "x", "y").axes
    assert axes.lines[0].get_ydata() == pytest.approx([0.6, 0.6])
    two, one = (band.get_paths()[0].get_extents() for band in axes.collections)
    assert (two.y0, two.y1) == pytest.approx((0.6 - 12.706 * 0.1, 0.6 + 12.706 * 0.1), abs=1e-3)
    assert (one.y0, one.y1) == pytest.approx((0.5, 0.6))
