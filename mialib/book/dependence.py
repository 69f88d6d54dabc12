"""Which code decides what a chapter measures: its own statements, and the definitions that these lead to."""

import ast
from functools import cache
from pathlib import Path

import nbformat

import mialib
from mialib.models.cache import code_sha256

NO_NUMBER = (
    *("mialib.book", "mialib.plots"),  # show what was measured
    *("mialib.models.cache", "mialib.datasets.files"),  # keep and fetch: sha256 hold what, in a key, in the provenance
    "mialib.base.extras",  # says what to install
    "mialib.models.blas",  # multiplies: another rounding of the same product, as on another processor
    *("mialib.base.machine", "mialib.service"),  # carry: where a model trains or answers changes no bit, as tests hold
)
"""Packages and modules that decide no number."""


def code_of(chapter):
    """Return the sha256 of the code that decides what a chapter measures, docstrings and parameters left out.

    It is that of the chapter's statements on which ``chapter.check`` and ``chapter.keep`` depend, and of all functions,
    classes and constants of mialib that these lead to, name by name; what is in `NO_NUMBER` does not count.
    """
    cells = nbformat.read(chapter, as_version=4).cells
    cells = [c.source for c in cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", ())]
    own = ast.parse("\n".join(cells)).body
    found = _Found({"": own})
    for statement in own:
        if _attribute(getattr(statement, "value", None)) in ("check", "keep") and isinstance(statement, ast.Expr):
            found.follow("", statement)
    return code_sha256(sorted(found.sources))


class _Found:
    """Statements found so far, as source code; names lead from one to the next."""

    def __init__(self, modules):
        self.modules, self.seen, self.sources = modules, set(), set()

    def follow(self, module, statement):
        """Keep a statement of a module, and all that the names in it lead to."""
        self.sources.add(f"# {module}\n{ast.unparse(statement)}")
        own = _own(statement)
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    self.want(*_home(node, alias))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self.want(module, node.value.id, node.attr)
            elif isinstance(node, ast.Name) and node.id not in own:
                self.want(module, node.id)

    def want(self, module, name, attribute=None):
        """Follow the statements that bind a name of a module, or an attribute of it if it is a module itself."""
        if (module, name, attribute) in self.seen or module.startswith(NO_NUMBER):
            return
        self.seen.add((module, name, attribute))
        if module not in self.modules:
            self.modules[module] = _body(module)
        for statement in self.modules[module]:
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if (alias.asname or alias.name) == name:
                        self._imported(*_home(statement, alias), attribute)
            elif name in _bound(statement) and f"# {module}\n{ast.unparse(statement)}" not in self.sources:
                self.follow(module, statement)

    def _imported(self, home, name, attribute):
        if _path(f"{home}.{name}"):
            if attribute:
                self.want(f"{home}.{name}", attribute)
        else:
            self.want(home, name)


def _home(statement, alias):
    """Return the module and the name that an import means; a name of the public face has its home elsewhere."""
    if statement.module == "mialib" and alias.name in mialib.HOMES:
        return f"mialib.{mialib.HOMES[alias.name]}", alias.name
    return statement.module or "", alias.name


@cache
def _path(module):
    """Return the file of a module of mialib, or None if there is none of this name."""
    place = Path(mialib.__file__).parent.joinpath(*module.split(".")[1:])
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return file if module.split(".")[0] == "mialib" and file.exists() else None


def _body(module):
    file = _path(module)
    return ast.parse(file.read_text("utf-8")).body if file else []


def _attribute(call):
    return getattr(getattr(call, "func", None), "attr", None)


def _bound(statement):
    """Return the names that a statement binds, or changes in place."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    own, names = _own(statement), set()
    for node in ast.walk(statement):
        if isinstance(getattr(node, "ctx", None), ast.Store):
            parts = [node] if isinstance(node, ast.Name) else ast.walk(getattr(node, "value", node))
            names |= {part.id for part in parts if isinstance(part, ast.Name)}
        elif isinstance(node, ast.FunctionDef):
            names.add(node.name)
    return names - own


def _own(statement):
    """Return the names that are of a comprehension alone."""
    targets = [node.target for node in ast.walk(statement) if isinstance(node, ast.comprehension)]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
