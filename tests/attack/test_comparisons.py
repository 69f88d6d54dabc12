from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mialib import metrics
from mialib.attack import comparisons
from mialib.attack.answers import Answers, Attack, Inference
from mialib.attack.experiment import Experiment, run, run_each, train_target
from mialib.attack.shadow import ClassAttack, PooledAttack
from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.synthesis.formats import Format
from mialib.synthesis.model_based import synthesize
from mialib.synthesis.search import Search


@pytest.fixture(scope="module")
def result(data, tmp_path_factory):
    from mialib.models.cache import ModelCache

    overfitted = Experiment(100, 6, Recipe(NN((32,)), epochs=200, batch_size=20), seed=3)
    return run(overfitted, data, cache=ModelCache(tmp_path_factory.mktemp("models")))


def test_a_summary_holds_the_numbers_of_its_results(result):
    row = comparisons.summary({"nn": result})["nn"]
    assert row["precision"] == result.inference.precision
    assert row["recall"] == result.inference.recall
    assert row["train accuracy"] == result.target.train_accuracy
    assert row["test accuracy"] == result.target.test_accuracy
    assert row["median precision"] == metrics.quantiles(result.per_class(metrics.precision), (0.5,))[0]
    assert row["AUC"] == result.inference.auc
    gap = result.target.train_accuracy / (result.target.train_accuracy + result.target.test_accuracy)
    assert row["gap attack precision"] == pytest.approx(gap)
    assert np.isnan(row.pop("median precision").low)  # of four classes
    for quantity, number in row.items():
        assert number.low <= number <= number.high, quantity
        assert number.low < number.high, quantity
    assert row["train accuracy"] - row["test accuracy"] == pytest.approx(
        result.target.train_accuracy - result.target.test_accuracy
    )
    assert comparisons.named({"nn": {"precision": 0.5}}) == {"precision, nn": 0.5}
    assert comparisons.named({"nn": {"precision": 0.5}}, "Texas") == {"precision, nn, Texas": 0.5}
    assert comparisons.prefixed({"nn": {"precision": 0.5}}) == {"nn, precision": 0.5}


def test_what_an_attack_gains_is_counted_record_by_record(result):
    member, inferred = result.target.member, result.inference.inferred.copy()
    wrong = np.flatnonzero(inferred != member)[:3]
    inferred[wrong] = member[wrong]
    better = replace(result, inference=replace(result.inference, inferred=inferred))
    gained = comparisons.accuracy_gained(better, result)
    assert gained == pytest.approx(3 / 200)
    assert gained == pytest.approx(better.inference.accuracy - result.inference.accuracy)
    assert 0 < gained - gained.low < 0.02
    assert comparisons.accuracy_gained(result, better) == -gained
    assert comparisons.accuracy_gained(result, result).low == 0


def test_percentiles_are_those_of_the_classes(result):
    row = comparisons.percentiles({"nn": result})["nn"]
    precision, recall = result.per_class(metrics.precision), result.per_class(metrics.recall)
    assert row == {
        "precision of 75 % of classes": np.sort(precision)[2],
        "precision of 90 % of classes": np.sort(precision)[3],
        "median recall": np.sort(recall)[1],
    }
    kept = comparisons.of_classes({"nn": result})
    np.testing.assert_array_equal(kept["precision, nn, by class"], precision)
    np.testing.assert_array_equal(kept["recall, nn, by class"], recall)


def test_the_lead_that_is_left():
    assert comparisons.lead_left(0.55, 0.7) == pytest.approx(0.25)
    assert comparisons.lead_left(0.45, 0.7) == pytest.approx(-0.25)
    assert np.isnan([comparisons.lead_left(0.5, of) for of in (0.5, 0.4, np.nan)]).all()  # a constant attack leads none


def test_nearness_is_a_distance_of_the_target_alone(data, result):
    plain, target = result.experiment, result.target
    paper = {"train accuracy": target.train_accuracy - 0.3, "test accuracy": target.test_accuracy + 0.4, "more": 1}
    ways = {"as it is": plain.recipe, "shorter": replace(plain.recipe, epochs=1)}
    rows = comparisons.nearness(plain, ways, data, paper)
    assert rows["as it is"]["train accuracy"] == target.train_accuracy
    assert rows["as it is"]["distance from the paper's"] == pytest.approx(0.5)
    assert rows["shorter"]["train accuracy"] < target.train_accuracy


def test_attacks_are_compared_on_the_same_shadows(result):
    rows = comparisons.compare_attacks(result, {"per class": ClassAttack(), "pooled": PooledAttack()})
    for row in rows.values():
        assert row["AUC"] > 0.6
        assert row["accuracy"] > 0.55
        assert row["seconds"] > 0
    assert rows["per class"]["parameters"] == 4 * (4 * 64 + 64 + 64 * 2 + 2)
    assert rows["pooled"]["parameters"] == 8 * 64 + 64 + 64 * 2 + 2


def test_attacks_that_are_compared_learn_from_nothing_but_the_shadows(result):
    """Notices the fault of an attack that is fitted on the target on which it is tried."""
    learned = []

    class Watched(Attack):
        n_parameters = 0

        def fit(self, shadows):
            learned.append(shadows)

        def score(self, labels, vectors):
            return vectors.max(axis=1)

    row = comparisons.compare_attacks(result, {"watched": Watched()})["watched"]
    assert len(learned) == 1
    assert learned[0] is result.shadows
    assert row["AUC"] == metrics.roc_auc(result.target.member, result.target.vectors.max(axis=1))


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
    assert comparisons.share_above(result, precisions.min() - 0.01) == 1
    assert comparisons.share_above(result, np.sort(precisions)[1]) == 0.5


def test_each_way_runs_the_same_experiment(data, result):
    plain = result.experiment
    ways = {"as it is": plain.recipe, "shorter": replace(plain.recipe, epochs=1)}
    found = run_each(plain, ways, data)
    np.testing.assert_array_equal(found["as it is"].inference.score, result.inference.score)
    assert found["shorter"].experiment == replace(plain, recipe=ways["shorter"])


def test_estimates_are_those_of_the_result(result):
    found = comparisons.attack_estimates(result)
    assert list(found) == ["test accuracy", "attack accuracy", "precision", "recall"]
    assert found["test accuracy"] == result.target.test_accuracy
    assert found["attack accuracy"] == metrics.accuracy(result.target.member, result.inference.inferred)
    assert (found["precision"], found["recall"]) == (result.inference.precision, result.inference.recall)
    for number in found.values():
        assert number.low < number < number.high
    assert comparisons.estimates_of_each({"nn": result}) == {"nn": found}


def test_the_gap_attack_is_right_on_known_members_and_mistaken_others(result):
    right = result.target.vectors.argmax(axis=1) == result.target.labels
    assert comparisons.gap_accuracy(result) == pytest.approx(metrics.accuracy(result.target.member, right))


def mislabelled(labels, predicted, member, probability):
    target = Answers(np.array(labels), np.eye(3)[predicted], np.array(member, bool))
    return SimpleNamespace(target=target, inference=Inference.above(0.5, target, np.array(probability, np.float64)))


def test_only_mislabelled_pairs_of_one_class_count():
    nan = float("nan")
    found = mislabelled(
        labels=[0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2],
        predicted=[1, 2, 1, 0, 1, 0, 2, 0, 0, 0, 0],
        member=[1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1],
        probability=[0.9, 0.3, 0.9, 0.0, nan, 0.2, 0.1, 0.4, 0.05, 0.5, 0.5],
    )
    auc, chance = comparisons.auc_of_mislabelled(found, seed=0)
    assert auc == pytest.approx((1 + 0.5 + 1 + 0 + 1) / 5)  # two pairs in class 0, three in class 1, none in 2
    assert chance.low <= 0.5 <= chance.high
    assert abs(chance - 0.5) < 0.1


def test_chance_among_the_mislabelled_is_a_95_percent_range(rng):
    """Notices the fault of a range of 25 to 75 %: the deviation of such an area is that of Mann and Whitney."""
    labels, member = np.zeros(100, int), np.arange(100) < 50
    auc, chance = comparisons.auc_of_mislabelled(
        mislabelled(labels, labels + 1, member, rng.random(100)), n_shuffles=2000
    )
    half = 1.96 * np.sqrt(101 / (12 * 50 * 50))
    assert (chance.low, chance.high) == (pytest.approx(0.5 - half, abs=0.02), pytest.approx(0.5 + half, abs=0.02))
    assert (auc.high - auc.low) == pytest.approx(chance.high - chance.low)
    assert auc.low <= 0.5 <= auc.high  # guesses are not told from chance


def test_without_mislabelled_pairs_there_is_no_area():
    auc, _ = comparisons.auc_of_mislabelled(mislabelled([0, 1], [0, 1], [1, 0], [0.5, 0.5]))
    assert np.isnan(auc)


def test_mitigations_are_held_against_none():
    rows = {
        "none": {"test accuracy": 0.5, "attack accuracy": 0.9},
        "L2 1e-3": {"test accuracy": 0.8, "attack accuracy": 0.9},
    }
    against = comparisons.against_none(rows, "Purchase")
    assert against["test accuracy, L2 1e-3 minus none, Purchase"] == pytest.approx(0.3)
    assert against["attack accuracy, L2 1e-3 minus none, Purchase"] == 0


def test_what_a_label_betrays(result):
    found = comparisons.label_leakage(result, seed=1)
    auc, chance = comparisons.auc_of_mislabelled(result, seed=1)
    np.testing.assert_equal((found["AUC among the mislabelled"], found["the same by chance"]), (auc, chance))
    assert found["attack accuracy"] == result.inference.accuracy
    assert found["gap attack accuracy"] == pytest.approx(
        (1 + found["target train accuracy"] - found["target test accuracy"]) / 2
    )


def test_the_papers_numbers_stand_before_ours():
    names = ("precision", "recall", "AUC", "shadow test accuracy", "records not judged", "baseline")
    found = {name: dict.fromkeys(names, i) for i, name in enumerate(("real", "noisy"))}
    rows = comparisons.with_paper(found, {"noisy": {"precision": 0.9, "recall": 0.8}})
    assert list(rows["noisy"]) == ["paper's precision", "precision", "paper's recall", *names[1:-1]]
    assert list(rows["noisy"].values()) == [0.9, 1, 0.8, 1, 1, 1, 1]
    assert list(rows["real"].values()) == [None, 0, None, 0, 0, 0, 0]


def test_models_vote_on_each_record():
    """Three models: all, two and none of them name the class of a record; one each is a tie."""
    named = np.array([[0, 1, 1, 2], [0, 1, 1, 0], [0, 0, 1, 1]])
    models = SimpleNamespace(predict_proba=lambda x: np.eye(3)[named])
    share, most = comparisons.vote(models, SimpleNamespace(x=None, y=np.array([0, 1, 2, 2])))
    np.testing.assert_allclose(share, [1, 2 / 3, 0, 1 / 3])
    assert most.tolist() == [0, 1, 1, 0]


def test_searches_cost_what_the_experiments_target_makes_them(data):
    experiment = Experiment(100, recipe=Recipe(NN((16,)), 20), seed=3)
    found = comparisons.synthesis_costs(experiment, {"toy": data}, 12, Search(k_max=300, iter_max=200), seed=5)
    _, target = train_target(experiment, data)
    search = Search(20, iter_max=200)  # 40 of 600 features, and k_max their share of 300
    made = synthesize(target, np.arange(12) % 4, Format((40,)), search, seed=5)
    assert found == {"toy": made.cost()}


def test_what_knowing_adds_is_that_of_attack_accuracy_and_recall():
    knows = {
        "none": {"recall": 0.9},
        "L2": {"test accuracy": 0.7, "attack accuracy": 0.8, "precision": 0.7, "recall": 0.9},
    }
    unaware = {"L2": {"test accuracy": 0.7, "attack accuracy": 0.5, "precision": 0.5, "recall": 0.3}}
    gained = comparisons.gained_by_knowing(knows, unaware)
    assert gained == pytest.approx({"attack accuracy that knowing adds, L2": 0.3, "recall that knowing adds, L2": 0.6})
