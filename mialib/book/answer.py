"""The head of a chapter: its answer in sentences with recorded numbers, its verdicts, and what was run."""

import re
from html import escape

import yaml

from mialib.base.machine import shipped
from mialib.book import ledger
from mialib.book.claims import OUTCOMES
from mialib.book.runs import recorded

NUMBER = re.compile(r"\{([^{}]+):([^{}:]*)\}")
"""A number in a sentence, such as ``{precision, local NN:.0%}``."""


class Answer:
    """What a chapter found at the paper's sizes, to stand at its head; in a notebook it shows itself.

    Parameters
    ----------
    chapter : str
        Of whose recorded run the numbers are; ``book/answers.yaml`` has the sentences.

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
        said = yaml.safe_load(shipped("book", "answers.yaml").read_text(encoding="utf-8"))[chapter]
        self.run, self.short, self.sentences = (
            recorded(chapter),
            "Not recorded yet.",
            "No run at the paper's sizes is kept.",
        )
        if self.run:
            self.short, self.sentences = said["short"], NUMBER.sub(self._number, said["sentences"])

    def _number(self, found):
        name, form = found.groups()
        if name not in self.run.numbers:
            raise ValueError(f"the recorded run of {self.run.origin.chapter} has no number {name!r}")
        value = self.run.numbers[name]
        return format(float(value), form).replace("%", "\N{NO-BREAK SPACE}%")

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


def _sentence(scope):
    return f"On {scope}" if scope.endswith("data") else scope.capitalize()
