"""The pages to look things up in: API, glossary, numbers of chapters, how to cite."""

import re
from pathlib import Path

import yaml

import mialib

ROOT = Path(__file__).parents[2]


def read(*parts):
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def test_the_api_page_has_every_public_name_once():
    page = read("book", "api.md")
    described = re.findall(r"^\.\. auto(?:class|function):: (\w+)$", page, re.MULTILINE)
    assert sorted(described) == sorted(mialib.HOMES)
    assert sorted(re.findall(r"^   ([A-Za-z_]+)$", page, re.MULTILINE)) == sorted(mialib.HOMES)
    assert {f"mialib.{name}" for name in ("metrics", "plots")} < set(re.findall(r"automodule:: (\S+)", page))


def test_the_glossary_defines_each_term_once_and_leads_to_no_other():
    page = read("book", "glossary.md")
    blocks = re.findall(r"```{glossary}\n:sorted:\n\n(.*?)```", page, re.DOTALL)
    terms = [line for block in blocks for line in block.splitlines() if line and not line.startswith(" ")]
    assert len(terms) == len(set(terms)) > 50
    linked = {target or plain for plain, target in re.findall(r"{term}`([^`<]*)(?:<([^>]+)>)?`", page)}
    assert linked <= set(terms)


def test_chapters_are_numbered_and_the_rest_is_not():
    parts = yaml.safe_load(read("_toc.yml"))["parts"]
    numbered = [entry["file"] for part in parts for entry in part["chapters"] if part.get("numbered") == 1]
    assert (numbered[0], numbered[-1], len(numbered)) == ("book/threat_model", "book/remember_too_much", 16)
    assert all(ROOT.joinpath(f"{file}.ipynb").exists() for file in numbered)


def test_how_to_cite_is_the_same_everywhere():
    cited, intro = yaml.safe_load(read("CITATION.cff")), read("book", "intro.md")
    assert f"*{cited['title']}.* Version {cited['version']}." in intro
    assert f"{cited['authors'][0]['name']} ({cited['date-released'].year})" in intro
    assert f'version = "{cited["version"]}"' in read("pyproject.toml")
