"""What a chapter will take before it is run: models, core-hours, memory and disk.

A plan names the trainings of a chapter. What a recorded run of that chapter took is scaled by the
multiplications in its plan, and by how fast a core of this machine trains beside one that recorded it.
Queries, searches and figures are taken to grow as the trainings do, so that an estimate for other
parameters than the recorded ones is a rough one.
"""

import json
import os
import time
from dataclasses import dataclass

import numpy as np

from mialib import chapters
from mialib.models import NN
from mialib.paths import shipped
from mialib.plans import PLANS
from mialib.training import Epochs, Recipe, fit_blocks

WAITING = 1.2
"""Time by the clock over that of cores which are never idle: measured 1.2 on two cores, for five chapters."""


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
    return Estimate(
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
