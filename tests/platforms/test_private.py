import math
import sys
from dataclasses import replace

import joblib
import numpy as np
import pytest
import torch

from mialib.attack.comparisons import promised_and_measured
from mialib.attack.experiment import Experiment, run
from mialib.base.seeding import children
from mialib.models.cache import ModelCache
from mialib.models.cnn import CNN
from mialib.models.stack import NN, ReLU
from mialib.platforms import private
from mialib.platforms.private import DPSGD, accuracy_bound, epsilon_found, exchanged

FREE = DPSGD(math.inf, architecture=NN((16,)), epochs=30, batch_size=50, learning_rate=0.01)


@pytest.mark.parametrize("clip", [0.05, 100.0])
@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("batch_size", [90, 30])
def test_training_is_dp_sgd_as_written(data, monkeypatch, clip, noise, batch_size):
    """Gradients of single records by torch.func, clipped, summed, noise added, divided by the expected batch."""
    monkeypatch.setattr(DPSGD, "noise_multiplier", lambda self, n: noise)
    recipe = DPSGD(1, 1e-5, NN((7,), ReLU()), 3, batch_size, 0.01, clip)
    rows, seed = np.arange(30, 120), children(3, 1)[0]
    found = recipe.train(data, rows[None], [seed])

    initial, sampling, noising = children(seed, 3)
    start = recipe.architecture.stack(1, data.x.shape[1:], 4)
    start.initialise([np.random.default_rng(initial)])
    parameters = [t[0].T if t[0].shape[0] > 1 else t[0, 0] for layer in start.layers(start.parameters) for t in layer]
    parameters = [torch.nn.Parameter(p.clone()) for p in parameters]
    optimiser = torch.optim.Adam(parameters, 0.01)
    draw = np.random.default_rng(sampling)
    generator = torch.Generator().manual_seed(int(np.random.default_rng(noising).integers(2**62)))

    def loss(ps, x, y):
        logits = torch.relu(x @ ps[0].T + ps[1]) @ ps[2].T + ps[3]
        return torch.nn.functional.cross_entropy(logits, y)

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))
    for _ in range(math.ceil(3 * 90 / batch_size)):
        batch = rows[draw.random(90) < batch_size / 90]
        x, y = torch.from_numpy(data.x[batch]).float(), torch.from_numpy(data.y[batch])
        gradients = each([p.detach() for p in parameters], x, y)
        norms = torch.stack([g.flatten(1).norm(dim=1) for g in gradients]).norm(dim=0)
        factors = (clip / norms).clamp(max=1)
        for p, g in zip(parameters, gradients, strict=True):
            summed = torch.tensordot(factors, g, 1)
            p.grad = (summed + torch.normal(0.0, noise * clip, p.shape, generator=generator) * (noise > 0)) / batch_size
        optimiser.step()
    expected = [p.detach().numpy() for p in parameters]
    for (weights, biases), w, b in zip(found.layers(found.parameters), expected[::2], expected[1::2], strict=True):
        np.testing.assert_allclose(weights[0].numpy(), w.T, atol=2e-4)
        np.testing.assert_allclose(biases[0, 0].numpy(), b, atol=2e-4)


def test_an_update_without_records_has_the_noise_that_the_accountant_counts(data, monkeypatch):
    """At one record of 20 in expectation, a third of all updates has none."""
    from opacus.optimizers import DPOptimizerFastGradientClipping as Optimiser

    added, add_noise = [], Optimiser.add_noise

    def count(self):
        add_noise(self)
        added.append(float(self.params[0].grad.std()))

    monkeypatch.setattr(Optimiser, "add_noise", count)
    recipe = replace(FREE, epsilon=8, epochs=2, batch_size=1)
    recipe.train(data, np.arange(20)[None], children(4, 1))
    assert len(added) == recipe.sampling(20)[1] == 40
    np.testing.assert_allclose(added, recipe.noise_multiplier(20) * recipe.max_grad_norm, rtol=0.2)


@pytest.mark.parametrize("accountant", private.ACCOUNTANTS)
def test_less_epsilon_takes_more_noise_and_what_is_spent_is_what_was_asked(accountant):
    recipes = [replace(FREE, epsilon=e, accountant=accountant) for e in (0.5, 2, 8)]
    noise = [r.noise_multiplier(500) for r in recipes]
    assert noise == sorted(noise, reverse=True)
    for recipe in recipes:
        assert recipe.epsilon - 0.05 < recipe.spent(500) <= recipe.epsilon
    assert (FREE.noise_multiplier(500), FREE.spent(500)) == (0, math.inf)


def test_another_accountant_counts_the_same_noise():
    recipe = replace(FREE, epsilon=2)
    assert recipe.spent(500, "prv") == recipe.spent(500)
    assert recipe.spent(500) < recipe.spent(500, "rdp") < 3  # Rényi's bound is the looser one


def test_a_row_holds_the_promise_and_the_attack(data):
    plain = Experiment(100, 2, replace(FREE, epsilon=2, epochs=2), seed=3)
    result = run(plain, data)
    assert plain.recipe.accounting(100) == {
        "noise multiplier": plain.recipe.noise_multiplier(100),
        "epsilon, prv": plain.recipe.spent(100),
        "epsilon, rdp": plain.recipe.spent(100, "rdp"),
    }
    row = promised_and_measured({"2": result, "inf": run(replace(plain, recipe=FREE), data)})
    assert row["2"]["test accuracy"] == result.target.test_accuracy
    assert row["2"]["attack accuracy"] == np.mean(result.inference.inferred == result.target.member)
    assert (row["2"]["bound"], row["inf"]["bound"]) == (accuracy_bound(2, 1e-5), 1)
    assert row["2"]["epsilon promised"] == 2
    assert row["2"]["epsilon found"] == epsilon_found(result.target.member, result.inference.inferred, 1e-5)
    assert row["2"]["bound, exchanged"] == pytest.approx((math.exp(4) + (1 + math.exp(2)) * 1e-5) / (1 + math.exp(4)))


def test_updates_are_sampled_for_the_expected_passes():
    assert FREE.sampling(200) == (0.25, 120)
    assert FREE.sampling(20) == (1.0, 30)


def test_the_bound_is_reached_by_randomised_response():
    for epsilon in (0.0, 0.5, 2.0):
        truth = math.exp(epsilon) / (1 + math.exp(epsilon))
        assert accuracy_bound(epsilon) == pytest.approx(truth)
    assert accuracy_bound(0, 0) == 0.5
    assert accuracy_bound(math.inf, 1e-5) == 1
    assert accuracy_bound(0, 0.2) == pytest.approx(0.6)  # with probability δ all is told
    assert accuracy_bound(1, 0.3) == pytest.approx((math.e + 0.3) / (math.e + 1))


def test_a_perfect_attack_proves_what_its_records_allow():
    """Of n members all are found, of n others none: the exact ends are q and 1 - q, with q the n-th root of 2.5 %."""
    for n, delta in ((20, 0.0), (1000, 1e-3)):
        q = 0.025 ** (1 / n)
        found = epsilon_found(np.arange(2 * n) < n, np.arange(2 * n) < n, delta)
        assert found == pytest.approx(math.log((q - delta) / (1 - q)))


def test_an_attack_that_guesses_proves_nothing():
    member = np.arange(200) < 100
    assert epsilon_found(member, np.ones(200, bool)) == 0
    assert epsilon_found(member, ~member) == 0
    assert epsilon_found(member, np.arange(200) % 2 == 0) == 0


def test_few_false_negatives_prove_as_much_as_few_false_positives():
    member = np.arange(200) < 100
    inferred = np.arange(200) < 130  # all members are found, and 30 others
    assert epsilon_found(member, inferred) == pytest.approx(epsilon_found(~member, ~inferred))
    assert epsilon_found(member, inferred) > math.log(1 / 0.4)


def test_what_is_proved_of_randomised_response_lies_below_its_epsilon():
    """A bit told truly with probability e^ε / (1 + e^ε) is ε-private; the bound may lie above in 5 of 100 draws."""
    rng, truth, member = np.random.default_rng(0), math.e / (1 + math.e), np.arange(2000) < 1000
    found = [epsilon_found(member, np.where(rng.random(2000) < truth, member, ~member)) for _ in range(200)]
    assert sum(epsilon > 1 for epsilon in found) <= 10
    assert 0.7 < np.mean(found) < 1


def test_an_exchange_is_two_steps():
    assert exchanged(1, 1e-5) == (2, pytest.approx((1 + math.e) * 1e-5))
    assert exchanged(math.inf, 1e-5) == (math.inf, 1.0)
    assert accuracy_bound(*exchanged(0.5, 1e-5)) > accuracy_bound(0.5, 1e-5)


def test_models_stand_alone_come_from_the_cache_and_differ_by_seed_and_epsilon(data, monkeypatch, tmp_path):
    index, seeds = np.arange(300).reshape(3, 100), children(4, 3)
    stack = FREE.train(data, index, seeds)
    assert np.mean(stack.predict_proba(data.x, index).argmax(axis=2) == data.y[index]) > 0.9
    alone = FREE.train(data, index[1:2], seeds[1:2], ModelCache(tmp_path))
    torch.testing.assert_close(alone.parameters[0], stack.parameters[1], rtol=0, atol=1e-6)
    noisy = replace(FREE, epsilon=2).train(data, index[:1], seeds[:1])
    assert not torch.allclose(noisy.parameters[0], stack.parameters[0], atol=1e-2)
    other = FREE.train(data, index[:1], children(5, 1))
    assert not torch.allclose(other.parameters[0], stack.parameters[0], atol=1e-2)
    monkeypatch.setattr(private, "_fit", None)
    assert torch.equal(FREE.train(data, index, seeds).parameters, stack.parameters)


def test_processes_train_the_same(data, monkeypatch, tmp_path):
    index, seeds = np.arange(200).reshape(2, 100), children(4, 2)
    here = replace(FREE, epochs=2).train(data, index, seeds)
    monkeypatch.setattr(private, "MUCH", 0)
    with joblib.parallel_config("loky"):
        there = replace(FREE, epochs=2).train(data, index, seeds, ModelCache(tmp_path), n_jobs=2)
    torch.testing.assert_close(there.parameters, here.parameters, rtol=0, atol=1e-6)


def test_privacy_closes_what_overfitting_opens(data):
    plain = Experiment(120, 6, replace(FREE, epochs=100), seed=3)
    free, bound = run(plain, data), accuracy_bound(0.5, 1e-5)
    kept = run(replace(plain, recipe=replace(plain.recipe, epsilon=0.5)), data)
    assert free.numbers()["accuracy"].low > bound
    assert kept.numbers()["accuracy"].low <= bound
    assert kept.numbers()["AUC"].low <= 0.5 <= kept.numbers()["AUC"].high


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epsilon": 0}, "epsilon is 0; it must be positive"),
        ({"epsilon": math.nan}, "epsilon is nan"),
        ({"delta": 0}, "delta is 0; it must lie between 0 and 1"),
        ({"delta": 1}, "delta is 1"),
        ({"epochs": 0}, "epochs is 0; it must be a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"max_grad_norm": -1}, "max_grad_norm is -1"),
        ({"accountant": "moments"}, "there is no accountant 'moments'; there are prv and rdp"),
        ({"architecture": NN(dropout=0.5)}, "DP-SGD trains an NN without dropout"),
        ({"architecture": CNN()}, "DP-SGD trains an NN without dropout"),
    ],
)
def test_bad_settings_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        DPSGD(**{"epsilon": 1, **fields})


def test_without_opacus_the_error_says_what_to_install(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "opacus", None)
    with pytest.raises(ModuleNotFoundError, match=r"DP-SGD needs Opacus; pip install -e \"\.\[privacy\]\""):
        FREE.train(data, np.arange(100)[None], children(0, 1))
