import numpy as np
import pandas as pd
import pytest

from mialib import metrics, plots
from mialib.provenance import Origin, Provenance

ORIGIN = Origin("toy", "sample", 7, Provenance("set", "stand-in", "here", "none", "0" * 64))
RUNS = pd.DataFrame(
    {
        "out": ["own"] * 4 + ["shared"] * 2,
        "n_shadow": [1, 1, 10, 10, 1, 10],
        "precision": [0.5, 0.6, 0.7, 0.9, 0.4, 0.9],
    }
)


def figures(rng):
    member = np.repeat([True, False], 50)
    score = rng.random(100)
    values = {"a": rng.random(20), "b": np.append(rng.random(9), np.nan)}
    return {
        "cdf": plots.precision_cdf(values, ORIGIN),
        "histogram": plots.answer_histogram(score, member, "probability", ORIGIN),
        "shadows": plots.precision_by_shadows(RUNS, ORIGIN),
        "roc": plots.roc({"a": metrics.roc(member, score)}, ORIGIN),
        "paper": plots.paper_against_ours({"laptop": [(0.6, 0.7)], "paper": []}, ORIGIN),
    }


@pytest.mark.parametrize("name", ["cdf", "histogram", "shadows", "roc", "paper"])
def test_every_figure_has_labels_a_legend_and_its_origin(rng, name):
    figure = figures(rng)[name]
    (axes,) = figure.axes
    assert axes.get_xlabel()
    assert axes.get_ylabel()
    assert axes.get_legend().get_texts()
    assert figure.get_supxlabel() == "set · stand-in data · profile sample · seed 7"
    figure.canvas.draw()


def test_a_cdf_goes_through_its_quantiles(rng):
    values = rng.random(21)
    line = plots.precision_cdf({"a": values}, ORIGIN).axes[0].lines[0]
    x, y = line.get_data()
    assert x[np.searchsorted(y, 0.5)] == metrics.quantiles(values, (0.5,))[0]
    assert (y[0], y[-1]) == (0, 1)


def test_lines_differ_by_more_than_colour():
    assert len({str(style["linestyle"]) for style in plots.STYLES}) == len(plots.STYLES)
    assert len({style["marker"] for style in plots.STYLES}) == len(plots.STYLES)
    assert len({style["color"] for style in plots.STYLES}) == len(plots.STYLES)


def test_histogram_shares_sum_to_one(rng):
    member = np.repeat([True, False], [30, 70])
    figure = plots.answer_histogram(rng.random(100), member, "probability", ORIGIN)
    for patch in figure.axes[0].patches:
        assert patch.get_data().values.sum() == pytest.approx(1)


def test_a_line_is_the_mean_over_seeds():
    own, shared = plots.precision_by_shadows(RUNS, ORIGIN).axes[0].lines
    np.testing.assert_allclose(own.get_ydata(), [0.55, 0.8])
    np.testing.assert_allclose(shared.get_ydata(), [0.4, 0.9])


def test_a_curve_shows_numbers_with_their_intervals():
    line = {0: metrics.Estimate(0.7, 0.6, 0.8), 10: metrics.Estimate(0.6, 0.5, 0.75)}
    figure = plots.curve({"a": line, "b": {0: 0.5, 10: 0.4}}, ORIGIN, "noise, %", "precision", 0.5)
    (axes,) = figure.axes
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.7, 0.6])
    np.testing.assert_array_equal(axes.lines[1].get_ydata(), [0.5, 0.4])
    assert axes.collections[0].get_datalim(axes.transData).bounds == pytest.approx((0, 0.5, 10, 0.3))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("noise, %", "precision")
    assert figure.get_supxlabel() == ORIGIN.badge


def test_a_climb_shows_the_best_so_far():
    figure = plots.climbs({"class 3": np.array([0.1, 0.05, 0.3, 0.2, 0.4])}, ORIGIN, 0.2)
    (axes,) = figure.axes
    _, best, kept = axes.lines[:3]
    np.testing.assert_array_equal(best.get_ydata(), [0.1, 0.1, 0.3, 0.3, 0.4])
    assert kept.get_xydata().tolist() == [[5, 0.4]]
    assert axes.get_yscale() == "log"
    assert figure.get_supxlabel() == ORIGIN.badge


def test_pictures_stand_in_named_rows(rng):
    images = rng.random((3, 4, 4))
    figure = plots.pictures({"real": images, "made": 1 - images}, ORIGIN)
    assert len(figure.axes) == 6
    assert [axes.get_ylabel() for axes in figure.axes] == ["real", "", "", "made", "", ""]
    np.testing.assert_array_equal(figure.axes[4].images[0].get_array(), 1 - images[1])
    assert figure.get_supxlabel() == ORIGIN.badge
