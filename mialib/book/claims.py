"""The ledger of claims: what the paper says, and whether it came out (``book/claims.yaml``)."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from mialib import metrics
from mialib.base.machine import shipped
from mialib.book.runs import Run, recordings
from mialib.datasets.dataset import KINDS

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"
NOT_TESTABLE = "not testable here"
OUTCOMES = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)

JUDGES = {
    "at_least": (lambda values, bound: [values[0] - bound], "at least {:g}"),
    "at_most": (lambda values, bound: [bound - values[0]], "at most {:g}"),
    "within": (
        lambda values, centre, tolerance: [values[0] - centre + tolerance, centre + tolerance - values[0]],
        "{:g} ± {:g}",
    ),
    "ordering": (lambda values, margin: [a - b - margin for a, b in pairwise(values)], "each above the next by {:g}"),
}
"""Kind of judge to the distances of values from the bounds of its region, negative outside; and to its wording."""


@dataclass(frozen=True)
class Judge:
    """How numbers are judged: a kind of `JUDGES`, and its bounds, such as ``Judge("within", (0.6, 0.1))``."""

    kind: str
    bounds: tuple[float, ...]

    def __post_init__(self):
        self.slacks((0.0, 0.0))  # an unknown kind, or bounds that do not fit it, fail here

    def slacks(self, values):
        """Return how far values lie from each bound of the region (list of float), negative outside of it."""
        return [float(slack) for slack in JUDGES[self.kind][0](values, *self.bounds)]

    def __str__(self):
        return JUDGES[self.kind][1].format(*self.bounds)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, or of the talk on it, and how it is judged.

    Parameters
    ----------
    id, chapter, statement : str
    where : str
        Figure, table or section.
    paper : str
        The paper's value; empty where it gives none.
    quantities : tuple of str
        Names of the numbers that are judged.
    judge : Judge
    why : str
        Why this bound.
    data : tuple of str
        Kinds of data that may judge it; never ``stand-in``.
    """

    id: str
    chapter: str
    where: str
    statement: str
    paper: str
    quantities: tuple[str, ...]
    judge: Judge
    why: str
    data: tuple[str, ...]

    def __post_init__(self):
        if foreign := set(self.data) - set(KINDS[:2]):
            raise ValueError(
                f"claim {self.id} lets {', '.join(foreign)} judge it; only {' and '.join(KINDS[:2])} data may"
            )

    def verdict(self, run):
        """Hold what a `Run`, or a `Recording` of several, measured against the claim; return a `Verdict`.

        Of several runs the mean and its interval between seeds decide: reproduced if all of the interval lies in the
        region, not reproduced if all of it lies outside, undecided if it crosses a bound.
        """
        values = tuple(run.numbers.get(name) for name in self.quantities)
        each = [[one.numbers.get(name) for name in self.quantities] for one in run.runs]
        if any(value is None for of_run in each for value in of_run):
            return Verdict(self, run, (), NOT_TESTABLE, None)
        slacks = [metrics.mean(slack) for slack in zip(*map(self.judge.slacks, each), strict=True)]
        least = float("nan") if any(slack != slack for slack in slacks) else min(slacks)
        several = len(run.runs) > 1
        if run.origin.data.kind not in self.data or least != least:
            outcome = NOT_TESTABLE
        elif all((slack.low if several else slack) >= 0 for slack in slacks):
            outcome = REPRODUCED
        else:
            outside = any((slack.high if several else slack) < 0 for slack in slacks)
            outcome = NOT_REPRODUCED if outside else UNDECIDED
        return Verdict(self, run, values, outcome, float(least))


@dataclass(frozen=True)
class Verdict:
    """A claim, judged by the values that a run measured: none, and no slack (the least), if it did not."""

    claim: Claim
    run: Run
    values: tuple
    outcome: str
    slack: float | None

    def __str__(self):
        if self.outcome != NOT_TESTABLE:
            return self.outcome
        if self.slack is None:
            return f"{NOT_TESTABLE} (not measured)"
        if self.slack != self.slack:
            return f"{NOT_TESTABLE} (not defined)"
        return f"{NOT_TESTABLE} ({'holds' if self.slack >= 0 else 'fails'} on the {self.run.origin.data.kind})"


def read_claims(path=None):
    """Return the claims of a ledger, a list of `Claim`; by default those of the project's ``book/claims.yaml``.

    A ValueError says that an id is there twice, or an entry is not one `Claim` with one judge.
    """
    claims = []
    for entry in yaml.safe_load(Path(path or shipped("book", "claims.yaml")).read_text(encoding="utf-8")):
        try:
            ((kind, bounds),) = entry["judge"].items()
            judge = Judge(kind, tuple(bounds) if isinstance(bounds, list) else (bounds,))
            quantities, data = tuple(entry["quantities"]), tuple(entry["data"])
            claims.append(Claim(**{**entry, "judge": judge, "quantities": quantities, "data": data}))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"claim {entry.get('id')!r} is not well formed: {error}") from error
    if twice := [name for name, n in Counter(claim.id for claim in claims).items() if n > 1]:
        raise ValueError(f"claims.yaml has an id twice: {', '.join(sorted(twice))}")
    return claims


def verdicts(run):
    """Judge the claims of a run's chapter; return a list of `Verdict`, in the ledger's order."""
    return [claim.verdict(run) for claim in read_claims() if claim.chapter == run.origin.chapter]


def verdict_of(claim, runs):
    """Return the `Verdict` on a claim by runs, a dict by chapter; None if its chapter has none."""
    return claim.verdict(runs[claim.chapter]) if claim.chapter in runs else None


def score(runs):
    """Return how many claims have each outcome by runs, a dict by chapter; without a run, a claim is not testable."""
    counts = dict.fromkeys(OUTCOMES, 0)
    for claim in read_claims():
        verdict = verdict_of(claim, runs)
        counts[verdict.outcome if verdict else NOT_TESTABLE] += 1
    return counts


def score_line():
    """Return the score of the recorded runs, one sentence."""
    runs = recordings()
    counts, several = score(runs), sum(len(of.runs) > 1 for of in runs.values())
    return (
        f"Of {sum(counts.values())} claims, the recorded runs of {len(runs)} chapters ({several} from several seeds) "
        f"reproduced {counts[REPRODUCED]} and did not reproduce {counts[NOT_REPRODUCED]}; "
        f"{counts[UNDECIDED]} are undecided, {counts[NOT_TESTABLE]} not testable here."
    )


def paper_values(chapter):
    """Return the paper's numbers for a chapter, a dict from quantity to float."""
    return {c.quantities[0]: float(c.paper) for c in read_claims() if c.chapter == chapter and c.paper}


def paper_points(runs):
    """Return the paper's numbers with ours, as `mialib.plots.points.paper_against_ours` takes them.

    `runs` has a dict from chapter to `Run` by name, such as ``laptop``. What is returned has a list of pairs, the
    paper's value and ours, by name and kind of data.
    """
    paper = {(claim.chapter, claim.quantities[0]): float(claim.paper) for claim in read_claims() if claim.paper}
    points = {}
    for name, of_chapter in runs.items():
        for (chapter, quantity), value in paper.items():
            run = of_chapter.get(chapter)
            if run and quantity in run.numbers:
                kind = f"{name}, {run.origin.data.kind} data"
                points.setdefault(kind, []).append((value, float(run.numbers[quantity])))
    return points


def paper_table(name):
    """Return a table of the paper, from ``book/<name>.yaml``: nested dicts of float."""
    return yaml.safe_load(shipped("book", f"{name}.yaml").read_text(encoding="utf-8"))
