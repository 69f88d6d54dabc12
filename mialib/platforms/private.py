"""Differentially private training, DP-SGD by Opacus, as a platform (§IX); and what it promises.

Every record's gradient is clipped, and noise is added to their sum. How much noise keeps (ε, δ) is
computed by an accountant. The models come back as a stack like those of any other recipe.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache

import joblib
import numpy as np
import torch

from mialib import metrics
from mialib.base.machine import one_thread
from mialib.base.seeding import children
from mialib.base.validate import check_integer
from mialib.datasets.features import scaled
from mialib.models.cache import ModelCache, model_keys
from mialib.models.stack import NN
from mialib.models.training import fetch_or_fit

MUCH = 20_000
"""Updates from which processes are worth their start of some seconds."""

ACCOUNTANTS = ("prv", "rdp")
"""Of Opacus: privacy loss random variables (Gopi et al. 2021), and Rényi differential privacy (Mironov 2017)."""


def accuracy_bound(epsilon, delta=0.0):
    """Return the largest accuracy of any membership inference under (ε, δ) differential privacy (float, 0.5 to 1).

    With as many members as non-members, (e^ε + δ) / (e^ε + 1): true positives are at most e^ε times the false
    positives, plus δ, and the same for negatives (Kairouz et al. 2015). ε and δ are for the change of the training set
    that decides membership.
    """
    return (1 + delta * math.exp(-epsilon)) / (1 + math.exp(-epsilon))


def exchanged(epsilon, delta):
    """Return (ε, δ) for one record exchanged for another, from that for one added or removed: two steps of it."""
    return 2 * epsilon, min(1.0, delta * (1 + math.exp(min(epsilon, 700.0))))


def epsilon_found(member, inferred, delta=0.0):
    """Return a lower bound on ε from what an attack inferred of a target's records (float, at least 0).

    The least ε that true and false positive rates allow at the ends of their exact intervals (Clopper and Pearson),
    which hold together with a confidence of 95 %. Records are taken for independent trials. `member` and `inferred` are
    arrays of bool.
    """
    member, inferred = np.asarray(member, bool), np.asarray(inferred, bool)
    true, false = metrics.recall(member, inferred).low, metrics.recall(~member, inferred).high
    sides = [(true - delta) / false, (1 - false - delta) / (1 - true)]
    return max(0.0, *(math.log(side) if side > 0 else 0.0 for side in sides))


@dataclass(frozen=True)
class DPSGD:
    """Trains so that no record shows: DP-SGD with Adam's steps, by Opacus (Abadi et al. 2016).

    Parameters
    ----------
    epsilon : float
        Of (ε, δ) differential privacy for one record added or removed; ``inf`` clips without noise.
    delta : float
        Should be well below one divided by the number of records.
    architecture : NN
        Dropout is not supported.
    epochs : int
        Passes over the training records, in expectation.
    batch_size : int
        Records of an update, in expectation: each joins with the same probability (Poisson sampling).
    learning_rate : float
    max_grad_norm : float
        Length to which a record's gradient is clipped.
    accountant : {"prv", "rdp"}

    Raises
    ------
    ValueError
        If a number is out of its range, or there is no such accountant.
    """

    epsilon: float
    delta: float = 1e-5
    architecture: NN = NN()
    epochs: int = 20
    batch_size: int = 200
    learning_rate: float = 5e-3
    max_grad_norm: float = 1.0
    accountant: str = "prv"

    def __post_init__(self):
        check_integer("epochs", self.epochs, 1)
        check_integer("batch_size", self.batch_size, 1)
        for name in ("epsilon", "learning_rate", "max_grad_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta is {self.delta}; it must lie between 0 and 1")
        if self.accountant not in ACCOUNTANTS:
            raise ValueError(f"there is no accountant {self.accountant!r}; there are {' and '.join(ACCOUNTANTS)}")
        if not isinstance(self.architecture, NN) or self.architecture.dropout:
            raise ValueError(f"DP-SGD trains an NN without dropout, not {self.architecture}")

    def sampling(self, n_records):
        """Return the probability with which a record joins an update, and the number of updates."""
        rate = min(1.0, self.batch_size / n_records)
        return rate, math.ceil(self.epochs / rate)

    def noise_multiplier(self, n_records):
        """Return the standard deviation of the noise, in units of `max_grad_norm`, that keeps (ε, δ)."""
        if self.epsilon == math.inf:
            return 0.0
        return _noise_multiplier(self.epsilon, self.delta, *self.sampling(n_records), self.accountant)

    def spent(self, n_records, accountant=None):
        """Return the ε that training on so many records spends at `delta`, as its accountant, or another, counts."""
        if self.epsilon == math.inf:
            return math.inf
        counting = accountant or self.accountant
        return _spent(self.noise_multiplier(n_records), self.delta, *self.sampling(n_records), counting)

    def accounting(self, n_records):
        """Return the noise on so many records, and the ε that each accountant counts, a dict of str to float."""
        spent = {f"epsilon, {accountant}": self.spent(n_records, accountant) for accountant in ACCOUNTANTS}
        return {"noise multiplier": self.noise_multiplier(n_records), **spent}

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return M models as a stack; the arguments are those of `Recipe.train`.

        A ModuleNotFoundError says if Opacus, the extra ``privacy``, is not installed.
        """
        try:
            import opacus
        except ImportError as error:
            raise ModuleNotFoundError('DP-SGD needs Opacus; pip install -e ".[privacy]"') from error
        keys = model_keys(_Trained(self, opacus.__version__), data.fingerprint, index, seeds)

        def fit(missing):
            rows = self._fitted(data, [(index[i], seeds[i]) for i in missing], n_jobs)
            return (([position], [row]) for position, row in enumerate(rows))

        parameters = fetch_or_fit(keys, fit, cache or ModelCache(), f"epsilon {self.epsilon:g}")
        stack = self.architecture.stack(0, data.x.shape[1:], data.n_classes)
        return stack.with_parameters(torch.from_numpy(parameters))

    def _fitted(self, data, models, n_jobs):
        if not models:
            return iter(())
        n = len(models[0][0])
        noise, (_, steps) = self.noise_multiplier(n), self.sampling(n)
        jobs = (
            joblib.delayed(_fit)(
                self, scaled(data.x[rows]).astype(np.float32, copy=False), data.y[rows], data.n_classes, seed, noise
            )
            for rows, seed in models
        )
        return joblib.Parallel(n_jobs if steps * len(models) > MUCH else 1, return_as="generator")(jobs)


@dataclass(frozen=True)
class _Trained:
    """What decides a model, besides training records and seed."""

    recipe: DPSGD
    opacus: str


@cache
def _noise_multiplier(epsilon, delta, rate, steps, accountant):
    from opacus.accountants.utils import get_noise_multiplier

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Optimal order")  # a first guess, which the search improves
        return get_noise_multiplier(
            target_epsilon=epsilon, target_delta=delta, sample_rate=rate, steps=steps, accountant=accountant
        )


@cache
def _spent(noise, delta, rate, steps, accountant):
    from opacus.accountants import create_accountant

    counting = create_accountant(accountant)
    counting.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Optimal order")
        return float(counting.get_epsilon(delta=delta))


def _fit(recipe, x, y, n_classes, seed, noise):
    """Return one trained model's parameters, as a row of a stack."""
    from opacus.grad_sample import GradSampleModuleFastGradientClipping
    from opacus.optimizers import DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    initial, sampling, noising = children(seed, 3)
    stack = recipe.architecture.stack(1, x.shape[1:], n_classes)
    stack.initialise([np.random.default_rng(initial)])
    inside, draw = _module(stack), np.random.default_rng(sampling)
    x, y, (rate, steps) = torch.from_numpy(x), torch.from_numpy(y), recipe.sampling(len(x))
    with one_thread(), torch.enable_grad(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Full backward hook")  # of Opacus's own hooks, on the first layer
        module = GradSampleModuleFastGradientClipping(inside, max_grad_norm=recipe.max_grad_norm)
        optimiser = DPOptimizerFastGradientClipping(
            torch.optim.Adam(module.parameters(), recipe.learning_rate),
            noise_multiplier=noise,
            max_grad_norm=recipe.max_grad_norm,
            expected_batch_size=rate * len(x),
            generator=torch.Generator().manual_seed(int(np.random.default_rng(noising).integers(2**62))),
        )
        loss = DPLossFastGradientClipping(module, optimiser, torch.nn.CrossEntropyLoss())
        for _ in range(steps):
            batch = np.flatnonzero(draw.random(len(x)) < rate)
            if len(batch):
                loss(module(x[batch]), y[batch]).backward()
            else:  # no record's gradient, and the noise all the same: the accountant counts it
                for parameter in module.parameters():
                    parameter.grad = torch.zeros_like(parameter)
            optimiser.step()
            optimiser.zero_grad()
    for linear, (weights, biases) in zip(_linears(inside), stack.layers(stack.parameters), strict=True):
        weights[0].copy_(linear.weight.detach().T)
        biases[0, 0].copy_(linear.bias.detach())
    return stack.parameters[0].numpy()


class _Activation(torch.nn.Module):
    def __init__(self, activation):
        super().__init__()
        self._activation = activation

    def forward(self, z):
        return self._activation.forward(z)


def _module(stack):
    """Return the first model of a stack as torch layers."""
    parts = []
    for weights, biases in stack.layers(stack.parameters):
        linear = torch.nn.Linear(*weights.shape[1:])
        with torch.no_grad():
            linear.weight.copy_(weights[0].T)
            linear.bias.copy_(biases[0, 0])
        parts += [linear, _Activation(stack.architecture.activation)]
    return torch.nn.Sequential(*parts[:-1])


def _linears(module):
    return [part for part in module if isinstance(part, torch.nn.Linear)]
