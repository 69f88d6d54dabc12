"""Train a stack of models, each on its own records and from its own seed."""

import ctypes
import math
import sys
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import joblib
import numpy as np
import torch

from mialib.base.machine import progress, workers
from mialib.base.seeding import children
from mialib.base.validate import check_integer
from mialib.models.cache import ModelCache, model_key
from mialib.models.stack import NN

LOSSES = 3
"""Workers that may die, their blocks trained again, before training gives up."""

CHUNK = 64
"""Steps whose batches are drawn at once."""

MUCH = 500_000_000_000
"""Multiplications, forward, from which processes are worth their start of some seconds."""


@dataclass(frozen=True)
class Epochs:
    """Train until every record was seen `n` times."""

    n: int

    def steps(self, n_records, batch_size):
        """Return the number of updates, rounded up."""
        return -(-self.n * n_records // batch_size)

    def __str__(self):
        return f"{self.n} epochs"


@dataclass(frozen=True)
class Steps:
    """Train for `n` updates, however many records a model has."""

    n: int

    def steps(self, n_records, batch_size):
        """Return the number of updates."""
        return self.n

    def __str__(self):
        return f"{self.n} steps"


def _check_l2(l2):
    if not l2 >= 0:
        raise ValueError(f"l2 is {l2}; it must be at least 0")


class _AdamSteps:
    """Adam as torch.optim's fused one, without what that does around its kernel at every step."""

    def __init__(self, parameters, gradient, l2):
        self._l2 = l2
        self._tensors = [[parameters], [gradient], [torch.zeros_like(gradient)], [torch.zeros_like(gradient)], []]
        self._step = torch.zeros((), device=parameters.device)

    def step(self, learning_rate):
        self._step += 1
        torch._fused_adam_(
            *self._tensors,
            [self._step],
            lr=learning_rate,
            beta1=0.9,
            beta2=0.999,
            weight_decay=self._l2,
            eps=1e-8,
            amsgrad=False,
            maximize=False,
        )


@dataclass(frozen=True)
class Adam:
    """Adam, with the usual moments.

    Parameters
    ----------
    l2 : float
        Weight λ of the penalty λ/2 · Σθ² on all parameters, whose gradient goes the way of the loss's.
    """

    l2: float = 0.0

    def __post_init__(self):
        _check_l2(self.l2)

    def start(self, parameters, gradient):
        """Return what updates `parameters` by `gradient`, one ``step(learning_rate)`` at a time."""
        return _AdamSteps(parameters, gradient, self.l2)


@dataclass(frozen=True)
class SGD:
    """Plain stochastic gradient descent.

    Parameters
    ----------
    l2 : float
        Weight λ of the penalty λ/2 · Σθ² on all parameters.
    """

    l2: float = 0.0

    def __post_init__(self):
        _check_l2(self.l2)

    def start(self, parameters, gradient):
        """Return what updates `parameters` by `gradient`, one ``step(learning_rate)`` at a time."""
        return _SGDSteps(parameters, gradient, self.l2)


@dataclass
class _SGDSteps:
    parameters: torch.Tensor
    gradient: torch.Tensor
    l2: float

    def step(self, learning_rate):
        if self.l2:
            self.parameters.mul_(1 - learning_rate * self.l2)
        self.parameters.add_(self.gradient, alpha=-learning_rate)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a model is trained, except its records and its seed (§VI-B).

    The paper gives the architecture, learning rate, decay and epochs. It does not give the
    optimiser and the batch size: Adam and 100 are ours (plain SGD at this rate undertrains).

    Parameters
    ----------
    architecture : NN
    length : Epochs or Steps
    batch_size : int
        Records an update. Batches are cut from one endless stream of shuffled passes over a
        model's records, so all batches are full.
    learning_rate : float
        Step size of the optimiser.
    decay : float
        Torch7's learning rate decay: ``learning_rate / (1 + t * decay)`` at update ``t``.
    optimiser : Adam or SGD

    Raises
    ------
    ValueError
        If a number is not positive (`decay` and the length may be 0), or a count is not whole.
    """

    architecture: NN = NN()
    length: Epochs | Steps = Epochs(200)
    batch_size: int = 100
    learning_rate: float = 1e-3
    decay: float = 1e-7
    optimiser: Adam | SGD = Adam()

    def __post_init__(self):
        check_integer(type(self.length).__name__.lower(), self.length.n, 0)
        check_integer("batch_size", self.batch_size, 1)
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be positive")
        if not self.decay >= 0:
            raise ValueError(f"decay is {self.decay}; it must be at least 0")


def default_device():
    """Return the torch device that training runs on: a GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class _Shuffled:
    """An endless stream of a model's records, pass after pass, each pass in a new order."""

    def __init__(self, records, rng):
        self.records, self.rng = records, rng
        self.rest = records[:0]

    def take(self, n):
        parts, missing = [self.rest], n - len(self.rest)
        while missing > 0:
            parts.append(self.rng.permutation(self.records))
            missing -= len(self.records)
        stream = np.concatenate(parts)
        self.rest = stream[n:]
        return stream[:n]


@torch.no_grad()
def fit_stack(recipe, x, y, n_classes, index, seeds, device=None):
    """Train M models together; each comes out as if it had been trained alone.

    Parameters
    ----------
    recipe : Recipe
    x : ndarray, shape (n, ...)
        Records; features are flattened.
    y : ndarray of int, shape (n,)
        True classes, 0 to ``n_classes - 1``.
    n_classes : int
    index : sequence of M ndarrays of int
        The rows that each model is trained on; all of one length if `recipe.length` is `Epochs`.
    seeds : sequence of M SeedSequence
        Each decides one model's first parameters and the order of its records.
    device : torch.device, optional

    Returns
    -------
    DenseStack
        Fitted; see `DenseStack.predict_proba`.

    Raises
    ------
    ValueError
        If a model has no records, or lengths differ where they must not.
    FloatingPointError
        If a parameter is no longer finite at the end.
    """
    sizes = {len(rows) for rows in index}
    if 0 in sizes:
        raise ValueError("a model has no training records; each needs at least one")
    if isinstance(recipe.length, Epochs) and len(sizes) > 1:
        raise ValueError(
            f"models of {min(sizes)} to {max(sizes)} records cannot share Epochs; give Steps, or sets of one size"
        )
    device = device or default_device()
    stack = recipe.architecture.stack(len(index), np.shape(x)[1:], n_classes, device)
    initial, orders, left_out = zip(
        *([np.random.default_rng(s) for s in children(seed, 3)] for seed in seeds), strict=True
    )
    stack.initialise(initial)
    stack.drop_out(left_out)
    shuffled = [_Shuffled(np.asarray(rows), order) for rows, order in zip(index, orders, strict=True)]
    records, y = stack.records(x), np.asarray(y, np.int64)

    gradient = torch.zeros_like(stack.parameters)
    gradients = stack.layers(gradient)
    optimiser = recipe.optimiser.start(stack.parameters, gradient)
    n_steps = recipe.length.steps(max(sizes), recipe.batch_size)
    for first in range(0, n_steps, CHUNK):
        shape = (min(CHUNK, n_steps - first), recipe.batch_size)
        rows = np.stack([s.take(math.prod(shape)).reshape(shape) for s in shuffled], axis=1)
        classes = torch.from_numpy(y[rows][..., None]).to(device).unbind()
        for step, batch in enumerate(records.batches(rows)):
            stack.write_gradient(batch, classes[step], gradients)
            optimiser.step(recipe.learning_rate / (1 + (first + step) * recipe.decay))
    if not torch.isfinite(stack.parameters).all():
        raise FloatingPointError(f"training diverged; try a learning_rate below {recipe.learning_rate}")
    return stack


def fit_blocks(recipe, x, y, n_classes, index, seeds, block_size, n_jobs=-1):
    """Train M models in blocks, side by side where there are cores for it.

    A block is a stack of models that trains on one thread. Blocks run in processes if there is
    much to do and in threads else, or where `joblib.parallel_config` or ``MIALIB_CLUSTER`` says,
    such as on a Dask cluster. No number depends on `block_size`, on `n_jobs`, on where blocks run or in what order.

    Parameters
    ----------
    recipe, x, y, n_classes, index, seeds
        As for `fit_stack`.
    block_size : int
        Models a block at the most; fewer if else a worker had none.
    n_jobs : int
        Blocks at the same time, as for joblib.

    Yields
    ------
    positions : range
        Which models; as their block is done, in any order.
    parameters : ndarray of float32, shape (len(positions), P)
        Of their stack.
    """
    if not len(index):
        return
    with workers():
        size = min(block_size, -(-len(index) // joblib.effective_n_jobs(n_jobs)))
    blocks = [range(i, min(i + size, len(index))) for i in range(0, len(index), size)]
    prefer = "processes" if _multiplications(recipe, x, n_classes, index) > MUCH else "threads"
    threads, lost = torch.get_num_threads(), 0
    try:
        while blocks:
            jobs = [
                joblib.delayed(_fit_block)(b, recipe, x, y, n_classes, [index[i] for i in b], [seeds[i] for i in b])
                for b in blocks
            ]
            with workers():
                parallel = joblib.Parallel(n_jobs, prefer=prefer, return_as="generator_unordered")
            try:
                for block, parameters in parallel(jobs):
                    blocks.remove(block)
                    yield block, parameters
            except (CancelledError, BrokenExecutor):
                lost += 1
                if lost > LOSSES:
                    raise
    finally:
        torch.set_num_threads(threads)


def _multiplications(recipe, x, n_classes, index):
    n_steps = recipe.length.steps(max(map(len, index)), recipe.batch_size)
    per_record = recipe.architecture.stack(0, np.shape(x)[1:], n_classes).multiplications
    return len(index) * n_steps * recipe.batch_size * per_record


@cache
def _keep_freed_memory():
    """Ask glibc to keep what is freed: taking fresh pages at every step costs up to a third of the time."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
            libc.mallopt(-3, 32 * 2**20)  # M_MMAP_THRESHOLD


def _fit_block(positions, recipe, x, y, n_classes, index, seeds):
    _keep_freed_memory()
    torch.set_num_threads(1)
    return positions, fit_stack(recipe, x, y, n_classes, index, seeds).parameters.cpu().numpy()


def train_models(recipe, data, index, seeds, cache=None, n_jobs=-1):
    """Return trained models, each from the cache if it is there, else trained in blocks and kept.

    Parameters
    ----------
    recipe : Recipe or platform
    data : Dataset
    index : ndarray of int, shape (M, n)
        The records of each model.
    seeds : sequence of M SeedSequence
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    Stack
        Of M models, or what a platform returns. An interrupted call leaves the blocks that were finished in the cache.
    """
    if not isinstance(recipe, Recipe):
        return recipe.train(data, index, seeds, cache, n_jobs)
    cache = cache or ModelCache()
    device = default_device()
    keys = [model_key(recipe, data.fingerprint, rows, seed, device) for rows, seed in zip(index, seeds, strict=True)]
    found = {key: cache.get(key) for key in keys}
    missing = [i for i, key in enumerate(keys) if found[key] is None]
    block_size = recipe.architecture.models_a_block if device.type == "cpu" else max(1, len(missing))
    blocks = fit_blocks(
        recipe, data.x, data.y, data.n_classes, index[missing], [seeds[i] for i in missing], block_size, n_jobs
    )
    with progress(len(missing), "training", "model", f"{recipe.length} each") as bar:
        for positions, parameters in blocks:
            for position, row in zip(positions, parameters, strict=True):
                key = keys[missing[position]]
                cache.put(key, row)
                found[key] = row
            bar.update(len(positions))
    stack = recipe.architecture.stack(0, data.x.shape[1:], data.n_classes, device)
    return stack.with_parameters(torch.from_numpy(np.stack([found[key] for key in keys])).to(device))
