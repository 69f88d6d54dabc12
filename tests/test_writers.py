"""Every writer of the package, on a file system that fails at each of its steps in turn."""

import builtins
import errno
import itertools
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import skops.io

import mialib
from mialib import plots
from mialib.auditing import example, report
from mialib.base import files
from mialib.book import build, chapters, execution, pages, pictures, runs, sweeps
from mialib.book.execution import Executed
from mialib.book.pages import Page
from mialib.book.runs import Origin, Run
from mialib.cli import main
from mialib.datasets.dataset import Provenance
from mialib.models.cache import ModelCache

WRITES = re.compile(
    r'\.write_(text|bytes)\(|open\([^)]*"[wax]|\.savefig\(|\.to_csv\((?!index)|np\.save|shutil\.(copy|move)|\.touch\('
    r"|os\.(replace|rename)\(|nbformat\.write\(|tempfile\.|\b(json|io|joblib|pickle)\.dump\(|\.mkdir\("
)
ELSEWHERE = (
    ("base/files.py", ""),
    ("book/build.py", "shutil.copytree("),  # a build makes its folder anew
    ("book/build.py", "shutil.copy(shipped("),
    ("book/execution.py", "used.touch()"),  # goes with the process
    ("book/execution.py", "tempfile.mkdtemp("),
    ("book/pictures.py", "figure.savefig(drawn,"),  # into memory
    ("datasets/files.py", "os.replace(part,"),  # a whole folder of torchvision's, inside the cache
    ("models/cache.py", "open(listed,"),  # a list that grows by lines
    ("models/cache.py", "np.savez(entry,"),  # into memory
    ("submission/confined.py", "tempfile.tempdir ="),  # where nothing can be written
    ("submission/isolation.py", "tempfile.gettempdir()"),
    ("submission/isolation.py", "pickle.dump(question, self.process.stdin,"),  # into a pipe
    ("service/store.py", "path.parent.mkdir("),  # of a database, which keeps itself whole
)
"""What writes by itself."""


def test_all_else_is_written_by_one_module():
    package = Path(mialib.__file__).parent
    for path in sorted(package.rglob("*.py")):
        for line in filter(WRITES.search, path.read_text("utf-8").splitlines()):
            name = path.relative_to(package).as_posix()
            known = any(name == file and part in line for file, part in ELSEWHERE)
            assert known, f"{name} writes without mialib.base.files: {line.strip()}"


def notebook(text):
    return nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# {text}", id="a")]))


def run_of(text):
    origin = Origin("toy", "own", 0, (Provenance("toy", "sample", "here", "none", "0" * 64),))
    return Run(origin, {"precision": float(len(text))})


def write_report(folder, text, patch):
    patch(report, "html", lambda *_: text)
    patch(report, "content", lambda *_: text)
    patch(report.rows, "as_csv", lambda *_: text)
    report.save(SimpleNamespace(filing=SimpleNamespace(inputs=())), folder / "audit.html")


def write_example(folder, text, patch):
    patch(example, "N", 20)
    patch(example, "make_pipeline", lambda *_: SimpleNamespace(fit=lambda *_: None))
    patch(skops.io, "dumps", lambda _: text.encode())
    example.write(folder, seed=len(text))


def write_chapter(folder, text, patch):
    patch(chapters, "outputs", lambda *_: text)
    chapters.execute("toy.ipynb", folder / "toy.out.ipynb")


def write_framed(folder, text, patch):
    pages.keep_framed(Page(text, "a page", "page.html")._repr_html_(), folder)


def write_recording(folder, text, patch):
    patch(build, "executed", lambda *_: SimpleNamespace(run=run_of(text), took={}, notebook=None))
    patch(build, "_figure", lambda *_: text.encode())
    patch(build, "_circumstances", lambda *_: {})
    patch(build, "write_score", lambda: None)
    patch(chapters, "path", lambda name: None)
    patch(chapters, "profile_parameters", lambda *_: {})
    patch(chapters, "all_parameters", lambda *_: {})
    patch(chapters, "paths", list)
    for module in (runs, build):
        patch(module, "shipped", folder.joinpath)
    build.record("toy", "paper")


def write_refreshed(folder, text, patch):
    patch(build, "shipped", folder.joinpath)
    patch(build, "write_score", lambda: None)
    patch(build.time, "monotonic", itertools.count(0, len(text)).__next__)
    patch(chapters, "outputs", lambda *_: text)
    patch(chapters, "path", lambda name: folder / f"{name}.ipynb")
    patch(chapters, "paths", list)
    build.refresh(["toy"])


def write_score(folder, text, patch):
    for path in (folder / "README.md", folder / "toy.ipynb"):
        if not path.exists():
            files.write_text(path, notebook("toy") if path.suffix == ".ipynb" else "<!-- score -->\n\n<!-- /score -->")
    patch(build, "shipped", folder.joinpath)
    patch(build, "Hero", lambda *_: SimpleNamespace(figure=text))
    patch(build, "png", lambda *_: text.encode())
    patch(build.ledger, "score_line", lambda: text)
    patch(chapters, "paths", lambda: [folder / "toy.ipynb"])
    build.write_score()


def write_pages(folder, text, patch):
    def executed(path, *_):
        if path == "fails":
            raise chapters.ChapterError(text)
        return Executed(source, {})

    source = files.write_text(folder.parent / "source.ipynb", notebook(text))
    if not (folder / "fails.ipynb").exists():
        files.write_text(folder / "fails.ipynb", notebook("fails"))
    patch(build, "executed", executed)
    patch(build.costs, "cost", lambda *_: None)
    patch(chapters, "path", lambda name: name)
    for name in ("fails", "works"):
        build.run_side_by_side(folder, {name: {}}, {}, 1)


def write_sweep(folder, text, patch):
    source = files.write_text(folder.parent / "source.ipynb", text)
    patch(chapters, "path", lambda name: Path("toy.ipynb"))
    patch(chapters, "check_parameters", lambda *_: {})
    patch(sweeps, "executed", lambda *_: SimpleNamespace(notebook=source, run=run_of(text)))
    patch(plots, "curve", lambda *_: None)
    patch(plots.style, "sign", lambda figure, _: figure)
    patch(pictures, "png", lambda *_: text.encode())
    main.main(["sweep", "location", "-g", "size=1,2", "-o", str(folder)])


def write_run(folder, text, patch):
    patch(execution, "kept", lambda *_: None)
    patch(execution, "folder_of", lambda *_: folder / "abc")
    patch(execution, "measured", lambda *_: (text, {"seconds": text}))
    found = execution.executed("toy.ipynb", {})
    assert found.notebook.read_text() == text
    assert json.loads(found.notebook.with_name("took.json").read_text()) == {"seconds": text}


def write_model(folder, text, patch):
    ModelCache(folder).put("ab" * 32, np.arange(float(len(text))))


WRITERS = {name: of for name, of in globals().items() if name.startswith("write_")}
SEVERAL = ("write_sweep", "write_pages")
"""Writers of things that come one after the other: each is there whole, or as it was."""


def state(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Faults:
    """Counts the steps of `mialib.base.files`, and has one fail, as on a full disk."""

    def __init__(self, patch, position):
        self.n, self.position = 0, position
        patch(files.os, "fsync", self.failing(lambda _: None))  # a real one takes its time
        for name in ("replace", "link"):
            patch(files.os, name, self.failing(getattr(os, name)))
        patch(files, "open", self.failing(builtins.open), raising=False)

    def failing(self, function):
        def called(*given):
            self.n += 1
            if self.n == self.position:
                raise OSError(errno.ENOSPC, "No space left on device")
            return function(*given)

        return called


@pytest.mark.filterwarnings("ignore:(trained models|runs of chapters) are not kept")
@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_writes_all_or_nothing(tmp_path, monkeypatch, name):
    folder = tmp_path / "out"

    def write(text, position=None):
        with monkeypatch.context() as patching, suppress(OSError):
            faults = Faults(patching.setattr, position)
            WRITERS[name](folder, text, patching.setattr)
        return faults.n

    write("newer")
    new = state(folder)
    write("old")
    old = state(folder)
    assert old != new
    for position in itertools.count(1):
        n = write("newer", position)
        now = state(folder)
        if n < position:
            break
        assert now.keys() == old.keys()
        assert all(content in (old[path], new[path]) for path, content in now.items())
        assert name in SEVERAL or now in (old, new)
        write("old")
        assert state(folder) == old
    assert now == new
    assert position > 2


@pytest.mark.parametrize(
    "words", [["run", "location", "-o"], ["serve", "location", "--log"]], ids=lambda words: words[0]
)
def test_the_command_notices_at_once_that_a_path_is_a_folder(tmp_path, capsys, words):
    assert main.main([*words, str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"mia: {tmp_path} is a folder; name a file\n"
    assert list(tmp_path.iterdir()) == []
