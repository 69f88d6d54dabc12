import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from mialib.base import machine
from mialib.models import kernels
from mialib.models.batches import DenseBatch
from mialib.models.cnn import CNN
from mialib.models.kernels import BFloat16, Float32
from mialib.models.stack import NN, ReLU, Tanh

CONVOLUTIONS = ((4, 3), (5, 2))


def first_parameters(architecture, n_models, shape, n_classes):
    stack = architecture.stack(n_models, shape, n_classes)
    stack.initialise([np.random.default_rng(m) for m in range(n_models)])
    return stack


def written_gradient(stack, x, y):
    gradient = torch.zeros_like(stack.parameters)
    with torch.no_grad():
        stack.write_gradient(DenseBatch(x), y[..., None], stack.layers(gradient))
    return gradient


def mean_cross_entropy(logits, y):
    return F.cross_entropy(logits.reshape(-1, logits.shape[2]), y.reshape(-1), reduction="sum") / y.shape[1]


def torch_activation(architecture):
    return {Tanh(): torch.tanh, ReLU(): torch.relu}[architecture.activation]


def dense_logits(architecture, layers, value):
    *hidden, last = layers
    for weights, biases in hidden:
        value = torch_activation(architecture)(value @ weights + biases)
    return value @ last[0] + last[1]


@pytest.mark.parametrize("architecture", [NN((), Tanh()), NN((7,), Tanh()), NN((9, 5), Tanh()), NN((6,), ReLU())])
def test_gradient_written_by_hand_is_autograds(architecture, rng):
    stack = first_parameters(architecture, 3, (10,), 4)
    x = torch.from_numpy(rng.normal(size=(3, 8, 10)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 4, (3, 8)))
    written = written_gradient(stack, x, y)

    flat = stack.parameters.clone().requires_grad_()
    mean_cross_entropy(dense_logits(architecture, stack.layers(flat), x), y).backward()
    assert written.abs().max() > 0.01
    torch.testing.assert_close(written, flat.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("activation", [Tanh(), ReLU()])
@pytest.mark.parametrize("hidden", [(6,), (), (6, 5)])
def test_the_gradient_of_convolutions_is_autograds(activation, hidden, rng, monkeypatch):
    """Against the usual order: convolution, activation, pooling."""
    architecture = CNN(CONVOLUTIONS, hidden, activation, Float32())
    stack = first_parameters(architecture, 2, (12, 10, 3), 4)
    monkeypatch.setattr(stack, "_images_a_part", 3)  # the parts of a batch differ in size
    images = torch.from_numpy(rng.random((2, 8, 12, 10, 3)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 4, (2, 8)))
    written = written_gradient(stack, images.flatten(2), y)

    flat = stack.parameters.clone().requires_grad_()
    first, second, *dense = stack.layers(flat)
    of_models = []
    for m in range(2):
        value = images[m].permute(0, 3, 1, 2)
        for (n_filters, size), (weights, biases) in zip(CONVOLUTIONS, (first, second), strict=True):
            filters = weights[m].reshape(size, size, -1, n_filters).permute(3, 2, 0, 1)
            value = F.max_pool2d(torch_activation(architecture)(F.conv2d(value, filters, biases[m, 0])), 2)
        of_models.append(value.permute(0, 2, 3, 1).flatten(1))
    logits = dense_logits(architecture, dense, torch.stack(of_models))
    mean_cross_entropy(logits, y).backward()
    assert written.abs().max() > 0.01
    torch.testing.assert_close(written, flat.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(stack.logits(DenseBatch(images.flatten(2))), logits.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", [NN((16,), products=BFloat16()), CNN(CONVOLUTIONS, (6,), products=BFloat16())])
def test_products_of_bfloat16_are_near_those_of_float32(architecture, rng):
    shape = (12, 12, 1)
    x = torch.from_numpy(rng.random((2, 8, 144)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 4, (2, 8)))
    exact = type(architecture)(**{**vars(architecture), "products": Float32()})
    rounded, precise = (written_gradient(first_parameters(a, 2, shape, 4), x, y) for a in (architecture, exact))
    assert not torch.equal(rounded, precise)
    assert torch.nn.functional.cosine_similarity(rounded, precise).min() > 0.99


def test_images_a_cnn_cannot_take_are_refused():
    with pytest.raises(ValueError, match="a CNN needs images"):
        CNN().stack(1, (600,), 10)
    with pytest.raises(ValueError, match="images of 8 x 8 are too small for filters"):
        CNN().stack(1, (8, 8), 10)


def test_initial_parameters_lie_within_one_over_root_of_fan_in():
    stack = first_parameters(NN((50,)), 1, (400,), 3)
    (first, first_bias), (second, _) = stack.layers(stack.parameters)
    assert first.abs().max() <= 1 / 20
    assert first.abs().max() > 0.99 / 20
    assert first_bias.abs().max() > 0.8 / 20
    assert second.abs().max() <= 1 / np.sqrt(50)


@pytest.mark.parametrize(
    ("architecture", "shape"), [(NN((5,)), (6,)), (CNN(CONVOLUTIONS, (6,)), (12, 12))], ids=["dense", "convolutions"]
)
def test_prediction_vectors_do_not_depend_on_how_they_are_asked_for(architecture, shape, rng, monkeypatch):
    stack = first_parameters(architecture, 2, shape, 3)
    x = (rng.random((20, *shape)) < 0.5).astype(np.uint8)
    whole = stack.predict_proba(x)
    assert whole.shape == (2, 20, 3)
    np.testing.assert_allclose(whole.sum(axis=2), 1, rtol=1e-5)
    index = rng.integers(0, 20, (2, 9))
    asked = stack.predict_proba(x, index)
    np.testing.assert_allclose(asked, np.stack([whole[m, index[m]] for m in range(2)]), rtol=1e-5)
    np.testing.assert_allclose(stack.models(slice(1, 2)).predict_proba(x)[0], whole[1], rtol=1e-5)
    monkeypatch.setattr(stack, "records_a_step", 7)
    np.testing.assert_allclose(stack.predict_proba(x), whole, rtol=1e-5)


def test_pixels_are_seen_as_0_to_1(rng):
    stack = first_parameters(CNN(CONVOLUTIONS, (6,)), 1, (12, 12), 3)
    pixels = rng.integers(0, 256, (5, 12, 12)).astype(np.uint8)
    np.testing.assert_allclose(stack.predict_proba(pixels), stack.predict_proba(pixels / np.float32(255)), rtol=1e-4)


def test_no_records_give_no_vectors():
    assert NN().stack(1, (6,), 3).predict_proba(np.empty((0, 6))).shape == (1, 0, 3)


@pytest.mark.parametrize("activation", [Tanh(), ReLU()])
@pytest.mark.parametrize(
    ("of", "shape"), [(lambda a: NN((7, 5), a), (12, 12)), (lambda a: CNN(CONVOLUTIONS, (6,), a), (12, 12))]
)
def test_autograd_follows_the_logits_to_the_input(of, shape, activation, rng):
    stack = first_parameters(of(activation), 2, shape, 4)
    x = torch.from_numpy(rng.random((2, 3, 144)).astype(np.float32)).requires_grad_()
    logits = stack.followed().logits(DenseBatch(x))
    torch.testing.assert_close(logits.detach(), stack.logits(DenseBatch(x.detach())), rtol=1e-4, atol=1e-6)
    (gradient,) = torch.autograd.grad(logits[..., 1].sum(), x)
    direction, step = gradient / gradient.norm(), 1e-2
    with torch.no_grad():
        up, down = (stack.logits(DenseBatch(x + s * direction))[..., 1].sum() for s in (step, -step))
    assert gradient.norm().item() == pytest.approx((up - down).item() / (2 * step), rel=0.05)


@pytest.mark.parametrize("architecture", [NN((9, 5)), CNN(CONVOLUTIONS, (5,), ReLU())])
def test_features_are_what_the_last_layer_sees(architecture, rng, monkeypatch):
    stack = first_parameters(architecture, 2, (12, 12), 3)
    pixels = rng.integers(0, 256, (8, 12, 12)).astype(np.uint8)
    monkeypatch.setattr(stack, "records_a_step", 3)
    features = torch.from_numpy(stack.features(pixels))
    assert features.shape == (2, 8, 5)
    weights, biases = stack.layers(stack.parameters)[-1]
    vectors = torch.softmax(features @ weights + biases, dim=2).numpy()
    np.testing.assert_allclose(vectors, stack.predict_proba(pixels), rtol=1e-4)


def test_softmax_regression_has_no_features():
    with pytest.raises(ValueError, match="softmax regression has no hidden layer"):
        NN(()).stack(1, (6,), 3).features(np.zeros((1, 6)))


@pytest.mark.parametrize(
    ("flags", "products"),
    [
        ("fpu avx2 avx512f", Float32()),
        ("fpu avx512f avx512_bf16", BFloat16()),
        ("amx_bf16 amx_tile", BFloat16()),
        (None, Float32()),
    ],
)
def test_convolutions_are_in_bfloat16_where_the_processor_multiplies_it(flags, products, monkeypatch):
    monkeypatch.setattr(machine, "_cpuinfo", lambda name: flags)
    monkeypatch.setattr(kernels, "multiplies_bfloat16", machine.multiplies_bfloat16.__wrapped__)  # not what is cached
    assert CNN().products == products
    assert NN().products == Float32()
