from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from mialib.base.seeding import child, children
from mialib.datasets.dataset import Dataset
from mialib.datasets.generated import binary_records, images
from mialib.models import blas, training
from mialib.models.batches import is_sparse
from mialib.models.blas import LARGE
from mialib.models.cnn import CNN
from mialib.models.kernels import BFloat16, Float32
from mialib.models.stack import NN, ReLU
from mialib.models.training import SGD, Adam, Recipe, _Shuffled, fit_blocks, fit_stack

RECIPE = Recipe(NN((16,)), epochs=6, batch_size=20)


@dataclass
class Kind:
    """Models to be trained, in each of the ways that the engine has."""

    recipe: Recipe
    data: Dataset
    index: np.ndarray
    seeds: list

    def together(self):
        return fit(self.recipe, self.data, self.index, self.seeds).parameters.numpy()


@pytest.fixture(
    params=["dense", "sparse", "odd", "large", "images", "images in bfloat16", "dropout", "dropout of images"]
)
def kind(request, data, index):
    seeds = children(5, len(index))
    if request.param == "dense":
        return Kind(RECIPE, data, index, seeds)
    if request.param == "dropout":
        return Kind(replace(RECIPE, architecture=NN((13, 9), dropout=0.3)), data, index, seeds)
    if request.param == "sparse":
        x, y = binary_records(600, 50, 4, rate=-3.0, spread=0.5, separation=0.7, seed=3)
        assert is_sparse(x)
        assert not is_sparse(data.x)
        return Kind(RECIPE, replace(data, x=x, y=y), index, seeds)
    if request.param == "odd":
        x = np.random.default_rng(0).normal(size=(600, 43)).astype(np.float32)
        recipe = Recipe(NN((13, 9)), epochs=3, batch_size=11)
        return Kind(recipe, replace(data, x=x, y=data.y % 3, n_classes=3), index, seeds)
    if request.param == "large":
        x = np.random.default_rng(0).normal(size=(600, 500)).astype(np.float32)
        recipe = Recipe(NN((120,)), epochs=1, batch_size=40)
        assert LARGE < 40 * 500 * 120
        return Kind(recipe, replace(data, x=x), index, seeds)
    x, y = images(600, 4, 30, seed=3)
    dropout = 0.5 if request.param == "dropout of images" else 0
    products = BFloat16() if request.param == "images in bfloat16" else Float32()
    recipe = Recipe(CNN(((4, 5), (6, 3)), (16,), products=products, dropout=dropout), epochs=1, batch_size=20)
    return Kind(recipe, replace(data, x=x, y=y), index, seeds)


@pytest.fixture
def index(data, rng):
    return np.stack([rng.choice(len(data), 90, replace=False) for _ in range(7)])


def fit(recipe, data, index, seeds):
    """Train on one thread, as blocks do: what a convolution sums up in which order depends on threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return fit_stack(recipe, data.x, data.y, data.n_classes, index, seeds)
    finally:
        torch.set_num_threads(threads)


def test_a_stack_equals_models_trained_one_by_one(kind):
    together = kind.together()
    alone = [
        Kind(kind.recipe, kind.data, kind.index[m : m + 1], kind.seeds[m : m + 1]).together()[0]
        for m in range(len(kind.index))
    ]
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize("kind", ["large"], indirect=True)
def test_so_it_does_by_either_library(kind, monkeypatch):
    """Where the processor is another's, large products are another library's, which rounds otherwise."""
    by_library = []
    for is_intel in (True, False):
        monkeypatch.setattr(blas, "is_intel", lambda is_intel=is_intel: is_intel)
        test_a_stack_equals_models_trained_one_by_one(kind)
        by_library.append(kind.together())
    np.testing.assert_allclose(*by_library, atol=1e-4)


def test_a_stack_equals_a_plain_pytorch_loop(data, index):
    """The usual loop over nn.Linear and Adam, from the same first parameters and batches."""
    recipe = Recipe(NN((16,)), epochs=4, batch_size=20, learning_rate=0.01, decay=0.05)
    seed = child(5, 0)
    ours = fit(recipe, data, index[:1], [seed])

    first, order = (np.random.default_rng(s) for s in children(seed, 2))
    start = recipe.architecture.stack(1, data.x.shape[1:], data.n_classes)
    start.initialise([first])
    linear = [torch.nn.Linear(data.x.shape[1], 16), torch.nn.Linear(16, data.n_classes)]
    with torch.no_grad():
        for layer, (weights, biases) in zip(linear, start.layers(start.parameters), strict=True):
            layer.weight.copy_(weights[0].T)
            layer.bias.copy_(biases[0, 0])
    model = torch.nn.Sequential(linear[0], torch.nn.Tanh(), linear[1])
    optimiser = torch.optim.Adam(model.parameters())
    stream = _Shuffled(index[0], order)
    for step in range(4 * 90 // 20):
        rows = stream.take(20)
        optimiser.param_groups[0]["lr"] = 0.01 / (1 + step * 0.05)
        optimiser.zero_grad()
        x, y = torch.from_numpy(data.x[rows]).float(), torch.from_numpy(data.y[rows])
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
    with torch.no_grad():
        theirs = torch.softmax(model(torch.from_numpy(data.x).float()), dim=1).numpy()
    np.testing.assert_allclose(ours.predict_proba(data.x)[0], theirs, atol=2e-5)


@pytest.mark.parametrize(
    ("architecture", "l2"), [(NN((16,)), 0.3), (NN((16,), dropout=0.4), 0), (NN((12, 7), ReLU(), dropout=0.25), 0.01)]
)
def test_l2_and_dropout_equal_a_plain_pytorch_loop(data, index, architecture, l2):
    """Autograd through the masks that each model draws for itself, and torch's own Adam with weight decay."""
    recipe = Recipe(architecture, epochs=4, batch_size=20, learning_rate=0.01, optimiser=Adam(l2))
    seeds = children(5, 2)
    ours = fit(recipe, data, index[:2], seeds)
    initial, order, left_out = (np.random.default_rng(s) for s in children(seeds[1], 3))
    start = architecture.stack(1, data.x.shape[1:], data.n_classes)
    start.initialise([initial])
    theirs = [torch.nn.Parameter(t[0].clone()) for layer in start.layers(start.parameters) for t in layer]
    optimiser = torch.optim.Adam(theirs, lr=0.01, weight_decay=l2)
    stream = _Shuffled(index[1], order)
    for _ in range(4 * 90 // 20):
        rows = stream.take(20)
        value = torch.from_numpy(data.x[rows]).float()
        for i, units in enumerate(architecture.hidden):
            value = architecture.activation.forward(value @ theirs[2 * i] + theirs[2 * i + 1])
            if architecture.dropout:
                seated = left_out.random((20, units), np.float32) >= architecture.dropout
                value = value * torch.from_numpy(seated) / (1 - architecture.dropout)
        optimiser.zero_grad()
        logits = value @ theirs[-2] + theirs[-1]
        torch.nn.functional.cross_entropy(logits, torch.from_numpy(data.y[rows])).backward()
        optimiser.step()
    for layer, expected in zip(ours.layers(ours.parameters), zip(theirs[::2], theirs[1::2], strict=True), strict=True):
        for found, parameter in zip(layer, expected, strict=True):
            np.testing.assert_allclose(found[1].numpy().reshape(parameter.shape), parameter.detach().numpy(), atol=2e-4)


def test_nothing_is_left_out_of_an_answer(data, index):
    stack = fit(replace(RECIPE, architecture=NN((16,), dropout=0.5)), data, index[:1], children(5, 1))
    np.testing.assert_array_equal(stack.predict_proba(data.x), stack.predict_proba(data.x))
    plain = NN((16,)).stack(0, data.x.shape[1:], data.n_classes).with_parameters(stack.parameters)
    np.testing.assert_array_equal(stack.predict_proba(data.x), plain.predict_proba(data.x))


@pytest.mark.parametrize("share", [-0.1, 1, float("nan")])
@pytest.mark.parametrize("architecture", [NN, CNN])
def test_a_share_of_units_is_at_least_none_and_not_all(architecture, share):
    with pytest.raises(ValueError, match=f"dropout is {share}; it must be at least 0 and below 1"):
        architecture(dropout=share)


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_adam_is_the_same_where_torch_has_no_fused_kernel_of_that_name(data, index, l2, monkeypatch):
    recipe = replace(RECIPE, optimiser=Adam(l2))
    fused = fit(recipe, data, index[:2], children(0, 2)).parameters
    monkeypatch.delattr(torch, "_fused_adam_")
    public = fit(recipe, data, index[:2], children(0, 2)).parameters
    np.testing.assert_allclose(public, fused, atol=1e-5)
    assert not torch.equal(fused, fit(replace(recipe, optimiser=SGD(l2)), data, index[:2], children(0, 2)).parameters)


@pytest.mark.parametrize("optimiser", [Adam, SGD])
def test_a_negative_penalty_is_refused(optimiser):
    with pytest.raises(ValueError, match="l2 is -1; it must be at least 0"):
        optimiser(-1)


def blocks(kind, n_jobs, block_size, much=training.MUCH):
    """Return the parameters of all models, in order, as trained in blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "MUCH", much)
        found = fit_blocks(
            kind.recipe, kind.data.x, kind.data.y, kind.data.n_classes, kind.index, kind.seeds, block_size, n_jobs
        )
        positions, parameters = zip(*sorted(found, key=lambda block: block[0][0]), strict=True)
    assert [i for block in positions for i in block] == list(range(len(kind.index)))
    return np.concatenate(parameters)


@pytest.mark.parametrize("block_size", [1, 2, 5, 7])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_number_depends_on_blocks_or_workers(kind, block_size, n_jobs):
    threads = torch.get_num_threads()
    np.testing.assert_array_equal(blocks(kind, n_jobs, block_size), kind.together())
    assert torch.get_num_threads() == threads


def test_no_number_depends_on_whether_workers_are_processes(kind):
    np.testing.assert_array_equal(blocks(kind, 2, 3, much=0), kind.together())


def test_every_worker_gets_models(data, index, monkeypatch):
    sizes = []
    monkeypatch.setattr(training, "_fit_block", lambda block, *_: sizes.append(len(block)) or (block, None))
    list(fit_blocks(RECIPE, data.x, data.y, data.n_classes, index[:4], children(5, 4), 5, n_jobs=2))
    assert sizes == [2, 2]
    assert list(fit_blocks(RECIPE, data.x, data.y, data.n_classes, [], [], 5)) == []


def test_work_is_counted_in_multiplications():
    recipe = Recipe(NN((128,)), epochs=3, batch_size=100)
    assert training._multiplications(recipe, np.empty((1, 600)), 10, [range(50)] * 4) == 4 * 200 * (600 * 128 + 1280)
    images, filters = np.empty((1, 32, 32, 3)), 28 * 28 * 32 * 75 + 12 * 12 * 32 * 288
    cnn = replace(recipe, architecture=CNN())
    assert training._multiplications(cnn, images, 10, [range(50)]) == 200 * (filters + 1152 * 128 + 1280)


def test_models_of_different_sizes_train_together_for_a_number_of_steps(data):
    recipe = Recipe(NN((8,), ReLU()), steps=30, batch_size=16)
    index = [np.arange(5), np.arange(100, 180), np.arange(300, 310)]
    seeds = children(1, 3)
    together = fit(recipe, data, index, seeds).parameters
    for m in range(3):
        assert torch.equal(together[m], fit(recipe, data, index[m : m + 1], seeds[m : m + 1]).parameters[0])


def test_the_target_learns_its_records_by_heart(data, index):
    stack = fit(Recipe(NN((64,)), epochs=150, batch_size=10), data, index[:1], children(0, 1))
    predicted = stack.predict_proba(data.x[index[0]])[0].argmax(axis=1)
    assert np.mean(predicted == data.y[index[0]]) == 1


def test_every_record_is_seen_once_a_pass():
    stream = _Shuffled(np.arange(10, 17), np.random.default_rng(0))
    taken = np.concatenate([stream.take(n) for n in (3, 5, 20, 7)])
    passes = taken.reshape(5, 7)
    np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(10, 17), (5, 1)))
    assert len({tuple(p) for p in passes}) == 5


def test_length_of_training():
    assert Recipe(epochs=3, batch_size=20).n_steps(50) == 8
    assert Recipe(steps=3, batch_size=20).n_steps(50) == 3
    assert Recipe().epochs == 200


def test_same_seed_same_model_other_seed_other_model(data, index):
    first, again, other = (fit(RECIPE, data, index[:1], [child(s, 0)]).parameters for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_global_random_state_is_left_alone(data, index):
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    fit(RECIPE, data, index[:1], children(0, 1))
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": -1}, "epochs is -1"),
        ({"steps": 1.5}, "steps is 1.5"),
        ({"epochs": 2, "steps": 3}, "epochs is 2 and steps is 3; give one of them"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; it must be positive"),
        ({"decay": -1.0}, "decay is -1.0"),
    ],
)
def test_a_recipe_names_its_bad_field(fields, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**fields)


def test_bad_sets_are_refused(data):
    with pytest.raises(ValueError, match="no training records"):
        fit(RECIPE, data, [np.arange(0)], children(0, 1))
    with pytest.raises(ValueError, match="models of 5 to 9 records cannot share epochs"):
        fit(RECIPE, data, [np.arange(5), np.arange(9)], children(0, 2))


def test_divergence_is_an_error(data, index):
    with pytest.raises(FloatingPointError, match="learning_rate below 1e"):
        fit(Recipe(NN((8,)), epochs=3, learning_rate=1e38), data, index[:1], children(0, 1))
