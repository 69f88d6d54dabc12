"""The ledger of claims: what the paper says, and whether it came out (``book/claims.yaml``)."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import yaml

from mialib.base.machine import shipped
from mialib.book.runs import Origin, recorded_runs
from mialib.datasets.dataset import KINDS

REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE = "reproduced", "not reproduced", "not testable here"


@dataclass(frozen=True)
class AtLeast:
    """The first quantity is no less than `bound`."""

    bound: float

    def slack(self, values):
        """Return how far the judgement is from turning over; negative where the claim fails."""
        return values[0] - self.bound

    def __str__(self):
        return f"at least {self.bound:g}"


@dataclass(frozen=True)
class AtMost:
    """The first quantity is no more than `bound`."""

    bound: float

    def slack(self, values):
        """Return how far the judgement is from turning over; negative where the claim fails."""
        return self.bound - values[0]

    def __str__(self):
        return f"at most {self.bound:g}"


@dataclass(frozen=True)
class Within:
    """The first quantity is within `tolerance` of `centre`."""

    centre: float
    tolerance: float

    def slack(self, values):
        """Return how far the judgement is from turning over; negative where the claim fails."""
        return self.tolerance - abs(values[0] - self.centre)

    def __str__(self):
        return f"{self.centre:g} ± {self.tolerance:g}"


@dataclass(frozen=True)
class Ordering:
    """Each quantity is larger than the next by at least `margin`."""

    margin: float

    def slack(self, values):
        """Return how far the judgement is from turning over; negative where the claim fails."""
        return min(a - b for a, b in itertools.pairwise(values)) - self.margin

    def __str__(self):
        return f"each above the next by {self.margin:g}"


JUDGES = {"at_least": AtLeast, "at_most": AtMost, "within": Within, "ordering": Ordering}


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, or of the talk on it, and how it is judged.

    Parameters
    ----------
    id : str
    chapter : str
    where : str
        Figure, table or section.
    statement : str
        One sentence.
    paper : str
        The paper's value; empty where it gives none.
    quantities : tuple of str
        Names of the numbers that are judged.
    judge : AtLeast, AtMost, Within or Ordering
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
    judge: AtLeast | AtMost | Within | Ordering
    why: str
    data: tuple[str, ...]

    def __post_init__(self):
        foreign = set(self.data) - set(KINDS[:2])
        if foreign:
            raise ValueError(
                f"claim {self.id} lets {', '.join(foreign)} judge it; only {' and '.join(KINDS[:2])} data may"
            )

    def verdict(self, origin, numbers):
        """Hold measured numbers against the claim.

        Parameters
        ----------
        origin : Origin
        numbers : dict of str to float or Estimate

        Returns
        -------
        Verdict
        """
        values = [numbers.get(name) for name in self.quantities]
        if None in values:
            return Verdict(self, origin, (), NOT_TESTABLE, None)
        slack = self.judge.slack([getattr(value, "value", value) for value in values])
        if origin.data.kind not in self.data:
            return Verdict(self, origin, tuple(values), NOT_TESTABLE, slack)
        return Verdict(self, origin, tuple(values), REPRODUCED if slack >= 0 else NOT_REPRODUCED, slack)


@dataclass(frozen=True)
class Verdict:
    """A claim, judged.

    Parameters
    ----------
    claim : Claim
    origin : Origin
    values : tuple of float or Estimate
        What was measured; empty if it was not.
    outcome : {"reproduced", "not reproduced", "not testable here"}
    slack : float or None
        Distance to the other judgement, in the quantity's units; None if not measured.
    """

    claim: Claim
    origin: Origin
    values: tuple
    outcome: str
    slack: float | None

    def __str__(self):
        if self.outcome != NOT_TESTABLE:
            return self.outcome
        if self.slack is None:
            return f"{NOT_TESTABLE} (not measured)"
        return f"{NOT_TESTABLE} ({'holds' if self.slack >= 0 else 'fails'} on the {self.origin.data.kind})"


def read_claims(path=None):
    """Read the ledger.

    Parameters
    ----------
    path : path, optional
        By default the project's ``book/claims.yaml``.

    Returns
    -------
    list of Claim

    Raises
    ------
    ValueError
        If an id is there twice, or an entry is not one `Claim` with one judge.
    """
    entries = yaml.safe_load(Path(path or shipped("book", "claims.yaml")).read_text(encoding="utf-8"))
    claims = []
    for entry in entries:
        try:
            ((kind, arguments),) = entry.pop("judge").items()
            judge = JUDGES[kind](*arguments) if isinstance(arguments, list) else JUDGES[kind](arguments)
            entry = {**entry, "quantities": tuple(entry["quantities"]), "data": tuple(entry["data"])}
            claims.append(Claim(judge=judge, **entry))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"claim {entry.get('id')!r} is not well formed: {error}") from error
    ids = [claim.id for claim in claims]
    if len(ids) != len(set(ids)):
        raise ValueError(f"claims.yaml has an id twice: {', '.join(sorted(i for i in set(ids) if ids.count(i) > 1))}")
    return claims


def verdicts(run, ledger=None):
    """Judge the claims of a run's chapter; return a list of `Verdict`, in the ledger's order."""
    ledger = read_claims() if ledger is None else ledger
    return [claim.verdict(run.origin, run.numbers) for claim in ledger if claim.chapter == run.origin.chapter]


def verdict_of(claim, runs):
    """Return the verdict on a claim by the run of its chapter, or None if there is no such run.

    Parameters
    ----------
    claim : Claim
    runs : dict of str to Run
        By chapter.
    """
    run = runs.get(claim.chapter)
    return claim.verdict(run.origin, run.numbers) if run else None


def score(runs):
    """Return how many claims have each outcome; a claim without a run is not testable here.

    Parameters
    ----------
    runs : dict of str to Run
        By chapter.

    Returns
    -------
    dict of str to int
    """
    counts = dict.fromkeys((REPRODUCED, NOT_REPRODUCED, NOT_TESTABLE), 0)
    for claim in read_claims():
        verdict = verdict_of(claim, runs)
        counts[verdict.outcome if verdict else NOT_TESTABLE] += 1
    return counts


def score_line(profile="laptop"):
    """Return the score of the recorded runs of a profile, one sentence."""
    runs = recorded_runs(profile)
    counts, n_claims = score(runs), len(read_claims())
    return (
        f"Of {n_claims} claims, the runs recorded in profile {profile} ({len(runs)} chapters) reproduced "
        f"{counts[REPRODUCED]} and did not reproduce {counts[NOT_REPRODUCED]}; "
        f"{counts[NOT_TESTABLE]} are not testable here."
    )


def paper_values(chapter):
    """Return the paper's numbers for a chapter, a dict from quantity to float."""
    given = [claim for claim in read_claims() if claim.chapter == chapter and claim.paper]
    return {claim.quantities[0]: float(claim.paper) for claim in given}


def paper_points(runs):
    """Return the paper's numbers beside ours.

    Parameters
    ----------
    runs : dict of str to dict of str to Run
        Name, such as ``laptop``, to the runs of its chapters.

    Returns
    -------
    dict of str to list of (float, float)
        Name and kind of data to pairs of the paper's value and ours.
    """
    points = {}
    for name, chapters in runs.items():
        for chapter, run in chapters.items():
            for quantity, paper in paper_values(chapter).items():
                if quantity in run.numbers:
                    ours = run.numbers[quantity]
                    pair = (paper, float(getattr(ours, "value", ours)))
                    points.setdefault(f"{name}, {run.origin.data.kind} data", []).append(pair)
    return points
