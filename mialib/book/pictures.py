"""Figures as a page shows them: with a caption, and that of the recorded run before that of the run at hand."""

import base64
import hashlib
import io
import re
import warnings
from html import escape

import matplotlib as mpl

PNG = re.compile('src="data:image/png;base64,([^"]*)"')
LOOKS = {"svg.hashsalt": "mialib", "svg.fonttype": "none", "font.family": "sans-serif"}


def svg(figure):
    """Return a matplotlib Figure as SVG (str), the same for the same figure."""
    drawn = io.StringIO()
    with mpl.rc_context(LOOKS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # who shows it has fonts of their own, with more letters
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def png(figure, dpi=80):
    """Return a matplotlib Figure as PNG (bytes), the same for the same figure."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi, metadata={"Software": None})
    return drawn.getvalue()


class Picture:
    """A figure with its caption, of several runs in tabs, which shows itself in a notebook.

    Parameters
    ----------
    of_run : dict of str to Figure or bytes
        Tab to its figure, a matplotlib Figure or a PNG file; the first is shown, the last is that of the run at hand.
    caption : str
    alt : str, optional
        What is to be seen, for those who do not see it; by default the caption.
    """

    def __init__(self, of_run, caption, alt=""):
        self.of_run, self.caption, self.alt = of_run, caption, alt or caption

    @property
    def figure(self):
        """The figure of the run at hand."""
        return list(self.of_run.values())[-1]

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": repr(self), "text/html": self._repr_html_()}

    def _repr_html_(self):
        shown = {tab: f'<img src="{_source(of)}" alt="{escape(self.alt)}">' for tab, of in self.of_run.items()}
        caption = f"<figcaption>{escape(self.caption)}</figcaption>"
        if len(shown) == 1:
            return f'<figure class="mialib-figure">{"".join(shown.values())}{caption}</figure>'
        group = f"mialib-{hashlib.sha256(''.join(shown.values()).encode()).hexdigest()[:12]}"
        tabs = ""
        for i, (tab, image) in enumerate(shown.items()):
            state = "" if i else " checked"
            tabs += f'<input type="radio" name="{group}" id="{group}-{i}"{state}><label for="{group}-{i}">{escape(tab)}'
            tabs += f'</label><div class="mialib-tab">{image}</div>'
        return f'<figure class="mialib-figure"><div class="mialib-tabs">{tabs}</div>{caption}</figure>'

    def __repr__(self):
        return self.caption


def own_png(html):
    """Return the figure of the run at hand from the HTML of a `Picture` of pixels, a PNG file (bytes)."""
    return base64.b64decode(PNG.findall(html)[-1])


def _has_pixels(figure):
    return not isinstance(figure, bytes) and any(axes.images for axes in figure.axes)


def _source(figure):
    """Return the address that holds a figure itself: pixels as PNG, lines as SVG."""
    if isinstance(figure, bytes) or _has_pixels(figure):
        kind, file = "png", figure if isinstance(figure, bytes) else png(figure, 100)
    else:
        kind, file = "svg+xml", svg(figure).encode()
    return f"data:image/{kind};base64,{base64.b64encode(file).decode()}"
