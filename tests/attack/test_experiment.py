from dataclasses import replace

import numpy as np
import pytest

from mialib import metrics
from mialib.attack.answers import query
from mialib.attack.experiment import Experiment, query_target, run, run_all
from mialib.attack.shadow import ClassAttack
from mialib.datasets.catalog import load
from mialib.datasets.dataset import Dataset
from mialib.datasets.splits import SharedOut
from mialib.models.stack import NN
from mialib.models.training import Recipe

OVERFITTED = Experiment(100, 6, Recipe(NN((32,)), epochs=200, batch_size=20), seed=3)


@pytest.fixture
def result(data):
    return run(OVERFITTED, data)


def test_an_overfitted_target_leaks(result):
    assert result.target.train_accuracy == 1
    assert result.target.test_accuracy < 0.9
    numbers = result.numbers()
    assert numbers["AUC"].low > 0.6
    assert numbers["precision"] > numbers["gap attack precision"]
    assert numbers["accuracy"].low <= numbers["accuracy"] <= numbers["accuracy"].high
    assert (numbers["baseline"], numbers["base rate"], numbers["records not judged"]) == (0.5, 0.5, 0)


def test_untrained_models_do_not_leak(data):
    untrained = replace(OVERFITTED, recipe=replace(OVERFITTED.recipe, epochs=0))
    found = run(untrained, data).numbers()["AUC"]
    assert found.low <= 0.5 <= found.high


def test_membership_at_random_gives_an_auc_around_one_half(result):
    """Null calibration through the whole path: the same shadows' answers, their membership shuffled."""
    rng = np.random.default_rng(0)
    attack = ClassAttack(seed=1).fit(replace(result.shadows, member=rng.permutation(result.shadows.member)))
    found = attack.infer(replace(result.target, member=rng.permutation(result.target.member))).auc
    assert found.low <= 0.5 <= found.high


def test_membership_sets_are_disjoint(result):
    target = np.concatenate([result.split.target_in, result.split.target_out])
    assert not np.intersect1d(target, result.shadow_sets.in_).size
    assert not np.intersect1d(target, result.shadow_sets.out).size
    np.testing.assert_array_equal(result.target.labels, result.data.y[target])
    np.testing.assert_array_equal(result.target.member, np.repeat([True, False], 100))


def test_the_same_parameters_give_the_same_numbers(data, result, tmp_path, monkeypatch):
    monkeypatch.setenv("MIALIB_CACHE", str(tmp_path))
    again = run(OVERFITTED, data, n_jobs=1)
    np.testing.assert_array_equal(again.inference.score, result.inference.score)
    assert again.numbers() == result.numbers()
    other = run(replace(OVERFITTED, seed=4), data)
    assert not np.array_equal(other.inference.score, result.inference.score)


def test_the_target_alone_answers_the_same(data, result):
    alone = query_target(OVERFITTED, data)
    np.testing.assert_array_equal(alone.vectors, result.target.vectors)
    np.testing.assert_array_equal(alone.labels, result.target.labels)


def test_a_sweep_has_a_row_for_each_experiment(data, result):
    runs = run_all([OVERFITTED, replace(OVERFITTED, n_shadow=2, out=SharedOut(), seed=4)], data)
    assert runs["n_shadow"].tolist() == [6, 2]
    assert runs["out"].tolist() == ["own", "shared"]
    assert runs["precision"][0] == result.inference.precision == result.numbers()["precision"]
    assert runs["accuracy"][0] == result.inference.accuracy
    assert runs["recall"][0] == result.numbers()["recall"]
    assert runs["AUC"][0] == pytest.approx(result.numbers()["AUC"])
    assert runs["test accuracy"][0] == result.target.test_accuracy


def test_a_sweep_of_nothing_is_an_error(data):
    with pytest.raises(ValueError, match="no experiments to run"):
        run_all([], data)


def test_shared_out_records(data):
    result = run(replace(OVERFITTED, out=SharedOut()), data)
    assert (result.shadow_sets.out == result.shadow_sets.out[0]).all()
    assert result.inference.auc > 0.6


def test_a_class_the_shadows_lack_is_counted_not_guessed(data):
    """One class has a single record, which the target holds: no shadow model can know it."""
    seed_split = run(replace(OVERFITTED, n_shadow=2), data).split
    y = data.y.copy()
    y[seed_split.target_in[0]] = 4
    lonely = Dataset(data.x, y, 5, data.provenance)
    with pytest.warns(UserWarning, match="classes 4 have no shadow records"):
        result = run(replace(OVERFITTED, n_shadow=2), lonely)
    assert result.numbers()["records not judged"] == 1
    assert not result.inference.inferred[result.target.labels == 4].any()
    assert np.isnan(result.per_class(metrics.precision)[4])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": -1}, "size is -1"),
        ({"size": 151}, "600 records carry at most 150"),
        ({"size": "abc"}, "size is 'abc'; it must be a whole number"),
        ({"size": 2.5}, "size is 2.5; it must be a whole number"),
        ({"n_shadow": 0}, "n_shadow is 0"),
        ({"seed": -1}, "seed is -1; it must be a whole number of at least 0"),
    ],
)
def test_impossible_experiments_get_one_clear_sentence(data, changed, message):
    with pytest.raises(ValueError, match=message):
        run(replace(OVERFITTED, **changed), data)


def test_the_stand_in_is_calibrated_to_the_papers_accuracies():
    """Table II: train 1.000, test 0.673."""
    shadows = run(Experiment(1200, 4, Recipe(epochs=100)), load("location", "stand-in")).shadows
    assert shadows.train_accuracy > 0.99
    assert 0.62 < shadows.test_accuracy < 0.73


def test_real_location_leaks_as_the_issue_asks(real_data):
    """The paper's NN, 1,200 in, 20 shadow models."""
    data = load("location")
    assert data.provenance.kind == "real"
    numbers = run(Experiment(1200, 20), data).numbers()
    assert numbers["target train accuracy"] > 0.98
    assert 0.55 < numbers["target test accuracy"] < 0.70
    assert numbers["precision"].low > 0.70
    assert numbers["recall"].low > 0.95
    assert numbers["AUC"].low > 0.88


def test_an_attack_recipe_is_taken(data, result):
    shorter = run(replace(OVERFITTED, attack=replace(OVERFITTED.attack, steps=1)), data)
    assert not np.array_equal(shorter.inference.score, result.inference.score)


def test_models_of_a_result_are_those_that_answered(data, result):
    stack = result.models()
    assert stack.n_models == 1 + OVERFITTED.n_shadow
    target = query(stack.models(slice(0, 1)), data, result.split.target_in[None], result.split.target_out[None])
    np.testing.assert_array_equal(target.vectors, result.target.vectors)
    shadows = query(stack.models(slice(1, None)), data, result.shadow_sets.in_, result.shadow_sets.out)
    np.testing.assert_array_equal(shadows.vectors, result.shadows.vectors)


def test_shadows_may_know_other_records_than_the_target(data, result):
    """With the pool itself as the shadows' records, and its own seeds, the attack is as strong; noise weakens it."""
    pool = result.split.pool
    same = Dataset(data.x[pool], data.y[pool], 4, data.provenance)
    found = run(OVERFITTED, data, shadow_data=same)
    np.testing.assert_array_equal(found.target.vectors, result.target.vectors)
    np.testing.assert_array_equal(found.shadow_sets.in_, np.searchsorted(pool, result.shadow_sets.in_))
    np.testing.assert_allclose(found.shadows.vectors, result.shadows.vectors, atol=1e-4)
    assert found.inference.auc == pytest.approx(result.inference.auc, abs=0.01)
    random = replace(same, x=np.random.default_rng(0).permuted(same.x, axis=0))
    assert run(OVERFITTED, data, random).inference.auc < result.inference.auc


def test_shadows_of_another_format_are_refused(data):
    other = Dataset(data.x[:, :30], data.y, 4, data.provenance)
    with pytest.raises(ValueError, match=r"the shadows' records are of shape \(30,\) in 4 classes"):
        run(OVERFITTED, data, shadow_data=other)
