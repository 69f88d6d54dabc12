"""The head of a chapter, from its recorded run: the answer in sentences, with its verdicts, and the paper's figure."""

import base64
from html import escape

import numpy as np
import yaml

from mialib import metrics
from mialib.base.machine import shipped
from mialib.book import ledger
from mialib.book.claims import OUTCOMES
from mialib.book.runs import recorded
from mialib.book.words import fill

ALWAYS = {"false positive rates": metrics.FPR_GRID, "middles of bins": (np.arange(20) + 0.5) / 20}
"""Arrays that no run needs to keep: where `metrics.roc_on_grid` and `metrics.histogram` measure."""


class Answer:
    """What a chapter found at the paper's sizes, to stand at its head; in a notebook it shows itself.

    Parameters
    ----------
    chapter : str
        Of whose recorded run the numbers are; ``book/heads.yaml`` has the sentences.

    Attributes
    ----------
    short : str
        The answer in half a sentence.
    sentences : str
        With the recorded numbers.

    Raises
    ------
    ValueError
        If the recorded run has no number of a name.
    """

    def __init__(self, chapter):
        said, self.run = _said(chapter), recorded(chapter)
        if self.run:
            self.short, self.sentences = said["short"], self._filled(said["sentences"])
        else:
            self.short, self.sentences = "Not recorded yet.", "No run at the paper's sizes is kept."

    def _filled(self, sentences):
        try:
            return fill(sentences, self.run.numbers)
        except KeyError as error:
            raise ValueError(f"the recorded run of {self.run.origin.chapter} has no number {error}") from error

    @property
    def verdicts(self):
        """How many claims have each outcome, by scope; nothing of what has none (dict of str to dict of str to int)."""
        if not self.run:
            return {}
        counts = ledger.score({self.run.origin.chapter: self.run})
        some = {scope: {o: n for o in OUTCOMES if (n := of[o])} for scope, of in counts.items()}
        return {scope: of for scope, of in some.items() if of}

    @property
    def foot(self):
        """What was run (str)."""
        if not self.run:
            return ""
        parameters, n = self.run.details.get("parameters", {}), len(self.run.runs)
        sizes = {"size": "training records", "n_shadow": "shadow models"}
        said = [f"{parameters[name]:,} {what}" for name, what in sizes.items() if name in parameters]
        return " · ".join([*said, f"{n} target{'s' if n > 1 else ''}", self.run.origin.badge])

    @property
    def data(self):
        """The answer as the output of a cell (dict of str to str)."""
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self):
        lines = "".join(
            f"<p>{_sentence(scope)}: "
            + " ".join(f'<span class="mialib-chip mialib-{o.replace(" ", "-")}">{n} {o}</span>' for o, n in of.items())
            + "</p>"
            for scope, of in self.verdicts.items()
        )
        text = f"<p><strong>{escape(self.short)}</strong> {escape(self.sentences)}</p>"
        foot = f'<p class="mialib-origin">{escape(self.foot)}</p>'
        return f'<div class="mialib-answer">{text}{lines}{foot}</div>'

    def __repr__(self):
        counts = [f"{scope}: {', '.join(f'{n} {o}' for o, n in of.items())}" for scope, of in self.verdicts.items()]
        return "\n".join([f"{self.short} {self.sentences}", *counts, self.foot])


class Hero:
    """The paper's figure from the recorded run of a chapter; in a notebook it shows itself, as SVG and PNG.

    Parameters
    ----------
    chapter : str
        ``book/heads.yaml`` says which arrays of its recorded run are drawn, and where the paper's values stand; or that
        the picture which was kept with the run is shown.
    """

    def __init__(self, chapter):
        self._of, self.run = _said(chapter)["figure"], recorded(chapter)

    @property
    def figure(self):
        """The matplotlib Figure, or None if nothing of it is recorded, or only a picture."""
        from mialib.plots.style import sign

        if not self.run or self._is_kept:
            return None
        figure = {"classes": self._classes, "points": self._points, "lines": self._lines}[self._of["draws"]]()
        return figure and sign(figure, self.run.origin.badge)

    def _classes(self):
        from mialib.plots import precision_cdf

        arrays = self.run.arrays
        lines = {name: arrays[array] for name, array in self._of["lines"].items() if array in arrays}
        points = {
            name: {share: _printed(*place) for share, place in of.items()}
            for name, of in self._of["paper"].items()
            if name in lines
        }
        return precision_cdf(lines, points=points) if lines else None

    def _points(self):
        from mialib.plots import scatter

        numbers, names = self.run.numbers, [self._of[axis] for axis in "xy"]
        series = {
            line: {row: tuple(numbers[name.format(row)] for name in names) for row in rows}
            for line, rows in self._of["lines"].items()
        }
        printed = {
            line: [[_printed(*place, column) for column in self._of["columns"]] for place in places]
            for line, places in self._of.get("paper", {}).items()
        }
        return scatter(series, *self._labels, named=True, printed=printed)

    def _lines(self):
        from mialib.plots import along, curve

        arrays = {**self.run.arrays, **ALWAYS}
        lines = {
            line: along(np.mean(np.atleast_2d(arrays[x] if isinstance(x, str) else x), axis=0), arrays[y])
            for line, (x, y) in self._of["lines"].items()
        }
        figure = curve(lines, *self._labels)
        figure.axes[0].set(xscale=self._of.get("scale", "linear"), yscale=self._of.get("scale", "linear"))
        return figure

    @property
    def _is_kept(self):
        """Whether the picture that was kept with the run is shown, where arrays cannot draw it again."""
        return self._of.get("draws") == "kept"

    @property
    def _labels(self):
        return self._of["xlabel"], self._of["ylabel"], self._of.get("level")

    @property
    def data(self):
        """The figure as the output of a cell (dict of str to str)."""
        from mialib.book.pictures import png, svg

        text = self._of["alt"]
        if self._is_kept and self.run and self.run.picture:
            return {"text/plain": text, "image/png": base64.b64encode(self.run.picture).decode()}
        if (figure := self.figure) is None:
            return {"text/plain": f"Not recorded yet. {text}"}
        lines, dots = svg(figure), png(figure)  # JupyterLab shows no SVG of a notebook that it does not trust
        return {"text/plain": text, "image/svg+xml": lines, "image/png": base64.b64encode(dots).decode()}

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data


def _said(chapter):
    return yaml.safe_load(shipped("book", "heads.yaml").read_text(encoding="utf-8"))[chapter]


def _printed(where, of, row, column):
    """Return a number of the paper by its place in ``book/paper.yaml``."""
    return ledger.paper_table(where, of)[row][column]


def _sentence(scope):
    return f"On {scope}" if scope.endswith("data") else scope.capitalize()


HEADS = {"answer": Answer, "hero": Hero}
"""What the cells of a chapter's head show, by their tags."""
