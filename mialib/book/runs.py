"""What a chapter measured, and under which conditions."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mialib.base.machine import shipped
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate


@dataclass(frozen=True)
class Origin:
    """The conditions under which a chapter measured its numbers, shown beside all of them.

    Parameters
    ----------
    chapter : str
        Name of the chapter's file, without its ending.
    profile : str
        Name of the set of parameters: ``sample``, ``laptop``, ``paper``, or one's own.
    seed : int
    data : Provenance
    """

    chapter: str
    profile: str
    seed: int
    data: Provenance

    @property
    def badge(self):
        """One line for a figure's corner and a table's foot (str)."""
        return f"{self.data.name} · {self.data.kind} data · profile {self.profile} · seed {self.seed}"

    def to_dict(self):
        """Return the fields as nested plain dicts."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields):
        """Return the Origin that `to_dict` came from."""
        return cls(**{**fields, "data": Provenance(**fields["data"])})


@dataclass(frozen=True)
class Run:
    """What a chapter measured, and under which conditions.

    Parameters
    ----------
    origin : Origin
    numbers : dict of str to float or Estimate
    """

    origin: Origin
    numbers: dict

    def to_dict(self):
        """Return the run as plain dicts that JSON can hold."""
        numbers = {n: asdict(v) if isinstance(v, Estimate) else v for n, v in self.numbers.items()}
        return {"origin": self.origin.to_dict(), "numbers": numbers}

    @classmethod
    def from_dict(cls, fields):
        """Return the Run that `to_dict` came from; further fields are ignored."""
        numbers = {n: Estimate(**v) if isinstance(v, dict) else v for n, v in fields["numbers"].items()}
        return cls(Origin.from_dict(fields["origin"]), numbers)


def recorded_runs(profile, folder=None):
    """Return the recorded runs of a profile, a dict from chapter to `Run`.

    Parameters
    ----------
    profile : str
    folder : path, optional
        By default the project's ``data/results``.
    """
    folder = Path(folder or shipped("data", "results")) / profile
    runs = [Run.from_dict(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(folder.glob("*.json"))]
    return {run.origin.chapter: run for run in runs}


def run_in_notebook(path):
    """Return the `Run` that an executed chapter holds in its outputs, or None."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    kept = [output["metadata"]["mialib"] for output in outputs if "mialib" in output.get("metadata", {})]
    return Run.from_dict(kept[-1]) if kept else None


def runs_in_book(folder):
    """Return the runs that the executed chapters of a folder hold, a dict from chapter to `Run`."""
    runs = [run_in_notebook(path) for path in sorted(Path(folder).glob("*.ipynb"))]
    return {run.origin.chapter: run for run in runs if run}
