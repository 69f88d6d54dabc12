"""The paper's figures and tables beside ours: a gallery drawn from the recorded runs."""

import base64
import io
from functools import cached_property

import matplotlib.pyplot as plt
import yaml
from PIL import Image

from mialib import plots
from mialib.base.machine import shipped
from mialib.book import chapters, ledger
from mialib.book.head import Hero
from mialib.book.pictures import png
from mialib.book.runs import RECORDED, recorded_path
from mialib.book.scoreboard import TEMPLATES, counted, link

SIZE = (4.7, 3.1)
"""Of a picture, in inches: its words stay readable where it is small."""


class Item(Hero):
    """A figure or table of the paper, what it shows, and ours from recorded runs.

    Parameters
    ----------
    said : dict
        An entry of ``book/items.yaml``.
    runs : dict of str to Recording
        By chapter.
    verdicts : list of Verdict
        On the claims that name it.
    """

    def __init__(self, said, runs, verdicts):
        self.name, self.shows, self.verdicts = said["item"], said["shows"], verdicts
        self._kept, self._diagram = said.get("kept"), said.get("diagram")
        self._of = said.get("figure", {})
        if "hero" in said:
            super().__init__(said["hero"])
            lines = said.get("lines", list(self._of["lines"]))
            self._of = {**self._of, "lines": {name: self._of["lines"][name] for name in lines}}
        self.run = runs.get(said.get("hero") or self._kept or self._of.get("of"))
        self.alt = (
            getattr(plots, f"{self._diagram.upper()}_ALT") if self._diagram else said.get("alt") or self._of["alt"]
        )
        named = {verdict.claim.chapter for verdict in verdicts} or {*said["chapters"]}
        self.chapters = {name: chapters.title(name) for name in chapters.measuring() if name in named}

    @property
    def figure(self):
        """The matplotlib Figure, or None if nothing of it is recorded."""
        if self._diagram:
            return getattr(plots, self._diagram)()
        draws = {"classes against": self._classes_against, "against": self._against}
        if own := draws.get(self._of.get("draws")):
            return own()
        return super().figure

    def _classes_against(self):
        models = {line: line for line in self._of["lines"]}
        return self.run and plots.scatter_runs(self.run.arrays, models, self._of["x"], self._of["y"])

    def _against(self):
        points = ledger.paper_points(self.verdicts)
        return plots.paper_against_ours(points) if points else None

    @property
    def id(self):
        """Its anchor on the page (str)."""
        return self.name.lower().replace(".", "").replace(" ", "-")

    @property
    def counts(self):
        """How many of its claims are of each of `scoreboard.STATES` (dict of str to int)."""
        return counted(self.verdicts)

    @property
    def origin(self):
        """Where the picture's numbers come from (str)."""
        if self._diagram:
            return "our own diagram"
        return self.run.origin.badge if self.run else f"recorded runs of {len(self.chapters)} chapters"

    @cached_property
    def picture(self):
        """A small picture of ours, the address of a PNG that it holds itself (str), or None if nothing is recorded."""
        if self._kept:
            path = recorded_path(self._kept, RECORDED, 0).with_suffix(".png")
            if not path.exists():
                return None
            dots = path.read_bytes()
        elif figure := self.figure:
            if not self._diagram:
                figure.supxlabel("")  # where its numbers come from stands below it, as text
                figure.set_size_inches(SIZE)
                for axes in figure.axes:
                    plt.setp(axes.get_legend().get_texts() if axes.get_legend() else [], fontsize=8)
            dots = png(figure, 120)
        else:
            return None
        image, file = Image.open(io.BytesIO(dots)).convert("RGB"), io.BytesIO()
        image.thumbnail((560, 720))
        image.quantize(64).save(file, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


class Gallery:
    """The paper's figures or tables, each with what it shows, ours, and its verdicts; a notebook shows it.

    Parameters
    ----------
    kinds : str or tuple of str
        How the items' names start, such as ``"Fig."``.
    runs : dict of str to Recording
        By chapter.
    """

    def __init__(self, kinds, runs):
        entries = yaml.safe_load(shipped("book", "items.yaml").read_text(encoding="utf-8"))
        verdicts = ledger.by_item(runs)
        self.items = [
            Item(said, runs, verdicts.get(said["item"], [])) for said in entries if said["item"].startswith(kinds)
        ]

    def _repr_html_(self):
        return TEMPLATES.get_template("paper_items.html.j2").render(items=self.items, link=link)

    def __repr__(self):
        counts = {item.name: ", ".join(f"{n} {of}" for of, n in item.counts.items()) for item in self.items}
        return "\n".join(f"{name}: {said or 'nothing to check'}" for name, said in counts.items())
