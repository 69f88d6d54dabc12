"""The package's modules stand on each other in one order, that of CONTRIBUTING.md."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
MODULES = {path.stem: path for path in (ROOT / "mialib").glob("*.py") if path.stem != "__init__"}


def floors():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return re.search(r"A module imports only from those before it: (.*?)\.\n", text)[1].split(", ")


def imported(path):
    """Return the modules of the package that a module imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "mialib":
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("mialib."):
            names.add(node.module.split(".")[1])
    return names


def test_every_module_has_its_floor():
    assert sorted(floors()) == sorted(MODULES)


def test_a_module_imports_only_from_floors_below():
    order = floors()
    upwards = [
        f"{name} imports {other}"
        for name, path in MODULES.items()
        for other in imported(path)
        if order.index(other) >= order.index(name)
    ]
    assert upwards == []
    assert "training" in imported(MODULES["experiment"])
