"""What chapters measured, and under which conditions: in an executed notebook, and recorded in ``data/results``."""

import json
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mialib import metrics
from mialib.base.machine import cache_dir, shipped
from mialib.datasets.dataset import Provenance, join_provenances
from mialib.metrics import Estimate

RECORDED = "paper"
"""The profile whose recordings are shown next to what a chapter measures: the paper's sizes."""


@dataclass(frozen=True)
class Origin:
    """The conditions under which a chapter measured its numbers.

    Parameters
    ----------
    chapter, profile : str
    seed : int or str
        Or which seeds several runs had.
    sets : tuple of Provenance
        Of all data sets that its numbers come from.
    """

    chapter: str
    profile: str
    seed: int | str
    sets: tuple[Provenance, ...]

    @property
    def data(self):
        """All data sets as one `Provenance`, its kind the weakest of theirs."""
        return join_provenances(*self.sets)

    @property
    def badge(self):
        """One line for a figure's corner and a table's foot (str)."""
        seeds = "seeds" if isinstance(self.seed, str) else "seed"
        return f"{self.data.name} · {self.data.kind} data · profile {self.profile} · {seeds} {self.seed}"


@dataclass(frozen=True)
class Run:
    """What a chapter measured from one seed, and under which conditions.

    Parameters
    ----------
    origin : Origin
    numbers : dict of str to float or Estimate
    arrays : dict of str to list of float
        What figures draw: values of classes, curves; never single records.
    details : dict
        Of a recorded run: its ``parameters``, on what machine and by which versions and code, and what it took, as
        `mialib.book.execution.measured` returns it.
    """

    origin: Origin
    numbers: dict
    arrays: dict = field(default_factory=dict)
    details: dict = field(default_factory=dict)

    @property
    def runs(self):
        """The run alone, as a `Recording` has several (tuple of Run)."""
        return (self,)

    def to_dict(self):
        """Return the run as plain dicts that JSON can hold."""
        numbers = {name: _plain(v) if isinstance(v, Estimate) else v for name, v in self.numbers.items()}
        arrays = {name: [None if x != x else x for x in of] for name, of in self.arrays.items()}
        arrays = {"arrays": arrays} if arrays else {}
        return {"origin": asdict(self.origin), "numbers": numbers, **arrays, **self.details}

    @classmethod
    def from_dict(cls, fields):
        """Return the Run that `to_dict` came from."""
        details = dict(fields)
        origin, numbers, arrays = details.pop("origin"), details.pop("numbers"), details.pop("arrays", {})
        numbers = {name: _measured(v) for name, v in numbers.items()}
        sets = tuple(Provenance(**of) for of in origin["sets"])
        return cls(Origin(**{**origin, "sets": sets}), numbers, arrays, details)


def _plain(estimate):
    """Return an estimate as a dict; JSON knows no NaN, so what is not defined is left out."""
    parts = {"value": float(estimate), "low": estimate.low, "high": estimate.high}
    return {name: part for name, part in parts.items() if part == part}


def _measured(value):
    """Return a number as it was before JSON, for which NaN is null."""
    if isinstance(value, dict):
        return Estimate(**{"value": np.nan, **value})
    return np.nan if value is None else value


def which_seeds(runs):
    """Return which seeds some runs had, in their order: the one (int), or in words (str)."""
    seeds = [run.origin.seed for run in runs]
    if len(seeds) == 1:
        return seeds[0]
    whole = seeds == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))


@dataclass(frozen=True)
class Recording:
    """Runs of one chapter in one profile, in the order of their seeds: targets and splits are drawn anew in each."""

    runs: tuple[Run, ...]

    @cached_property
    def origin(self):
        """The conditions of all runs (`Origin`)."""
        seeds = which_seeds(self.runs)
        if any(run.numbers.keys() != self.numbers.keys() for run in self.runs):
            seeds += " (some rows fewer)"
        return replace(self.runs[0].origin, seed=seeds)

    @cached_property
    def numbers(self):
        """Means over the runs with intervals between these; what one run alone has is its own (dict of str)."""
        names = dict.fromkeys(name for run in self.runs for name in run.numbers)
        found = {name: [run.numbers[name] for run in self.runs if name in run.numbers] for name in names}
        return {name: metrics.mean(each) if len(each) > 1 else each[0] for name, each in found.items()}

    @cached_property
    def arrays(self):
        """What figures draw, a row for each run that kept it: dict of str to ndarray."""
        names = dict.fromkeys(name for run in self.runs for name in run.arrays)
        of = {name: [run.arrays[name] for run in self.runs if name in run.arrays] for name in names}
        return {name: np.array(rows, np.float64) for name, rows in of.items()}

    @property
    def picture(self):
        """The figure that was kept with the first of the runs, a PNG file (bytes), or None."""
        of = self.runs[0].origin
        path = recorded_path(of.chapter, of.profile, of.seed).with_suffix(".png")
        return path.read_bytes() if path.exists() else None

    @property
    def details(self):
        """Those of the run that took most processor time: others may have found models in the cache."""
        return max((run.details for run in self.runs), key=lambda of: of.get("CPU seconds", 0))


def recorded_path(chapter, profile, seed):
    """Return where the run of a chapter from a seed is recorded, or would be."""
    return shipped("data", "results", profile, chapter, f"{seed}.json")


def recorded(chapter, profile=RECORDED):
    """Return the `Recording` of a chapter in a profile, or None."""
    paths = shipped("data", "results", profile, chapter).glob("*.json")
    if paths := sorted(paths, key=lambda path: int(path.stem)):
        return Recording(tuple(Run.from_dict(json.loads(path.read_text(encoding="utf-8"))) for path in paths))
    return None


def recordings(profile=RECORDED):
    """Return the `Recording` of each chapter that has one in a profile, a dict by chapter."""
    found = {path.name: recorded(path.name, profile) for path in sorted(shipped("data", "results", profile).glob("*/"))}
    return {name: of for name, of in found.items() if of}


def run_in_notebook(path):
    """Return the `Run` that an executed chapter holds in its outputs, or None."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    metadata = [output.get("metadata", {}) for cell in cells for output in cell.get("outputs", ())]
    kept = [of["mialib"] for of in metadata if "mialib" in of]
    return Run.from_dict(kept[-1]) if kept else None


def runs_in_book(folder):
    """Return the runs that the executed chapters of a folder hold, a dict from chapter to `Run`."""
    runs = [run_in_notebook(path) for path in sorted(Path(folder).glob("*.ipynb"))]
    return {run.origin.chapter: run for run in runs if run}


def all_kept():
    """Return the folders of all executed chapters that the cache keeps, a list of Path."""
    return [path.parent for path in sorted((cache_dir() / "chapters").glob("*/took.json"))]
