"""Tables with, at the foot, where their numbers come from; and those of the scoreboard."""

from html import escape
from pathlib import Path

import pandas as pd

from mialib.book import ledger
from mialib.book.claims import TOO_SMALL
from mialib.metrics import Estimate

BLANK = "–"


class Table:
    """A table with, at its foot, where its numbers come from.

    Parameters
    ----------
    rows : dict of str to dict, or DataFrame
        Row to its cells by column: texts, or numbers, shown to three decimals; a cell may be missing.
        The numbers of a DataFrame have lost their intervals, unless its dtype is object.
    foot : str
    kind : str, optional
        A further class of the HTML, by which a page finds the table.
    """

    def __init__(self, rows, foot, kind=""):
        if isinstance(rows, pd.DataFrame):
            self.frame = rows.map(_cell)
        else:
            columns = list(dict.fromkeys(name for row in rows.values() for name in row))
            cells = [[_cell(row.get(name)) for name in columns] for row in rows.values()]
            self.frame = pd.DataFrame(cells, list(rows), columns)
        self.foot, self._kind = foot, f" {kind}" if kind else ""

    def _repr_html_(self):
        with pd.option_context("display.max_colwidth", None):
            table = self.frame.to_html(border=0, classes="mialib")
        return f'<div class="mialib-table{self._kind}">{table}<p class="mialib-origin">{escape(self.foot)}</p></div>'

    def __repr__(self):
        with pd.option_context("display.max_colwidth", 60, "display.width", 200):
            return f"{self.frame.to_string()}\n{self.foot}"


def _cell(value):
    if value is None or value != value:  # NaN
        return BLANK
    return f"{value:.3f}" if isinstance(value, float) and not isinstance(value, Estimate) else str(value)


class VerdictTable(Table):
    """The claims of a run's chapter with the paper's values, ours, and the verdicts.

    The run itself is kept in the output's metadata, where the scoreboard finds it.
    """

    def __init__(self, run):
        found = ledger.verdicts(run)
        self.run, self.verdicts = run, [verdict for verdict in found if verdict.note != TOO_SMALL]
        rows = {
            verdict.claim.id: {
                "claim": f"{verdict.claim.statement} ({verdict.claim.where})",
                "paper": verdict.claim.paper or BLANK,
                "ours": _values(verdict),
                "judged": str(verdict.claim.judge),
                "verdict": str(verdict),
            }
            for verdict in self.verdicts
        }
        feet, left = [run.origin.badge], [verdict.claim for verdict in found if verdict.note == TOO_SMALL]
        if left:
            measured = sum(set(claim.quantities) <= set(run.numbers) for claim in left)
            feet.append(f"of {len(left)} values of the paper, judged at its sizes only, {measured} are measured here")
        super().__init__(rows, "; ".join(feet))

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self._repr_html_()}, {"mialib": self.run.to_dict()}

    def __repr__(self):
        return "\n".join([*(f"{verdict.claim.id}: {verdict}" for verdict in self.verdicts), self.foot])


def _values(verdict):
    return " > ".join(map(_cell, verdict.values)) or BLANK


def scoreboard(runs, chapter=None, outcome=None):
    """Return the `Table` of every claim with the paper's value, and what each run says of it.

    `runs` has the runs of chapters, by chapter, for each column heading, such as ``paper``. Only claims of a
    `chapter`, or those that some run judged with an `outcome`, may be shown.
    """
    rows = {}
    for claim in ledger.read_claims():
        verdicts = {name: ledger.verdict_of(claim, column) for name, column in runs.items() if column}
        outcomes = [verdict.outcome for verdict in verdicts.values()]
        if chapter not in (None, claim.chapter) or (outcome and outcome not in outcomes):
            continue
        rows[claim.id] = {
            "chapter": claim.chapter,
            "claim": f"{claim.statement} ({claim.where})",
            "paper": claim.paper or BLANK,
        }
        for name, verdict in verdicts.items():
            rows[claim.id][name] = f"{_values(verdict)}: {verdict}"
            rows[claim.id].setdefault("on", verdict.scope)
    return Table(rows, "where the runs come from: see the table of runs", "mialib-claims")


def score_table(runs):
    """Return the `Table` of how many claims each run has with each outcome, by scope; `runs` as for `scoreboard`."""
    rows = {
        f"{name}: {scope}": counts
        for name, column in runs.items()
        if column
        for scope, counts in ledger.score(column).items()
    }
    return Table(rows, f"{len(ledger.read_claims())} claims in the ledger")


def item_table(runs):
    """Return the `Table` of the paper's tables and figures, and of its sections, with the claims on each.

    `runs` are of one column of `scoreboard`, by chapter.
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
    """Return the `Table` of where each run's numbers come from; `runs` as for `scoreboard`."""
    rows = [
        {"run": name, "chapter": chapter, "origin": run.origin.badge, "sha256": f"{run.origin.data.sha256[:16]}…"}
        for name, column in runs.items()
        for chapter, run in column.items()
    ]
    frame = pd.DataFrame(rows, columns=["run", "chapter", "origin", "sha256"]).set_index("run")
    return Table(frame, "stand-ins are generated, and never confirm a claim")


def book_folder():
    """Return the folder of the chapters, from inside it or from the folder above; else a FileNotFoundError."""
    for folder in (Path(), Path("book")):
        if (folder / "claims.yaml").exists():
            return folder
    raise FileNotFoundError(f"{Path().resolve()} is neither the book's folder nor the one above; change to one of them")
