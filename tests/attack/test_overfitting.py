from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from mialib.attack import overfitting
from mialib.attack.answers import Answers, Inference
from mialib.attack.experiment import Experiment, run
from mialib.models.stack import NN
from mialib.models.training import Recipe


def result(labels, predicted, member, inferred, n_classes=3):
    target = Answers(np.array(labels), np.eye(n_classes)[predicted], np.array(member, bool))
    inferred = np.array(inferred, bool)
    inference = Inference(target.member, inferred.astype(float), inferred, target.labels)
    return SimpleNamespace(target=target, inference=inference, data=SimpleNamespace(n_classes=n_classes))


def runs(*rows):
    return pd.DataFrame(rows, columns=["model", "setting", "accuracy gap", "AUC"])


def test_each_class_has_its_precision_share_and_gap():
    found = overfitting.by_class(
        result(
            labels=[0, 0, 0, 0, 1, 1, 2],
            predicted=[0, 0, 1, 0, 0, 1, 2],
            member=[1, 1, 1, 0, 1, 0, 0],
            inferred=[1, 1, 0, 1, 0, 0, 0],
        )
    )
    assert len(found) == 2  # class 2 has no member
    np.testing.assert_allclose(found["precision"], [2 / 3, np.nan])
    np.testing.assert_allclose(found["share of training data"], [3 / 4, 1 / 4])
    np.testing.assert_allclose(found["accuracy gap"], [2 / 3 - 1, 0 - 1])


def test_the_gap_is_train_minus_test_accuracy():
    assert result([0, 0, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]).target.accuracy_gap == 0.5


def test_the_overview_is_of_every_run(data):
    recipe = Recipe(NN((16,)), epochs=20, batch_size=20)
    plain = Experiment(100, 2, recipe, seed=3)
    results = {
        ("NN", "long"): run(plain, data),
        ("NN", "short"): run(replace(plain, recipe=replace(recipe, epochs=1)), data),
    }
    found = overfitting.overview(results)
    assert list(zip(found["model"], found["setting"], strict=True)) == list(results)
    for (_, row), each in zip(found.iterrows(), results.values(), strict=True):
        assert row["accuracy gap"] == each.target.train_accuracy - each.target.test_accuracy
        assert row["accuracy"] == np.mean(each.inference.inferred == each.target.member)
        assert (row["precision"], row["AUC"]) == (each.inference.precision, each.inference.auc)
    series = overfitting.scatter_points(found, "accuracy gap", "AUC")
    assert list(series) == ["NN"]
    assert series["NN"]["short"] == (found["accuracy gap"][1], found["AUC"][1])


def test_rank_correlation_is_spearmans(rng):
    x = rng.integers(0, 9, 40)  # with ties
    y = x + rng.normal(size=40) * 3
    found = overfitting.rank_correlation(x, y, seed=1)
    assert found == pytest.approx(spearmanr(x, y).statistic)
    assert found.low < found < found.high
    assert overfitting.rank_correlation(np.append(x, 0), np.append(y, np.nan), seed=1) == found
    assert overfitting.rank_correlation([1, 2, 3, 4], [9, 8, 5, 1]) == pytest.approx(-1)
    assert overfitting.rank_correlation([1, 2, 3, 4], [1, 9, 4, 16]) == pytest.approx(0.8)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Independent pairs: the interval must hold 0 in about 95 of 100 draws."""
    rng = np.random.default_rng(0)
    found = [overfitting.rank_correlation(*rng.normal(size=(2, 40)), seed=i, n_resamples=200) for i in range(100)]
    assert 86 <= sum(e.low <= 0 <= e.high for e in found) <= 99


def test_of_few_runs_there_is_no_interval_and_of_two_no_correlation():
    found = overfitting.rank_correlation([1, 2, 3], [1, 3, 2])
    assert found == pytest.approx(0.5)
    assert np.isnan([found.low, found.high]).all()
    with pytest.raises(ValueError, match="2 pairs have no rank correlation"):
        overfitting.rank_correlation([1, 2, np.nan], [1, 2, 3])


def test_runs_near_a_gap_are_ordered_by_their_leak():
    table = runs(("a", "1", 0.1, 0.9), ("a", "2", 0.24, 0.8), ("b", "1", 0.2, 0.95), ("b", "2", 0.26, 0.7))
    assert overfitting.near_gap(table, 0.2, 0.05)["AUC"].tolist() == [0.8, 0.95]


def test_discordance_counts_pairs_in_the_wrong_order():
    table = runs(("a", "1", 0.1, 0.6), ("a", "2", 0.2, 0.7), ("b", "1", 0.3, 0.5), ("b", "2", 0.4, 0.9))
    assert overfitting.discordance(table, "model") == 0
    assert overfitting.discordance(table, "setting") == 0.5
    tied = runs(("a", "1", 0.1, 0.6), ("a", "2", 0.1, 0.7), ("b", "1", 0.3, np.nan))
    assert np.isnan(overfitting.discordance(tied, "model"))
    with_nan = runs(("a", "1", 0.1, 0.6), ("a", "2", 0.2, 0.5), ("a", "3", 0.3, np.nan))
    assert overfitting.discordance(with_nan, "model") == 1
