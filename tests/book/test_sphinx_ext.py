"""The pages as a browser shows them. Skipped, visibly, where there is no Chromium."""

import functools
import io
import json
import shutil
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urldefrag, urljoin
from urllib.request import urlopen

import matplotlib.image
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe

from mialib.book import build, runs, sphinx_ext
from mialib.book.runs import Origin, Run
from mialib.datasets.dataset import Provenance

WIDTHS = {"desktop": 1280, "phone": 390}
LINKS = "[...document.querySelectorAll('a[href]')].map(a => a.href)"
ANCHORS = "[...document.querySelectorAll('[id]')].map(e => e.id)"
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
BROKEN = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"


class Quiet(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/favicon.ico":  # which a browser asks for by itself, once
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the book, built from the committed chapters, and in `make test` only here, warnings as errors."""
    folder = tmp_path_factory.mktemp("site")
    root = Path(__file__).parents[2]
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, folder / name)
    shutil.copytree(root / "book", folder / "book")
    html = build.build_html(folder).parent
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", sorted(path.stem for path in (html / "book").glob("*.html"))
    server.shutdown()
    thread.join()
    server.server_close()


def tab(browser, address, width, dark=False):
    """Return a page for what this server has and nothing else, and a list of what goes wrong on it."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    page, wrong = context.new_page(), []
    page.route(
        lambda url: not url.startswith(address),
        lambda route: route.fulfill(status=200, body="", content_type="text/css"),
    )
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda said: wrong.append(f"console: {said.text}") if said.type == "error" else None)
    page.on("response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
    return page, wrong


def barriers(page):
    """Return what axe-core finds that keeps people out of a page, serious or critical (list of str)."""
    found = Axe().run(page).response["violations"]
    return [f"{of['id']}, {of['nodes'][0]['html'][:80]}" for of in found if of["impact"] in ("serious", "critical")]


@functools.cache
def is_there(address):
    try:
        with urlopen(address) as answer:
            return answer.status == 200
    except HTTPError:
        return False


def test_every_page_fits_its_screen_is_whole_and_open_to_all(site, browser):
    address, names = site
    assert len(names) > 10
    wrong, links, anchors = [], {}, {}
    for screen, width in WIDTHS.items():
        page, errors = tab(browser, address, width, dark=screen == "phone")
        for name in names:
            url = f"{address}book/{name}.html"
            errors.clear()  # what axe-core asked for on the page before
            page.goto(url, wait_until="load")
            page.evaluate("document.querySelectorAll('img').forEach(i => i.loading = 'eager')")
            page.wait_for_function("[...document.images].every(i => i.complete)")
            wrong += [f"{name} on a {screen}: {error}" for error in errors]
            wrong += [f"{name} on a {screen}: broken image {source}" for source in page.evaluate(BROKEN)]
            if (overhang := page.evaluate(OVERHANG)) > 0:
                wrong.append(f"{name} on a {screen}: {overhang} pixels wider than the screen")
            wrong += [f"{name} on a {screen}: {barrier}" for barrier in barriers(page)]
            links[url], anchors[url] = page.evaluate(LINKS), set(page.evaluate(ANCHORS))
        page.context.close()
    for url, targets in links.items():
        for target in targets:
            whole, anchor = urldefrag(urljoin(url, target))
            if not whole.startswith(address):
                continue
            if whole not in anchors and not is_there(whole):
                wrong.append(f"{url}: the link {target} leads nowhere")
            elif anchor and whole in anchors and unquote(anchor) not in anchors[whole]:
                wrong.append(f"{url}: there is no {anchor} in {whole}")
    assert not wrong, "\n".join(wrong)


def test_the_scoreboard_of_the_book_filters(site, browser):
    page, wrong = tab(browser, site[0], WIDTHS["desktop"])
    page.goto(f"{site[0]}book/scoreboard.html?outcome=reproduced", wait_until="load")
    chip = page.locator("button[data-group]", has_text="reproduced").first
    assert chip.get_attribute("aria-pressed") == "true"
    shown = page.evaluate("[...document.querySelectorAll('.mialib-row')].filter(row => row.checkVisibility()).length")
    assert chip.locator("b").inner_text() == str(shown) != "0"
    assert not wrong


def test_figures_stay_readable_in_dark_mode(site, browser):
    """A figure is a picture on white; the page must not turn its ground dark under dark ink."""
    page, _ = tab(browser, site[0], WIDTHS["desktop"], dark=True)
    page.goto(f"{site[0]}book/shadow_training.html", wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, ground.removeprefix("rgb(").removesuffix(")").split(",")[:3])) < 200
    image = page.locator(".cell_output img").first
    png = image.screenshot()
    pixels = matplotlib.image.imread(io.BytesIO(png))[..., :3]
    brightness = pixels.mean(axis=2)
    assert np.quantile(brightness, 0.5) > 0.7
    assert brightness.min() < 0.3


def test_a_chapter_says_how_to_run_it_again(tmp_path, monkeypatch):
    (tmp_path / "book" / "profiles" / "paper").mkdir(parents=True)
    (tmp_path / "data" / "results" / "paper" / "toy").mkdir(parents=True)
    for module in (sphinx_ext, runs):
        monkeypatch.setattr(module, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    (tmp_path / "book" / "times.json").write_text('{"toy": 12}', encoding="utf-8")
    profile = tmp_path / "book" / "profiles" / "paper" / "toy.yaml"
    profile.write_text("source: real\nshares: [1]\nconvolutions: true\nsize: 1200\nseed: 0\n", encoding="utf-8")
    text = sphinx_ext.run_again("toy")
    again = "`mia run toy --profile paper` (not recorded); `mia run toy` (12 seconds at the defaults, on 2 cores)."
    assert text == f"**Run it again:** {again}"
    recorded = tmp_path / "data" / "results" / "paper" / "toy" / "0.json"
    origin = Origin("toy", "paper", 0, (Provenance("set", "sample", "here", "none", "0" * 64),))
    run = Run(origin, {}, details={"seconds": 430.0, "peak memory in MiB": 1536})
    recorded.write_text(json.dumps(run.to_dict()), encoding="utf-8")
    assert "`mia run toy --profile paper` (7 minutes and 1.5 GiB for each seed);" in sphinx_ext.run_again("toy")
    half = replace(run, details={**run.details, "models": 8, "models from the cache": 4})
    recorded.write_text(json.dumps(half.to_dict()), encoding="utf-8")
    assert "for each seed, 4 of its 8 models from the cache)" in sphinx_ext.run_again("toy")
    assert sphinx_ext.run_again("unknown") == "**Run it again:** `mia run unknown`."


def test_a_browser_draws_formulas_without_a_script(site):
    page = urlopen(f"{site[0]}book/location.html").read().decode()
    assert page.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == 1
    assert "<mtext>precision</mtext>" in page
    assert "mathjax" not in page.replace("mathjax_ignore", "").replace("tex2jax_ignore", "").lower()
