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
from mialib.models.batches import DenseRecords
from mialib.models.cache import ModelCache, model_keys
from mialib.models.stack import NN

LOSSES = 3
"""Workers that may die, their blocks trained again, before training gives up."""

CHUNK = 64
"""Steps whose batches are drawn at once."""

MUCH = 500_000_000_000
"""Multiplications, forward, from which processes are worth their start of some seconds."""


class _FusedAdam:
    """Adam by torch's fused kernel without torch.optim around it: 46 µs per step of 5 x 10,000 parameters, not 132."""

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


class _TorchAdam:
    def __init__(self, parameters, gradient, l2):
        parameters.grad = gradient
        self._optimiser = torch.optim.Adam([parameters], weight_decay=l2)

    def step(self, learning_rate):
        self._optimiser.param_groups[0]["lr"] = learning_rate
        self._optimiser.step()


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
class _Optimiser:
    l2: float = 0.0

    def __post_init__(self):
        if not self.l2 >= 0:
            raise ValueError(f"l2 is {self.l2}; it must be at least 0")


class Adam(_Optimiser):
    """Adam, with the usual moments.

    Parameters
    ----------
    l2 : float
        Weight λ of the penalty λ/2 · Σθ² on all parameters, whose gradient goes the way of the loss's.
    """

    def start(self, parameters, gradient):
        """Return what updates `parameters` by `gradient`, one ``step(learning_rate)`` at a time."""
        steps = _FusedAdam if hasattr(torch, "_fused_adam_") else _TorchAdam  # the former is no public name of torch
        return steps(parameters, gradient, self.l2)


class SGD(_Optimiser):
    """Plain stochastic gradient descent.

    Parameters
    ----------
    l2 : float
        Weight λ of the penalty λ/2 · Σθ² on all parameters.
    """

    def start(self, parameters, gradient):
        """Return what updates `parameters` by `gradient`, one ``step(learning_rate)`` at a time."""
        return _SGDSteps(parameters, gradient, self.l2)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a model is trained, except its records and its seed (§VI-B).

    The paper gives the architecture, learning rate, decay and epochs. It does not give the
    optimiser and the batch size: Adam and 100 are ours (plain SGD at this rate undertrains).

    Parameters
    ----------
    architecture : NN or CNN
    epochs : int, optional
        Passes over a model's records; 200 if `steps` is not given.
    steps : int, optional
        Updates, instead of `epochs`, however many records a model has.
    batch_size : int
        Records per update. Batches are cut from one endless stream of shuffled passes over a
        model's records, so all batches are full.
    learning_rate : float
        Step size of the optimiser.
    decay : float
        Torch7's learning rate decay: ``learning_rate / (1 + t * decay)`` at update ``t``.
    optimiser : Adam or SGD

    Raises
    ------
    ValueError
        If a number is not positive (`decay` and the length may be 0), a count is not whole, or both lengths are given.
    """

    architecture: NN = NN()
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 100
    learning_rate: float = 1e-3
    decay: float = 1e-7
    optimiser: Adam | SGD = Adam()

    def __post_init__(self):
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"epochs is {self.epochs} and steps is {self.steps}; give one of them")
        if self.steps is None and self.epochs is None:
            object.__setattr__(self, "epochs", 200)
        name = "epochs" if self.steps is None else "steps"
        check_integer(name, getattr(self, name), 0)
        check_integer("batch_size", self.batch_size, 1)
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}; it must be positive")
        if not self.decay >= 0:
            raise ValueError(f"decay is {self.decay}; it must be at least 0")

    def n_steps(self, n_records):
        """Return the number of updates of a model that has so many records, rounded up."""
        return self.steps if self.epochs is None else -(-self.epochs * n_records // self.batch_size)

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return trained models, each from the cache if it is there, else trained in blocks and kept.

        An interrupted call leaves the blocks that were finished in the cache.

        Parameters
        ----------
        data : Dataset
        index : ndarray of int, shape (M, n)
            The records of each model.
        seeds : sequence of M SeedSequence
        cache : ModelCache, optional
        n_jobs : int
            Blocks of models trained at the same time, as for joblib; no number depends on it.

        Returns
        -------
        Stack
            Of M models.
        """
        device = default_device()
        keys = model_keys(self, data.fingerprint, index, seeds, device)

        def fit(missing):
            size = models_a_block(self, data.x, data.n_classes, device)
            rows, of_missing = [index[i] for i in missing], [seeds[i] for i in missing]
            return fit_blocks(self, data.x, data.y, data.n_classes, rows, of_missing, size, n_jobs)

        length = f"{self.epochs} epochs" if self.steps is None else f"{self.steps} steps"
        parameters = fetch_or_fit(keys, fit, cache or ModelCache(), f"{length} each")
        stack = self.architecture.stack(0, data.x.shape[1:], data.n_classes, device)
        return stack.with_parameters(torch.from_numpy(parameters).to(device))


def fetch_or_fit(keys, fit, cache, remark):
    """Return an ndarray of float32 per key, stacked: from the cache, or else fitted and put there.

    ``fit(missing)`` takes the positions of the keys that are not there, and yields positions among these and rows.
    """
    found = {key: cache.get(key) for key in keys}
    missing = [i for i, key in enumerate(keys) if found[key] is None]
    with progress("training", "model", total=len(missing), postfix=remark) as bar:
        for positions, rows in fit(missing):
            for position, row in zip(positions, rows, strict=True):
                key = keys[missing[position]]
                cache.put(key, row)
                found[key] = row
            bar.update(len(positions))
    return np.stack([found[key] for key in keys])


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
def fit_stack(recipe, x, y, n_classes, index, seeds, device=None, penalty=None):
    """Train M models together; each comes out as if it had been trained alone.

    Parameters
    ----------
    recipe : Recipe
    x : ndarray, shape (n, ...)
    y : ndarray of int, shape (n,)
        True classes, 0 to ``n_classes - 1``.
    n_classes : int
    index : sequence of M ndarrays of int
        The rows that each model is trained on, at least one; all of one length if `recipe` counts epochs.
    seeds : sequence of M SeedSequence
        Each decides one model's first parameters and the order of its records.
    device : torch.device, optional
    penalty : callable, optional
        Called before each update with the parameters and their gradient, both (M, P), to which it may add.

    Returns
    -------
    Stack
        A FloatingPointError says if a parameter is not finite at the end.
    """
    sizes = {len(rows) for rows in index}
    if 0 in sizes:
        raise ValueError("a model has no training records; each needs at least one")
    if recipe.steps is None and len(sizes) > 1:
        raise ValueError(
            f"models of {min(sizes)} to {max(sizes)} records cannot share epochs; give steps, or sets of one size"
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
    n_steps = recipe.n_steps(max(sizes))
    for first in range(0, n_steps, CHUNK):
        shape = (min(CHUNK, n_steps - first), recipe.batch_size)
        rows = np.stack([s.take(math.prod(shape)).reshape(shape) for s in shuffled], axis=1)
        classes = torch.from_numpy(y[rows][..., None]).to(device).unbind()
        for step, batch in enumerate(records.batches(rows)):
            stack.write_gradient(batch, classes[step], gradients)
            if penalty is not None:
                penalty(stack.parameters, gradient)
            optimiser.step(recipe.learning_rate / (1 + (first + step) * recipe.decay))
    if not torch.isfinite(stack.parameters).all():
        raise FloatingPointError(f"training diverged; try a learning_rate below {recipe.learning_rate}")
    return stack


def models_a_block(recipe, x, n_classes, device):
    """Return how many models train as one stack (int): on a CPU what its cache holds, on a GPU what its memory does.

    Half of the GPU's free memory is for the records, an ndarray of shape (n, ...), and the models; a MemoryError says
    if not one has room.
    """
    if device.type == "cpu":
        return recipe.architecture.models_a_block
    room = torch.cuda.mem_get_info(device)[0] // 2 - DenseRecords.bytes_of(x)
    needed = bytes_a_model(recipe, x, n_classes)
    if room < needed:
        raise MemoryError(
            f"half of the GPU's free memory, less the records, is {room:,} bytes; {needed:,} are needed to train one "
            "model; free some, or train on the CPU: set CUDA_VISIBLE_DEVICES to nothing"
        )
    return room // needed


def bytes_a_model(recipe, x, n_classes):
    """Return about how many bytes one model more takes while it trains on records, never less than it does (int)."""
    rows_and_classes = CHUNK * recipe.batch_size * 2 * np.dtype(np.int64).itemsize
    stack = recipe.architecture.stack(1, x.shape[1:], n_classes, "meta")
    return stack.bytes_a_model(recipe.batch_size) + rows_and_classes


def fit_blocks(recipe, x, y, n_classes, index, seeds, block_size, n_jobs=-1):
    """Train M models in blocks, side by side where there are cores for it; the arguments are those of `fit_stack`.

    A block is a stack of at most `block_size` models that trains on one thread. Blocks run in processes if there is
    much to do and in threads else, or where `joblib.parallel_config` or ``MIALIB_CLUSTER`` says, such as on a Dask
    cluster. No number depends on `block_size`, on `n_jobs`, on where blocks run or in what order. As each block is
    done, in any order, yields the positions of its models, a range, and their parameters, float32 of shape (models, P).
    A GPU, whose memory a block is made for, trains one after the other.
    """
    if not len(index):
        return
    n_jobs = n_jobs if default_device().type == "cpu" else 1
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
    n_steps = recipe.n_steps(max(map(len, index)))
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
