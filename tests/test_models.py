import numpy as np
import pytest
import torch

from mialib.models import NN, ReLU, Tanh


@pytest.mark.parametrize("architecture", [NN((), Tanh()), NN((7,), Tanh()), NN((9, 5), Tanh()), NN((6,), ReLU())])
def test_gradient_written_by_hand_is_autograds(architecture, rng):
    stack = architecture.stack(3, 10, 4)
    stack.initialise([np.random.default_rng(m) for m in range(3)])
    x = torch.from_numpy(rng.normal(size=(3, 8, 10)).astype(np.float32))
    y = torch.from_numpy(rng.integers(0, 4, (3, 8)))
    written = torch.zeros_like(stack.parameters)
    stack.write_gradient(x, y, written)

    activation = {Tanh(): torch.tanh, ReLU(): torch.relu}[architecture.activation]
    flat = stack.parameters.clone().requires_grad_()
    value = x
    *hidden, last = stack.layers(flat)
    for weights, biases in hidden:
        value = activation(value @ weights + biases)
    logits = value @ last[0] + last[1]
    torch.nn.functional.cross_entropy(logits.reshape(-1, 4), y.reshape(-1), reduction="sum").div(8).backward()
    assert written.abs().max() > 0.01
    torch.testing.assert_close(written, flat.grad, rtol=1e-4, atol=1e-6)


def test_initial_parameters_lie_within_one_over_root_of_fan_in():
    stack = NN((50,)).stack(1, 400, 3)
    stack.initialise([np.random.default_rng(0)])
    (first, first_bias), (second, _) = stack.layers(stack.parameters)
    assert first.abs().max() <= 1 / 20
    assert first.abs().max() > 0.99 / 20
    assert first_bias.abs().max() > 0.8 / 20
    assert second.abs().max() <= 1 / np.sqrt(50)


def test_prediction_vectors_do_not_depend_on_how_they_are_asked_for(rng):
    stack = NN((5,)).stack(2, 6, 3)
    stack.initialise([np.random.default_rng(m) for m in range(2)])
    x = (rng.random((20, 6)) < 0.5).astype(np.uint8)
    whole = stack.predict_proba(x)
    assert whole.shape == (2, 20, 3)
    np.testing.assert_allclose(whole.sum(axis=2), 1, rtol=1e-5)
    np.testing.assert_allclose(stack.predict_proba(x, batch_size=7), whole, rtol=1e-5)
    index = rng.integers(0, 20, (2, 9))
    asked = stack.predict_proba(x, index)
    np.testing.assert_allclose(asked, np.stack([whole[m, index[m]] for m in range(2)]), rtol=1e-5)
    np.testing.assert_allclose(stack.models(slice(1, 2)).predict_proba(x)[0], whole[1], rtol=1e-5)


def test_no_records_give_no_vectors():
    assert NN().stack(1, 6, 3).predict_proba(np.empty((0, 6))).shape == (1, 0, 3)
