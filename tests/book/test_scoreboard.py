"""The scoreboard: what it counts and draws, and how a browser filters it. The latter is skipped without a Chromium."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from mialib.book import chapters, ledger
from mialib.book.claims import Claim, Judge
from mialib.book.runs import Origin, Recording, Run, recordings, runs_in_book
from mialib.book.scoreboard import STATES, WAITING, Row, Scoreboard, link, strip
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

BOOK = Path(__file__).parents[2] / "book"
SETS = tuple(Provenance(name, "real", "here", "none", "0" * 64) for name in ("location", "purchase"))
ORIGIN = Origin("location", "paper", 0, SETS)
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def board():
    return Scoreboard(recordings(), runs_in_book(BOOK))


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Return a function that writes a scoreboard as a page of its own and returns the address."""
    folder = tmp_path_factory.mktemp("page")

    def write(board):
        head = (
            f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Scoreboard</title>'
            f'<link rel="stylesheet" href="{(BOOK / "_static" / "scoreboard.css").as_uri()}">'
            f'<script src="{(BOOK / "_static" / "scoreboard.js").as_uri()}"></script>'
        )
        path = folder / "scoreboard.html"
        path.write_text(f'<!doctype html><html lang="en"><head>{head}</head>{board._repr_html_()}', encoding="utf-8")
        return path.as_uri()

    return write


def claim(judge, quantities=("precision",), **given):
    fields = {"id": "one", "chapter": "location", "where": "Table II", "statement": "It leaks.", "why": "A reason."}
    return Claim(**{**fields, "quantities": quantities, "judge": judge, **given})


def alone(monkeypatch, claims, runs, **given):
    monkeypatch.setattr(ledger, "read_claims", lambda: claims)
    return Scoreboard({"location": runs}, {}, **given)


def test_tiles_count_what_the_ledger_scores(board):
    for scope, scored in ledger.score(board.recorded).items():
        assert {of: n for of, n in board.counts[scope].items() if of != WAITING} == {
            o: n for o, n in scored.items() if n
        }
    assert sum(sum(counts.values()) for counts in board.counts.values()) == len(ledger.read_claims())


def test_every_claim_is_there_once_in_the_order_of_the_book(board):
    html = board._repr_html_()
    found = re.findall(r'id="claim-([^"]+)"', html)
    assert sorted(found) == sorted(claim.id for claim in ledger.read_claims())
    names = re.findall(r'id="chapter-([^"]+)"', html)
    assert names == list(board.rows) == [name for name in chapters.measuring() if name in board.rows]
    for name in names:
        assert f'<h2><a href="{name}.html">{chapters.title(name)}</a></h2>' in html


def test_as_text_it_says_the_counts(board):
    lines = repr(board).splitlines()
    counts = board.counts["the paper's data"]
    assert lines[0].startswith(f"the paper's data: {counts['reproduced']} reproduced, ")
    assert [line.split(":")[0] for line in lines[3:]] == [*board.rows, "this build's small runs"]


@pytest.mark.parametrize(
    ("judge", "value", "places"),
    [
        (Judge("within", (0.6, 0.1)), (0.75, 0.7, 0.8), [0.1, 0.19 / 0.3, 0.19 / 0.3, 0.23 / 0.3, 0.9]),
        (Judge("at_least", (0.6,)), (0.9, 0.8, 1.0), [0.1, 1, 0.5, 0.7, 0.9]),
        (Judge("at_most", (0.6,)), (0.9, 0.8, 1.0), [0, 0.1, 0.5, 0.7, 0.9]),
        (Judge("at_least", (0.6,)), (1.0, None, None), [0.1, 1, None, 0.9, None]),
        (Judge("at_least", (0.6,)), (0.6, None, None), [0.5, 1, None, 0.5, None]),
    ],
)
def test_where_the_marks_of_a_strip_lie(judge, value, places):
    ends = (float("nan") if end is None else end for end in value)
    found = strip(claim(judge).verdict(Run(ORIGIN, {"precision": Estimate(*ends)})))
    drawn = [found[name] for name in ("region from", "region to", "low", "ours", "high")]
    assert drawn == [place if place is None else pytest.approx(place) for place in places]
    assert found["paper"] is None


def test_a_strip_has_the_papers_value_and_of_an_order_the_least_step():
    numbers = {"a": Estimate(0.9, 0.9, 0.9), "b": Estimate(0.6, 0.6, 0.6), "c": Estimate(0.5, 0.5, 0.5)}
    found = strip(claim(Judge("ordering", (0.0,)), ("a", "b", "c")).verdict(Run(ORIGIN, numbers)))
    assert found["region from"] == pytest.approx(0.1)
    assert found["ours"] == pytest.approx(0.9)  # b - c, not a - b
    of_paper = claim(Judge("within", (0.6, 0.1)), paper="0.6").verdict(
        Run(ORIGIN, {"precision": Estimate(0.75, 0.7, 0.8)})
    )
    assert strip(of_paper)["paper"] == pytest.approx(0.11 / 0.3)
    row = Row(of_paper, None, True)
    assert row.said == "holds if 0.6 ± 0.1; here 0.750 [0.700, 0.800]; the paper: 0.6"
    for value in (float("nan"), None):
        numbers = {} if value is None else {"precision": value}
        assert strip(claim(Judge("at_least", (0.6,))).verdict(Run(ORIGIN, numbers))) == {}


def test_a_row_names_the_data_of_its_claim_and_the_seeds_that_measured_it():
    numbers = [{"precision": 0.7}, {"precision": 0.8}, {}, {}]
    runs = Recording(tuple(Run(replace(ORIGIN, seed=i), of) for i, of in enumerate(numbers)))
    verdict = claim(Judge("at_least", (0.5,)), data=("location",)).verdict(runs)
    said = "location · real data · profile paper · seeds 0 to 1"
    assert Row(verdict, None, True).origin(verdict) == said


def test_text_is_escaped(monkeypatch):
    bad = claim(Judge("at_least", (0.5,)), statement='<b>It</b> "leaks".', why="x < y")
    html = alone(monkeypatch, [bad], Run(ORIGIN, {"precision": 0.7}))._repr_html_()
    assert "<b>It" not in html
    assert "&lt;b&gt;It&lt;/b&gt; &#34;leaks&#34;." in html
    assert "x &lt; y" in html


def test_what_no_run_measured_waits(monkeypatch):
    claims = [claim(Judge("at_least", (0.5,)), ("other",)), claim(Judge("at_least", (0.5,)), id="two", chapter="texas")]
    found = alone(monkeypatch, claims, Run(ORIGIN, {"precision": 0.7}))
    assert found.counts["the paper's data"] == {WAITING: 2}


def test_parameters_press_filters(monkeypatch, board):
    pressed = Scoreboard(board.recorded, board.small, "location", "reproduced")
    shown = [row.claim.id for rows in pressed.rows.values() for row in rows if row.shown]
    assert shown == [row.claim.id for row in board.rows["location"] if row.verdict.outcome == "reproduced"]
    assert f"{len(shown)} of {len(ledger.read_claims())} claims" in pressed._repr_html_()
    assert pressed._repr_html_().count('aria-pressed="true"') == 2
    with pytest.raises(ValueError, match="there is no chapter 'nowhere'; there are threat_model,"):
        Scoreboard({}, {}, chapter="nowhere")
    with pytest.raises(ValueError, match="there is no verdict 'good'; there are reproduced,"):
        Scoreboard({}, {}, outcome="good")


def visit(browser, address, width=1280, **options):
    page = browser.new_context(viewport={"width": width, "height": 800}, **options).new_page()
    page.goto(address)
    return page


def n_shown(page):
    return page.evaluate("[...document.querySelectorAll('.mialib-row')].filter(row => row.checkVisibility()).length")


def said(page):
    return page.get_by_role("status").inner_text()


CLICK_EACH = """[...document.querySelectorAll('button[data-group]')].map(chip => {
  const said = chip.querySelector('b').textContent;
  chip.click();
  const shown = [...document.querySelectorAll('.mialib-row')].filter(row => row.checkVisibility()).length;
  const {group, value} = chip.dataset;
  const found = [group, value, said, shown, document.querySelector('[role=status]').innerText];
  chip.click();
  return found;
})"""


def test_each_filter_shows_as_many_rows_as_it_says(page_of, browser, board):
    page = visit(browser, page_of(board))
    n_all = len(ledger.read_claims())
    assert said(page) == f"{n_all} of {n_all} claims"
    chips = [(group, value, n) for group, (_, of) in board.groups.items() for value, _, n in of]
    assert {group for group, _, _ in chips} == {"outcome", "scope", "chapter", "item"}
    assert page.evaluate(CLICK_EACH) == [
        [group, value, str(n), n, f"{n} of {n_all} claims"] for group, value, n in chips
    ]
    assert n_shown(page) == 0  # the chapters are closed again
    page.context.close()


def test_filters_show_what_the_tiles_count(page_of, browser, board):
    page = visit(browser, page_of(board))
    chip = {of: page.locator(f'button[data-value="{of}"]').first for of in (*STATES, *board.counts)}
    for scope, counts in board.counts.items():
        chip[scope].click()
        assert n_shown(page) == sum(counts.values())
        for outcome, n in counts.items():
            assert chip[outcome].locator("b").inner_text() == str(n)
            chip[outcome].click()
            assert n_shown(page) == n
            tile = page.locator(".mialib-tiles > li").nth(list(board.counts).index(scope))
            assert f"{n} {outcome}" in tile.text_content() or outcome == "reproduced"
            chip[outcome].click()
        chip[scope].click()
    chip["reproduced"].click()
    chip["undecided"].click()  # of one group, any will do
    assert n_shown(page) == sum(row.get("reproduced", 0) + row.get("undecided", 0) for row in board.counts.values())
    page.get_by_text("clear filters").click()
    assert page.locator('[aria-pressed="true"]').count() == 0
    page.context.close()


def test_the_keyboard_is_enough(page_of, browser, board):
    page = visit(browser, page_of(board))
    page.keyboard.press("Tab")
    first = page.locator("button[data-group]").first
    assert first.evaluate("of => of === document.activeElement")
    page.keyboard.press("Space")
    assert first.get_attribute("aria-pressed") == "true"
    page.keyboard.press("Enter")
    assert first.get_attribute("aria-pressed") == "false"
    chapter = page.locator(".mialib-chapter").first
    chapter.locator("> summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    row = page.locator(".mialib-row").first
    assert row.locator("dl").is_visible()
    page.get_by_text("open all").focus()
    page.keyboard.press("Enter")
    assert n_shown(page) == len(ledger.read_claims())
    page.context.close()


def test_an_address_opens_its_claim_or_presses_filters(page_of, browser, board):
    address = page_of(board)
    row = board.rows["noise"][-1]
    page = visit(browser, f"{address}#claim-{row.claim.id}")
    opened = page.locator(f"#claim-{row.claim.id}")
    assert opened.locator("dl").is_visible()
    assert opened.evaluate("of => { const {top} = of.getBoundingClientRect(); return 0 <= top && top < innerHeight }")
    assert n_shown(page) == len(board.rows["noise"])
    page.goto(f"{address}?{link(chapter='cifar').partition('?')[2].partition('#')[0]}#claim-{row.claim.id}")
    assert opened.locator("dl").is_visible()  # what filters hide is shown, and they are released
    of_item = [r for rows in board.rows.values() for r in rows if "Table II" in r.claim.items]
    missed = [r for r in of_item if r.verdict.outcome == "not reproduced"]
    page.goto(address.replace("scoreboard.html", link(outcome="not reproduced", item="Table II")))
    assert n_shown(page) == len(missed) > 0
    page.context.close()


def test_without_a_script_every_row_can_be_reached(page_of, browser, board):
    page = visit(browser, page_of(board), java_script_enabled=False)
    rows = page.locator(".mialib-row")
    assert rows.count() == page.locator(".mialib-row:not([hidden])").count() == len(ledger.read_claims())
    assert not page.get_by_role("group", name="Filters").is_visible()
    page.locator(".mialib-chapter > summary").first.click()
    rows.first.locator("> summary").click()
    assert rows.first.locator("dl").is_visible()
    page.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_open_rows_fit_the_screen(page_of, browser, board, width):
    page = visit(browser, page_of(board), width)
    page.evaluate("document.querySelectorAll('.mialib-board details').forEach(of => of.open = true)")
    assert page.evaluate(OVERHANG) <= 0
    page.context.close()
