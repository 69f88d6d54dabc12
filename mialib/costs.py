"""What a chapter will take before it is run: models, core-hours, memory and disk.

A plan names the trainings of a chapter. What a recorded run of that chapter took is scaled by the
multiplications in its plan, and by how fast this machine trains beside the one that recorded it.
Queries, searches and figures are taken to grow as the trainings do, so that an estimate for other
parameters than the recorded ones is a rough one.
"""

import json
import os
import time
from dataclasses import dataclass, field

import numpy as np

from mialib import chapters
from mialib.convolution import CNN
from mialib.models import NN
from mialib.paths import shipped
from mialib.training import Epochs, Recipe, fit_blocks

SHAPES = {
    "adult": ((108,), 2),
    "cifar10": ((32, 32, 3), 10),
    "cifar100": ((32, 32, 3), 100),
    "digits": ((64,), 10),
    "hospital": ((1743,), 100),
    "location": ((446,), 30),
    "mnist": ((32, 32), 10),
    "purchase": ((600,), 100),
    "texas": ((6170,), 100),
}
"""Shape of a record and number of classes of each data set."""


@dataclass(frozen=True)
class Training:
    """Models of one kind that a chapter trains.

    Parameters
    ----------
    dataset : str
    n_models, n_records : int
        How many, each on how many records.
    epochs : int
    architecture : NN or CNN
    """

    dataset: str
    n_models: int
    n_records: int
    epochs: int
    architecture: NN | CNN = field(default_factory=NN)

    @property
    def _one(self):
        return self.architecture.stack(0, *SHAPES[self.dataset])

    @property
    def multiplications(self):
        """Multiplications, forward and backward (float)."""
        return 3.0 * self.n_models * self.n_records * self.epochs * self._one.multiplications

    @property
    def disk(self):
        """Bytes of the trained models (int)."""
        return 4 * self.n_models * self._one.n_parameters

    @property
    def memory(self):
        """Bytes of records and of prediction vectors that are held at once (int)."""
        _, n_classes = SHAPES[self.dataset]
        return 2 * self.n_models * self.n_records * 4 * n_classes + self.disk


@dataclass(frozen=True)
class Forests:
    """Models of scikit-learn that a chapter fits, of which the answers are kept.

    Parameters
    ----------
    dataset : str
    n_models, n_records : int
    """

    dataset: str
    n_models: int
    n_records: int

    @property
    def multiplications(self):
        """Multiplications of a network's training that takes about as long (float)."""
        return 3.0 * self.n_models * self.n_records * 60 * 90_000

    @property
    def disk(self):
        """Bytes of the answers (int)."""
        return 2 * self.n_models * self.n_records * 4 * SHAPES[self.dataset][1]

    @property
    def memory(self):
        """Bytes of prediction vectors that are held at once (int)."""
        return self.disk


def _threat_model(p):
    return [Training(p["dataset"], 1 + p["n_shadow"], p["size"], p["epochs"])]


def _shadow_training(p):
    return [Training(p["dataset"], p["n_repetitions"] * (1 + 2 * p["n_shadow"]), p["size"], p["epochs"])]


def _cifar(p):
    n, architecture = 1 + p["n_shadow"], CNN()
    return [
        *(Training("cifar10", n, size, p["epochs"], architecture) for size in p["sizes_10"]),
        *(Training("cifar100", n, size, p["epochs"], architecture) for size in p["sizes_100"]),
        *(Training("cifar10", n, p["sizes_10"][0], epochs, architecture) for epochs in p["fewer_epochs"]),
    ]


def _location(p):
    return [Training("location", 1 + p["n_shadow"], p["size"], p["epochs"])]


def _purchases(p):
    n, counts, size = 1 + p["n_shadow"], len(set(p["class_counts"]) - {100}), p["size"]
    return [
        Training("purchase", n * (1 + counts), size, p["epochs"]),
        Training("purchase", n, size, 10, NN(())),
        Training("purchase", n, size, 100, NN(())),
        Training("purchase", n, size, 20, NN((1024,))),
        Forests("purchase", n * (2 + counts), size),
    ]


def _texas(p):
    n = 1 + p["n_shadow"]
    return [Training(p["dataset"], n, p["size"], p["epochs"]), Forests(p["dataset"], n, p["size"])]


def _failures(p):
    n, few, many = 1 + p["n_shadow"], p["few_epochs"], p["many_epochs"]
    sizes = {"mnist": p["mnist_size"], "adult": p["adult_size"]}
    return [
        *(Training(name, n, size, few) for name, size in sizes.items()),
        Training("mnist", 2 * n, sizes["mnist"], many),
        Training("adult", 3 * n, sizes["adult"], many),
        Training("digits", 2 * n, p["digits_size"], many),
        Forests("mnist", 2 * n, sizes["mnist"]),
        Forests("adult", 3 * n, sizes["adult"]),
        Forests("digits", 2 * n, p["digits_size"]),
    ]


def _noise(p):
    noisy = 2 * sum(share > 0 for share in p["shares"])
    return [Training("location", 1 + p["n_shadow"] * (1 + noisy), p["size"], p["epochs"])]


def _synthesis(p):
    targets = len(p["features"]) + len(p["classes"])
    return [
        Training("purchase", 1 + 3 * p["n_shadow"] + targets, p["size"], p["epochs"]),
        Training("mnist", 1, p["image_size"], 30),
    ]


def _audit(p):
    return [Training(p["dataset"], 1 + 2 * p["n_network_shadow"], p["size"], p["epochs"])]


def _model_inversion(p):
    n = 1 + p["n_shadow"]
    return [
        Training("cifar10", n, p["size"], p["epochs"], CNN()),
        Training("mnist", n, p["mnist_size"], p["mnist_epochs"]),
    ]


def _remember_too_much(p):
    n, hidden = 1 + p["n_shadow"], (p["hidden"],)
    architecture = CNN(hidden=hidden) if p["convolutions"] else NN(hidden)
    return [Training(p["dataset"], n, p["size"], epochs, architecture) for epochs in (p["epochs"], p["short_epochs"])]


PLANS = {
    "threat_model": _threat_model,
    "shadow_training": _shadow_training,
    "cifar": _cifar,
    "location": _location,
    "purchases": _purchases,
    "texas": _texas,
    "failures": _failures,
    "noise": _noise,
    "synthesis": _synthesis,
    "audit": _audit,
    "model_inversion": _model_inversion,
    "remember_too_much": _remember_too_much,
}
"""What each chapter trains, by its parameters."""


@dataclass(frozen=True)
class Estimate:
    """What a chapter will take.

    Parameters
    ----------
    models : int
        Models trained, if none is in the cache.
    core_hours, hours : float
        Of processor time, and on this machine by the clock.
    memory, disk : int
        Bytes: the most held at once, and what the cache keeps.
    """

    models: int
    core_hours: float
    hours: float
    memory: int
    disk: int


def estimate(name, parameters, rate=None):
    """Return what a chapter will take.

    Parameters
    ----------
    name : str
        Of a chapter.
    parameters : dict
        Its parameters, where they differ from its defaults.
    rate : float, optional
        Of this machine; see `multiplications_a_second`. By default that of the machine that recorded.

    Returns
    -------
    Estimate or None
        None where the chapter has no plan, or no run of it was recorded.
    """
    recorded = _recorded(name)
    if name not in PLANS or recorded is None:
        return None
    defaults = chapters.all_parameters(name, "sample")
    plan, before = (PLANS[name](defaults | given) for given in (parameters, recorded["parameters"]))
    more = _total(plan, "multiplications") / _total(before, "multiplications")
    slower = recorded.get("multiplications a second", rate) / rate if rate else 1
    scale = more * slower / 3600
    cores = os.cpu_count() or 1
    core_hours = scale * recorded.get("CPU seconds", recorded["seconds"])
    return Estimate(
        models=sum(task.n_models for task in plan),
        core_hours=core_hours,
        hours=max(scale * recorded["seconds"] * min(1, recorded.get("cores", cores) / cores), core_hours / cores),
        memory=recorded["peak memory in MiB"] * 2**20 + max(0, _peak(plan) - _peak(before)),
        disk=_total(plan, "disk"),
    )


def _total(plan, quantity):
    return sum(getattr(task, quantity) for task in plan)


def _peak(plan):
    return max(task.memory for task in plan)


def _recorded(name):
    path = shipped("data", "results", "laptop", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def multiplications_a_second(n_rounds=3):
    """Measure how fast this machine trains the paper's network, the median of some rounds (float)."""
    rng = np.random.default_rng(0)
    x, y = (rng.random((2000, 600)) < 0.5).astype(np.uint8), rng.integers(0, 100, 2000)
    n_models, recipe = 10, Recipe(length=Epochs(2))
    index, seeds = np.tile(np.arange(2000), (n_models, 1)), np.random.SeedSequence(0).spawn(n_models)
    work, seconds = 3.0 * n_models * 2000 * 2 * NN().stack(0, (600,), 100).multiplications, []
    for _ in range(n_rounds):
        started = time.perf_counter()
        list(fit_blocks(recipe, x, y, 100, index, seeds, 5))
        seconds.append(time.perf_counter() - started)
    return work / float(np.median(seconds))
