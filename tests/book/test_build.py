import base64
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import nbformat
import papermill
import pytest

from mialib.book import build, chapters, ledger, runs, sweeps
from mialib.book.chapters import OVERVIEWS, ChapterError
from mialib.book.dependence import code_of
from mialib.book.execution import Executed
from mialib.metrics import Estimate
from mialib.plots import diagrams

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
DIAGRAMS = [getattr(diagrams, name) for name in dir(diagrams) if name.endswith("_ALT")]


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_every_notebook_is_in_the_table_of_contents():
    assert sorted(chapters.paths()) == CHAPTERS
    assert tuple(path.stem for path in chapters.paths()[-2:]) == OVERVIEWS  # they read what the others hold
    assert chapters.measuring() == [path.stem for path in chapters.paths()[:-2]]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_is_thin_and_complete(path):
    cells = [cell for cell in code_cells(path) if not {"answer", "hero"} & {*tags(cell)}]
    shown = cells if path.stem in OVERVIEWS else [cell for cell in cells if "remove-input" not in tags(cell)]
    assert "parameters" in tags(shown[0])
    for line in shown[0].source.splitlines():
        assert "  # " in line, f"no comment behind the parameter: {line}"
    for cell in cells:
        assert cell.source.count("\n") < 20 or "parameters" in tags(cell)
        assert not any(output.output_type == "error" for output in cell.outputs)
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(cell.metadata["mystnb"]["image"]["alt"]) > 40
            html = output.get("data", {}).get("text/html", "")
            if html.startswith('<figure class="mialib-figure">'):
                assert len(re.search("<figcaption>(.*)</figcaption>", html)[1]) > 40
                assert len(re.findall('<img [^>]*alt="[^"]{40}', html)) == html.count("<img")
                for drawn, alt in re.findall(r'src="data:image/svg\+xml;base64,([^"]*)" alt="([^"]*)"', html):
                    is_own = path.stem in OVERVIEWS or unescape(alt) in DIAGRAMS
                    assert is_own or " data · profile " in base64.b64decode(drawn).decode()
            elif html.startswith("<iframe"):
                assert ' title="' in html
            elif html:
                assert "mialib-origin" in html
    assert any(cell.outputs for cell in cells)
    if path.stem not in OVERVIEWS:
        assert "chapter.check(numbers)" in cells[-1].source
        assert "nbval-ignore-output" not in tags(cells[-1])
        assert runs.run_in_notebook(path).origin.chapter == path.stem


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_committed_chapters_hold_no_paths_or_timings(path):
    text = path.read_text(encoding="utf-8")
    assert str(ROOT) not in text
    assert '"papermill"' not in text
    assert '"execution"' not in text


def test_verdicts_have_a_margin():
    """Low digits differ between machines; no committed verdict may hang on them."""
    for run in runs.runs_in_book(ROOT / "book").values():
        for verdict in ledger.verdicts(run):
            for name, value in zip(verdict.claim.quantities, verdict.values, strict=False):
                for moved in (-0.002, 0.002):
                    low, high = (getattr(value, end, float("nan")) + moved for end in ("low", "high"))
                    numbers = run.numbers | {name: Estimate(value + moved, low, high)}
                    assert str(verdict.claim.verdict(replace(run, numbers=numbers))) == str(verdict), verdict.claim.id


def test_recorded_runs_are_of_their_profile():
    paths = sorted((ROOT / "data" / "results").glob("*/*/*.json"))
    assert {path.parts[-2] for path in paths} == {path.stem for path in CHAPTERS} - {*OVERVIEWS}
    for path in paths:
        profile, chapter, seed = path.with_suffix("").parts[-3:]
        content = json.loads(path.read_text(encoding="utf-8"))
        origin = content["origin"]
        assert (origin["chapter"], origin["profile"], origin["seed"]) == (chapter, profile, int(seed))
        assert all(of["kind"] != "stand-in" for of in origin["sets"])
        assert content["parameters"]["seed"] == int(seed)
        assert not set(content.get("arrays", {})) & {"score", "member", "vectors"}
    assert sum(path.stat().st_size for path in (ROOT / "data" / "results").rglob("*.*")) < 8 * 2**20


def test_a_recorded_run_keeps_numbers_cost_and_the_figure_that_is_tagged_so(tmp_path, monkeypatch):
    committed = ROOT / "book" / "model_inversion.ipynb"
    took = {"seconds": 1.5, "models": 22}
    monkeypatch.setattr(build, "executed", lambda path, parameters: Executed(committed, took))
    monkeypatch.setattr(chapters, "profile_parameters", lambda name, profile, seed: {"profile": profile, "seed": seed})
    monkeypatch.setattr(build, "write_score", lambda: None)
    monkeypatch.setattr(runs, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    monkeypatch.setattr(chapters, "path", lambda name: committed)
    path = build.record("model_inversion", "tiny", 3)
    assert path == tmp_path / "data" / "results" / "tiny" / "model_inversion" / "3.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["origin"]["chapter"] == "model_inversion"
    assert content["numbers"] == runs.run_in_notebook(committed).to_dict()["numbers"]
    assert (content["seconds"], content["models"]) == (1.5, 22)
    assert content["parameters"] == chapters.all_parameters("model_inversion", "tiny", 3)
    assert content["parameters"]["seed"] == 3
    assert content["code"] == code_of(committed)
    assert set(content["versions"]) == {"torch", "numpy", "scikit-learn"}
    assert content["multiplications a core-second"] > 1e8
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in path.parent.iterdir()) == ["3.json", "3.png"]
    (cell,) = (cell for cell in code_cells(committed) if "recorded" in tags(cell))
    assert "nearest" not in cell.source  # single images of CIFAR-10 may not ship


def test_outside_a_checkout_nothing_is_recorded_or_refreshed(monkeypatch):
    for module, name in ((build, "executed"), (chapters, "outputs"), (build, "write_files")):
        monkeypatch.setattr(module, name, None)
    monkeypatch.setattr(build, "is_checkout", lambda: False)
    for verb, asked in (("record", ("location", "paper")), ("refresh", (["location"],))):
        with pytest.raises(ChapterError, match=f"^mia {verb} writes what is committed, so it needs a checkout"):
            getattr(build, verb)(*asked)


def test_what_cannot_be_written_is_noticed_before_a_run(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for module, name in ((build, "executed"), (chapters, "outputs"), (sweeps, "executed"), (build, "run_side_by_side")):
        monkeypatch.setattr(module, name, None)
    monkeypatch.setattr(runs, "shipped", lambda *parts: tmp_path.joinpath("file", *parts))
    monkeypatch.setattr(build, "shipped", lambda *parts: tmp_path.joinpath("file", *parts))
    for function, given in (
        (build.record, ("location", "paper")),
        (build.refresh, (["location"],)),
        (build.build, (tmp_path / "file",)),
        (sweeps.sweep, ("location", [{"size": 900}], {}, tmp_path / "file")),
        (chapters.execute, (chapters.path("location"), tmp_path / "file" / "out.ipynb")),
        (chapters.execute, (chapters.path("location"), tmp_path)),
    ):
        with pytest.raises(OSError, match=r"not a directory\)$|is a folder; name a file$"):
            function(*given)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("name", OVERVIEWS)
def test_an_overview_is_not_recorded(monkeypatch, name):
    committed = ROOT / "book" / f"{name}.ipynb"
    monkeypatch.setattr(build, "executed", lambda path, parameters: Executed(committed, {}))
    with pytest.raises(ChapterError, match=f"{name} checks no claims"):
        build.record(name, "paper")


def test_the_score_in_readme_and_book_is_that_of_the_recorded_runs():
    line = ledger.score_line()
    counts = ledger.score(runs.recordings())["the paper's data"]
    assert f"On the paper's data: {counts['reproduced']} reproduced, {counts['not reproduced']} not reproduced," in line
    assert (ROOT / "book" / "score.md").read_text(encoding="utf-8") == f"{line}\n"
    assert f"<!-- score -->\n{line}\n<!-- /score -->" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("profile", ["paper"])
def test_every_chapter_has_parameters_in_every_profile(profile):
    for path in CHAPTERS:
        known = {*papermill.inspect_notebook(str(path))}
        for seed in range(5):
            given = chapters.profile_parameters(path.stem, profile, seed)
            assert set(given) <= known | {"seed"}, path.stem
            assert given.get("profile", profile) == profile
        assert set(chapters.all_parameters(path.stem, profile)) == known


def test_every_parameter_has_a_type_and_says_what_it_is():
    for path in CHAPTERS:
        for of in papermill.inspect_notebook(str(path)).values():
            assert of["inferred_type_name"] not in ("None", ""), (path.stem, of)
            assert of["help"], (path.stem, of)


def test_a_chapter_shows_few_lines_of_code():
    for path in CHAPTERS:
        cells = nbformat.read(path, as_version=4).cells
        shown = [
            c.source
            for c in cells
            if c.cell_type == "code"
            and not {"parameters", "hide-input", "remove-input"} & {*c.metadata.get("tags", ())}
        ]
        assert sum(bool(line.strip()) for source in shown for line in source.splitlines()) <= 25, path.stem


def test_what_a_profile_has_under_a_seed_holds_for_that_seed_alone():
    sizes = [chapters.profile_parameters("cifar", "paper", seed)["sizes_10"][2:] for seed in range(5)]
    assert sizes == [[], [10000], [15000], [], []]
    searches = [chapters.profile_parameters("synthesis", "paper", seed)["n_searches"] for seed in range(3)]
    assert searches == [1000, 300, 300]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder for a small run of a chapter, and the cache of the models that its tests share."""
    return tmp_path_factory.mktemp("small")


@pytest.fixture
def shared_cache(small, own_cache, monkeypatch):
    monkeypatch.setenv("MIALIB_CACHE", str(small / "cache"))


SMALL = {"size": 400, "n_shadow": 3, "epochs": 50, "early_epochs": 10, "seed": 7}


@pytest.mark.parametrize("folder", [".", "book"], ids=["root", "book"])
def test_papermill_runs_a_chapter_from_both_places(small, shared_cache, folder):
    source = Path("location.ipynb") if folder == "book" else Path("book", "location.ipynb")
    out = small / f"{Path(folder).name}.ipynb"
    given = [word for name, value in SMALL.items() for word in ("-p", name, str(value))]
    command = [sys.executable, "-m", "papermill", source, out, *given]
    subprocess.run(command, cwd=ROOT / folder, check=True, capture_output=True)
    run = runs.run_in_notebook(out)
    assert run.origin.seed == 7
    assert run.numbers["precision"].low > 0.7


@pytest.mark.parametrize(
    ("chapter", "parameters", "message"),
    [
        ("threat_model", {"dataset": "purchases"}, "there is no data set 'purchases'; there are location, purchase"),
        ("location", {"size": -5}, "size is -5; it must be a whole number of at least 1"),
        ("location", {"size": 1300}, "5010 records carry at most 1252"),
        ("location", {"source": "sample"}, "location has no source 'sample'"),
        (
            "location",
            {"n_shadows": 5},
            "location has no parameter 'n_shadows'; it has profile, source, size, n_shadow,",
        ),
    ],
)
def test_bad_parameters_are_one_clear_sentence_and_leave_nothing(tmp_path, chapter, parameters, message):
    with pytest.raises(ChapterError, match=message):
        chapters.execute(chapters.path(chapter), tmp_path / "out.ipynb", parameters)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("epochs", ["50", "0"], ids=["as committed", "untrained"])
def test_a_broken_verdict_fails_the_notebook_test(tmp_path, small, shared_cache, epochs):
    if not (committed := small / "committed.ipynb").exists():
        chapters.execute(chapters.path("location"), committed, SMALL)
    notebook = committed.read_text(encoding="utf-8")
    assert notebook.count('"epochs = 50\\n"') == 1
    (tmp_path / "location.ipynb").write_text(notebook.replace('"epochs = 50', f'"epochs = {epochs}'), encoding="utf-8")
    sanitise = ["--nbval-current-env", "--nbval-sanitize-with", ROOT / "tests" / "nbval.cfg"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--nbval",
        *sanitise,
        "-c",
        os.devnull,
        tmp_path / "location.ipynb",
    ]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == (0 if epochs == "50" else 1), ended.stdout
    if epochs == "0":
        assert "Cell outputs differ" in ended.stdout
        assert "chapter.check(numbers)" in ended.stdout


def test_a_book_with_a_warning_does_not_build(tmp_path, capfd):
    """A single page of it; `site` of test_sphinx_ext.py builds them all."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n", encoding="utf-8")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    page = tmp_path / "book" / "intro.md"
    page.write_text("# A book\n\nOf one page.\n", encoding="utf-8")
    assert build.build_html(tmp_path).exists()
    page.write_text("# A book\n\n[nowhere](nowhere.md)\n", encoding="utf-8")
    with pytest.raises(ChapterError, match="the book did not build"):
        build.build_html(tmp_path)
    assert "nowhere.md" in capfd.readouterr().err


def test_unknown_chapters_and_profiles():
    with pytest.raises(ChapterError, match="there is no chapter 'nothing'; there are threat_model, shadow_training"):
        chapters.path("nothing")
    with pytest.raises(ChapterError, match="profile 'huge' has no parameters for location"):
        chapters.profile_parameters("location", "huge")
    assert chapters.profile_parameters("location", "sample") == {}
    assert chapters.profile_parameters("location", "paper")["profile"] == "paper"
