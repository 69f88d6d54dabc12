"""What a chapter will take before it is run: what its recorded run took, scaled by the parameters that say how much."""

import math
import os
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np

from mialib.book import chapters
from mialib.book.runs import recorded
from mialib.models.training import Recipe, fit_blocks

WAITING = 1.2
"""Time by the clock over that of cores which are never idle: measured 1.2 on two cores, for five chapters."""

ANSWERS = 2 * 4 * 100
"""Bytes of prediction vectors, float32 of 100 classes, for a training record and one that is held out."""


@dataclass(frozen=True)
class Cost:
    """What a chapter will take, if none of its models is in the cache.

    Processor time and time by the clock on this machine, and MiB: the most held at once, and what the cache keeps.
    """

    models: int
    core_hours: float
    hours: float
    memory: float
    disk: float


def cost(name, parameters, rate=None):
    """Return the `Cost` of a chapter with some parameters, or None where no run of it was recorded.

    `rate` is this machine's `multiplications_a_core_second`, by default that of the machine that recorded. Work is
    told by the names of parameters: the product of shadow models (with a target for each number of them),
    repetitions, the sum of sizes, the sum of epochs, and the entries of all other lists. At the paper's sizes this is
    0.3 to 1.9 times what a count of every layer's multiplications says, within a third for ten chapters of fifteen.
    """
    if (of := recorded(name)) is None:
        return None
    took, defaults = of.details, chapters.all_parameters(name, "sample")
    now, then = _amounts(defaults | parameters), _amounts(defaults | took["parameters"])
    models = _ratio(now, then, "models", "repetitions", "entries")
    work = _ratio(now, then, "models", "repetitions", "records", "passes", "settings")
    slower = took["multiplications a core-second"] / rate if rate else 1
    core_hours = work * slower * took["CPU seconds"] / 3600
    answers = ANSWERS * (now["models"] * now["records"] - then["models"] * then["records"])
    return Cost(
        models=round(took["models"] * models),
        core_hours=core_hours,
        hours=core_hours * WAITING / (os.cpu_count() or 1),
        memory=took["peak memory in MiB"] + max(0, answers) / 2**20,
        disk=took.get("cache in MiB", math.nan) * models,
    )


def _amounts(parameters):
    amounts = Counter(repetitions=1)
    for name, value in parameters.items():
        entries = len(value) if isinstance(value, list) else 0
        amounts["entries"] += entries
        if "size" in name and name != "batch_size":
            amounts["records"] += np.sum(value)
        elif "epochs" in name:
            amounts["passes"] += np.sum(value)
        elif "shadow" in name:
            amounts["models"] += 1 + value
        elif "repetitions" in name:
            amounts["repetitions"] = value
        else:
            amounts["settings"] += entries
    return amounts


def _ratio(now, then, *kinds):
    """Return how much more there is of the product of some amounts; a chapter may have none of a kind."""
    return math.prod(now[kind] / then[kind] for kind in kinds if now[kind] and then[kind])


def multiplications_a_core_second(n_rounds=3):
    """Measure how fast a core of this machine trains the paper's network, the median of some rounds (float).

    Processor time is counted, not that of the clock, so that other work on the machine hardly matters.
    """
    rng = np.random.default_rng(0)
    x, y = (rng.random((2000, 600)) < 0.5).astype(np.uint8), rng.integers(0, 100, 2000)
    index, seeds, seconds = np.tile(np.arange(2000), (10, 1)), np.random.SeedSequence(0).spawn(10), []
    for _ in range(n_rounds):
        started = time.process_time()
        list(fit_blocks(Recipe(epochs=2), x, y, 100, index, seeds, 5))
        seconds.append(time.process_time() - started)
    forward_and_backward = 3.0 * 10 * 2000 * 2 * (600 * 128 + 128 * 100)
    return forward_and_backward / float(np.median(seconds))
