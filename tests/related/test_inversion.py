import numpy as np
import pytest
import torch

from mialib.base.seeding import children
from mialib.datasets.features import pixels
from mialib.models.batches import DenseBatch
from mialib.models.cnn import CNN
from mialib.models.stack import NN, ReLU
from mialib.models.training import Recipe, fit_stack
from mialib.related.inversion import Flat, Inversion, Noise, invert
from mialib.related.reconstructions import class_means, correlations

SHAPE = (8, 8)
ARCHITECTURES = [NN((16,)), NN((), ReLU()), CNN(((4, 3),), (8,)), CNN(((4, 3),), (8,), ReLU())]


def trained(architecture, squares, n_models=2):
    recipe = Recipe(architecture, epochs=15, batch_size=20, learning_rate=0.01)
    return fit_stack(recipe, *squares, 3, np.tile(np.arange(200), (n_models, 1)), children(1, n_models))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_reconstruction_has_the_probability_and_shows_the_class(architecture, squares):
    stack = trained(architecture, squares)
    found = invert(Inversion(Flat(0.3), learning_rate=1), stack, SHAPE)
    assert found.images.shape == (2, 3, *SHAPE)
    assert 0 <= found.images.min() <= found.images.max() <= 1
    for m in range(2):
        asked = stack.models(slice(m, m + 1)).predict_proba(found.images[m])[0]
        np.testing.assert_allclose(asked.diagonal(), found.probability[m], atol=1e-4)
    assert found.probability.min() > 0.98
    means = class_means(pixels(squares[0]), squares[1], 3)
    assert (correlations(found.images[0], means).argmax(axis=1) == np.arange(3)).all()


def by_the_book(method, stack, m, c):
    """Algorithm 1 of Fredrikson et al., one class of one model at a time."""
    x, costs, images = torch.from_numpy(method.start.draw(SHAPE, 0)).flatten(), [], []
    for _ in range(method.max_steps + 1):
        x = x.detach().requires_grad_()
        batch = DenseBatch(x.expand(stack.n_models, 1, -1))
        cost = 1 - torch.softmax(stack.followed().logits(batch), 2)[m, 0, c]
        images.append(x.detach())
        costs.append(cost.item())
        before = costs[-1 - method.patience : -1]
        if (len(before) == method.patience and costs[-1] >= max(before)) or costs[-1] <= 1 - method.confidence:
            break
        (gradient,) = torch.autograd.grad(cost, x)
        x = (x - method.learning_rate * gradient).clamp(0, 1)
    best = int(np.argmin(costs))
    return images[best].numpy().reshape(SHAPE), 1 - costs[best], len(costs) - 1


@pytest.mark.parametrize(
    "method", [Inversion(learning_rate=0.5), Inversion(patience=3, learning_rate=30), Inversion(max_steps=4)]
)
@pytest.mark.parametrize("architecture", ARCHITECTURES[::2])
def test_all_together_is_one_by_one(method, architecture, squares):
    stack = trained(architecture, squares)
    found = invert(method, stack, SHAPE)
    for m in range(2):
        for c in range(3):
            image, probability, steps = by_the_book(method, stack, m, c)
            np.testing.assert_allclose(found.images[m, c], image, atol=1e-4)
            assert found.probability[m, c] == pytest.approx(probability, abs=1e-4)
            assert found.steps[m, c] == steps
    assert found.steps.max() <= method.max_steps


def test_no_steps_give_the_start(squares):
    stack = trained(NN((4,)), squares)
    np.testing.assert_array_equal(invert(Inversion(Flat(0.25), max_steps=0), stack, SHAPE).images, np.float32(0.25))
    first, again, other = (invert(Inversion(Noise(), max_steps=0), stack, SHAPE, seed).images for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.std() > 0.2


def test_it_stops_where_there_is_no_progress(squares):
    stack = trained(NN((4,)), squares).with_parameters(torch.zeros_like(trained(NN((4,)), squares).parameters))
    found = invert(Inversion(patience=7), stack, SHAPE)
    np.testing.assert_array_equal(found.steps, 7)
    np.testing.assert_allclose(found.probability, 1 / 3, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_steps": -1}, "max_steps is -1"),
        ({"patience": 0}, "patience is 0"),
        ({"confidence": 1.5}, "confidence is 1.5; it must be above 0 and at most 1"),
        ({"learning_rate": 0}, "learning_rate is 0; it must be positive"),
    ],
)
def test_a_method_names_its_bad_field(fields, message):
    with pytest.raises(ValueError, match=message):
        Inversion(**fields)
