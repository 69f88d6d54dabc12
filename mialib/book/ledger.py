"""The ledger: claims in words (``book/claims.yaml``), and one for each printed number (``book/paper.yaml``)."""

import re
from collections import Counter
from pathlib import Path

import yaml

from mialib.base.machine import shipped
from mialib.book.claims import BEYOND, NOT_MEASURED, NOT_TESTABLE, OUTCOMES, SCOPES, Claim, Judge, Verdict
from mialib.book.runs import recordings

ITEMS = (
    *(f"Table {n}" for n in ("I", "II", "III")),
    *(f"Fig. {n}" for n in range(4, 14)),
    "Algorithm 1",
)
"""The tables and figures of the paper that report something measured, and its algorithm."""


def read_claims(path=None):
    """Return the claims of a ledger, a list of `Claim`; by default those of the project, in words and in numbers.

    A ValueError says that an id is there twice, or an entry is not one `Claim` with one judge.
    """
    entries = yaml.safe_load(Path(path or shipped("book", "claims.yaml")).read_text(encoding="utf-8"))
    claims = [_claim(entry) for entry in entries] + ([] if path else printed())
    if twice := [name for name, n in Counter(claim.id for claim in claims).items() if n > 1]:
        raise ValueError(f"the ledger has an id twice: {', '.join(sorted(twice))}")
    return claims


def _claim(entry):
    try:
        ((kind, bounds),) = entry["judge"].items()
        judge = Judge(kind, tuple(bounds) if isinstance(bounds, list) else (bounds,))
        lists = {name: tuple(entry[name]) for name in ("quantities", "data") if name in entry}
        return Claim(**{**entry, "judge": judge, **lists})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"claim {entry.get('id')!r} is not well formed: {error}") from error


def printed():
    """Return a `Claim` for each number of the paper's tables and figures, from ``book/paper.yaml``."""
    return [claim for table in _tables() for claim in _claims_of(table)]


def _tables():
    return yaml.safe_load(shipped("book", "paper.yaml").read_text(encoding="utf-8"))


def _claims_of(table):
    for row, cells in table["rows"].items():
        for column, value in cells.items():
            name = f"{table['where']} {table.get('of', '')} {row} {column}"
            words = {"row": row, "column": column, "value": f"{value:g}"}
            unable = table.get("untestable", {})
            yield Claim(
                id=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
                chapter=table["chapter"],
                where=table["where"],
                statement=table["statement"].format(**words),
                quantities=(table["quantity"].format(**words),),
                judge=Judge("within", (value, table["within"][column])),
                why=table["why"],
                paper=f"{value:g}",
                data=tuple(table.get("data", ())),
                untestable=unable.get(f"{row}, {column}", unable.get(row, "")),
            )


def paper_table(where, of=None):
    """Return a table or figure of the paper, nested dicts of float by row and column.

    `of` names the part, where the paper has several, such as ``paper_table("Table III", "Texas")``.
    """
    found = [table["rows"] for table in _tables() if table["where"] == where and of in (None, table.get("of"))]
    if not found:
        raise ValueError(f"book/paper.yaml has no {where} of {of}" if of else f"book/paper.yaml has no {where}")
    return {row: cells for rows in found for row, cells in rows.items()}


def paper_values(chapter):
    """Return the paper's numbers for a chapter, a dict from quantity to float."""
    of_one = [c for c in read_claims() if c.chapter == chapter and c.paper and len(c.quantities) == 1]
    return {claim.quantities[0]: float(claim.paper) for claim in of_one}


def verdicts(run):
    """Judge the claims of a run's chapter; return a list of `Verdict`, in the ledger's order."""
    return [claim.verdict(run) for claim in read_claims() if claim.chapter == run.origin.chapter]


def verdict_of(claim, runs):
    """Return the `Verdict` on a claim by runs, a dict by chapter; of none if its chapter has none."""
    if claim.chapter in runs:
        return claim.verdict(runs[claim.chapter])
    return Verdict(claim, None, (), NOT_TESTABLE, claim.untestable or "not recorded")


def score(runs):
    """Return how many claims have each outcome in the runs of chapters, a dict by chapter, by scope.

    A claim whose numbers no run measured has none.
    """
    counts = {scope: dict.fromkeys(OUTCOMES, 0) for scope in SCOPES}
    for run in runs.values():
        for verdict in verdicts(run):
            counts[verdict.scope][verdict.outcome] += verdict.note != NOT_MEASURED
    return counts


def score_line():
    """Return the score of the recorded runs, a sentence for each scope, and how many claims wait for theirs."""
    runs = recordings()
    several = sum(len(of.runs) > 1 for of in runs.values())
    waiting = len(read_claims()) - sum(sum(counts.values()) for counts in score(runs).values())
    sentences = [
        f"Chapters recorded at the paper's sizes: {len(runs)}, of which {several} from several seeds; "
        f"{waiting} claims wait for a recording of their numbers."
    ]
    for scope, counts in score(runs).items():
        said = ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
        sentences.append(f"{scope if scope == BEYOND else f'On {scope}'}: {said}.".capitalize())
    return " ".join(sentences)


def by_item(runs):
    """Return the verdicts on each table, figure and section of the paper, and on what is beyond it.

    A dict from item, tables and figures first, to a list of `Verdict`; those of `ITEMS` are there in any case.
    """
    found = {item: [] for item in ITEMS}
    for claim in read_claims():
        for item in claim.items or [BEYOND]:
            found.setdefault(item, []).append(verdict_of(claim, runs))
    sections = sorted(item for item in found if item not in (*ITEMS, BEYOND))
    return {item: found[item] for item in (*ITEMS, *sections, BEYOND) if item in found}


def paper_points(verdicts):
    """Return the paper's numbers with ours, as `mialib.plots.points.paper_against_ours` takes them.

    A list of pairs, the paper's value and ours, by scope, of those verdicts that have both.
    """
    points = {}
    for verdict in verdicts:
        if verdict.claim.paper and len(verdict.values) == 1 and verdict.outcome != NOT_TESTABLE:
            points.setdefault(verdict.scope, []).append((float(verdict.claim.paper), float(verdict.values[0])))
    return points
