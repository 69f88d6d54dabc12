from dataclasses import replace

import numpy as np
import pytest
import torch

from mialib.batches import DenseBatch, pixels
from mialib.cache import ModelCache
from mialib.closeness import class_means, correlations, distances
from mialib.convolution import CNN
from mialib.datasets import Dataset, array_sha256
from mialib.experiment import Experiment, run
from mialib.inversion import Flat, Inversion, Noise, Reconstructions, invert, summary, turn_inside_out
from mialib.models import NN, ReLU
from mialib.provenance import Provenance
from mialib.seeding import children
from mialib.training import Epochs, Recipe, fit_stack

SHAPE = (8, 8)
ARCHITECTURES = [NN((16,)), NN((), ReLU()), CNN(((4, 3),), (8,)), CNN(((4, 3),), (8,), ReLU())]


@pytest.fixture(scope="module")
def squares():
    """Images of three classes: a bright square in one of three corners, over noise."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 300)
    x = rng.integers(0, 80, (300, *SHAPE))
    for c, (row, column) in enumerate(((0, 0), (0, 4), (4, 0))):
        x[y == c, row : row + 4, column : column + 4] += 150
    return x.astype(np.uint8), y


def trained(architecture, squares, n_models=2):
    recipe = Recipe(architecture, Epochs(15), batch_size=20, learning_rate=0.01)
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


@pytest.fixture(scope="module")
def inverted(squares, tmp_path_factory):
    x, y = squares
    data = Dataset(x, y, 3, Provenance("toy", "stand-in", "generated", "none", array_sha256(x, y)))
    recipe = Recipe(CNN(((4, 3),), (8,)), Epochs(15), batch_size=20, learning_rate=0.01)
    cache = ModelCache(tmp_path_factory.mktemp("models"))
    result = run(Experiment(70, 3, recipe), data, cache)
    methods = {"black": Inversion(learning_rate=1), "grey": Inversion(Flat(0.5), max_steps=0)}
    return turn_inside_out(result, methods, cache=cache)


def test_the_target_is_inverted_and_the_models_are_those_of_the_attack(inverted):
    target = inverted.stack.models(slice(0, 1))
    vectors = target.predict_proba(inverted.result.data.x, inverted.result.split.target_in[None])[0]
    np.testing.assert_array_equal(vectors, inverted.result.target.vectors[:70])
    np.testing.assert_array_equal(inverted.images["black"], invert(Inversion(learning_rate=1), target, SHAPE).images[0])
    reached = inverted.reached(0.9)
    assert reached["black"]["classes that reach the confidence"] == 1
    assert reached["black"]["put into their class by shadow models"] > 0.9
    assert reached["grey"]["median steps"] == 0
    assert reached["grey"]["put into their class by shadow models"] == pytest.approx(1 / 3)


def test_no_picture_is_a_record(inverted):
    records = pixels(inverted.result.data.x)
    rows = inverted.pictures()
    assert list(rows) == ["class mean", "from black", "from black, stretched", "from grey", "from grey, stretched"]
    for images in rows.values():
        assert images.shape == (3, *SHAPE)
        assert distances(images, records).min() > 0.01
    stretched = rows["from black, stretched"]
    np.testing.assert_allclose(stretched.min(axis=(1, 2)), 0)
    np.testing.assert_allclose(stretched.max(axis=(1, 2)), 1)
    np.testing.assert_array_equal(rows["from grey, stretched"], 0.5)


def test_nearest_records_are_of_their_side_and_class(inverted):
    split, data = inverted.result.split, inverted.result.data
    for name, rows in (("nearest training image", split.target_in), ("nearest unseen image", split.target_out)):
        for c, image in enumerate(inverted.nearest("black")[name]):
            of_class = pixels(data.x[rows[data.y[rows] == c]])
            assert distances(image[None], of_class).min() == 0
            from_start = distances(inverted.images["black"][c : c + 1], of_class)
            own = distances(inverted.images["black"][c : c + 1], image[None]).item()
            assert own == pytest.approx(from_start.min())


def test_the_numbers_of_an_inverted_target(inverted):
    closeness, aucs = inverted.closeness("black", 30), inverted.membership_aucs()
    assert closeness["a class mean"]["distance to the class mean"] == pytest.approx(0, abs=1e-6)
    assert closeness["a class mean"]["correlation with the class mean, in features"] <= 1
    assert closeness["plain grey"]["correlation with the class mean"] == 0
    assert closeness["a reconstruction"]["nearest mean is its own"] == 1
    numbers = summary(closeness, aucs, "black")
    near, far = (numbers[f"a reconstruction, distance to the nearest {of} record"] for of in ("training", "held-out"))
    assert numbers["nearest training image nearer by"] == pytest.approx((far - near) / far)
    assert numbers["shadow AUC"] == inverted.result.auc
    assert 0.35 < numbers["inversion AUC"] < 0.65
    assert set(aucs) == {"shadow AUC"} | {
        f"inversion AUC from {s}{v}" for s in ("black", "grey") for v in ("", ", in features")
    }


def test_distance_to_a_copy_tells_the_member(inverted):
    """A reconstruction that is a member of each class gives that member away."""
    split, data = inverted.result.split, inverted.result.data
    rows = split.target_in
    copies = np.stack([pixels(data.x)[rows[data.y[rows] == c][0]] for c in range(3)])
    made = Reconstructions(copies[None], np.ones((1, 3)), np.zeros((1, 3), int))
    told = replace(inverted, made={"copied": made})
    assert told.closeness("copied", 30)["a reconstruction"]["distance to the nearest training record"] == 0
    assert told.closeness("copied", 30)["a reconstruction"]["nearest record is a training record"] == 1
