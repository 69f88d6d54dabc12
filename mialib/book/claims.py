"""A claim of the paper, or beyond it: the region in which it holds, and what runs say of it."""

import re
from dataclasses import dataclass
from itertools import pairwise, product
from math import inf

from mialib import metrics
from mialib.book.runs import Run
from mialib.datasets.dataset import KINDS

REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided"
NOT_TESTABLE = "not testable here"
OUTCOMES = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)

ON_PAPERS_DATA, ON_OTHER_DATA, BEYOND = "the paper's data", "other data", "beyond the paper"
SCOPES = (ON_PAPERS_DATA, ON_OTHER_DATA, BEYOND)
"""What a verdict is about. Those of different scopes are never added up."""

SMALL = "sample"
"""Profile of a chapter's defaults: its runs are small, and judge no value that the paper measured at its sizes."""
TOO_SMALL = "judged at the paper's size only"
NOT_MEASURED = "not measured"

ITEM = re.compile(r"(?:Table|Fig\.|Algorithm|§)\s?[IVX\d]+(?:-[A-Z])?")

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

    @property
    def region(self):
        """The lower and the upper end of where a number must lie, of an ordering the least step (float, float)."""
        first, *tolerance = self.bounds
        if self.kind == "within":
            return first - tolerance[0], first + tolerance[0]
        return (-inf, first) if self.kind == "at_most" else (first, inf)

    def __str__(self):
        return JUDGES[self.kind][1].format(*self.bounds)


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, or of the talk on it, and how it is judged.

    Parameters
    ----------
    id, chapter : str
    where : str
        Figure, table or section; "talk" or "extension" for what is beyond the paper.
    statement : str
    quantities : tuple of str
        Names of the numbers that are judged.
    judge : Judge
        The region in which they must lie, set before the run.
    why : str
        Why this region.
    paper : str
        The paper's value; empty where it gives none.
    data : tuple of str
        Names of the data sets that the numbers are computed on, where the chapter has others too; any of them that a
        run has.
    untestable : str
        Why no run here can judge it; empty if one can.
    """

    id: str
    chapter: str
    where: str
    statement: str
    quantities: tuple[str, ...]
    judge: Judge
    why: str
    paper: str = ""
    data: tuple[str, ...] = ()
    untestable: str = ""

    @property
    def items(self):
        """The tables, figures and sections of the paper that it is from, a list of str: none if it is beyond."""
        shared = re.sub(r"(Tables?|Figs?\.|Fig\.) (\S+?),? and (\S+)", _each_alone, self.where)
        return [match.group().replace("§ ", "§") for match in ITEM.finditer(shared)]

    @property
    def of_papers_size(self):
        """Whether it is on a value that the paper measured, which depends on size (bool)."""
        return bool(self.paper) and self.judge.kind == "within"

    def provenances(self, run):
        """Return the provenances of the data sets of a `Run` or `Recording` that the judged numbers come from."""
        return [of for of in run.origin.sets if not self.data or of.name in self.data]

    def scope(self, run=None):
        """Return what a verdict on it is about, one of `SCOPES`; without a run, as if the paper's data were there."""
        if not self.items:
            return BEYOND
        kinds = {of.kind for of in self.provenances(run)} if run else set()
        return ON_OTHER_DATA if KINDS[1] in kinds else ON_PAPERS_DATA

    def measured(self, run):
        """Return the judged numbers of each run that has all of them (list of list): some have fewer seeds."""
        each = [[one.numbers.get(name) for name in self.quantities] for one in run.runs]
        return [of_run for of_run in each if None not in of_run]

    def judged(self, run):
        """Return what must lie in the judge's region, as an Estimate: the number, or an ordering's least step."""
        (low, high), slacks = self.judge.region, self._slacks(self.measured(run))
        if low == -inf:
            return metrics.Estimate(high - slacks[0], high - slacks[0].high, high - slacks[0].low)
        slack = min(slacks) if self.judge.kind == "ordering" else slacks[0]
        return metrics.Estimate(low + slack, low + slack.low, low + slack.high)

    def verdict(self, run):
        """Hold what a `Run`, or a `Recording` of several, measured against the claim; return a `Verdict`.

        Of several runs the mean and its interval between seeds decide, of one the intervals of its numbers: reproduced
        if all of the interval lies in the region, not reproduced if all of it lies outside, undecided if it crosses a
        bound, or if there is none.
        """
        if run.origin.profile == SMALL and self.of_papers_size and not self.untestable:
            return Verdict(self, run, (), NOT_TESTABLE, TOO_SMALL)
        each = self.measured(run)
        if self.untestable or not each:
            return Verdict(self, run, (), NOT_TESTABLE, self.untestable or NOT_MEASURED)
        values = tuple(run.numbers[name] for name in self.quantities)
        if any(value != value for of_run in each for value in of_run):
            return Verdict(self, run, values, NOT_TESTABLE, "not defined")
        slacks = self._slacks(each)
        if any(of.kind == KINDS[-1] for of in self.provenances(run)) or not self.provenances(run):
            holds = "holds" if all(slack >= 0 for slack in slacks) else "fails"
            return Verdict(self, run, values, NOT_TESTABLE, f"{holds} on the {KINDS[-1]}")
        if any(slack.high < 0 for slack in slacks):
            return Verdict(self, run, values, NOT_REPRODUCED)
        if all(slack.low >= 0 for slack in slacks):
            return Verdict(self, run, values, REPRODUCED)
        no_interval = any(slack.low != slack.low for slack in slacks)
        return Verdict(self, run, values, UNDECIDED, "one seed, no interval" if no_interval else "")

    def _slacks(self, each):
        """Return the distance from each bound as an Estimate: between seeds, or of one from its numbers' intervals."""
        if len(each) > 1:
            return [metrics.mean(of_seeds) for of_seeds in zip(*map(self.judge.slacks, each), strict=True)]
        ends = [(getattr(v, "low", float("nan")), getattr(v, "high", float("nan"))) for v in each[0]]
        corners = list(zip(*map(self.judge.slacks, product(*ends)), strict=True))
        found = self.judge.slacks(each[0])
        if any(end != end for pair in ends for end in pair):
            return [metrics.Estimate(slack) for slack in found]
        return [metrics.Estimate(slack, min(of), max(of)) for slack, of in zip(found, corners, strict=True)]


def _each_alone(match):
    kind, first, second = match.groups()
    kind = kind.replace("Tables", "Table").replace("Figs.", "Fig.")
    return f"{kind} {first}, {kind} {second}"


@dataclass(frozen=True)
class Verdict:
    """A claim, judged by the values that a run measured: none if it did not. `note` says more where there is more."""

    claim: Claim
    run: Run
    values: tuple
    outcome: str
    note: str = ""

    @property
    def scope(self):
        """What the verdict is about, one of `SCOPES`."""
        return self.claim.scope(self.run)

    def __str__(self):
        return f"{self.outcome} ({self.note})" if self.note else self.outcome
