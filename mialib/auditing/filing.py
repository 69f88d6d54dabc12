"""What a report says of itself to be filed: when, with what and on what it was made, and against whom."""

import os
import platform
import re
import shlex
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from mialib.base.machine import processor
from mialib.datasets.files import file_sha256
from mialib.service.address import HIDDEN, redacted

PACKAGES = ("mialib", "numpy", "scikit-learn", "torch")

_FLAG = re.compile(r"--?[\w-]*(?:key|token|secret|password)", re.IGNORECASE)


def command_line(words):
    """Return words as they are typed into a shell, without secrets."""
    hide = [False, *(bool(_FLAG.fullmatch(word)) for word in words)]
    return shlex.join(HIDDEN if secret else redacted(word) for word, secret in zip(words, hide, strict=False))


@dataclass(frozen=True)
class Input:
    """One thing that an audit was given.

    Parameters
    ----------
    role : str
        Such as ``model`` or ``records in``.
    name : str
        Of the file, without its folders; of a service, its address.
    sha256 : str, optional
        None for what is no file.
    n_bytes : int, optional
        Size of the file.
    n_records : int, optional
        How many are in it.
    """

    role: str
    name: str
    sha256: str | None = None
    n_bytes: int | None = None
    n_records: int | None = None

    @classmethod
    def from_file(cls, role, path, n_records=None):
        """Return a file as an input; an OSError if it cannot be read."""
        path = Path(path)
        return cls(role, path.name, file_sha256(path), path.stat().st_size, n_records)

    def to_dict(self):
        """Return this as a dict that JSON can hold."""
        return {
            "role": self.role,
            "name": redacted(self.name),
            "sha256": self.sha256,
            "bytes": self.n_bytes,
            "records": self.n_records,
        }


@dataclass(frozen=True)
class Filing:
    """With what, on what and when an audit was made, and what it is about.

    Parameters
    ----------
    date : str
        ISO 8601, UTC.
    versions : dict of str
        Of Python and of the packages that decide the numbers.
    settings : dict
        Every setting, by name, whether given or left at its default.
    command : str or None
        As it was typed, without secrets; None if it was called from Python.
    inputs : tuple of Input
    seeds : dict of int
        The one that was given, and from how many others shadow models were trained.
    machine : dict
        Its processor and number of cores.
    threat_model : str
        Who attacks, what they see and what they know, two sentences.
    not_tested : tuple of str
        What this audit did not test, sentences.
    """

    date: str
    versions: dict
    settings: dict
    command: str | None
    inputs: tuple
    seeds: dict
    machine: dict
    threat_model: str
    not_tested: tuple

    @classmethod
    def now(cls, findings, settings=None, opening=None, command=(), inputs=(), packages=(), service=False, budget=None):
        """Return what is to be filed with findings that are made now.

        Parameters
        ----------
        findings : Findings
            Only what they were given is looked at; nothing is computed.
        settings : Settings, optional
        opening : Opening, optional
        command : sequence of str
            The words of the command line; none if there is none.
        inputs : sequence of Input
        packages : sequence of str
            Whose versions matter besides `PACKAGES`, such as ``onnxruntime``.
        service : bool
            The model was asked over HTTP.
        budget : int, optional
            Queries that the service answers.
        """
        given = {} if settings is None else asdict(settings)
        given |= {} if opening is None else asdict(opening)
        return cls(
            datetime.now(UTC).isoformat(timespec="seconds"),
            {"python": platform.python_version()} | {name: version(name) for name in (*PACKAGES, *packages)},
            given,
            command_line(command) or None,
            tuple(inputs),
            {"given": findings.seed, "of shadow models": _n_seeds(findings)},
            {"processor": processor(), "cores": os.cpu_count()},
            threat_model(findings, service, budget),
            tuple(not_tested(findings, service)),
        )

    def to_dict(self):
        """Return this as a dict that JSON can hold."""
        named = {name.replace("_", " "): getattr(self, name) for name in self.__dataclass_fields__}
        settings = {name: _plain(value) for name, value in self.settings.items()}
        return named | {"settings": settings, "inputs": [each.to_dict() for each in self.inputs]}


def _plain(value):
    """Return a setting as JSON holds it: several values are one text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value))


def _n_seeds(findings):
    return max((len(of.learned) for of in findings.shadows), default=0)


def threat_model(findings, service=False, budget=None):
    """Return who attacks, what they see and what they know, two sentences."""
    often = "as often as they like"
    if service:
        often = "through a service" if budget is None else f"through a service, at most {budget:,} times"
    first = f"The attacker asks the model about records, {often}, and sees {_seen(findings)}, not the model's file."
    known = "They know of half of the records whether they are in, and tell it of the others"
    if not findings.shadows:
        return f"{first} {known}; they train no models of their own."
    how = "likewise, for they know how it is trained"
    if not all(of.own for of in findings.shadows):
        how = "of another kind, for they do not know how it is trained"
    return f"{first} {known}; they hold records like them, and have shadow models trained {how}."


def _seen(findings):
    vectors = findings.target.vectors
    if vectors.ndim == 1:
        return "the value that it predicts"
    if np.isin(vectors, (0, 1)).all():
        return "the label that it predicts"
    return "its prediction vector"


def not_tested(findings, service=False):
    """Return what an audit did not test, a list of sentences."""
    said = [
        "Other attacks than membership inference: attribute inference, model inversion, reconstruction of records and "
        "theft of the model.",
        "Attackers who read the model's parameters or gradients, who can alter its training set, or who ask about "
        "altered copies of a record.",
    ]
    if not findings.structure and not service:
        said.append("What the model's file holds: its structure was not checked.")
    if not findings.shadows:
        said.append("Attacks by shadow models, the strongest known.")
    elif not findings.has_own_kind:
        said.append("Attacks by shadow models of the model's own kind that are asked about its records.")
    if findings.canaries is None:
        said.append("Differential privacy by canaries, in a training run of their own.")
    if findings.persons is None:
        said.append("Whether a person leaks who has several records: each record counts as another person's.")
    if not findings.by:
        said.append("Leakage of subgroups, such as regions: none were named.")
    if service:
        said.append("The service's own defences, such as limits on rates and logs of queries.")
    return said
