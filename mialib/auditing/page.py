"""The tables of an audit's page, made of findings of any kind: what they hold, and how a number is written."""

from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from mialib.auditing import rows
from mialib.auditing.findings import PRIORS
from mialib.metrics import Estimate

MOST = 10
"""Classes, or subgroups, that the page has room for; the JSON file has them all."""

HEADS = {
    "train accuracy": "right, in",
    "test accuracy": "right, out",
    "attack": "by",
    "leaks": "leaks by itself",
    "at most": "highest bound of any",
    "ruled out": "leak ruled out",
    "same class": "class stays",
    "train error": "mean |error|, in",
    "test error": "mean |error|, out",
}
"""What columns are called on the page, where not as in the JSON file."""

SHARES = ("train accuracy", "test accuracy", "same class")


CONCERNS = {True: "yes", False: "no", None: "–"}


class Table(NamedTuple):
    """A table: what its columns are called, and its rows, of which the first cell is the head.

    `best` is the head of the row in bold, `left_out` the number of rows for which there is no room.
    """

    columns: list
    rows: list
    best: str | None = None
    left_out: int = 0


def tables(findings, filing):
    """Return the tables of the page about `Findings` by name; one that has nothing to say has no rows."""
    priors = [f"if {prior:.0%} are members" for prior in PRIORS]
    guessing = {"accuracy": 0.5, "AUC": 0.5, "TPR at 1 % FPR": 0.01, "TPR at 0.1 % FPR": 0.001}
    exposed = rows.exposed(findings)
    return {
        "attacks": _table("attack", findings.overall | {"random guessing": guessing}, findings.strongest),
        "precision": Table(
            [f"precision of {findings.strongest}", *priors],
            [[f"at {name}", *map(share, row.values())] for name, row in findings.precision_at().items()],
        ),
        "seeds": _table("shadow models of one seed alone", findings.between_seeds()),
        "structure": Table(
            ["check", "found", "concern", "what it means"],
            [[of.name, _found(of), CONCERNS[of.concern], of.meaning] for of in findings.structure],
        ),
        "classes": _table("class", findings.by_class()),
        "subgroups": _table("subgroup", findings.by_subgroup()),
        "exposed": Table(list(next(iter(exposed), {})), [list(row.values()) for row in exposed]),
        "mitigations": _table("answers", findings.mitigations),
        "inputs": Table(
            ["input", "name", "records", "bytes", "sha256"],
            [
                [of["role"], of["name"], *map(_count, (of["records"], of["bytes"])), of["sha256"]]
                for of in filing["inputs"]
            ],
        ),
    }


def _table(of, found, best=None):
    """Return a table of a dict of rows, each a dict; of too many that have an AUC, those of the highest bound."""
    names, first = list(found), next(iter(found.values()), {})
    if len(names) > MOST and "leaks" in first:
        names = sorted(names, key=lambda name: -np.nan_to_num(found[name]["AUC"].low, nan=-1))[:MOST]
    return Table(
        [of, *(HEADS.get(column, column) for column in first)],
        [[name, *(share(value) if c in SHARES else value for c, value in found[name].items())] for name in names],
        best,
        len(found) - len(names),
    )


def _found(check):
    return None if check.value is None else f"{check.value:,} {check.unit}"


def _count(n):
    return None if n is None else f"{n:,}"


def cell(value):
    """Return a value as a table shows it; a dash for what is not defined."""
    if value is None:
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "not shown"
    return number(value) if isinstance(value, float | np.floating) else str(value)


def number(value):
    """Return a number as text, an `Estimate` with its interval below; a dash where it is not defined."""
    if value != value:
        return "–"
    if not isinstance(value, Estimate) or np.isnan(value.low):
        return f"{value:.3f}"
    ends = (f"{end:.3f}" for end in (value, value.low, value.high))
    return Markup("{}<br> <small>[{} to {}]</small>").format(*ends)


def share(value):
    """Return a share in percent; a dash where it is not defined."""
    return "–" if value != value else f"{value:.1%}"


def listed(values):
    """Return a dict of settings, versions or the like in one line."""
    return ", ".join(f"{name} {'–' if value in (None, '') else value}" for name, value in values.items())
