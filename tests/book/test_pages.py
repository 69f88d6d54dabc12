"""Pages inside chapters: the audit's report."""

from html.parser import HTMLParser
from pathlib import Path

import nbformat

from mialib.book.pages import Page, keep_framed

HTML = '<!doctype html>\n<p title="a">1 < 2 & "3"</p>'


class Frames(HTMLParser):
    """The attributes of all frames of a text, and the links in it."""

    def __init__(self, text):
        super().__init__()
        self.frames, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "iframe":
            self.frames.append(dict(attrs))
        if tag == "a":
            self.links.append(dict(attrs)["href"])


def test_a_notebook_shows_the_whole_page_in_a_frame():
    shown = Page(HTML, 'A "report"', "report.html")._repr_html_()
    (frame,) = Frames(shown).frames
    assert (frame["srcdoc"], frame["title"], frame["loading"]) == (HTML, 'A "report"', "lazy")


def test_the_book_keeps_it_as_a_file_and_links_to_it(tmp_path):
    shown = Page(HTML, 'A "report"', "report.html")._repr_html_()
    found = Frames(keep_framed(f"<p>before</p>{shown}<p>after</p>", tmp_path / "book"))
    (frame,) = found.frames
    assert (tmp_path / "book" / "report.html").read_text(encoding="utf-8") == HTML
    assert (frame["src"], found.links) == ("report.html", ["report.html"])
    assert "srcdoc" not in frame
    assert frame["title"] == 'A "report"'


def test_a_page_that_frames_none_stays_as_it_is(tmp_path):
    body = '<iframe src="https://example.org"></iframe>'
    assert keep_framed(body, tmp_path / "book") == body
    assert not (tmp_path / "book").exists()


def test_the_audits_report_in_the_book_is_that_of_the_chapters_run():
    cells = nbformat.read(Path(__file__).parents[2] / "book" / "audit.ipynb", as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    (frame,) = (frame for output in outputs for frame in Frames(output.get("data", {}).get("text/html", "")).frames)
    verdicts = "".join(output.get("text", "") for output in outputs).splitlines()
    (verdict,) = (line.removeprefix("forest: ") for line in verdicts if line.startswith("forest: "))
    assert verdict in frame["srcdoc"]
    assert "What this report cannot say" in frame["srcdoc"]
