"""The threshold slider: its numbers, and that a browser shows the same. The latter is skipped without a Chromium."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mialib.book import slider
from mialib.book.runs import Origin, Recording, Run
from mialib.book.slider import QUANTITIES, Slider
from mialib.datasets.dataset import Provenance

STATIC = Path(__file__).parents[2] / "book" / "_static"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture
def toy(monkeypatch):
    """A slider of two runs with ten bins, whose means are 0.3, 0.7 of members and 0.6, 0.4 of others."""
    origin = Origin("toy", "paper", 0, (Provenance("set <a>", "sample", "here", "none", "0" * 64),))

    def bins(**at):
        return [float(at.get(f"b{i}", 0)) for i in range(10)]

    first = {"in": bins(b4=0.4, b9=0.6), "out": bins(b0=0.7, b5=0.3)}
    second = {"in": bins(b4=0.2, b9=0.8), "out": bins(b0=0.5, b5=0.5)}
    runs = tuple(Run(origin, {}, arrays) for arrays in (first, second))
    monkeypatch.setattr(slider, "recorded", lambda chapter: Recording(runs) if chapter == "toy" else None)
    return Slider("toy", "in", "out", "probability of the <true> class")


def test_the_numbers_at_a_threshold_are_those_of_the_means(toy):
    assert toy.at(0.5) == pytest.approx(dict(zip(QUANTITIES, (0.7, 0.4, 0.7 / 1.1, 0.65), strict=True)))
    assert toy.at(0.4) == pytest.approx(dict(zip(QUANTITIES, (1, 0.4, 1 / 1.4, 0.8), strict=True)))
    assert toy.at(0.9) == pytest.approx(dict(zip(QUANTITIES, (0.7, 0, 1, 0.85), strict=True)))
    assert toy.at(0) == pytest.approx(dict(zip(QUANTITIES, (1, 1, 0.5, 0.5), strict=True)))
    assert np.isnan(toy.at(1)["precision"])
    assert toy.at(1)["accuracy"] == 0.5


def test_a_threshold_finds_what_counting_records_finds():
    """The recorded histograms of the chapter, read as counts."""
    found = Slider("threat_model", *(f"probability of the true class, {side}" for side in ("members", "others")), "p")
    middles = (np.arange(20) + 0.5) / 20
    for threshold in (0.05, 0.5, 0.95):
        called = middles > threshold
        recall, fpr = found.members[called].sum(), found.others[called].sum()
        assert found.at(threshold)["recall"] == pytest.approx(recall)
        assert found.at(threshold)["precision"] == pytest.approx(recall / (recall + fpr))
    assert found.members.sum() == pytest.approx(1)


def test_without_a_script_a_table_stands_there(toy):
    bundle = toy._repr_mimebundle_()
    assert (
        "at least 0.5: recall 0.700, false positive rate 0.400, precision 0.636, accuracy 0.650" in bundle["text/plain"]
    )
    assert "<td>0.636</td>" in bundle["text/html"]
    assert "&lt;true&gt;" in bundle["text/html"]
    assert "set &lt;a&gt;" in bundle["text/html"]


def test_what_is_not_recorded_is_named(toy):
    with pytest.raises(ValueError, match="the recorded run of toy has no array 'all'"):
        Slider("toy", "all", "out", "p")
    with pytest.raises(ValueError, match="the recorded run of other has no array 'in'"):
        Slider("other", "in", "out", "p")


@pytest.fixture
def page(toy, tmp_path):
    """A page with the slider, opened from a file on a phone's screen."""
    if not CHROMIUM:
        pytest.skip("there is no Chromium here to look at the slider with")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    for name in ("slider.js", "slider.css"):
        shutil.copy(STATIC / name, tmp_path)
    head = '<meta charset="utf-8"><link rel="stylesheet" href="slider.css"><script src="slider.js"></script>'
    text = f'<!doctype html><html lang="en"><head>{head}</head><body>{toy._repr_html_()}</body></html>'
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened, errors = browser.new_page(viewport={"width": 390, "height": 800}), []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto((tmp_path / "page.html").as_uri())
        yield opened
        assert errors == []
        browser.close()


def test_moving_the_slider_gives_the_numbers_of_python(page, toy):
    handle = page.get_by_label("Call a record a member from a threshold of")
    handle.focus()
    page.keyboard.press("Home")
    for step in range(11):
        expected = {name: "–" if np.isnan(v) else f"{v:.3f}" for name, v in toy.at(step / 10).items()}
        assert {name: page.locator(f'[data-quantity="{name}"]').inner_text() for name in QUANTITIES} == expected
        assert handle.get_attribute("aria-valuetext") == f"{step / 10:.2f}"
        assert page.locator(".mialib-bin.mialib-below").count() == 2 * step
        page.keyboard.press("ArrowRight")
    assert page.locator("[aria-live=polite]").count() == 1
    assert page.locator(".mialib-slider table").count() == 0


def test_the_slider_fits_a_phone(page):
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    x = [box["x"] + box["width"] for box in (text.bounding_box() for text in page.locator("svg text").all())]
    assert max(x) <= 390
    (height,) = re.findall(r"[\d.]+", page.locator("svg").evaluate("e => getComputedStyle(e).height"))
    assert float(height) > 150
