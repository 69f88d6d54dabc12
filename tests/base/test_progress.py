from pathlib import Path

import pytest

from mialib.base import machine
from mialib.base.machine import OPEN_NOTEBOOK, is_watched, progress


@pytest.fixture(autouse=True)
def nobody_watches(monkeypatch):
    for name in (*OPEN_NOTEBOOK, "MIALIB_PROGRESS"):
        monkeypatch.delenv(name, raising=False)


def test_a_bar_says_models_done_and_epochs_where_somebody_watches(monkeypatch, capsys):
    monkeypatch.setenv("MIALIB_PROGRESS", "1")
    with progress("training", "model", total=7, postfix="200 epochs each") as bar:
        bar.update(7)
    shown = capsys.readouterr().err
    assert "training: 100%" in shown
    assert "7/7" in shown
    assert "200 epochs each" in shown


def test_it_is_quiet_where_nobody_watches_or_there_is_nothing_to_do(monkeypatch, capsys):
    with progress("training", "model", total=7) as bar:
        bar.update(7)
    monkeypatch.setenv("MIALIB_PROGRESS", "1")
    with progress("training", "model", total=0):
        pass
    assert capsys.readouterr().err == ""


def test_every_bar_of_the_package_is_this_one():
    """``MIALIB_PROGRESS`` governs a bar only if it is made here."""
    package = Path(machine.__file__).parents[1]
    own = [path.name for path in package.rglob("*.py") if "tqdm" in path.read_text(encoding="utf-8")]
    assert own == ["machine.py"]


@pytest.mark.parametrize("name", OPEN_NOTEBOOK)
def test_an_open_notebook_is_watched_unless_one_says_no(monkeypatch, name):
    assert not is_watched()
    monkeypatch.setenv(name, "notebook")
    assert is_watched()
    monkeypatch.setenv("MIALIB_PROGRESS", "0")
    assert not is_watched()
