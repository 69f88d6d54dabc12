from dataclasses import replace

import numpy as np
import pytest
import torch

from mialib.base.seeding import children
from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.models.cnn import CNN
from mialib.models.stack import NN
from mialib.models.training import SGD, Adam, Recipe, fit_stack
from mialib.related.encodings import bits_of
from mialib.related.hiding import (
    RECOVERED,
    CapacityAbuse,
    CorrelatedValues,
    Hidden,
    LowBits,
    Signs,
    fit_hiding,
    hide,
    parameters_of,
)

RECIPE = Recipe(NN((64,)), epochs=150, batch_size=10)
ROWS = np.arange(20, 80)


def made(rng, shape):
    y = rng.integers(0, 4, 120)
    x = rng.random((120, *shape)) * 0.5 + 0.4 * (np.arange(shape[0]) % 4 == y[:, None]).reshape(
        120, -1, *[1] * (len(shape) - 1)
    )
    x = x.astype(np.float32)
    return Dataset(x, y, 4, Provenance("toy", "stand-in", "generated", "none", array_sha256(x, y)))


@pytest.fixture
def images(rng):
    return made(rng, (8, 8))


def accuracy(stack, data):
    return np.mean(stack.predict_proba(data.x[ROWS])[0].argmax(axis=1) == data.y[ROWS])


@pytest.mark.parametrize(
    ("encoding", "n_images"),
    [
        (LowBits(), 60),
        (LowBits(n_low=2, depth=6), 23),
        (CorrelatedValues(), 60),
        (Signs(), 17),
    ],
)
def test_what_is_hidden_is_read(encoding, n_images, images):
    seed = children(3, 1)[0]
    hidden = hide(encoding, RECIPE, images, ROWS, seed)
    assert hidden.true.shape == hidden.read.shape == (n_images, 8, 8)
    assert {image.tobytes() for image in hidden.true} <= {image.tobytes() for image in images.x[ROWS]}
    assert len({image.tobytes() for image in hidden.true}) == n_images
    assert 0 <= hidden.read.min() <= hidden.read.max() <= 1
    honest = hide(LowBits(n_low=1, depth=1), RECIPE, images, ROWS, seed)
    assert accuracy(hidden.stack, images) >= accuracy(honest.stack, images) - 0.05
    np.testing.assert_allclose(hidden.mean, images.x[ROWS].mean(axis=0), atol=1e-6)
    assert hidden.error.mean() < 0.6 * hidden.guess.mean()
    if isinstance(encoding, LowBits):
        assert hidden.error.max() <= 0.5 / (2**encoding.depth - 1) + 1e-6


def test_answers_alone_give_images_away(images):
    """A trained model gives back every bit; another gives noise, and so does a model of another secret's seed."""
    recipe = Recipe(NN((256,)), epochs=200, batch_size=20, learning_rate=5e-3)
    encoding = CapacityAbuse(2, depth=4, seed=5)
    hidden = hide(encoding, recipe, images, ROWS, children(3, 1)[0])
    assert hidden.error.max() <= 0.5 / 15 + 1e-6
    assert hidden.recovered == 2 / 60
    assert accuracy(hidden.stack, images) == 1
    other_seed = CapacityAbuse(2, depth=4, seed=6).read(hidden.stack, hidden.true.shape, images)
    assert np.abs(other_seed - hidden.true).mean() > 0.2


def test_low_bits_of_a_cnn_in_colour(rng):
    data = made(rng, (12, 12, 3))
    hidden = hide(LowBits(), Recipe(CNN(((4, 3),), (8,)), epochs=1), data, ROWS, children(3, 1)[0])
    of_corpus = np.abs(hidden.true[:, None] - data.x[ROWS].mean(axis=3)).max(axis=(2, 3))
    np.testing.assert_array_less(of_corpus.min(axis=1), 1e-6)
    assert len(hidden.true) == parameters_of(hidden.stack).size * 16 // (144 * 8)
    assert hidden.error.max() < 1 / 255


def test_without_a_term_a_hiding_model_is_the_engines(images):
    seeds, index = children(3, 2), np.stack([ROWS, ROWS + 10])
    recipe = Recipe(NN((16,)), epochs=5, batch_size=7, decay=0.01)
    ours = fit_hiding(recipe, images, index, seeds, lambda parameters, secret: 0 * parameters.sum(), np.zeros((2, 5)))
    engines = fit_stack(recipe, images.x, images.y, 4, index, seeds)
    np.testing.assert_allclose(ours.predict_proba(images.x), engines.predict_proba(images.x), atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "other"),
    [
        ({"optimiser": SGD()}, {}),
        ({"optimiser": Adam(l2=0.1)}, {}),
        ({"optimiser": SGD(l2=0.5)}, {"optimiser": SGD()}),
        ({"architecture": NN((16,), dropout=0.5)}, {}),
    ],
)
@pytest.mark.parametrize("weight", [0, 2])
def test_optimiser_l2_and_dropout_count_for_a_hiding_model(changed, other, weight, images):
    seeds, index, secret = children(3, 2), np.stack([ROWS, ROWS + 10]), np.random.default_rng(2).random((2, 50))
    plain = Recipe(NN((16,)), epochs=5, batch_size=7)
    recipes = replace(plain, **changed), replace(plain, **other)
    term = CorrelatedValues(weight).term
    ours, others = (parameters_of(fit_hiding(recipe, images, index, seeds, term, secret)) for recipe in recipes)
    assert np.abs(ours - others).max() > 1e-3
    engines = parameters_of(fit_stack(recipes[0], images.x, images.y, 4, index, seeds))
    assert np.allclose(ours, engines, atol=1e-5) == (weight == 0)


@pytest.mark.parametrize(
    ("encoding", "secret"),
    [(CorrelatedValues(2.0), lambda rng: rng.random((2, 50))), (Signs(3.0), lambda rng: rng.integers(0, 2, (2, 50)))],
)
def test_terms_by_hand(encoding, secret, rng):
    parameters, secret = rng.normal(size=(2, 50)).astype(np.float32), secret(rng).astype(np.float32)
    if isinstance(encoding, Signs):
        wrong = (parameters > 0) != (secret == 1)
        by_hand = 3 * sum(np.abs(p[w]).sum() / 50 for p, w in zip(parameters, wrong, strict=True))
    else:
        by_hand = -2 * sum(np.corrcoef(p, s)[0, 1] for p, s in zip(parameters, secret, strict=True))
    assert encoding.term(*map(torch.from_numpy, (parameters, secret))).item() == pytest.approx(by_hand, abs=1e-4)


def test_what_counts_as_recovered():
    true = np.zeros((3, 2, 2), np.float32)
    hidden = Hidden(
        None, true, true + np.array([0, RECOVERED - 1e-4, RECOVERED + 1e-4]).reshape(3, 1, 1), true[0] + 1, 4
    )
    assert hidden.recovered == 2 / 4
    np.testing.assert_array_equal(hidden.guess, 1)


def test_too_much_data_is_one_clear_sentence(images):
    seed = children(0, 1)
    with pytest.raises(ValueError, match="the data need 5,000 parameters, but the model carries 4,420"):
        fit_hiding(RECIPE, images, ROWS[None], seed, Signs().term, np.zeros((1, 5000)))
    with pytest.raises(ValueError, match="carries no image of 64 pixels in this model; take a larger model"):
        hide(Signs(depth=16), Recipe(NN((1,)), epochs=1), images, ROWS, seed[0])
    with pytest.raises(ValueError, match="n_images is 0"):
        CapacityAbuse(0)


def test_only_images_are_hidden(data):
    with pytest.raises(ValueError, match="only images"):
        hide(LowBits(), RECIPE, data, ROWS, children(0, 1)[0])


def test_bits_are_those_of_the_training_images(images):
    hidden = hide(Signs(), RECIPE, images, ROWS, children(3, 1)[0])
    bits = bits_of(hidden.true, 4)
    signs = parameters_of(hidden.stack)[0][: len(bits)] > 0
    assert np.mean(signs == bits) > 0.97
