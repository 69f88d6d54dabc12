"""The gallery of the paper's figures and tables."""

import base64
import io
import re
from urllib.parse import parse_qs, urlsplit

import matplotlib.image
import pytest

from mialib.book import chapters, ledger
from mialib.book.paper_items import Gallery
from mialib.book.runs import recordings, runs_in_book
from mialib.book.scoreboard import Scoreboard, counted


@pytest.fixture(scope="module")
def gallery():
    return Gallery(("Fig.", "Table", "Algorithm"), recordings())


def test_each_table_and_figure_of_the_paper_is_there_once(gallery):
    names = [item.name for item in gallery.items]
    assert sorted(names) == sorted(["Fig. 1 to 3", *ledger.ITEMS])
    assert [item.name for item in Gallery("Table", recordings()).items] == ["Table I", "Table II", "Table III"]


def test_an_item_has_its_chapters_and_the_verdicts_on_its_claims(gallery):
    by_item = ledger.by_item(recordings())
    for item in gallery.items:
        verdicts = by_item.get(item.name, [])
        assert item.counts == counted(verdicts)
        assert sum(item.counts.values()) == len(verdicts)
        assert {verdict.claim.chapter for verdict in verdicts} <= set(item.chapters) <= set(chapters.measuring())
        assert item.chapters
        assert len(item.alt) > 40


def test_an_item_has_a_picture_of_ours(gallery):
    for item in gallery.items:
        kind, _, data = item.picture.partition(",")
        assert kind == "data:image/png;base64"
        height, width, _ = matplotlib.image.imread(io.BytesIO(base64.b64decode(data))).shape
        assert 200 < height <= 720
        assert 300 < width <= 560


def test_each_chip_leads_to_as_many_claims_as_it_says(gallery, tmp_path):
    rows = [row for rows in Scoreboard(recordings(), runs_in_book(tmp_path)).rows.values() for row in rows]
    chips = re.findall(r'href="(scoreboard[^"]+)" title="[^"]+">(\d+) ([^<]+)<', gallery._repr_html_())
    assert sum(int(n) for _, n, _ in chips) == sum(len(item.verdicts) for item in gallery.items)
    for address, n, outcome in chips:
        asked = parse_qs(urlsplit(address.replace("&amp;", "&")).query)
        assert asked["outcome"] == [outcome]
        assert sum(all(set(of) & set(row.values[name]) for name, of in asked.items()) for row in rows) == int(n)


def test_what_is_not_recorded_says_so():
    found = Gallery("Table I", {})
    assert found.items[0].picture is None
    assert "Not recorded yet." in found._repr_html_()
    assert repr(found).splitlines()[0].endswith("not measured yet")
