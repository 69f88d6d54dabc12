import numpy as np
import pytest

from mialib import metrics, plots
from mialib.plots import style

BADGE = "set · stand-in data · profile sample · seed 7"


def figures(rng):
    member = np.repeat([True, False], 50)
    score = rng.random(100)
    values = {"a": rng.random(20), "b": np.append(rng.random(9), np.nan)}
    return {
        "cdf": plots.precision_cdf(values),
        "histogram": plots.answer_histogram({"members": [0.25, 0.75], "non-members": [1, 0]}, "probability"),
        "roc": plots.roc({"a": metrics.roc(member, score)}),
        "boxes": plots.precision_boxes(values, "number of classes"),
        "bars": plots.bars({"a": {"x": 0.6, "y": 0.7}, "b": {"x": 0.5, "y": 0.8}}, "set", "precision"),
        "paper": plots.paper_against_ours({"recorded": [(0.6, 0.7)], "this build": []}),
    }


@pytest.mark.parametrize("name", ["cdf", "histogram", "roc", "boxes", "bars", "paper"])
def test_every_figure_has_labels_a_legend_and_its_origin(rng, name):
    figure = style.sign(figures(rng)[name], BADGE)
    (axes,) = figure.axes
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert axes.get_legend().get_texts()
    assert figure.get_supxlabel() == BADGE
    figure.canvas.draw()


def test_a_cdf_goes_through_its_quantiles(rng):
    values = rng.random(21)
    line = plots.precision_cdf({"a": np.append(values, np.nan)}).axes[0].lines[0]
    x, y = line.get_data()
    np.testing.assert_array_equal(x, metrics.quantiles(values, y))
    assert (y[0], y[-1]) == (0.01, 1)


def test_a_cdf_of_several_targets_is_their_mean_with_an_interval():
    axes = plots.precision_cdf({"a": [[0.6, 0.8], [0.7, 0.9]]}).axes[0]
    assert axes.lines[0].get_xdata()[[49, 50]] == pytest.approx([0.65, 0.85])
    ends = axes.collections[0].get_paths()[0].get_extents()
    assert (ends.x0, ends.x1) == (pytest.approx(0.65 - 12.706 * 0.05, abs=1e-3), 1.0)


def test_a_roc_of_several_targets_is_their_mean_with_an_interval():
    rates = np.array([0.01, 0.1, 1])
    axes = plots.roc({"a": (rates, [[0.1, 0.4, 1], [0.1, 0.6, 1]])}).axes[0]
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.1, 0.5, 1])
    ends = axes.collections[0].get_paths()[0].get_extents()
    assert (ends.y0, ends.y1) == (0, 1)
    assert not plots.roc({"a": (rates, rates)}).axes[0].collections


def test_lines_differ_by_more_than_colour():
    for field in ("linestyle", "marker", "color"):
        assert len({str(look[field]) for look in style.STYLES}) == len(style.STYLES) == len(style.HATCHES)


def test_a_histogram_shows_the_mean_share_of_targets():
    figure = plots.answer_histogram({"members": [[0.25, 0.75], [0.75, 0.25]], "non-members": [1, 0]}, "probability")
    assert [patch.get_data().values.tolist() for patch in figure.axes[0].patches] == [[0.5, 0.5], [1, 0]]


def test_numbers_along_an_axis_are_means_with_intervals():
    line = plots.along([1, 20], [[0.5, 0.6], [0.7, 0.6]])
    assert list(line) == [1, 20]
    assert (line[1], line[1].low, line[1].high) == pytest.approx(
        (0.6, 0.6 - 12.706 * 0.1, 0.6 + 12.706 * 0.1), abs=1e-3
    )
    assert plots.along([1, 20], [0.5, 0.7]) == {1: 0.5, 20: 0.7}


def test_a_logarithmic_curve_has_a_tick_at_each_value():
    axes = plots.curve({"a": {1: 0.5, 1000: 0.7}}, "queries", "precision", xscale="log").axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "1,000"]


def test_boxes_leave_out_undefined_values_and_are_named(rng):
    values = np.append(rng.random(9), np.nan)
    axes = plots.precision_boxes({"2": values, "10": values[:4]}, "number of classes").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "10"]
    medians = [line for line in axes.lines if line.get_linewidth() == 2]
    assert medians[0].get_ydata()[0] == pytest.approx(np.nanmedian(values))
    axes = plots.precision_boxes({"2": [[0.2, np.nan, 0.4], [0.4, 0.6, np.nan]]}, "number of classes").axes[0]
    assert next(line for line in axes.lines if line.get_linewidth() == 2).get_ydata()[0] == pytest.approx(0.4)


def test_a_bar_is_as_high_as_its_number():
    axes = plots.bars({"a": {"x": 0.6, "y": 0.7}, "b": {"x": 0.5, "y": 0.8}}, "set", "precision").axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.6, 0.7, 0.5, 0.8]
    first, _, second, _ = (bar.get_x() + bar.get_width() / 2 for bar in axes.patches)
    assert first < 0 < second


def test_a_bar_has_the_interval_of_its_number():
    axes = plots.bars({"a": {"x": metrics.Estimate(0.6, 0.5, 0.75), "y": 0.7}}, "set", "precision").axes[0]
    np.testing.assert_allclose([s[:, 1] for s in axes.collections[0].get_segments()], [[0.5, 0.75], [0.7, 0.7]])


def test_bars_that_nobody_guesses_have_no_line_of_random_guessing():
    for level, lines in ((None, []), (0.5, ["random guessing"])):
        axes = plots.bars({"a": {"x": 0.6}}, "set", "correlation", level).axes[0]
        assert [text.get_text() for text in axes.get_legend().get_texts() if text.get_text() != "a"] == lines


def test_no_number_of_the_paper_lies_outside_the_axes():
    axes = plots.paper_against_ours({"recorded": [(0.6, 0.7), (156, 147)], "this build": [(-0.75, -0.46)]}).axes[0]
    for low, high in (axes.get_xlim(), axes.get_ylim()):
        assert low < -0.75
        assert high > 156
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        "-0.5",
        "0",
        "0.2",
        "0.4",
        "0.6",
        "0.8",
        "1",
        "10",
        "100",
    ]


def test_images_in_rows_with_their_origin(rng):
    rows = {"grey": rng.random((3, 4, 4)), "colour": rng.random((2, 4, 4, 3))}
    figure = plots.image_rows(rows, ["a", "b", "c"])
    assert len(figure.axes) == 6
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    np.testing.assert_array_equal(shown[1], rows["grey"][1])
    np.testing.assert_array_equal(shown[4], rows["colour"][1])
    assert figure.axes[0].images[0].get_clim() == (0, 1)
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == ["grey", "colour"]
    assert [axes.get_title() for axes in figure.axes[:3]] == ["a", "b", "c"]
    assert style.sign(figure, BADGE).get_supxlabel() == BADGE


def test_a_curve_shows_numbers_with_their_intervals():
    line = {0: metrics.Estimate(0.7, 0.6, 0.8), 10: metrics.Estimate(0.6, 0.5, 0.75)}
    figure = plots.curve({"a": line, "b": {0: 0.5, 10: 0.4}}, "noise, %", "precision", 0.5)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.7, 0.6])
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [0.5, 0.4])
    assert axes.collections[0].get_datalim(axes.transData).bounds == pytest.approx((0, 0.5, 10, 0.3))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("noise, %", "precision")


def test_a_climb_shows_the_best_so_far():
    figure = plots.climbs({"class 3": np.array([0.1, 0.05, 0.3, 0.2, 0.4])}, 0.2)
    (axes,) = figure.axes
    _, best, kept = axes.lines[:3]
    np.testing.assert_array_equal(best.get_ydata(), [0.1, 0.1, 0.3, 0.3, 0.4])
    assert kept.get_xydata().tolist() == [[5, 0.4]]
    assert axes.get_yscale() == "log"


def test_a_point_stands_at_its_targets_gap_and_precision():
    figure = plots.gap_and_precision({"longer": [[0.6, 0.7], [[0.8, 0.9], [1.0, 0.7]]]})
    line, last = figure.axes[0].lines[:2]
    np.testing.assert_allclose(line.get_xydata(), [[0.6, 0.7], [0.9, 0.8]])
    np.testing.assert_allclose(last.get_xydata(), [[0.9, 0.8]])


def test_points_have_intervals_both_ways_and_the_papers_values():
    series = {"filter": {"a": (metrics.Estimate(0.6, 0.5, 0.8), 0.9), "b": (0.7, metrics.Estimate(0.8, 0.7, 0.85))}}
    (axes,) = plots.scatter(series, "x", "y", 0.5, named=True, printed={"filter": [(0.66, 0.92)]}).axes
    (points,) = axes.containers
    across, up = (bars.get_segments() for bars in points[2])
    assert np.ravel(across[0]) == pytest.approx([0.5, 0.9, 0.8, 0.9])
    assert np.ravel(up[1]) == pytest.approx([0.7, 0.7, 0.7, 0.85])
    diamonds = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == [[[0.66, 0.92]], []]
    assert {text.get_text() for text in axes.texts} == {"a", "b"}
    assert "the paper's value" in [text.get_text() for text in axes.get_legend().get_texts()]
