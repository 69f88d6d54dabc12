import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

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
        (["run", "location", "--profile", "huge"], "mia: profile 'huge' has no parameters for location"),
    ):
        assert main.main(words) == 1
        errors = capsys.readouterr().err
        assert errors.startswith(message)
        assert errors.count("\n") == 1


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
