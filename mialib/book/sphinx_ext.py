"""A Sphinx extension: at the end of each chapter, how long it runs and how to run it again; pages without errors."""

import json
import shlex
from pathlib import Path

import nbformat
import yaml

from mialib.base.machine import shipped
from mialib.book.runs import RECORDED, recorded


def setup(app):
    """Connect to Sphinx."""
    app.connect("source-read", _add)
    app.connect("html-page-context", _mend, priority=900)
    return {"parallel_read_safe": True}


def _add(app, docname, source):
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        notebook = nbformat.reads(source[0], as_version=4)
        notebook.cells.append(nbformat.v4.new_markdown_cell(run_again(Path(docname).name)))
        source[0] = nbformat.writes(notebook)


def _mend(app, pagename, templatename, context, doctree):
    """Mend two things of Jupyter Book 1: a script that pages hold twice, and fail on; a colour mode with no name."""
    context.setdefault("default_mode", "auto")
    scripts = {(script.filename or "", script.attributes.get("body")): script for script in context["script_files"]}
    context["script_files"][:] = scripts.values()


def run_again(name):
    """Return, as Markdown, how to run a chapter again, and how long that took when it was refreshed and recorded."""
    seconds = json.loads(shipped("book", "times.json").read_text(encoding="utf-8")).get(name)
    lines = [f"`mia run {name}`" + (f": about {_spoken(seconds)} on 2 cores, profile sample" if seconds else "")]
    if shipped("book", "profiles", RECORDED, f"{name}.yaml").exists():
        lines.append(f"`mia run {name} --profile {RECORDED}`: {_recorded(name)}")
    if example := _example(name):
        lines.append(f"`papermill book/{name}.ipynb out.ipynb -p {example}`: your own parameters")
    listed = "\n".join(f"- {line}" for line in lines)
    return f":::{{admonition}} Run it again\n:class: tip mialib-again\n{listed}\n:::"


def _recorded(name):
    if (run := recorded(name)) is None:
        return "not recorded"
    memory = run.details["peak memory in MiB"] / 1024
    time = _spoken(run.details["seconds"])
    found = run.details.get("models from the cache")
    of_them = f", {found} of its {run.details['models']} models from the cache" if found else ""
    return f"{time} and {memory:.1f} GiB for each seed, when it was recorded{of_them}"


def _spoken(seconds):
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"


def _example(name):
    """Return the first whole number in a chapter's profile as a papermill parameter."""
    path = shipped("book", "profiles", RECORDED, f"{name}.yaml")
    given = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return next((f"{key} {shlex.quote(str(value))}" for key, value in given.items() if type(value) is int), None)
