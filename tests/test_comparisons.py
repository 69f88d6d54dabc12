import numpy as np
import pytest

from mialib import comparisons, metrics
from mialib.attack import ClassAttack, PooledAttack
from mialib.experiment import Experiment, run
from mialib.models import NN
from mialib.training import Epochs, Recipe


@pytest.fixture(scope="module")
def result(data, tmp_path_factory):
    from mialib.cache import ModelCache

    overfitted = Experiment(100, 6, Recipe(NN((32,)), Epochs(200), batch_size=20), seed=3)
    return run(overfitted, data, ModelCache(tmp_path_factory.mktemp("models")))


def test_a_summary_holds_the_numbers_of_its_results(result):
    row = comparisons.summary({"nn": result})["nn"]
    assert row["precision"].value == result.precision
    assert row["recall"].value == result.recall
    assert row["train accuracy"].value == result.target.train_accuracy
    assert row["test accuracy"].value == result.target.test_accuracy
    assert row["median precision"].value == metrics.quantiles(result.per_class(metrics.precision), (0.5,))[0]
    assert row["AUC"].value == result.auc
    gap = metrics.gap_precision(result.target.train_accuracy, result.target.test_accuracy)
    assert row["gap attack precision"].value == pytest.approx(gap)
    for quantity, number in row.items():
        assert number.low <= number.value <= number.high, quantity
        assert number.low < number.high, quantity
    assert row["train accuracy"] - row["test accuracy"] == pytest.approx(
        result.target.train_accuracy - result.target.test_accuracy
    )
    assert comparisons.named({"nn": {"precision": 0.5}}) == {"precision, nn": 0.5}


def test_attacks_are_compared_on_the_same_shadows(result):
    rows = comparisons.compare_attacks(result, {"per class": ClassAttack(), "pooled": PooledAttack()})
    for row in rows.values():
        assert row["AUC"].value > 0.6
        assert row["accuracy"].value > 0.55
        assert row["seconds"] > 0
    assert rows["per class"]["parameters"] == 4 * (4 * 64 + 64 + 64 * 2 + 2)
    assert rows["pooled"]["parameters"] == 8 * 64 + 64 + 64 * 2 + 2


def test_the_pooled_attack_sees_the_class(result):
    """The same vectors with other classes get other answers."""
    attack = PooledAttack(seed=1).fit(result.shadows)
    labels, vectors = result.target.labels, result.target.vectors
    probability = attack.predict_proba(labels, vectors)
    assert probability.shape == (200,)
    assert np.abs(probability - attack.predict_proba((labels + 1) % 4, vectors)).max() > 0.1
    np.testing.assert_array_equal(PooledAttack(seed=1).fit(result.shadows).predict_proba(labels, vectors), probability)


def test_shares_of_classes(result):
    precisions = result.per_class(metrics.precision)
    assert comparisons.share_above(result, precisions.min() - 0.01).value == 1
    assert comparisons.share_above(result, np.sort(precisions)[1]).value == 0.5
