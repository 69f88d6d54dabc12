"""Tables as a chapter shows them, with the origin of their numbers at the foot."""

from html import escape
from pathlib import Path

import pandas as pd
import yaml

from mialib import metrics
from mialib.base.machine import shipped
from mialib.book import claims, runs

BLANK = "–"


class Table:
    """A table with its origin.

    Parameters
    ----------
    frame : DataFrame
        Of strings, or of numbers shown to three decimals.
    foot : str
        Where the numbers come from.
    kind : str, optional
        A further class of the HTML, by which a page finds the table.
    """

    def __init__(self, frame, foot, kind=""):
        self.frame, self.foot, self._kind = frame.map(_cell), foot, f" {kind}" if kind else ""

    def _repr_html_(self):
        with pd.option_context("display.max_colwidth", None):
            table = self.frame.to_html(border=0, classes="mialib")
        return f'<div class="mialib-table{self._kind}">{table}<p class="mialib-origin">{escape(self.foot)}</p></div>'

    def __repr__(self):
        with pd.option_context("display.max_colwidth", 60, "display.width", 200):
            return f"{self.frame.to_string()}\n{self.foot}"


class VerdictTable(Table):
    """A chapter's claims with the paper's values, ours, and the verdicts.

    The run itself is kept in the output's metadata, where the scoreboard finds it.
    """

    def __init__(self, run):
        self.run, self.verdicts = run, claims.verdicts(run)
        rows = {verdict.claim.id: _verdict_row(verdict) for verdict in self.verdicts}
        super().__init__(pd.DataFrame.from_dict(rows, orient="index"), run.origin.badge)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self._repr_html_()}, {"mialib": self.run.to_dict()}

    def __repr__(self):
        return "\n".join(f"{verdict.claim.id}: {verdict}" for verdict in self.verdicts)


def check(origin, numbers):
    """Judge a chapter's claims by its numbers: the last cell of every chapter.

    Parameters
    ----------
    origin : Origin
    numbers : dict of str to float or Estimate

    Returns
    -------
    VerdictTable
    """
    return VerdictTable(runs.Run(origin, numbers))


def numbers_table(columns, origin, *remarks):
    """Return a table of numbers: one row a name, one column a run or setting.

    Parameters
    ----------
    columns : dict of str to dict
        Column heading to numbers by name, such as ``{"here": result.numbers()}``. The rows are
        those of all columns, in the order in which they first come.
    origin : Origin
    *remarks : str
        Further lines for the foot, such as the origin of another column.
    """
    names = list(dict.fromkeys(name for column in columns.values() for name in column))
    frame = pd.DataFrame({heading: {n: column.get(n, BLANK) for n in names} for heading, column in columns.items()})
    return Table(frame, "; ".join((origin.badge, *remarks)))


def quantile_table(series, origin, levels=(0.1, 0.25, 0.5, 0.75, 0.9)):
    """Return the quantiles behind a CDF, one row a line of the figure.

    Parameters
    ----------
    series : dict of str to ndarray
        Line of the figure to its values.
    origin : Origin
    levels : sequence of float
        Share of classes that have no more than the value shown.
    """
    rows = {name: metrics.quantiles(values, levels) for name, values in series.items()}
    headings = ["median" if level == 0.5 else f"{level:.0%}" for level in levels]
    return Table(pd.DataFrame.from_dict(rows, orient="index", columns=headings), origin.badge)


def scoreboard(runs, chapter=None, outcome=None):
    """Return every claim with the paper's value, and what each run says of it.

    Parameters
    ----------
    runs : dict of str to dict of str to Run
        Column heading, such as ``laptop``, to the runs of its chapters.
    chapter : str, optional
        Show only this chapter's claims.
    outcome : str, optional
        Show only claims that some run judged so.

    Returns
    -------
    Table
    """
    rows = {}
    for claim in claims.read_claims():
        verdicts = {name: claims.verdict_of(claim, column) for name, column in runs.items() if column}
        outcomes = [verdict.outcome for verdict in verdicts.values() if verdict]
        if chapter not in (None, claim.chapter) or (outcome and outcome not in outcomes):
            continue
        row = {
            "chapter": claim.chapter,
            "claim": f"{claim.statement} ({claim.where})",
            "paper": claim.paper or BLANK,
        }
        for name, verdict in verdicts.items():
            row[name] = f"{_values(verdict)}: {verdict}" if verdict else claims.NOT_TESTABLE
        rows[claim.id] = row
    foot = "where the runs come from: see the table of runs"
    return Table(pd.DataFrame.from_dict(rows, orient="index"), foot, "mialib-claims")


def score_table(runs):
    """Return how many claims each run reproduced, did not reproduce, or could not test.

    Parameters
    ----------
    runs : dict of str to dict of str to Run

    Returns
    -------
    Table
    """
    frame = pd.DataFrame({name: claims.score(column) for name, column in runs.items() if column})
    return Table(frame.T, f"{len(claims.read_claims())} claims in the ledger")


def run_table(runs):
    """Return where each run's numbers come from, with the start of its data's checksum.

    Parameters
    ----------
    runs : dict of str to dict of str to Run

    Returns
    -------
    Table
    """
    rows = [
        {"run": name, "chapter": chapter, "origin": run.origin.badge, "sha256": f"{run.origin.data.sha256[:16]}…"}
        for name, column in runs.items()
        for chapter, run in column.items()
    ]
    columns = ["run", "chapter", "origin", "sha256"]
    return Table(
        pd.DataFrame(rows, columns=columns).set_index("run"), "stand-ins are generated, and never confirm a claim"
    )


def book_folder():
    """Return the folder of the chapters, from inside it or from the folder above.

    Raises
    ------
    FileNotFoundError
        If neither holds the chapters.
    """
    for folder in (Path(), Path("book")):
        if (folder / "claims.yaml").exists():
            return folder
    raise FileNotFoundError(f"{Path().resolve()} is neither the book's folder nor the one above; change to one of them")


def glue_numbers(numbers):
    """Make numbers available to the prose of a chapter, as ``{glue:text}`name:.2f```.

    Parameters
    ----------
    numbers : dict of str to float or Estimate
    """
    from myst_nb import glue

    for name, value in numbers.items():
        glue(name, float(getattr(value, "value", value)), display=False)


def recorded_figure(chapter, profile):
    """Return the figure that `mialib.book.build.record` kept of a chapter, an IPython Image, or None if there is none."""
    from IPython.display import Image

    path = shipped("data", "results", profile, f"{chapter}.png")
    return Image(path) if path.exists() else None


def _verdict_row(verdict):
    claim = verdict.claim
    return {
        "claim": f"{claim.statement} ({claim.where})",
        "paper": claim.paper or BLANK,
        "ours": _values(verdict),
        "judged": str(claim.judge),
        "verdict": str(verdict),
    }


def _values(verdict):
    return " > ".join(map(_cell, verdict.values)) or BLANK


def _cell(value):
    if getattr(value, "value", value) != getattr(value, "value", value):
        return BLANK
    if getattr(value, "low", 0) != getattr(value, "low", 0):
        value = value.value
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def beside_paper(chapter, numbers, origin, also=()):
    """Return a chapter's numbers beside the paper's, and beside those of the run recorded in the profile laptop.

    Parameters
    ----------
    chapter : str
    numbers : dict of str to float or Estimate
    origin : Origin
    also : sequence of str
        Numbers to show of which the paper gives no value.
    """
    paper = claims.paper_values(chapter)
    names = [name for name in numbers if name in paper or name in also]
    columns = {"paper": paper, "here": numbers}
    remarks = ["paper: Shokri et al. 2017"]
    if recorded := runs.recorded_runs("laptop").get(chapter):
        columns["recorded run"] = recorded.numbers
        remarks.append(f"recorded run: {recorded.origin.badge}")
    shown = {title: {name: column.get(name, BLANK) for name in names} for title, column in columns.items()}
    return numbers_table(shown, origin, *remarks)


def by_row(rows, origin, *remarks):
    """Return a table of numbers with a row a setting, where there are more settings than numbers.

    Parameters
    ----------
    rows : dict of str to dict
        Setting to its numbers by name.
    origin : Origin
    *remarks : str
        Further lines for the foot.
    """
    return Table(pd.DataFrame.from_dict(rows, orient="index").fillna(BLANK), "; ".join((origin.badge, *remarks)))


def flat(rows, suffix):
    """Return ``{"quantity, row, suffix": value}`` for a table of rows, as claims and prose take numbers."""
    return {f"{quantity}, {row}, {suffix}": value for row, of_row in rows.items() for quantity, value in of_row.items()}


def paper_table(name):
    """Return a table of the paper, from ``book/<name>.yaml``: nested dicts of float."""
    return yaml.safe_load(shipped("book", f"{name}.yaml").read_text(encoding="utf-8"))


def beside_table_iii(rows, data, origin):
    """Return the paper's Table III, ours and that of the run recorded in the profile laptop, in one cell each.

    Parameters
    ----------
    rows : dict of str to dict
        Mitigation to its numbers.
    data : {"Purchase", "Texas"}
    origin : Origin
    """
    paper, recorded = paper_table("table_iii")[data], runs.recorded_runs("laptop").get(origin.chapter)
    then = recorded.numbers if recorded else {}
    ours = {row: {q: then.get(f"{q}, {row}, {data}") for q in QUANTITIES} for row in dict.fromkeys((*paper, *rows))}
    cells = {
        row: {
            q: " / ".join(map(_short, (paper.get(row, {}).get(q), rows.get(row, {}).get(q), ours[row][q])))
            for q in QUANTITIES
        }
        for row in ours
    }
    remarks = [origin.badge, f"recorded run: {recorded.origin.badge}" if recorded else "no recorded run"]
    frame = pd.DataFrame.from_dict(cells, orient="index")
    return Table(frame, "; ".join(["each cell: paper / here / recorded run", *remarks]))


QUANTITIES = ("test accuracy", "attack accuracy", "precision", "recall")
"""Columns of Table III."""


def _short(value):
    return BLANK if value is None else f"{getattr(value, 'value', value):.2f}"
