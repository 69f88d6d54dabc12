"""Tables with, at the foot, where their numbers come from; and those of the scoreboard."""

import re
from html import escape
from numbers import Integral, Real
from pathlib import Path

import pandas as pd

from mialib.book import ledger
from mialib.book.claims import OUTCOMES, TOO_SMALL
from mialib.book.runs import recorded
from mialib.metrics import Estimate

BLANK = "–"


class Table:
    """A table with, at its foot, where its numbers come from; a page shows its title, and the table on a click.

    Parameters
    ----------
    rows : dict of str to dict, or DataFrame
        Row to its cells by column: texts, or numbers, floats to three decimals; a cell may be missing.
        The numbers of a DataFrame have lost their intervals, unless its dtype is object.
    foot : str
    title : str, optional
    shown : bool, optional
        Whether a page shows the table at once.
    kind : str, optional
        A further class of the HTML, by which a page finds the table.
    """

    def __init__(self, rows, foot, title="The numbers", shown=False, kind=""):
        if isinstance(rows, pd.DataFrame):
            self.frame = rows.map(_cell)
        else:
            columns = list(dict.fromkeys(name for row in rows.values() for name in row))
            cells = [[_cell(row.get(name)) for name in columns] for row in rows.values()]
            self.frame = pd.DataFrame(cells, list(rows), columns)
        self.foot, self.title, self.shown, self._kind = foot, title, shown, f" {kind}" if kind else ""

    def _repr_html_(self):
        head = "".join(f'<th scope="col">{escape(str(column))}</th>' for column in self.frame.columns)
        body = "".join(
            f'<tr><th scope="row">{self._html_head(row)}</th>'
            + "".join(self._html_cell(*cell) for cell in zip(self.frame.columns, cells, strict=True))
            + "</tr>"
            for row, *cells in self.frame.itertuples()
        )
        table = f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"
        return (
            f'<details class="mialib-table{self._kind}"{" open" if self.shown else ""}>'
            f"<summary>{escape(self.title)}</summary>"
            f'<div class="mialib-scroll" tabindex="0" role="region" aria-label="{escape(self.title)}">{table}</div>'
            f'<p class="mialib-origin">{escape(self.foot)}</p></details>'
        )

    def _html_head(self, row):
        return escape(", ".join(row) if isinstance(row, tuple) else str(row))

    def _html_cell(self, column, text):
        kept = MEASURED.sub(lambda found: f'<span class="mialib-whole">{found[0]}</span>', escape(text))
        return f'<td class="mialib-number">{kept}</td>' if NUMERIC.fullmatch(text) else f"<td>{kept}</td>"

    def __repr__(self):
        with pd.option_context("display.max_colwidth", 60, "display.width", 200):
            return f"{self.frame.to_string()}\n{self.foot}"


MEASURED = re.compile(r"[-+−]?\d[\d.,]*( \[[^\]]*\]| ± [\d.]+|[  ]?%)?")
"""A number, with its interval or unit: never broken over lines."""
NUMERIC = re.compile(rf"{BLANK}|{MEASURED.pattern}")
"""A cell that holds a number alone."""


def _cell(value):
    if value is None or value != value:  # NaN
        return BLANK
    if isinstance(value, Estimate | bool) or not isinstance(value, Real):
        return str(value)
    is_count = isinstance(value, Integral) or (float(value).is_integer() and abs(value) >= 10)
    return f"{value:,.0f}" if is_count else f"{value:.3f}"


class VerdictTable(Table):
    """The claims of a chapter: the paper's values, those and the verdicts of the recorded run, and those of a run.

    The run itself is kept in the output's metadata, where the scoreboard finds it. As text only its own verdicts stand
    there, which no recording changes.
    """

    def __init__(self, run):
        found, kept = ledger.verdicts(run), recorded(run.origin.chapter)
        then = {verdict.claim.id: verdict for verdict in ledger.verdicts(kept)} if kept else {}
        self.run, self.verdicts = run, [verdict for verdict in found if verdict.note != TOO_SMALL]
        rows = {
            verdict.claim.id: {
                "verdict": str(then.get(verdict.claim.id, verdict)),
                "recorded run": _values(then[verdict.claim.id]) if then else BLANK,
                "paper": verdict.claim.paper or BLANK,
                "holds if": str(verdict.claim.judge),
                "this run": str(verdict),
            }
            for verdict in self.verdicts
        }
        feet, left = [run.origin.badge], [verdict.claim for verdict in found if verdict.note == TOO_SMALL]
        if left:
            measured = sum(set(claim.quantities) <= set(run.numbers) for claim in left)
            feet.append(f"of {len(left)} values of the paper, judged at its sizes only, {measured} are measured here")
        super().__init__(rows, "; ".join(feet), "The verdicts", shown=True, kind="mialib-verdicts")
        self._then = kept.origin.badge if kept else ""

    def _html_cell(self, column, text):
        if column == "verdict":
            outcome = next(of for of in OUTCOMES if text.startswith(of))
            chip = f'<span class="mialib-chip mialib-{outcome.replace(" ", "-")}">{outcome}</span>'
            return f"<td>{chip}{escape(text.removeprefix(outcome))}</td>"
        return super()._html_cell(column, text)

    def _html_head(self, row):
        (claim,) = (verdict.claim for verdict in self.verdicts if verdict.claim.id == row)
        return f'<a href="scoreboard.html#claim-{row}">{escape(claim.statement)} ({escape(claim.where)})</a>'

    def _repr_html_(self):
        origin = f"verdicts of the recorded run: {self._then}; this run: " if self._then else ""
        return super()._repr_html_().replace('<p class="mialib-origin">', f'<p class="mialib-origin">{escape(origin)}')

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data, {"mialib": self.run.to_dict()}

    @property
    def data(self):
        """The table as the output of a cell (dict of str to str)."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self):
        return "\n".join([*(f"{verdict.claim.id}: {verdict}" for verdict in self.verdicts), self.foot])


def _values(verdict):
    return " > ".join(map(_cell, verdict.values)) or BLANK


def score_table(runs):
    """Return the `Table` of how many claims each run has with each outcome, by scope.

    `runs` has the runs of chapters, by chapter, for each name, such as ``recorded``.
    """
    rows = {
        f"{name}: {scope}": counts
        for name, column in runs.items()
        if column
        for scope, counts in ledger.score(column).items()
    }
    return Table(rows, f"{len(ledger.read_claims())} claims in the ledger")


def item_table(runs):
    """Return the `Table` of the paper's tables and figures, and of its sections, with the claims on each.

    `runs` is a dict by chapter.
    """
    rows = {
        (item, verdict.claim.id): {
            "paper": verdict.claim.paper or BLANK,
            "ours": _values(verdict),
            "on": verdict.scope,
            "verdict": str(verdict),
        }
        for item, verdicts in ledger.by_item(runs).items()
        for verdict in verdicts
    }
    frame = pd.DataFrame(list(rows.values()), pd.MultiIndex.from_tuples(rows, names=["item", "claim"]))
    return Table(frame, "each number that the paper prints has a claim")


def run_table(runs):
    """Return the `Table` of where each run's numbers come from; `runs` as for `score_table`."""
    rows = {
        f"{chapter}, {name}": {"origin": run.origin.badge, "sha256": f"{run.origin.data.sha256[:16]}…"}
        for name, column in runs.items()
        for chapter, run in column.items()
    }
    foot = "sample: real records instead of the paper's; stand-ins are generated, and never confirm a claim"
    return Table(rows, foot, "Where the numbers come from")


def book_folder():
    """Return the folder of the chapters, from inside it or from the folder above; else a FileNotFoundError."""
    for folder in (Path(), Path("book")):
        if (folder / "claims.yaml").exists():
            return folder
    raise FileNotFoundError(f"{Path().resolve()} is neither the book's folder nor the one above; change to one of them")
