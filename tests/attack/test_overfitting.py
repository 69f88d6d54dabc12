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
        {
            "3 classes": result(
                labels=[0, 0, 0, 0, 1, 1, 2],
                predicted=[0, 0, 1, 0, 0, 1, 2],
                member=[1, 1, 1, 0, 1, 0, 0],
                inferred=[1, 1, 0, 1, 0, 0, 0],
            ),
            "1 class": result([0, 0], [0, 0], [1, 0], [1, 0]),
        }
    )
    named = [(name, c) for name in ("3 classes", "1 class") for c in "012"]
    assert list(zip(found["model"], found["setting"], strict=True)) == named
    nan = np.nan  # class 2 has no member, and of the second result only class 0 has any record
    np.testing.assert_allclose(found["precision in the class"], [2 / 3, nan, nan, 1, nan, nan])
    np.testing.assert_allclose(found["share of training data"], [3 / 4, 1 / 4, nan, 1, nan, nan])
    np.testing.assert_allclose(found["accuracy gap"], [2 / 3 - 1, 0 - 1, nan, 0, nan, nan])
    kept = overfitting.class_arrays(found)
    np.testing.assert_allclose(kept["share of training data, 3 classes"], [3 / 4, 1 / 4, nan])
    assert len(kept) == 6


def test_classes_are_pooled_as_in_the_figure_and_correlated_model_by_model():
    """Within either model precision falls with the gap; pooled it rises, since the second has more of both."""
    rows = [
        ("a", 0.6, 0.9, 0.1),
        ("a", 0.5, 0.8, 0.2),
        ("a", 0.4, 0.7, 0.3),
        ("b", 0.95, 0.2, 0.7),
        ("b", 0.9, 0.3, 0.8),
        ("b", 0.8, 0.1, 0.9),
        ("b", np.nan, 0.5, 0.5),
    ]
    columns = ["model", "precision in the class", "share of training data", "accuracy gap"]
    classes = pd.DataFrame(rows, columns=columns)
    found = overfitting.class_correlations(classes)
    gap = found["rank correlation in classes, precision and accuracy gap"]
    assert gap == pytest.approx(
        spearmanr(classes["accuracy gap"], classes["precision in the class"], nan_policy="omit")[0]
    )
    assert gap > 0
    assert found["rank correlation in classes, precision and accuracy gap, one model"] == pytest.approx(-1)
    assert found["rank correlation in classes, precision and share of training data, one model"] == pytest.approx(0.75)


def test_spread_is_the_distance_of_quartiles():
    def of(*precisions):
        return SimpleNamespace(per_class=lambda statistic: np.array(precisions))

    found = overfitting.class_spreads({"few": of(0.5, 0.6, 0.7, 0.8), "many": of(0.1, 0.5, 0.9, 1.0, np.nan)})
    assert found == pytest.approx(
        {
            "spread between classes, few": 0.2,
            "spread between classes, many": 0.8,
            "spread between classes, most minus fewest records": 0.6,
        }
    )


def test_of_two_model_types_at_one_gap_one_leaks_more():
    table = runs(
        ("a", "1", 0.1, 0.9), ("a", "2", 0.5, 0.6), ("b", "1", 0.11, 0.8), ("b", "2", 0.52, 0.7), ("b", "3", 0.9, 0)
    )
    assert overfitting.leaks_more(table, "a", "b", 0.05) == 0.5  # one pair for, one against, the others far apart
    assert overfitting.leaks_more(table, "a", "b", 0.015) == 1
    assert overfitting.leaks_more(table, "b", "a", 0.015) == 0
    assert overfitting.leaks_more(table, "a", "a", 0) == 0.5
    assert np.isnan(overfitting.leaks_more(table, "a", "b", 0.001))


def test_certainty_is_a_difference_of_means():
    """Members' true class has probability 0.9 and 0.7, non-members' 0.6; two classes that are even have entropy 1."""
    vectors = np.array([[0.9, 0.1], [0.3, 0.7], [0.6, 0.4]])
    first = Answers(np.array([0, 1, 0]), vectors, np.array([True, True, False]))
    last = Answers(np.array([0, 0]), np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([True, False]))
    found = overfitting.certainty({"few": first, "many": last})
    assert found["probability, members minus non-members, few"] == pytest.approx(0.2)
    assert found["probability, members minus non-members, many"] == pytest.approx(0.5)
    assert found["entropy, members minus non-members, many"] == pytest.approx(-1)
    kept = overfitting.certainty_arrays({"few": first}, n_bins=5)
    assert kept["probability, members, few"] == [0, 0, 0, 0.5, 0.5]  # 0.7 and 0.9
    assert sum(kept["entropy, non-members, few"]) == 1
    assert len(kept) == 4


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
    assert list(found.index) == ["NN, long", "NN, short"]
    kept = overfitting.run_arrays(found)
    assert list(kept) == [f"{column}, runs of NN" for column in ("accuracy gap", "precision", "AUC")]
    assert kept["AUC, runs of NN"] == [each.inference.auc for each in results.values()]


def test_sets_are_run_with_their_sizes(data):
    recipe = Recipe(NN((16,)), epochs=5, batch_size=20)
    plain = Experiment(100, 2, seed=3)
    found = overfitting.run_sets(plain, {"NN": recipe}, {"small": (data, 50), "large": (data, 100)})
    assert list(found) == [("NN", "small"), ("NN", "large")]
    assert found["NN", "small"].experiment == replace(plain, size=50, recipe=recipe)
    assert found["NN", "large"].inference.auc == run(replace(plain, recipe=recipe), data).inference.auc
    assert overfitting.of_model(found, "NN", "sm") == {"all": found["NN", "small"]}
    assert overfitting.of_model(found, "forest") == {}


def test_ladders_end_in_what_overfits_most():
    ways = overfitting.ladders([16], [3, 50], leaf_sizes=(8, 1))
    assert list(ways) == [
        *((model, f"{n} epochs") for model in ("softmax regression", "NN, 16 units") for n in (3, 50)),
        ("forest", "leaf size 8"),
        ("forest", "leaf size 1"),
    ]
    assert ways["softmax regression", "50 epochs"] == Recipe(NN(()), 50)
    assert ways["forest", "leaf size 8"].classifier.min_samples_leaf == 8


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


def test_the_interval_of_a_rank_correlation_is_as_wide_as_theory_says():
    """Notices the fault of an interval of 90 %: of n independent pairs the deviation is 1/√(n - 1)."""
    found = overfitting.rank_correlation(*np.random.default_rng(0).normal(size=(2, 500)), n_resamples=2000)
    assert found.high - found.low == pytest.approx(2 * 1.96 / np.sqrt(499), rel=0.08)


def test_of_few_runs_there_is_no_interval_and_of_two_no_correlation():
    found = overfitting.rank_correlation([1, 2, 3], [1, 3, 2])
    assert found == pytest.approx(0.5)
    assert np.isnan([found.low, found.high]).all()
    with pytest.raises(ValueError, match="2 pairs have no rank correlation"):
        overfitting.rank_correlation([1, 2, np.nan], [1, 2, 3])


def test_each_part_has_its_number_of_runs_and_its_correlations():
    table = pd.DataFrame({"accuracy gap": [1, 2, 3, 4], "test accuracy": [3, 2, 1, 0], "AUC": [1, 2, 3, 2.5]})
    found = overfitting.correlations({"all": table, "some": table[:3]}, seed=1)
    assert found["some"] == {"runs": 3, "AUC and accuracy gap": 1, "AUC and test accuracy": -1}
    assert found["all"]["runs"] == 4
    assert found["all"]["AUC and accuracy gap"] == pytest.approx(0.8)


def test_runs_near_the_median_gap_are_ordered_by_their_leak():
    table = runs(("a", "1", 0.1, 0.9), ("a", "2", 0.24, 0.8), ("b", "1", 0.2, 0.95), ("b", "2", 0.26, 0.7))
    near, numbers = overfitting.hold_gap(table.assign(**{"train accuracy": 1.0}), 0.03)
    assert near["AUC"].tolist() == [0.8, 0.95]
    assert numbers == pytest.approx({"gap held fixed": 0.22, "AUC at one gap, largest minus smallest": 0.15})


def test_discordances_count_pairs_in_the_wrong_order():
    def shares(*rows):
        found = overfitting.discordances(runs(*rows))
        names = ("pairs of one model type", "pairs of model types in one setting")
        assert list(found) == [f"larger gap leaks less, {name}" for name in names]
        return list(found.values())

    assert shares(("a", "1", 0.1, 0.6), ("a", "2", 0.2, 0.7), ("b", "1", 0.3, 0.5), ("b", "2", 0.4, 0.9)) == [0, 0.5]
    assert np.isnan(shares(("a", "1", 0.1, 0.6), ("a", "2", 0.1, 0.7), ("b", "1", 0.3, np.nan))[0])
    assert shares(("a", "1", 0.1, 0.6), ("a", "2", 0.2, 0.5), ("a", "3", 0.3, np.nan))[0] == 1
