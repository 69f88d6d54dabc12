"""A chapter as its notebook uses it: under which conditions it measures, and all that it shows."""

from mialib import metrics
from mialib.book import ledger
from mialib.book.runs import Origin, Run, recorded, recorded_path
from mialib.book.tables import BLANK, Table, VerdictTable


class Chapter:
    """A chapter of the book, or part of one: it says beside all that it shows where the numbers come from.

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
    """

    def __init__(self, name, profile, seed, dataset, *more):
        sets = tuple(dict.fromkeys(getattr(of, "provenance", of) for of in (dataset, *more)))
        self.origin, self._glued, self._arrays = Origin(name, profile, seed, sets), {}, {}

    @property
    def badge(self):
        """One line for a figure's corner and a table's foot (str)."""
        return self.origin.badge

    @property
    def recorded(self):
        """The `Recording` of this chapter, or None."""
        return recorded(self.origin.chapter)

    @property
    def recorded_figure(self):
        """The figure that was kept with the recorded run, an IPython Image, or None."""
        from IPython.display import Image

        if (of := self.recorded) is None:
            return None
        path = recorded_path(of.origin.chapter, of.origin.profile, of.runs[0].origin.seed).with_suffix(".png")
        return Image(path) if path.exists() else None

    def figure(self, figure):
        """Write the badge into a figure's corner, and return the figure."""
        from mialib.plots.style import sign

        return sign(figure, self.badge)

    def by_row(self, rows, *remarks):
        """Return a table of numbers with a row for each setting; `remarks` are further lines for its foot.

        `rows` has the numbers of each setting by name; see `Table`.
        """
        return Table(rows, "; ".join((self.badge, *remarks)))

    def table(self, columns, *remarks):
        """Return a table of numbers with a column for each run or setting, such as ``{"here": result.numbers()}``.

        The rows are those of all columns, in the order in which they first come; `remarks` are further lines for the
        foot.
        """
        names = dict.fromkeys(name for column in columns.values() for name in column)
        rows = {name: {heading: column.get(name) for heading, column in columns.items()} for name in names}
        return self.by_row(rows, *remarks)

    def quantiles(self, series, levels=(0.1, 0.25, 0.5, 0.75, 0.9)):
        """Return the quantiles behind a CDF, one row for each line of the figure.

        `series` has the values of each line; `levels` are shares of classes that have no more than the value shown.
        """
        headings = ["median" if level == 0.5 else f"{level:.0%}" for level in levels]
        return self.by_row(
            {line: dict(zip(headings, metrics.quantiles(of, levels), strict=True)) for line, of in series.items()}
        )

    def keep(self, arrays):
        """Keep what a figure draws, lists of float by name, for the recorded run; never values of single records."""
        self._arrays |= {name: [float(value) for value in values] for name, values in arrays.items()}

    def glue(self, numbers):
        """Make numbers available to the prose, as ``{glue:text}`name:.2f```; once, however often they come."""
        from myst_nb import glue

        for name, value in numbers.items():
            if self._glued.get(name) != str(float(value)):  # NaN equals itself as text
                glue(name, float(value), display=False)  # a second value of one name fails the book's build
                self._glued[name] = str(float(value))

    def beside_paper(self, numbers, also=(), *remarks):
        """Return numbers beside the paper's, and beside those of the recorded run; glue them for the prose.

        `numbers` are float or Estimate by name; `also` names those to show of which the paper gives no value, and is
        `numbers` itself to show all; `remarks` are further lines for the foot.
        """
        self.glue(numbers)
        paper, recorded = ledger.paper_values(self.origin.chapter), self.recorded
        names = [name for name in numbers if name in paper or name in also]
        columns = {"here": numbers}
        if any(name in paper for name in names):
            columns, remarks = {"paper": paper, **columns}, (*remarks, "paper: Shokri et al. 2017")
        if recorded:
            columns["recorded run"] = recorded.numbers
            remarks = (*remarks, f"recorded run: {recorded.origin.badge}")
        shown = {heading: {name: column.get(name) for name in names} for heading, column in columns.items()}
        return self.table(shown, *remarks)

    def beside_table_iii(self, rows, data):
        """Return the paper's Table III, ours and that of the recorded run, in one cell each.

        `rows` has the numbers of each mitigation; `data` is ``"Purchase"`` or ``"Texas"``.
        """
        paper, recorded = ledger.paper_table("Table III", data), self.recorded
        then = recorded.numbers if recorded else {}
        quantities = next(iter(paper.values()))
        cells = {}
        for row in dict.fromkeys((*paper, *rows)):
            printed, ours = paper.get(row, {}), rows.get(row, {})
            triples = {q: (printed.get(q), ours.get(q), then.get(f"{q}, {row}, {data}")) for q in quantities}
            cells[row] = {
                q: " / ".join(BLANK if value is None else f"{value:.2f}" for value in of) for q, of in triples.items()
            }
        what = f"recorded run: {recorded.origin.badge}" if recorded else "no recorded run"
        return self.by_row(cells, "each cell: paper / here / recorded run", what)

    def check(self, numbers):
        """Judge the chapter's claims by its numbers, float or Estimate by name: the last cell of every chapter."""
        return VerdictTable(Run(self.origin, numbers, self._arrays))
