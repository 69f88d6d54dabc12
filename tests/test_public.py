import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from numpydoc.validate import validate

import mialib

OBJECTS = [name for name in mialib.__all__ if not inspect.ismodule(getattr(mialib, name))]
LEFT_OUT = {
    "ES01",  # no extended summary: one sentence may say it all
    "EX01",  # no examples: the book is made of them
    "GL01",  # the summary stands on the line of the quotes
    "PR07",  # a parameter whose name and type say it all
    "RT03",  # a return value, likewise
    "SA01",  # no "See Also"
}


@pytest.mark.parametrize("name", OBJECTS)
def test_each_public_object_has_a_numpydoc_docstring(name):
    wrong = [error for error in validate(f"mialib.{name}")["errors"] if error[0] not in LEFT_OUT]
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in OBJECTS if inspect.isclass(getattr(mialib, name))])
def test_each_public_method_says_what_it_does(name):
    own = vars(getattr(mialib, name))
    methods = [m for m, of in own.items() if not m.startswith("_") and (callable(of) or isinstance(of, property))]
    assert [m for m in methods if not inspect.getdoc(getattr(getattr(mialib, name), m))] == []


def test_the_public_face_is_lazy():
    """What ``import mialib`` costs: nothing but the import system; the rest comes when it is asked for."""
    code = "import sys; before = set(sys.modules); import mialib; print(*set(sys.modules) - before)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {name for name in printed.split() if name.split(".")[0] not in sys.stdlib_module_names} == {"mialib"}
    code = "import sys, mialib; mialib.load; print('mialib.datasets.catalog' in sys.modules, 'torch' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.split() == ["True", "False"]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'mialib' has no attribute 'recipe'"):
        _ = mialib.recipe
    assert set(dir(mialib)) == set(mialib.__all__)


def test_a_higher_floor_cannot_be_imported(tmp_path):
    """The contract in pyproject.toml, kept on a copy, is broken by one planted import."""
    root = Path(__file__).parents[1]
    shutil.copytree(root / "mialib", tmp_path / "mialib", ignore=shutil.ignore_patterns("__pycache__", "_shipped"))
    shutil.copy(root / "pyproject.toml", tmp_path)

    def lint():
        command = [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert lint().returncode == 0
    with open(tmp_path / "mialib" / "metrics.py", "a", encoding="utf-8") as file:
        file.write("from mialib.attack.answers import Answers\n")
    broken = lint()
    assert broken.returncode == 1
    assert "mialib.metrics -> mialib.attack.answers" in broken.stdout
