"""What chapters measured, and under which conditions: in an executed notebook, and recorded in ``data/results``."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mialib.base.machine import shipped
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

RECORDED = "laptop"
"""The profile whose recorded runs stand beside what a chapter measures."""


@dataclass(frozen=True)
class Origin:
    """The conditions under which a chapter measured its numbers."""

    chapter: str
    profile: str
    seed: int
    data: Provenance

    @property
    def badge(self):
        """One line for a figure's corner and a table's foot (str)."""
        return f"{self.data.name} · {self.data.kind} data · profile {self.profile} · seed {self.seed}"


@dataclass(frozen=True)
class Run:
    """What a chapter measured, and under which conditions.

    Parameters
    ----------
    origin : Origin
    numbers : dict of str to float or Estimate
    details : dict
        Of a recorded run: its ``parameters``, the ``machine``, and what it took, as
        `mialib.book.execution.measured` returns it.
    """

    origin: Origin
    numbers: dict
    details: dict = field(default_factory=dict)

    def to_dict(self):
        """Return the run as plain dicts that JSON can hold."""
        numbers = {
            name: {"value": float(v), "low": v.low, "high": v.high} if isinstance(v, Estimate) else v
            for name, v in self.numbers.items()
        }
        return {"origin": asdict(self.origin), "numbers": numbers, **self.details}

    @classmethod
    def from_dict(cls, fields):
        """Return the Run that `to_dict` came from."""
        details = dict(fields)
        origin, numbers = details.pop("origin"), details.pop("numbers")
        numbers = {name: Estimate(**v) if isinstance(v, dict) else v for name, v in numbers.items()}
        return cls(Origin(**{**origin, "data": Provenance(**origin["data"])}), numbers, details)


def recorded_run(chapter, profile=RECORDED):
    """Return the recorded `Run` of a chapter, or None."""
    path = shipped("data", "results", profile, f"{chapter}.json")
    return Run.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def recorded_runs(profile):
    """Return the recorded runs of a profile, a dict from chapter to `Run`."""
    chapters = sorted(path.stem for path in shipped("data", "results", profile).glob("*.json"))
    return {chapter: recorded_run(chapter, profile) for chapter in chapters}


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
