from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from mialib.attack.experiment import Experiment, run
from mialib.base.seeding import children
from mialib.book.ledger import paper_table
from mialib.models import training as module
from mialib.models.stack import NN
from mialib.models.training import SGD, Adam, Recipe
from mialib.platforms.estimators import Classifier
from mialib.platforms.mitigations import (
    Chain,
    Filtered,
    LabelOnly,
    Rounding,
    Temperature,
    TopK,
    table_iii,
    with_dropout,
    with_l2,
)

VECTOR = np.array([0.05, 0.4, 0.25, 0.3], np.float32)
TIED = np.array([0.2, 0.3, 0.2, 0.3], np.float32)
ONE_CLASS = np.ones((3, 1), np.float32)
RECIPE = Recipe(NN((32,)), epochs=60, batch_size=20)
FILTERS = (TopK(2), LabelOnly(), Rounding(1), Temperature(5), Chain(Temperature(2), TopK(1)))


@pytest.mark.parametrize(
    ("k", "kept"),
    [(1, [0, 0.4, 0, 0]), (2, [0, 0.4, 0, 0.3]), (3, [0, 0.4, 0.25, 0.3]), (4, VECTOR), (5, VECTOR), (9, VECTOR)],
)
def test_top_k_keeps_the_largest_as_they_are(k, kept):
    np.testing.assert_array_equal(TopK(k)(VECTOR), np.float32(kept))


@pytest.mark.parametrize(
    ("k", "kept"),
    [(1, [0, 0.3, 0, 0]), (2, [0, 0.3, 0, 0.3]), (3, [0.2, 0.3, 0, 0.3]), (4, TIED)],
)
def test_of_ties_top_k_keeps_the_lower_class(k, kept):
    np.testing.assert_array_equal(TopK(k)(TIED), np.float32(kept))


def test_top_k_keeps_exactly_k_and_what_they_sum_to(rng):
    vectors = rng.dirichlet(np.ones(7), 500).round(1)  # with many ties
    for k in range(1, 8):
        seen = TopK(k)(vectors)
        np.testing.assert_allclose(seen.sum(axis=1), np.sort(vectors, axis=1)[:, -k:].sum(axis=1))
        assert np.all(np.count_nonzero(seen, axis=1) <= k)
        assert np.all((seen == 0) | (seen == vectors))


def test_label_only_is_one_one_at_the_lowest_of_the_likeliest():
    np.testing.assert_array_equal(LabelOnly()(np.stack([VECTOR, TIED])), [[0, 1, 0, 0], [0, 1, 0, 0]])
    np.testing.assert_array_equal(LabelOnly()(np.zeros((1, 3))), [[1, 0, 0]])


@pytest.mark.parametrize(
    ("d", "rounded"),
    [
        (0, [0, 0, 0, 1]),
        (1, [0, 0.1, 0.3, 0.6]),
        (3, [0.042, 0.062, 0.296, 0.6]),
        (9, [0.0420, 0.0624, 0.2956, 0.6]),
    ],
)
def test_rounding_is_to_d_digits(d, rounded):
    np.testing.assert_allclose(Rounding(d)(np.array([0.0420, 0.0624, 0.2956, 0.6])), rounded, rtol=0, atol=1e-12)


def test_rounding_at_one_half_is_to_even():
    np.testing.assert_array_equal(Rounding(0)(np.array([0.5, 0.5])), [0, 0])
    np.testing.assert_array_equal(Rounding(1)(np.float32([0.25, 0.75])), np.float32([0.2, 0.8]))


def test_temperature_is_the_softmax_of_logits_divided():
    logits = np.array([[1.0, 2.0, 4.0]])
    np.testing.assert_allclose(Temperature(2).of_logits(logits)[0], np.exp([0.5, 1, 2]) / np.exp([0.5, 1, 2]).sum())
    vectors = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(Temperature(2)(vectors), Temperature(2).of_logits(logits))
    np.testing.assert_allclose(Temperature(1)(vectors), vectors)
    np.testing.assert_allclose(Temperature(0.5)(vectors), vectors**2 / (vectors**2).sum())


def test_temperature_near_zero_is_the_label_and_ties_share():
    for t in (1e-3, 1e-300):
        np.testing.assert_array_equal(Temperature(t)(VECTOR), [0, 1, 0, 0])
        np.testing.assert_array_equal(Temperature(t)(TIED), [0, 0.5, 0, 0.5])
        np.testing.assert_array_equal(Temperature(t).of_logits(np.array([1e4, 3.0, 1e4])), [0.5, 0, 0.5])


def test_a_large_temperature_is_even_but_for_probabilities_of_zero():
    np.testing.assert_allclose(Temperature(1e9)(VECTOR), 0.25)
    np.testing.assert_allclose(Temperature(1e9).of_logits(np.array([5.0, -80.0])), 0.5)
    np.testing.assert_allclose(Temperature(1e9)(np.array([0.9, 0.0, 0.1])), [0.5, 0, 0.5], atol=1e-8)
    np.testing.assert_array_equal(Temperature(3)(np.zeros(4)), np.zeros(4))


def test_temperature_keeps_sums_and_order(rng):
    vectors = rng.dirichlet(np.ones(7), 200)
    for t in (0.3, 1, 5, 20):
        seen = Temperature(t)(vectors)
        np.testing.assert_allclose(seen.sum(axis=1), 1)
        np.testing.assert_array_equal(seen.argsort(axis=1), vectors.argsort(axis=1))


@pytest.mark.parametrize("each", FILTERS, ids=str)
def test_one_class_is_certain(each):
    np.testing.assert_array_equal(each(ONE_CLASS), ONE_CLASS)


@pytest.mark.parametrize("each", FILTERS, ids=str)
def test_any_shape_and_type_and_the_input_untouched(each, rng, monkeypatch):
    vectors = rng.dirichlet(np.ones(4), (3, 5))
    before = vectors.copy()
    seen = each(vectors)
    assert (seen.shape, seen.dtype) == (vectors.shape, vectors.dtype)
    assert each(vectors.astype(np.float32)).dtype == np.float32
    assert each(vectors.tolist()).dtype == np.float64
    np.testing.assert_array_equal(seen[1, 2], each(vectors[1, 2]))
    monkeypatch.setattr("mialib.platforms.mitigations.VECTORS_A_STEP", 4)
    np.testing.assert_array_equal(each(vectors), seen)
    np.testing.assert_array_equal(vectors, before)


def test_whole_numbers_are_vectors_too():
    np.testing.assert_array_equal(Temperature(1e9)(np.array([1, 1])), [0.5, 0.5])


def test_a_chain_goes_from_the_model_outwards():
    np.testing.assert_allclose(Chain(Rounding(1), TopK(1))(np.array([0.46, 0.54])), [0.5, 0])
    np.testing.assert_allclose(Chain(TopK(1), Rounding(1))(np.array([0.46, 0.54])), [0, 0.5])
    assert str(Chain(Temperature(5), LabelOnly())) == "temperature 5, label only"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TopK(0), "k is 0; it must be a whole number of at least 1"),
        (lambda: TopK(1.5), "k is 1.5"),
        (lambda: Rounding(-1), "d is -1; it must be a whole number of at least 0"),
        (lambda: Temperature(0), "t is 0; a temperature must be positive and finite"),
        (lambda: Temperature(float("inf")), "t is inf"),
        (lambda: Temperature(float("nan")), "t is nan"),
        (lambda: Chain(), "give at least one"),
    ],
)
def test_a_filter_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture
def trained(monkeypatch):
    """Count the models that are really trained."""
    counts = []
    fit_blocks = module.fit_blocks

    def counting(recipe, x, y, n_classes, index, *rest):
        counts.append(len(index))
        return fit_blocks(recipe, x, y, n_classes, index, *rest)

    monkeypatch.setattr(module, "fit_blocks", counting)
    return counts


def test_target_and_shadows_stand_behind_the_filter_and_are_trained_once(data, trained):
    plain = Experiment(100, 3, RECIPE, seed=3)
    open_ = run(plain, data)
    for each in (TopK(2), LabelOnly(), Rounding(1)):
        seen = run(replace(plain, recipe=Filtered(RECIPE, each)), data)
        np.testing.assert_array_equal(seen.target.vectors, each(open_.target.vectors))
        np.testing.assert_array_equal(seen.shadows.vectors, each(open_.shadows.vectors))
        assert not np.array_equal(seen.inference.score, open_.inference.score)
    assert sum(trained) == 4


def test_temperature_asks_for_logits_where_there_are_any(data):
    index, seeds = np.arange(200).reshape(2, 100), children(4, 2)
    plain = RECIPE, Filtered(RECIPE, Temperature(5))
    stack, hot = (platform.train(data, index, seeds) for platform in plain)
    logits = stack.predict_logits(data.x, index)
    np.testing.assert_allclose(
        np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True), stack.predict_proba(data.x, index), atol=1e-6
    )
    np.testing.assert_array_equal(hot.predict_proba(data.x, index), Temperature(5).of_logits(logits))
    np.testing.assert_array_equal(hot.models(slice(1, 2)).predict_proba(data.x)[0], hot.predict_proba(data.x)[1])
    assert Temperature(5).taken_of(stack) == "logits"
    chained = Filtered(RECIPE, Chain(Temperature(5), TopK(1))).train(data, index, seeds)
    np.testing.assert_array_equal(chained.predict_proba(data.x), TopK(1)(hot.predict_proba(data.x)))


def test_temperature_says_that_it_takes_log_probabilities(data):
    forest = Classifier(RandomForestClassifier(10))
    index, seeds = np.arange(100)[None], children(4, 1)
    models = Filtered(forest, Temperature(5)).train(data, index, seeds)
    with pytest.warns(UserWarning, match="temperature 5 is taken of log-probabilities"):
        seen = models.predict_proba(data.x)
    inside = forest.train(data, index, seeds)
    np.testing.assert_array_equal(seen, Temperature(5)(inside.predict_proba(data.x)))
    assert Temperature(5).taken_of(inside) == "log-probabilities"
    assert Temperature(5).taken_of(models) == "log-probabilities"  # a filter hides the logits


def test_filters_nest_around_platforms(data):
    index, seeds = np.arange(100)[None], children(4, 1)
    nested = Filtered(Filtered(RECIPE, Rounding(1)), TopK(1)).train(data, index, seeds).predict_proba(data.x)
    chained = Filtered(RECIPE, Chain(Rounding(1), TopK(1))).train(data, index, seeds).predict_proba(data.x)
    np.testing.assert_array_equal(nested, chained)


def test_an_attacker_who_does_not_know_has_undefended_shadows(data, trained):
    plain = Experiment(100, 3, RECIPE, seed=3)
    open_ = run(plain, data)
    same = open_.against(RECIPE)
    np.testing.assert_array_equal(same.inference.score, open_.inference.score)
    hot = Filtered(RECIPE, Temperature(20))
    blind, knowing = open_.against(hot), run(replace(plain, recipe=hot), data)
    np.testing.assert_array_equal(blind.target.vectors, knowing.target.vectors)
    assert blind.shadows is open_.shadows
    assert blind.experiment.recipe is hot
    assert blind.inference.recall < open_.inference.recall - 0.2  # no answer is as sure as a member's was
    assert knowing.inference.recall > blind.inference.recall + 0.2
    assert sum(trained) == 4
    given = run(plain, data, target=hot)
    np.testing.assert_array_equal(given.inference.score, blind.inference.score)


def test_whoever_knows_the_temperature_undoes_it(data):
    plain = Experiment(100, 3, RECIPE, seed=3)
    undone = Filtered(RECIPE, Chain(Temperature(20), Temperature(1 / 20)))
    seen, open_ = run(replace(plain, recipe=undone), data), run(plain, data)
    np.testing.assert_allclose(seen.target.vectors, open_.target.vectors, atol=1e-5)
    assert np.mean(seen.inference.inferred == open_.inference.inferred) > 0.97


def test_table_iii_has_the_papers_rows():
    """Notices the fault of a row that answers as another, such as temperature 5 with 20."""
    rows = table_iii(RECIPE, dropout=(0.5,))
    for data in ("Purchase", "Texas"):
        assert set(paper_table("Table III", data)) <= set(rows)
    assert rows["none"] == RECIPE
    assert rows["L2 5e-4"] == with_l2(RECIPE, 5e-4)
    assert rows["dropout 0.5"] == with_dropout(RECIPE, 0.5)
    filters = [TopK(3), TopK(1), LabelOnly(), Rounding(3), Rounding(1), Temperature(5), Temperature(20)]
    names = ["top k = 3", "top k = 1", "label only", "rounding d = 3", "rounding d = 1"]
    for name, each in zip([*names, "temperature 5", "temperature 20"], filters, strict=True):
        assert rows[name] == Filtered(RECIPE, each), name


def test_training_mitigations_are_other_recipes():
    assert with_l2(RECIPE, 1e-3) == replace(RECIPE, optimiser=Adam(2e-3))
    assert with_l2(replace(RECIPE, optimiser=SGD()), 1e-3).optimiser == SGD(2e-3)
    assert with_dropout(RECIPE, 0.5).architecture == NN((32,), dropout=0.5)
    assert with_dropout(with_l2(RECIPE, 1), 0.5).optimiser == Adam(2)
