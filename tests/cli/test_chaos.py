import subprocess
import sys
from pathlib import Path

import pytest


def test_five_kills_of_a_run_change_nothing_and_leave_nothing():
    """A few of `make chaos`, of the verb that is shortest; most of its time goes into starting it."""
    chaos = Path(__file__).parents[1] / "chaos.py"
    if not (chaos.parents[1] / ".git").exists():
        pytest.skip("it kills in a clone of a checkout, and this is none")
    words = ["--kills", "5", "--seed", "1", "--verbs", "overview"]
    ended = subprocess.run([sys.executable, str(chaos), *words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
