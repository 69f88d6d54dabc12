import numpy as np
import pytest

from mialib import plots
from mialib.metrics import Estimate

SERIES = {"a": {"p": (0.1, Estimate(0.6, 0.5, 0.75)), "q": (0.3, 0.8)}, "b": {"r": (0.2, 0.7)}}


def test_points_stand_where_they_are_with_their_intervals():
    figure = plots.scatter(SERIES, "gap", "precision", 0.5)
    (axes,) = figure.axes
    first, second = axes.containers
    np.testing.assert_allclose(first[0].get_xydata(), [[0.1, 0.6], [0.3, 0.8]])
    np.testing.assert_allclose(first[2][0].get_segments(), [[[0.1, 0.5], [0.1, 0.75]], [[0.3, 0.8], [0.3, 0.8]]])
    np.testing.assert_allclose(second[0].get_xydata(), [[0.2, 0.7]])
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["random guessing", "a", "b"]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("gap", "precision", "linear")


def test_names_stand_in_the_order_of_heights():
    axes = plots.scatter(SERIES, "gap", "precision", named=True).axes[0]
    names = sorted(axes.texts, key=lambda text: text.xyann[1])
    assert [text.get_text() for text in names] == ["p", "r", "q"]
    assert names[0].xy == (0.1, 0.6)


def test_joined_points_end_in_a_larger_one():
    axes = plots.scatter(SERIES, "gap", "precision", joined=True, xscale="log").axes[0]
    last = [line for line in axes.lines if line.get_markersize() == 11]
    np.testing.assert_allclose([line.get_xydata()[0] for line in last], [[0.3, 0.8], [0.2, 0.7]])
    assert axes.get_xscale() == "log"


def test_mitigations_are_points_of_their_kind():
    names = ("none", "top k = 1", "temperature 5", "L2 1e-3", "dropout 0.5", "DP-SGD, epsilon 8")
    rows = {
        name: {"test accuracy": Estimate(i / 10, 0, 1), "attack accuracy": Estimate(0.9, 0.8, 1)}
        for i, name in enumerate(names)
    }
    (axes,) = plots.utility_and_leakage(rows).axes
    found = {kind.get_label(): kind[0].get_xdata().tolist() for kind in axes.containers}
    assert found == {"none": [0], "filter": [0.1, 0.2], "L2 penalty": [0.3], "dropout": [0.4], "DP-SGD": [0.5]}
    np.testing.assert_allclose(axes.containers[2][2][1].get_segments(), [[[0.3, 0.8], [0.3, 1]]])
    np.testing.assert_allclose(axes.containers[2][2][0].get_segments(), [[[0, 0.9], [1, 0.9]]])
    assert {text.get_text() for text in axes.texts} == set(names)


def test_runs_are_points_of_their_model_type_and_means_over_targets():
    nan = np.nan
    arrays = {
        "accuracy gap, runs of NN": [[0.1, 0.2], [0.3, 0.4]],
        "precision, runs of NN": [[0.6, 0.7], [0.8, nan]],
        "accuracy gap, runs of trees": [0.3, 0.4],
        "precision, runs of trees": [0.9, nan],
    }
    models = {"NN": "runs of NN", "forest": "runs of trees"}
    (axes,) = plots.scatter_runs(arrays, models, "accuracy gap", "precision", xscale="log").axes
    found = {series.get_label(): series[0].get_xydata() for series in axes.containers}
    np.testing.assert_allclose(found["NN"], [[0.2, 0.7], [0.3, 0.7]])
    np.testing.assert_allclose(found["forest"], [[0.3, 0.9]])
    labels = axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()
    assert labels == ("train accuracy minus test accuracy of the target", "attack precision", "log")


def test_series_that_cannot_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="9 series cannot be told apart; draw at most 8"):
        plots.scatter({str(i): {"p": (0, 0)} for i in range(9)}, "x", "y")
    with pytest.raises(ValueError, match="9 series cannot be told apart; draw at most 8"):
        plots.precision_cdf({str(i): np.array([0.5]) for i in range(9)})


def test_categories_keep_their_order_and_gaps():
    lines = {"a": {"0.5": 0.1, "8": 0.3, "infinity": 0.2}, "b": {"0.5": 0.4, "infinity": 0.5}}
    axes = plots.curve(lines, "epsilon", "accuracy").axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["0.5", "8", "infinity"]
    np.testing.assert_array_equal(axes.lines[1].get_xydata(), [[0, 0.4], [2, 0.5]])


def test_figure_12_has_a_column_a_target_and_the_mean_of_its_runs():
    sides = {"members": [[0.25, 0.75], [0.75, 0.25]], "non-members": [1.0, 0.0]}
    figure = plots.answer_grid({name: {"probability": sides, "entropy": sides} for name in "ab"})
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "", ""]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["members", "non-members"]
    assert [axes.get_xlabel() for axes in figure.axes] == ["P(true class)"] * 2 + ["normalised entropy"] * 2
    for axes in figure.axes:
        assert [patch.get_data().values.tolist() for patch in axes.patches] == [[0.5, 0.5], [1, 0]]
        assert axes.patches[0].get_data().edges.tolist() == [0, 0.5, 1]
