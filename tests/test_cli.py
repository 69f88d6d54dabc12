import numpy as np
import pytest

from mialib import book, cli
from mialib.cache import ModelCache
from mialib.claims import read_claims


def test_data_lists_and_loads(capsys):
    assert cli.main(["data"]) == 0
    assert "location   real, stand-in" in capsys.readouterr().out
    assert cli.main(["data", "mnist", "--source", "sample"]) == 0
    assert "5000 x 32 x 32, 10 classes" in capsys.readouterr().out


def test_bad_input_is_one_sentence(capsys):
    for words, message in (
        (["data", "nothing"], "mia: there is no data set 'nothing'"),
        (["run", "nothing"], "mia: there is no chapter 'nothing'"),
        (["run", "location", "-p", "seed"], "mia: parameter 'seed' has no value; write name=value"),
        (["run", "location", "--profile", "huge"], "mia: profile 'huge' has no parameters for location"),
    ):
        assert cli.main(words) == 1
        errors = capsys.readouterr().err
        assert errors.startswith(message)
        assert errors.count("\n") == 1


def test_run_passes_parameters_and_names_its_profile(monkeypatch, tmp_path, capsys):
    ran = []
    monkeypatch.setattr(book, "execute", lambda source, output, parameters: ran.append(parameters))
    out = str(tmp_path / "o.ipynb")
    assert cli.main(["run", "location", "-p", "seed=7", "-p", "source=real", "-o", out]) == 0
    assert cli.main(["run", "location", "--profile", "laptop", "-p", "size=900", "-o", out]) == 0
    assert cli.main(["run", "location", "-o", out]) == 0
    assert ran[0] == {"profile": "own", "seed": 7, "source": "real"}
    assert (ran[1]["profile"], ran[1]["size"], ran[1]["n_shadow"]) == ("laptop", 900, 60)
    assert ran[2] == {}
    assert capsys.readouterr().out.count(out) == 3


def test_claims_are_printed(capsys):
    assert cli.main(["claims"]) == 0
    printed = capsys.readouterr().out
    assert all(claim.id in printed and claim.statement in printed for claim in read_claims())
    cli.main(["claims", "--chapter", "location"])
    assert "more-shadows" not in capsys.readouterr().out


def test_cache_is_counted_and_cleared(capsys):
    ModelCache().put("ab" * 32, np.zeros(3))
    cli.main(["cache"])
    assert "1 models" in capsys.readouterr().out
    cli.main(["cache", "--clear"])
    assert "0 models" in capsys.readouterr().out


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("data", "run", "book", "refresh", "record", "claims", "cache"))
