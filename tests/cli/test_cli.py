import ast
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import mialib
from mialib.base.extras import EXTRAS
from mialib.base.machine import cache_dir
from mialib.book import chapters, sweeps
from mialib.book.ledger import read_claims
from mialib.book.runs import Origin, Run
from mialib.cli import main, serve
from mialib.datasets.dataset import Provenance
from mialib.models.cache import ModelCache


def test_data_lists_and_loads(capsys):
    assert main.main(["data"]) == 0
    assert "location   real, stand-in" in capsys.readouterr().out
    assert main.main(["data", "mnist", "--source", "sample"]) == 0
    assert "5000 x 32 x 32, 10 classes" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["data"], ["audit", "--help"]])
def test_help_and_the_list_of_data_sets_load_no_heavy_library(words):
    """These take a second each, or several; argparse, and what the verbs say of themselves, is enough."""
    code = (
        "import sys; from mialib.cli.main import main\n"
        f"try: main({words})\n"
        "except SystemExit: pass\n"
        "print('loaded:', *{name.split('.')[0] for name in sys.modules})"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    said, loaded = printed.split("loaded:")
    assert said.strip()
    heavy = {"torch", "pandas", "sklearn", "scipy", "numpy", "matplotlib", "papermill", "httpx", "fastapi"}
    assert not heavy & set(loaded.split())


def test_bad_input_is_one_sentence(capsys):
    for words, message in (
        (["data", "nothing"], "mia: there is no data set 'nothing'"),
        (["run", "nothing"], "mia: there is no chapter 'nothing'"),
        (["run", "location", "-p", "seed"], "mia: parameter 'seed' has no value; write name=value"),
        (
            ["run", "location", "-p", "seed=[1,2"],
            "mia: '[1,2' is no value; write a number, a list such as [1, 2], or text",
        ),
        (["run", "location", "-p", "seed=1", "-p", "seed=2"], "mia: parameter 'seed' is given twice; give it once"),
        (["sweep", "location", "-g", "seed=1,,2"], "mia: '1,,2' are no values; write them with commas between"),
        (
            ["sweep", "location", "-g", "seed=0..99999999"],
            "mia: the grid has 100,000,000 combinations; give it at most",
        ),
        (["serve", "location", "-d", "n=[1", "--port", "0"], "mia: '[1' is no value"),
        (["serve", "location", "--source", "stand-in", "-d", "seed=x"], "mia: location (stand-in) cannot be made with"),
        (["run", "location", "--profile", "huge"], "mia: profile 'huge' has no parameters for location"),
    ):
        assert main.main(words) == 1
        errors = capsys.readouterr().err
        assert errors.startswith(message)
        assert errors.count("\n") == 1


def failing(monkeypatch, error):
    """Have ``mia claims`` end with an error."""

    def fail(arguments):
        raise error

    monkeypatch.setattr(main, "show_claims", fail)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first\nsecond\x1b[2J"), "first second\ufffd[2J"),
        (OSError(errno.ENOSPC, "No space left on device", "a/b.json"), "a/b.json: No space left on device"),
        (RuntimeError("CUDA error\n  at x"), "CUDA error at x"),
        (MemoryError("Unable to allocate 8 TiB"), "memory ran out: Unable to allocate 8 TiB"),
        (KeyError("x"), "KeyError: 'x' (MIALIB_TRACEBACK=1 in the environment says where)"),
        (RecursionError("too deep"), "RecursionError: too deep (MIALIB_TRACEBACK=1 in the environment says where)"),
        (ModuleNotFoundError("DP-SGD needs Opacus"), "DP-SGD needs Opacus"),
    ],
)
def test_whatever_goes_wrong_is_one_sentence(monkeypatch, capsys, error, said):
    failing(monkeypatch, error)
    assert main.main(["claims"]) == 1
    assert capsys.readouterr().err == f"mia: {said}\n"


def test_a_developer_gets_the_traceback(monkeypatch):
    failing(monkeypatch, KeyError("x"))
    monkeypatch.setenv(main.TRACEBACK, "1")
    with pytest.raises(KeyError):
        main.main(["claims"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_what_was_started_and_is_one_sentence(monkeypatch, capsys, number):
    started = []

    def work(arguments):
        started.append(subprocess.Popen(["sleep", "60"]))
        os.kill(os.getpid(), number)
        time.sleep(60)

    monkeypatch.setattr(main, "show_claims", work)
    own = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}[number]
    before = signal.signal(number, own)  # in the background of a shell it is ignored
    try:
        assert main.main(["claims"]) == 128 + number
        assert started[0].wait(1) == -signal.SIGTERM
        assert capsys.readouterr().err == "mia: interrupted; what was finished is kept\n"
        assert signal.getsignal(number) == own
    finally:
        signal.signal(number, before)


def test_who_reads_the_output_may_stop():
    read, write = os.pipe()
    os.close(read)
    code = "import sys; from mialib.cli.main import main; sys.exit(main(['data']))"
    ended = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (128 + signal.SIGPIPE, b"")


def test_without_extras_every_verb_works_or_names_its_own():
    """In a Python that finds no package of an extra."""
    verbs = {
        "data": None,
        "audit x.onnx --in a.csv --out b.csv": "audit",
        "serve location --source stand-in": "serve",
        **dict.fromkeys(("run location", "book --dry-run", "sweep location -g seed=0", "refresh", "record"), "book"),
        "cache": None,
    }
    code = (
        "import json, sys\n"
        "from mialib.base.extras import EXTRAS\n"
        "sys.modules |= dict.fromkeys(EXTRAS)\n"
        "from mialib.cli.main import main\n"
        "for line in json.loads(sys.argv[1]):\n"
        "    print(main(line.split()), line, file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, json.dumps(list(verbs))]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    said = iter(ended.stderr.splitlines())
    for line, extra in verbs.items():
        if extra:
            verb = line.split()[0]
            assert re.fullmatch(
                rf'mia: mia {verb} needs \w+, which is not installed: pip install "mialib\[{extra}\]"', next(said)
            )
        assert next(said) == f"{1 if extra else 0} {line}"


def test_every_package_that_mialib_imports_is_a_dependency_or_named_with_its_extra():
    project = tomllib.loads(Path(mialib.__file__).parents[1].joinpath("pyproject.toml").read_text("utf-8"))["project"]
    named = {"yaml": "pyyaml", "sklearn": "scikit-learn", "xgboost": "xgboost-cpu"}
    comes_with = {"PIL": "matplotlib", "docutils": "jupyter-book", "markupsafe": "jinja2", "nbclient": "papermill"}
    comes_with |= {"nbformat": "papermill", "starlette": "fastapi", "h11": "uvicorn"}
    imported = set()
    for path in Path(mialib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.partition(".")[0] for name in names}
    for package in imported - set(sys.stdlib_module_names) - {"mialib", "__main__"}:
        extra = EXTRAS.get(package)
        brought = project["optional-dependencies"][extra] if extra else project["dependencies"]
        by = named.get(package) or comes_with.get(package) or package
        assert any(re.match(rf"{by}\b(?!-)", of) for of in brought), package


def test_run_passes_parameters_and_names_its_profile(monkeypatch, tmp_path, capsys):
    ran = []
    monkeypatch.setattr(chapters, "execute", lambda source, output, parameters: ran.append(parameters))
    out = str(tmp_path / "o.ipynb")
    assert main.main(["run", "location", "-p", "seed=7", "-p", "source=real", "-o", out]) == 0
    assert main.main(["run", "location", "--profile", "paper", "-p", "size=900", "-o", out]) == 0
    assert main.main(["run", "location", "-o", out]) == 0
    assert ran[0] == {"profile": "own", "seed": 7, "source": "real"}
    assert (ran[1]["profile"], ran[1]["size"], ran[1]["n_shadow"]) == ("paper", 900, 60)
    assert ran[2] == {}
    assert capsys.readouterr().out.count(out) == 3


def test_claims_are_printed(capsys):
    assert main.main(["claims"]) == 0
    printed = capsys.readouterr().out
    assert all(claim.id in printed and claim.statement in printed for claim in read_claims())
    main.main(["claims", "--chapter", "location"])
    assert "more-shadows" not in capsys.readouterr().out


def test_cache_is_counted_and_cleared(capsys):
    ModelCache().put("ab" * 32, np.zeros(3))
    run = cache_dir() / "chapters" / "ab"
    run.mkdir(parents=True)
    (run / "took.json").write_text("{}", encoding="utf-8")
    main.main(["cache"])
    printed = capsys.readouterr().out
    assert ": 1 models" in printed
    assert "; 1 runs of chapters" in printed
    main.main(["cache", "--clear"])
    assert ": 0 models, 0.0 MiB; 0 runs of chapters" in capsys.readouterr().out
    assert not run.exists()


def test_a_book_names_its_page_and_what_failed(monkeypatch, capsys):
    built = []

    def build(folder, profile, n_jobs, cluster):
        built.append((folder, profile, n_jobs, cluster))
        return Path("index.html"), failures

    monkeypatch.setattr("mialib.book.build.build", build)
    monkeypatch.setattr("mialib.book.build.cost_table", lambda profile: f"what {profile} takes")
    failures = {}
    assert main.main(["book"]) == 0
    assert main.main(["book", "--profile", "paper", "--dry-run"]) == 0
    assert capsys.readouterr().out == "index.html\nwhat paper takes\n"
    failures = {"texas": "texas: DataError: no file"}
    assert main.main(["book", "--profile", "paper", "--jobs", "3", "--cluster", "tcp://a:1"]) == 1
    assert "1 chapters did not run to their end: texas: DataError: no file" in capsys.readouterr().err
    assert built == [
        (Path("_build/sample"), "sample", None, None),
        (Path("_build/paper"), "paper", 3, "tcp://a:1"),
    ]


def test_a_sweep_writes_a_table_and_a_figure(monkeypatch, tmp_path, capsys):
    asked = []

    def executed(path, parameters, environment):
        asked.append((parameters, environment))
        origin = Origin("location", "own", 0, (Provenance("toy", "sample", "here", "none", "0" * 64),))
        (tmp_path / "executed.ipynb").write_text("{}", encoding="utf-8")
        run = Run(origin, {"recall": 1.0, "precision": parameters["n_shadow"] / 10})
        return SimpleNamespace(notebook=tmp_path / "executed.ipynb", run=run)

    monkeypatch.setattr(sweeps, "executed", executed)
    out = tmp_path / "out"
    words = ["sweep", "location", "-g", "n_shadow=2,5", "-p", "size=900", "-q", "precision", "-o", str(out)]
    assert main.main([*words, "--cluster", "tcp://a:1"]) == 0
    shared = {"profile": "own", "size": 900}
    assert [parameters for parameters, _ in asked] == [{**shared, "n_shadow": 2}, {**shared, "n_shadow": 5}]
    assert asked[0][1] == {"MIALIB_CLUSTER": "tcp://a:1"}
    assert (out / "numbers.png").read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out.split() == [str(out / "numbers.csv"), str(out / "numbers.png")]


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main.main(["--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("data", "run", "book", "sweep", "refresh", "record", "claims", "cache"))


@pytest.mark.parametrize("name", serve.PLATFORMS)
def test_every_platform_of_serve_can_train(name):
    assert callable(serve.platform(name, epochs=3).train)
