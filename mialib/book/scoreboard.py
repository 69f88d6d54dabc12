"""The scoreboard: every claim with the paper's value, ours, and the verdicts, as one page that can be filtered."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import isfinite
from pathlib import Path
from urllib.parse import urlencode

import jinja2

from mialib.book import chapters, ledger
from mialib.book.claims import NOT_MEASURED, OUTCOMES, SCOPES, Verdict
from mialib.book.runs import which_seeds

WAITING = "not measured yet"
STATES = (*OUTCOMES, WAITING)
"""What a claim can be: an outcome, or waiting for a recording that measures its numbers."""

PAGE = "scoreboard.html"
TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
TEMPLATES.globals |= {"STATES": STATES}


def state(verdict):
    """Return what a claim is by a recorded run, one of `STATES`: those that wait are not counted by `ledger.score`."""
    return WAITING if verdict.run is None or verdict.note == NOT_MEASURED else verdict.outcome


def counted(verdicts):
    """Return how many verdicts are of each of `STATES`, nothing of what none is (dict of str to int)."""
    found = [state(verdict) for verdict in verdicts]
    return {of: found.count(of) for of in STATES if of in found}


def link(**filters):
    """Return the address of the scoreboard, filtered, such as by ``outcome`` and ``item`` (str)."""
    return f"{PAGE}?{urlencode(filters)}#claims"


def _number(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def _interval(value):
    """Return the interval of a number as text; empty if it has none."""
    low, high = getattr(value, "low", float("nan")), getattr(value, "high", float("nan"))
    return f"[{_number(low)}, {_number(high)}]" if low == low and high == high else ""


def _in_full(values):
    return ", ".join(f"{_number(value)} {_interval(value)}".strip() for value in values)


TEMPLATES.filters |= {
    "number": _number,
    "interval": _interval,
    "in_full": _in_full,
    "css": lambda text: f"mialib-{text.replace(' ', '-')}",
    "n_claims": lambda n: f"{n} claim{'' if n == 1 else 's'}",
    "sentence": lambda scope: f"On {scope}" if scope.endswith("data") else scope.capitalize(),
}


def strip(verdict):
    """Return where the marks of a verdict's strip lie, as shares of its width.

    Returns
    -------
    dict of str to float or None
        ``region from``, ``region to``, ``low``, ``ours``, ``high`` and ``paper``: None is what the verdict lacks.
        Empty, if it has no numbers.
    """
    if not verdict.values or any(value != value for value in verdict.values):
        return {}
    claim, ours = verdict.claim, verdict.claim.judged(verdict.run)
    region, paper = claim.judge.region, float(claim.paper or "nan") if len(claim.quantities) == 1 else float("nan")
    marks = {"low": ours.low, "ours": float(ours), "high": ours.high, "paper": paper}
    drawn = [mark for mark in (*region, *marks.values()) if isfinite(mark)]
    margin = (max(drawn) - min(drawn) or 1) / 8
    left, width = min(drawn) - margin, max(drawn) - min(drawn) + 2 * margin
    places = {name: (mark - left) / width if isfinite(mark) else None for name, mark in marks.items()}
    start, end = (min(max((mark - left) / width, 0.0), 1.0) for mark in region)
    return {"region from": start, "region to": end, **places}


@dataclass(frozen=True)
class Row:
    """A claim on the scoreboard: its `Verdict` by the recorded run, and that by this build's small run or None."""

    verdict: Verdict
    small: Verdict | None
    shown: bool

    @property
    def claim(self):
        """The `Claim`."""
        return self.verdict.claim

    @property
    def values(self):
        """What the filters go by: a list of str for each group of chips."""
        chapter = [self.claim.chapter]
        items = [item for item in self.claim.items if item in ledger.ITEMS]
        return {"outcome": [state(self.verdict)], "scope": [self.verdict.scope], "chapter": chapter, "item": items}

    @property
    def strip(self):
        """Where the marks of its strip lie, see `strip`."""
        return strip(self.verdict)

    @property
    def said(self):
        """The strip in words (str)."""
        claim, ours = self.claim, self.claim.judged(self.verdict.run)
        step = "the least step " if claim.judge.kind == "ordering" else ""
        paper = f"; the paper: {claim.paper}" if claim.paper else ""
        return f"holds if {claim.judge}; here {step}{_number(ours)} {_interval(ours)}".rstrip() + paper

    def origin(self, verdict):
        """Return where a verdict's numbers come from: of a run's data sets those that the claim names (str)."""
        run = verdict.run
        if not (sets := tuple(self.claim.provenances(run))):
            return run.origin.badge
        measuring = [one for one in run.runs if one.numbers.keys() >= set(self.claim.quantities)]
        return replace(run.origin, sets=sets, seed=which_seeds(measuring or run.runs)).badge


class Scoreboard:
    """All claims with their verdicts by the recorded runs, and by the small runs of this build; a notebook shows it.

    Parameters
    ----------
    recorded, small : dict of str to Run or Recording
        By chapter.
    chapter, outcome : str, optional
        Show only the claims of a chapter, or those with a verdict, one of `STATES`, until the reader presses other
        filters. A ValueError says that there is none of this name.
    """

    def __init__(self, recorded, small, chapter=None, outcome=None):
        self.names = chapters.measuring()
        for what, value, known in (("chapter", chapter, self.names), ("verdict", outcome, STATES)):
            if value not in (None, *known):
                raise ValueError(f"there is no {what} {value!r}; there are {', '.join(known)}")
        self.recorded, self.small = recorded, small
        self.pressed = {"chapter": chapter, "outcome": outcome}

    @cached_property
    def rows(self):
        """A `Row` for each claim of the ledger, by chapter (dict of str to list), in the order of the book."""
        found = {name: [] for name in self.names}
        for claim in ledger.read_claims():
            verdict = ledger.verdict_of(claim, self.recorded)
            small = ledger.verdict_of(claim, self.small) if claim.chapter in self.small else None
            shown = all(
                value in (None, of)
                for value, of in zip(self.pressed.values(), (claim.chapter, state(verdict)), strict=True)
            )
            found[claim.chapter].append(Row(verdict, small, shown))
        return {name: rows for name, rows in found.items() if rows}

    @property
    def verdicts(self):
        """That of the recorded run on each claim (list of Verdict)."""
        return [row.verdict for rows in self.rows.values() for row in rows]

    @property
    def counts(self):
        """How many claims are of each of `STATES`, by scope (dict of str to dict of str to int)."""
        return {scope: counted(verdict for verdict in self.verdicts if verdict.scope == scope) for scope in SCOPES}

    @property
    def groups(self):
        """The chips by group: each value with its label and how many claims have it (dict of str to dict)."""
        values = {
            "outcome": ("Verdict", {of: of for of in STATES}),
            "scope": ("Data", {of: of for of in SCOPES}),
            "chapter": ("Chapter", {name: chapters.title(name) for name in self.rows}),
            "item": ("Table or figure", {item: item for item in ledger.ITEMS}),
        }
        rows = [row.values for of_chapter in self.rows.values() for row in of_chapter]
        n = {group: [value for row in rows for value in row[group]] for group in values}
        return {
            group: (heading, [(of, label, n[group].count(of)) for of, label in labels.items() if of in n[group]])
            for group, (heading, labels) in values.items()
        }

    def _repr_html_(self):
        return TEMPLATES.get_template("scoreboard.html.j2").render(board=self, counted=counted, title=chapters.title)

    def __repr__(self):
        lines = self.counts | {name: counted(row.verdict for row in rows) for name, rows in self.rows.items()}
        small = [row.small for rows in self.rows.values() for row in rows if row.small]
        lines["this build's small runs"] = counted(small)
        said = {name: ", ".join(f"{n} {of}" for of, n in counts.items()) for name, counts in lines.items()}
        return "\n".join(f"{name}: {counts or 'none'}" for name, counts in said.items())
