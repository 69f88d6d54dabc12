"""A whole web page inside a chapter: in a frame in a notebook, in the book a file of its own as well."""

import re
from html import escape, unescape
from pathlib import Path

from mialib.base.files import write_text

FRAMED = re.compile(r'srcdoc="([^"]*)" data-file="([^"]*)"></iframe>')


class Page:
    """A web page that a notebook's cell shows in a frame.

    Parameters
    ----------
    html : str
        The page, which needs nothing else.
    title : str
        What it is, for those who do not see it.
    file : str
        The name under which the book keeps it.
    """

    def __init__(self, html, title, file):
        self.html, self.title, self.file = html, title, file

    def _repr_html_(self):
        frame = f'<iframe class="mialib-page" width="100%" height="600" loading="lazy" title="{escape(self.title)}"'
        return f'{frame} srcdoc="{escape(self.html)}" data-file="{escape(self.file)}"></iframe>'

    def __repr__(self):
        return self.title


def keep_framed(body, folder):
    """Write the pages that the HTML of a chapter frames into a folder, and return it with links to them (str)."""

    def kept(found):
        html, file = map(unescape, found.groups())
        write_text(Path(folder, file), html)
        return f'src="{escape(file)}"></iframe><p><a href="{escape(file)}">Open it on a page of its own</a></p>'

    return FRAMED.sub(kept, body)
