"""A Sphinx extension: at the end of each chapter, how long it runs and how to run it again; pages without errors."""

import json
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

from mialib.base.machine import shipped
from mialib.book import reproduce
from mialib.book.glossary import link, read_terms
from mialib.book.pages import keep_framed
from mialib.book.runs import RECORDED, recorded


def setup(app):
    """Connect to Sphinx."""
    app.connect("source-read", _add)
    app.connect("html-page-context", _mend, priority=900)
    app.connect("html-page-context", _keep)
    app.add_html_math_renderer("mathml", (_inline_math, None), (_display_math, None))
    return {"parallel_read_safe": True}


def _add(app, docname, source):
    if Path(app.env.doc2path(docname)).suffix == ".ipynb":
        notebook = nbformat.reads(source[0], as_version=4)
        prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
        terms = read_terms(shipped("book", "glossary.md").read_text(encoding="utf-8"))
        for cell, text in zip(prose, link([cell.source for cell in prose], terms), strict=True):
            cell.source = text
        notebook.cells.append(nbformat.v4.new_markdown_cell(run_again(Path(docname).name)))
        source[0] = nbformat.writes(notebook)
    elif reproduce.MARK in source[0]:
        source[0] = source[0].replace(reproduce.MARK, reproduce.how(_recorded))


def _inline_math(translator, node):
    translator.body.append(_mathml(node))
    raise nodes.SkipNode


def _display_math(translator, node):
    number = f'<span class="eqno">({node["number"]})</span>' if node["number"] else ""
    translator.body.append(
        f"{translator.starttag(node, 'div', CLASS='math', tabindex='0')}{_mathml(node, True)}{number}</div>"
    )
    raise nodes.SkipNode


def _mathml(node, as_block=False):
    """Return a formula as MathML, which browsers draw by themselves: no script, and none from elsewhere."""
    return tex2mathml(node.astext(), as_block)


def _mend(app, pagename, templatename, context, doctree):
    """Mend what Jupyter Book 1 and docutils get wrong on a page.

    A script that pages hold twice, and fail on; a colour mode with no name; a list whose children are no items of one.
    """
    context.setdefault("default_mode", "auto")
    scripts = {(script.filename or "", script.attributes.get("body")): script for script in context["script_files"]}
    context["script_files"][:] = scripts.values()
    if "body" in context:
        context["body"] = context["body"].replace(' role="list" class="citation-list"', ' class="citation-list"')


def _keep(app, pagename, templatename, context, doctree):
    """Write the pages that a chapter frames next to its own."""
    if "body" in context:
        context["body"] = keep_framed(context["body"], Path(app.outdir, pagename).parent)


def run_again(name):
    """Return, as Markdown, how to run a chapter again in the recorded profile, and how long that took."""
    seconds = json.loads(shipped("book", "times.json").read_text(encoding="utf-8")).get(name)
    lines = []
    if shipped("book", "profiles", RECORDED, f"{name}.yaml").exists():
        lines.append(f"`mia run {name} --profile {RECORDED}` ({_recorded(name)})")
    lines.append(f"`mia run {name}`" + (f" ({_spoken(seconds)} at the defaults, on 2 cores)" if seconds else ""))
    return f"**Run it again:** {'; '.join(lines)}."


def _recorded(name):
    if (run := recorded(name)) is None:
        return "not recorded"
    memory = run.details["peak memory in MiB"] / 1024
    time = _spoken(run.details["seconds"])
    found = run.details.get("models from the cache")
    of_them = f", {found} of its {run.details['models']} models from the cache" if found else ""
    return f"{time} and {memory:.1f} GiB for each seed{of_them}"


def _spoken(seconds):
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
