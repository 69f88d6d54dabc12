"""A threshold to move over what a recorded run found of members and others; ``book/_static/slider.js`` moves it."""

import json
from html import escape

import numpy as np

from mialib.book.runs import recorded

QUANTITIES = "recall", "false positive rate", "precision", "accuracy"
SHOWN = 0.5, 0.9
"""Thresholds of the table that stands where no script runs."""


class Slider:
    """How an attack by a threshold does, wherever the threshold lies; in a notebook it shows itself.

    Parameters
    ----------
    chapter : str
        Of whose recorded run the numbers are.
    members, others : str
        Arrays of it, as `mialib.metrics.histogram` returns them: shares of bins of one width, from 0 to 1.
    label : str
        What is compared with the threshold.

    Raises
    ------
    ValueError
        If there is no recorded run, or it has no such arrays.
    """

    def __init__(self, chapter, members, others, label):
        run = recorded(chapter)
        if missing := {members, others} - set(run.arrays if run else ()):
            raise ValueError(f"the recorded run of {chapter} has no array {sorted(missing)[0]!r}; record the chapter")
        self.members, self.others = (run.arrays[name].mean(axis=0) for name in (members, others))
        self.label, self.foot = label, run.origin.badge

    def at(self, threshold):
        """Return what comes of calling a record a member at or above a threshold, a bound of two bins.

        Recall, false positive rate, precision (NaN where no record is called a member) and accuracy, for as many
        members as non-members (dict of str to float).
        """
        first = round(threshold * len(self.members))
        recall, fpr = float(self.members[first:].sum()), float(self.others[first:].sum())
        precision = recall / (recall + fpr) if recall + fpr else np.nan
        return dict(zip(QUANTITIES, (recall, fpr, precision, (recall + 1 - fpr) / 2), strict=True))

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def __repr__(self):
        lines = [
            f"{self.label} at least {t}: " + ", ".join(f"{name} {value:.3f}" for name, value in self.at(t).items())
            for t in SHOWN
        ]
        return "\n".join([*lines, self.foot])

    def _repr_html_(self):
        label = escape(self.label)
        head = "".join(f'<th scope="col">{name}</th>' for name in ("threshold", *QUANTITIES))
        rows = "".join(
            f'<tr><th scope="row">{t}</th>'
            + "".join(f"<td>{value:.3f}</td>" for value in self.at(t).values())
            + "</tr>"
            for t in SHOWN
        )
        data = " ".join(
            f'data-{name}="{escape(json.dumps(shares.round(6).tolist()))}"'
            for name, shares in (("members", self.members), ("others", self.others))
        )
        table = f"<table><caption>{label}</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        foot = f'<p class="mialib-origin">{escape(self.foot)}</p>'
        return f'<div class="mialib-slider" {data} data-label="{label}">{table}</div>{foot}'
