"""What goes out into the world: one version everywhere, what is built, what is locked, which data it is about."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from mialib.datasets import catalog

ROOT = Path(__file__).parents[1]
LOCKED = re.compile(r"^([a-z0-9-]+)==(\S+)( ;[^\\]*)?((?: \\\n +--hash=sha256:[0-9a-f]{64})*)$", re.MULTILINE)


def read(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads(read("pyproject.toml"))["project"]


def test_the_version_and_the_licence_are_the_same_everywhere(project):
    cited, meta = yaml.safe_load(read("CITATION.cff")), json.loads(read("codemeta.json"))
    assert {project["version"]} == {cited["version"], meta["version"]}
    assert str(cited["date-released"]) == meta["datePublished"]
    assert f"## [{project['version']}] - {cited['date-released']}" in read("CHANGELOG.md")
    assert {project["license"]} == {cited["license"], meta["license"].rpartition("/")[2]}
    assert project["description"] == meta["description"]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_a_build_holds_what_git_knows_and_nothing_else(kind, tmp_path):
    """In a checkout that has been worked in: caches, checkpoints, environments, results of commands."""
    builders = pytest.importorskip(f"hatchling.builders.{kind}")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no checkout")
    known = listed.stdout.splitlines()
    strays = ("book/.ipynb_checkpoints/a.ipynb", "data/.mialib-a.part", "mialib/__pycache__/a.pyc")
    strays += ("_build/html/a.html", ".venv/bin/a", "dist/a.whl")
    for name in (*known, *strays):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(ROOT / name) if name in (".gitignore", "pyproject.toml") else path.touch()
    builder = builders.__dict__[f"{kind.title()}Builder"](str(tmp_path))
    found = {Path(of.path).relative_to(tmp_path).as_posix() for of in builder.recurse_included_files()}
    shipped = {of for of in known if of.startswith(("mialib/", "book/", "data/")) or of in ("_config.yml", "_toc.yml")}
    assert found == (shipped if kind == "wheel" else {*known})


def test_every_dependency_is_locked_within_its_bounds_and_by_hashes(project):
    specifiers = pytest.importorskip("packaging.requirements")
    locked, hashes = {}, {}
    for name in ("lock.txt", "torch.txt", "uv.txt"):
        text = read("requirements", name)
        assert len(LOCKED.findall(text)) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
        for package, version, _, sums in LOCKED.findall(text):
            locked.setdefault(package, set()).add(version)
            hashes[package] = sums.count("sha256")
    assert all(hashes.values())
    wanted = list(project["dependencies"])
    for extra in ("audit", "book", "dask", "keras", "lightgbm", "privacy", "serve", "test", "xgboost"):
        wanted += project["optional-dependencies"][extra]
    for requirement in map(specifiers.Requirement, wanted):
        if requirement.name != "mialib":
            assert all(v in requirement.specifier for v in locked[requirement.name.lower()]), requirement


def test_every_data_set_has_a_statement():
    rows = read("data", "README.md").partition("## Data statements")[2].partition("## ")[0]
    named = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", rows, re.MULTILINE)
    of = {name: licence for names, licence in named for name in re.split(r", (?!sample)", names)}
    assert set(catalog.SOURCES) <= set(of)
    for path in ROOT.glob("data/results/*/*/0.json"):
        for recorded in json.loads(path.read_text(encoding="utf-8"))["origin"]["sets"]:
            name = "purchase, sample" if recorded["licence"].endswith("(package)") else recorded["name"]
            assert of[name] == recorded["licence"], (path, name)


def test_workflows_ask_for_no_right_that_they_do_not_need():
    for path in ROOT.joinpath(".github", "workflows").glob("*.yml"):
        flow = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert flow["permissions"] == {"contents": "read"}, path
        for name, job in flow["jobs"].items():
            assert job["timeout-minutes"] <= 120, (path, name)
            assert name == "publish" or "permissions" not in job, (path, name)
