"""What a chapter will take before it is run."""

import json
import os
import time
from dataclasses import dataclass, field

import numpy as np

from mialib.base.machine import shipped
from mialib.book import chapters
from mialib.models.cnn import CNN
from mialib.models.stack import NN
from mialib.models.training import Epochs, Recipe, fit_blocks

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
    """Models of scikit-learn that a chapter fits.

    Parameters
    ----------
    dataset : str
    n_models, n_records : int
    kept : bool
        Whether their answers are kept in the cache.
    """

    dataset: str
    n_models: int
    n_records: int
    kept: bool = True

    @property
    def multiplications(self):
        """Multiplications of a network's training that takes about as long (float)."""
        return 3.0 * self.n_models * self.n_records * 60 * 90_000

    @property
    def disk(self):
        """Bytes of the answers (int)."""
        return self.kept * self.memory

    @property
    def memory(self):
        """Bytes of prediction vectors that are held at once (int)."""
        return 2 * self.n_models * self.n_records * 4 * SHAPES[self.dataset][1]


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
    targets = 1 + len(p["features"]) + len(set(p["classes"]) - {p["n_classes"]})
    return [
        Training("purchase", 4 * p["n_shadow"] + targets, p["size"], p["epochs"]),
        Training("mnist", 1, p["image_size"], 30),
    ]


def _overfitting(p):
    n, near_20 = 1 + p["n_shadow"], min(p["class_counts"], key=lambda count: abs(count - 20))
    sets = {f"purchase {count}": p["size"] for count in p["class_counts"]}
    sets |= {name: size for name, (_, size) in p["others"].items()}
    varied = f"purchase {near_20}"
    networks = [(name, size, p["epochs"], NN()) for name, size in sets.items()]
    networks += [(varied, p["size"], epochs, NN(())) for epochs in p["sweep_epochs"]]
    networks += [(varied, p["size"], epochs, NN((width,))) for width in p["widths"] for epochs in p["sweep_epochs"]]
    same = NN((p["widths"][len(p["widths"]) // 2],))
    networks += [(varied, size, p["sweep_epochs"][-2], same) for size in p["sweep_sizes"]]
    return [
        *(Training(name.split()[0], n, *rest) for name, *rest in dict.fromkeys(networks)),
        *(Training(name.split()[0], n, size, passes, NN(())) for name, size in sets.items() for passes in (10, 100)),
        *(Forests(name.split()[0], n, size) for name, size in sets.items()),
        Forests("purchase", 5 * n, p["size"]),  # with larger leaves; those of one record are among the sets
    ]


def _mitigations(p):
    n, m, l2 = 1 + p["n_shadow"], 1 + p["hospital_shadow"], [row for row in p["hospital_rows"] if row.startswith("L2")]
    network, wide = NN((p["width"],)), NN((p["hospital_width"],))
    ways, hospital_ways = 1 + len(p["l2"]) + len(p["dropout"]), 1 + (len(l2) if p["hospital_rows"] else 5)
    return [
        Training("purchase", n * ways, p["size"], p["epochs"], network),
        Training("purchase", n, p["size"], 20, network),
        Training("purchase", 7, p["label_size"], p["epochs"], network),
        Training(p["hospital"], m * hospital_ways, p["hospital_size"], p["hospital_epochs"], wide),
    ]


def _differential_privacy(p):
    ways = len(p["epsilons"]) + 2
    return [Training("purchase", ways * (1 + p["n_shadow"]), p["size"], p["epochs"], NN((p["width"],)))]


def _audit(p):
    n = 1 + p["n_shadow"]
    return [
        Training(p["dataset"], 1 + 2 * p["n_network_shadow"], p["size"], p["epochs"]),
        Forests("adult", n, p["adult_size"], kept=False),
    ]


def _model_inversion(p):
    n = 1 + p["n_shadow"]
    return [
        Training("cifar10", n, p["size"], p["epochs"], CNN()),
        Training("mnist", n, p["mnist_size"], p["mnist_epochs"]),
    ]


def _remember_too_much(p):
    n, hidden = 1 + p["n_shadow"], (p["hidden"],)
    architecture = CNN(hidden=hidden) if p["convolutions"] else NN(hidden)
    trainings = {p["epochs"]: n + 1, p["short_epochs"]: n}  # one more, by the trainer who abuses capacity
    return [Training(p["dataset"], m, p["size"], epochs, architecture) for epochs, m in trainings.items()]


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
    "overfitting": _overfitting,
    "mitigations": _mitigations,
    "differential_privacy": _differential_privacy,
    "audit": _audit,
    "model_inversion": _model_inversion,
    "remember_too_much": _remember_too_much,
}
"""What each chapter trains, by its parameters."""


WAITING = 1.2
"""Time by the clock over that of cores which are never idle: measured 1.2 on two cores, for five chapters."""


@dataclass(frozen=True)
class Cost:
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


def cost(name, parameters, rate=None):
    """Return what a chapter will take.

    Parameters
    ----------
    name : str
        Of a chapter.
    parameters : dict
        Its parameters, where they differ from its defaults.
    rate : float, optional
        Of this machine; see `multiplications_a_core_second`. By default that of the machine that recorded.

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
    slower = recorded["multiplications a core-second"] / rate if rate else 1
    core_hours = more * slower * recorded["CPU seconds"] / 3600
    return Cost(
        models=sum(task.n_models for task in plan),
        core_hours=core_hours,
        hours=core_hours * WAITING / (os.cpu_count() or 1),
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


def multiplications_a_core_second(n_rounds=3):
    """Measure how fast a core of this machine trains the paper's network, the median of some rounds (float).

    Processor time is counted, not that of the clock, so that other work on the machine hardly matters.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.random((2000, 600)) < 0.5).astype(np.uint8), rng.integers(0, 100, 2000)
    n_models, recipe = 10, Recipe(length=Epochs(2))
    index, seeds = np.tile(np.arange(2000), (n_models, 1)), np.random.SeedSequence(0).spawn(n_models)
    work, seconds = 3.0 * n_models * 2000 * 2 * NN().stack(0, (600,), 100).multiplications, []
    for _ in range(n_rounds):
        started = time.process_time()
        list(fit_blocks(recipe, x, y, 100, index, seeds, 5))
        seconds.append(time.process_time() - started)
    return work / float(np.median(seconds))
