import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest

import mialib
from mialib.base import machine
from mialib.book import execution as module
from mialib.book.chapters import ChapterError
from mialib.book.execution import executed, folder_of, kept
from mialib.models.cache import ModelCache

SOURCE = """
import os
import numpy as np
from mialib.book.chapter import Chapter
from mialib.models.cache import ModelCache
from mialib.datasets.dataset import Provenance
"""


def chapter(folder, work, name="toy"):
    """Write a chapter whose last cell measures the number 1; return its path."""
    cells = [
        nbformat.v4.new_code_cell("seed = 0  # decides\nvalue = 1.0  # measured", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(SOURCE + work),
        nbformat.v4.new_code_cell(
            f"chapter = Chapter({name!r}, 'own', seed, Provenance('toy', 'sample', 'here', 'none', '0' * 64))\n"
            "chapter.check({'number': value})"
        ),
    ]
    path = folder / f"{name}.ipynb"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def test_a_run_is_measured_kept_and_not_made_twice(tmp_path, monkeypatch):
    work = (
        "held = np.ones(40_000_000)\n"
        "ModelCache().put('ab' * 32, np.zeros(2**18, np.float32))\nModelCache().get('ab' * 32)\n"
        "import time; started = time.process_time()\nwhile time.process_time() < started + 1: pass"
    )
    path = chapter(tmp_path, work)
    assert kept(path, {"value": 2.5}) is None
    found = executed(path, {"value": 2.5})
    assert found.run.numbers == {"number": 2.5}
    assert found.took["models"] == 1
    assert found.took["models from the cache"] == 0
    assert found.took["cache in MiB"] == 1.0
    assert found.took["peak memory in MiB"] > 320
    assert found.took["CPU seconds"] > 1
    monkeypatch.setattr(module, "measured", None)
    assert executed(path, {"value": 2.5}) == found == kept(path, {"value": 2.5})
    assert kept(path, {"value": 2.6}) is None


def test_a_run_tells_models_it_trained_from_those_in_the_cache(tmp_path):
    ModelCache().put("ab" * 32, np.zeros(3, np.float32))
    path = ModelCache().path("ab" * 32)
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    work = "ModelCache().get('ab' * 32)\nModelCache().put('cd' * 32, np.zeros(3, np.float32))"
    took = executed(chapter(tmp_path, work), {}).took
    assert (took["models"], took["models from the cache"]) == (2, 1)


def test_memory_and_processor_time_are_those_of_all_processes_together(tmp_path):
    work = (
        "import joblib, time\n"
        "def burn(i):\n"
        "    held, started = np.ones(20_000_000), time.process_time()\n"
        "    while time.process_time() < started + 2: pass\n"
        "joblib.Parallel(2, prefer='processes')(joblib.delayed(burn)(i) for i in range(2))"
    )
    took = executed(chapter(tmp_path, work), {}).took
    assert took["peak memory in MiB"] > 2 * 150
    assert took["CPU seconds"] > 2 * 2
    assert took["models"] == took["cache in MiB"] == 0


def test_what_decides_a_run_decides_its_key(tmp_path, monkeypatch):
    path, other = chapter(tmp_path, ""), chapter(tmp_path, "1", "other")
    keys = {folder_of(path, {}), folder_of(other, {}), folder_of(path, {"seed": 1})}
    read = []
    monkeypatch.setattr(module, "code_sha256", lambda sources: read.extend(sources) or "another version of the package")
    keys.add(folder_of(path, {}))
    package = Path(mialib.__file__).parent
    assert sorted(read) == sorted(source.read_text("utf-8") for source in package.rglob("*.py"))
    assert (package / "attack" / "shadow.py").read_text("utf-8") in read
    data = tmp_path / "data"
    data.mkdir()
    (data / "records.npz").write_bytes(b"12")
    monkeypatch.setenv("MIALIB_DATA", str(data))
    keys.add(folder_of(path, {}))
    assert len(keys) == 5
    outputs = nbformat.read(path, as_version=4)
    outputs.cells[0].outputs = [nbformat.v4.new_output("stream", text="seen")]
    before = folder_of(path, {})
    nbformat.write(outputs, path)
    assert folder_of(path, {}) == before


def test_recording_a_run_does_not_make_it_stale(tmp_path, monkeypatch):
    path = chapter(tmp_path, "", "location")
    monkeypatch.setattr(module, "shipped", lambda *parts: tmp_path.joinpath(*parts))
    (tmp_path / "book").mkdir()
    for name in ("claims.yaml", "paper.yaml", "heads.yaml"):
        (tmp_path / "book" / name).write_text("[]", encoding="utf-8")
    before = [folder_of(path, {"profile": profile}) for profile in ("paper", "sample")]
    recorded = tmp_path / "data" / "results" / "paper" / "location" / "0.json"
    recorded.parent.mkdir(parents=True)
    recorded.write_text('{"origin": {}, "numbers": {"precision": 0.9}}', encoding="utf-8")
    after = [folder_of(path, {"profile": profile}) for profile in ("paper", "sample")]
    assert after[0] == before[0]
    assert after[1] != before[1]  # its page shows the recorded run


def test_a_chapter_that_fails_leaves_nothing_and_says_why(tmp_path):
    path = chapter(tmp_path, "raise ValueError('size is -1;\\nit must be positive')")
    with pytest.raises(ChapterError, match=r"^toy: ValueError: size is -1; it must be positive$"):
        executed(path, {})
    assert list(machine.cache_dir().glob("*/*")) == []


def test_a_variable_for_the_run_does_not_change_its_key(tmp_path):
    path = chapter(tmp_path, "seed = int(os.environ['MIALIB_TOY'])")
    assert executed(path, {}, {"MIALIB_TOY": "7"}).run.origin.seed == 7
    assert kept(path, {}).run.origin.seed == 7


def test_killed_runs_leave_nothing_running_and_the_next_one_sweeps_up(tmp_path):
    """Of a run in a process of its own, for the cache, and of one in the process that asks, for a file."""
    path = chapter(
        tmp_path, "open(os.environ['MIALIB_TOY'], 'w').write(str(os.getpid())); import time; time.sleep(600)"
    )
    asked = {
        "executed": "from mialib.book.execution import executed; executed({path!r}, {{}})",
        "run": "from mialib.book.chapters import execute; execute({path!r}, {output!r})",
    }
    (tmp_path / "out").mkdir()
    words, runners, kernels = {"path": str(path), "output": str(tmp_path / "out" / "run.ipynb")}, [], []
    for name, code in asked.items():
        environment = os.environ | {"MIALIB_TOY": str(tmp_path / name)}
        runners.append(subprocess.Popen([sys.executable, "-c", code.format(**words)], env=environment))
    for name in asked:
        _wait(lambda mark=tmp_path / name: mark.exists() and mark.read_text())
        kernels.append(int((tmp_path / name).read_text()))
    for runner in runners:
        os.kill(runner.pid, signal.SIGKILL)
        runner.wait()
    _wait(lambda: not any(map(psutil.pid_exists, kernels)))
    assert not list((tmp_path / "out").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["executed", "out", "run", "toy.ipynb"]
    assert [p.suffix for p in machine.cache_dir().glob("*/*")] == [".part"] * 3
    whole = chapter(tmp_path, "")
    executed(whole, {})
    assert kept(whole, {}).run.numbers == {"number": 1.0}
    assert [p.name for p in machine.cache_dir().glob("*/*")] == [folder_of(whole, {}).name]


def _wait(is_so):
    deadline = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
