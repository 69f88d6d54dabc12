"""A chapter as its notebook uses it: under which conditions it measures, and all that it shows."""

from contextlib import suppress

import __main__
from mialib import metrics
from mialib.book import ledger, words
from mialib.book.parameters import injected
from mialib.book.runs import Origin, Recording, Run, recorded
from mialib.book.tables import BLANK, Table, VerdictTable


class Chapter:
    """A chapter of the book, or part of one: all that it shows says where its numbers come from.

    Parameters
    ----------
    name : str
        Of the notebook, without its ending.
    profile : str
        Name of the set of parameters: ``sample`` for the defaults, ``paper``, or one's own.
    seed : int
    dataset, *more : Dataset or Provenance
        All that the numbers come from; a claim is judged by those that it names.

    Attributes
    ----------
    origin : Origin
        These conditions, as a recorded run keeps them.

    Raises
    ------
    ValueError
        If papermill has set a parameter that the notebook does not declare, or to another kind of value; a list or a
        number that it has set to text is read.
    """

    def __init__(self, name, profile, seed, dataset, *more):
        vars(__main__).update(injected(name, getattr(__main__, "In", ())))
        sets = tuple(dict.fromkeys(getattr(of, "provenance", of) for of in (dataset, *more)))
        self.origin, self._numbers, self._arrays = Origin(name, profile, seed, sets), {}, {}

    @property
    def badge(self):
        """One line for a figure's corner and a table's foot (str)."""
        return self.origin.badge

    @property
    def recorded(self):
        """The `Recording` of this chapter, or None."""
        return recorded(self.origin.chapter)

    @property
    def own(self):
        """What was measured so far here, as a `Recording` of one run."""
        return Recording((Run(self.origin, self._numbers, self._arrays),))

    def figure(self, draw, caption, alt=""):
        """Return a figure with its caption: of the recorded run, as far as that kept what is drawn, and of this run.

        Parameters
        ----------
        draw : callable or Figure
            Of a `Recording`, returns a matplotlib Figure of its ``arrays`` (a row for each run) and ``numbers``; or the
            figure of this run alone.
        caption, alt : str
            What is found; what is to be seen, by default the caption.
        """
        from mialib.book.pictures import Picture
        from mialib.plots.style import sign

        shown, kept = {}, self.recorded
        if callable(draw) and kept:
            with suppress(KeyError):  # it did not measure what is drawn
                shown["recorded run"] = sign(draw(kept), kept.origin.badge)
        shown["this run"] = sign(draw(self.own) if callable(draw) else draw, self.badge)
        return Picture(shown, caption, alt)

    def say(self, text, numbers=()):
        """Return a paragraph of Markdown with numbers in it, such as ``{precision, local NN:.2f}``.

        They are those of the recorded run where it has all of them, with those of this run in small type below; else
        those of this run, from `numbers` and what `note` and `beside_paper` got before.
        """
        self.note(numbers)
        named, own, kept = words.names(text), self._numbers, self.recorded
        if unknown := [name for name in named if name not in own and not (kept and name in kept.numbers)]:
            raise ValueError(f"neither this run nor the recorded one has a number {unknown[0]!r}")
        if not kept or any(name not in kept.numbers for name in named):
            return words.Said(words.fill(text, own), f"This run: {self.badge}")
        here = "; ".join(f"{name} {words.shown(own[name], form)}" for name, form in named.items() if name in own)
        small = f"Recorded run: {kept.origin.badge}."
        return words.Said(words.fill(text, kept.numbers), f"{small} This run: {here}." if here else small)

    def by_row(self, rows, *remarks, **looks):
        """Return a table of numbers with a row for each setting; `remarks` are further lines for its foot.

        `rows` has the numbers of each setting by name; `looks` are ``title`` and ``shown``; see `Table`.
        """
        return Table(rows, "; ".join((self.badge, *remarks)), **looks)

    def table(self, columns, *remarks, **looks):
        """Return a table of numbers with a column for each run or setting, such as ``{"here": result.numbers()}``.

        The rows are those of all columns, in the order in which they first come; `remarks` and `looks` as for `by_row`.
        """
        names = dict.fromkeys(name for column in columns.values() for name in column)
        rows = {name: {heading: column.get(name) for heading, column in columns.items()} for name in names}
        return self.by_row(rows, *remarks, **looks)

    def quantiles(self, series, levels=(0.1, 0.25, 0.5, 0.75, 0.9), title="Quantiles over the classes"):
        """Return the quantiles behind a CDF, one row for each line of the figure.

        `series` has the values of each line; `levels` are shares of classes that have no more than the value shown.
        """
        headings = ["median" if level == 0.5 else f"{level:.0%}" for level in levels]
        return self.by_row(
            {line: dict(zip(headings, metrics.quantiles(of, levels), strict=True)) for line, of in series.items()},
            title=title,
        )

    def keep(self, arrays):
        """Keep what a figure draws, lists of float by name, for the recorded run; never values of single records."""
        self._arrays |= {name: [float(value) for value in values] for name, values in arrays.items()}

    def note(self, numbers):
        """Make numbers, float or Estimate by name, available to sentences and figures."""
        self._numbers |= dict(numbers)

    def beside_paper(self, numbers, also=(), *remarks, **looks):
        """Return numbers beside the paper's, and beside those of the recorded run; `note` them.

        `numbers` are float or Estimate by name; `also` names those to show of which the paper gives no value, and is
        `numbers` itself to show all; `remarks` and `looks` as for `by_row`.
        """
        self.note(numbers)
        paper, recorded = ledger.paper_values(self.origin.chapter), self.recorded
        names = [name for name in numbers if name in paper or name in also]
        columns = {}
        if any(name in paper for name in names):
            columns["paper"], remarks = paper, (*remarks, "paper: Shokri et al. 2017")
        if recorded:
            columns["recorded run"], remarks = recorded.numbers, (*remarks, f"recorded run: {recorded.origin.badge}")
        columns["this run"] = numbers
        shown = {heading: {name: column.get(name) for name in names} for heading, column in columns.items()}
        return self.table(
            shown,
            *remarks,
            **{"title": "The numbers, beside the paper's" if "paper" in columns else "The numbers", **looks},
        )

    def beside_table_iii(self, rows, data):
        """Return the paper's Table III, that of the recorded run and that of this run, in one cell each.

        `rows` has the numbers of each mitigation; `data` is ``"Purchase"`` or ``"Texas"``.
        """
        paper, recorded = ledger.paper_table("Table III", data), self.recorded
        then = recorded.numbers if recorded else {}
        quantities = next(iter(paper.values()))
        cells = {}
        for row in dict.fromkeys((*paper, *rows)):
            printed, ours = paper.get(row, {}), rows.get(row, {})
            triples = {q: (printed.get(q), then.get(f"{q}, {row}, {data}"), ours.get(q)) for q in quantities}
            cells[row] = {
                q: " / ".join(BLANK if value is None else f"{value:.2f}" for value in of) for q, of in triples.items()
            }
        what = f"recorded run: {recorded.origin.badge}" if recorded else "no recorded run"
        title = "Table III: paper / recorded run / this run"
        return self.by_row(cells, "each cell: paper / recorded run / this run", what, title=title)

    def check(self, numbers):
        """Judge the chapter's claims by its numbers, float or Estimate by name: the last cell of every chapter."""
        return VerdictTable(Run(self.origin, numbers, self._arrays))
