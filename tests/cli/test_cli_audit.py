"""The command ``mia audit``: first contact, exit codes, and inputs as people have them."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops import io

from mialib.cli import main

TREE = "sklearn.tree._tree.Tree"
QUICK = ["--shadows", "2", "--seeds", "1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mia(*words):
    return main.main(["audit", *map(str, words)])


def said(folder):
    return json.loads((folder / "audit.json").read_text())


def test_without_arguments_it_says_what_is_needed_in_five_lines(capsys):
    assert mia() == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("mia audit MODEL --in MEMBERS --out OTHERS")


def test_the_example_shows_an_audit_from_end_to_end(folder, capsys):
    assert mia("--example", folder / "shown") == 0
    command, *structure, verdict, advice, _, _, _ = capsys.readouterr().out.splitlines()
    assert command.startswith("$ mia audit ")
    assert any(line.startswith("Smallest leaf: The smallest of ") for line in structure)
    assert verdict.startswith("Membership leaks: ")
    assert advice.startswith("Recommendation: ")
    written = {path.name for path in (folder / "shown").iterdir()}
    assert written == {"forest.skops", "in.csv", "out.csv", "pool.csv", "audit.html", "audit.json", "audit.csv"}
    parsed = json.loads((folder / "shown" / "audit.json").read_text())
    assert (parsed["train accuracy"], parsed["records in"], parsed["records out"]) == (1.0, 400, 400)
    assert set(parsed["by subgroup"]) == {"town = Ashby", "town = Brook", "town = Colne"}
    rows = pd.read_csv(folder / "shown" / "audit.csv")
    assert list(rows["id"]) == list(range(1, 801))
    filing = parsed["filing"]
    assert f"$ {filing['command']}" == command
    assert [of["records"] for of in filing["inputs"]] == [None, 400, 400, 800]


@pytest.fixture
def answers(folder):
    """Saved answers of a model that leaks nothing: vectors of chance."""
    rng = np.random.default_rng(0)
    vectors = rng.dirichlet(np.ones(2), 400)
    table = pd.DataFrame(vectors, columns=["0", "1"]).assign(label=rng.integers(2, size=400))
    table.assign(member=np.arange(400) % 2).to_csv(folder / "answers.csv", index=False)
    sure = np.where(np.arange(400) % 2, 0.95, 0.55)[:, None]
    right = np.eye(2)[table["label"]]
    leaks = pd.DataFrame(right * sure + (1 - right) * (1 - sure), columns=["0", "1"])
    leaks.assign(label=table["label"], member=np.arange(400) % 2).to_csv(folder / "leaks.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("file", "threshold", "code", "word"),
    [("leaks.csv", 0.8, 3, "above"), ("answers.csv", 0.8, 0, "below"), ("answers.csv", 0.51, 4, "undecided")],
)
def test_exit_codes_for_a_pipeline(answers, capsys, file, threshold, code, word):
    assert mia(file, "--fail-above", threshold, "-o", "audit.html") == code
    assert f"Accuracy and AUC against {threshold}: {word}." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["answers.csv", "--fail-above", "1.5"], "the threshold is 1.5; it must be from 0.5"),
        (["answers.csv", "-o", "answers.html"], "the report would replace answers.csv, which is audited"),
        (["--answers-in", "answers.csv"], "--answers-in needs --answers-out, and no model"),
        (["nothing.csv"], "there is no file nothing.csv"),
        (["answers.csv", "--drop", "colour"], "has no column 'colour'"),
        (["answers.csv", "--classes", "a,b,c"], "3 classes are named, but answers.csv has 2 columns"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_leaves_nothing(answers, capsys, words, message):
    before = set(answers.iterdir())
    assert mia(*words) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert message in errors
    assert set(answers.iterdir()) == before


def test_what_was_audited_is_filed(answers):
    assert mia("leaks.csv", "-o", "audit.html") == 0
    (given,) = said(answers)["filing"]["inputs"]
    assert given["role"] == "model"
    assert re.fullmatch("[0-9a-f]{64}", given["sha256"])


def mixed(n):
    """People with text, truth values, missing numbers, dates and categories, two records of each person."""
    rng = np.random.default_rng(5)
    x, y = make_classification(n, 4, n_informative=3, n_redundant=0, flip_y=0.2, random_state=5)
    table = pd.DataFrame(x, columns=["age", "income", "visits", "score"])
    table["region"] = rng.choice(["north", "south"], n)
    table["smoker"] = rng.random(n) < 0.3
    table["since"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(900, size=n), "D")
    table["person"], table["row"] = np.arange(n) // 2, [f"r{i}" for i in range(n)]
    table["weight"] = rng.uniform(0.5, 2, n)
    table["class"] = np.array(["no", "yes"])[y]
    table.loc[::17, "income"] = np.nan
    return table


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_people_with_columns_of_every_kind(folder, ending):
    table, n = mixed(480), 160
    features = ["age", "income", "visits", "score", "region", "smoker"]
    columns = make_column_transformer((OneHotEncoder(), ["region"]), remainder=SimpleImputer())
    model = make_pipeline(columns, RandomForestClassifier(10, random_state=0))
    io.dump(model.fit(table[features][:n], table["class"][:n]), folder / "model.skops")
    for name, start in (("in", 0), ("out", n), ("pool", 2 * n)):
        part = table[start : start + n].reset_index(drop=True)
        part = part.astype({"region": "category"}) if ending == "parquet" else part
        getattr(part, f"to_{ending}")(folder / f"{name}.{ending}", **({} if ending == "parquet" else {"sep": ";"}))
    files = [word for name in ("in", "out", "pool") for word in (f"--{name}", f"{name}.{ending}")]
    roles = ["--label", "class", "--id", "row", "--group", "person", "--by", "region", "--weights", "weight"]
    trust = ["--trust", TREE, "--trust", "numpy.dtype"]
    assert mia("model.skops", *trust, *files, *roles, "--drop", "since", *QUICK) == 0
    found = said(folder)
    assert found["train accuracy"] == model.score(table[features][:n], table["class"][:n])
    assert (found["records in"], found["records out"]) == (n, n)
    assert set(found["by subgroup"]) == {"region = north", "region = south"}
    assert found["outcome"] == "leaks"
    assert pd.read_csv(folder / "audit.csv")["id"].tolist() == [f"r{i}" for i in range(2 * n)]


def test_a_regressor(folder):
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(400, 5)), columns=list("abcde"))
    y = 3 * x["a"] + rng.normal(size=400)
    io.dump(RandomForestRegressor(20, random_state=0).fit(x[:200], y[:200]), folder / "model.skops")
    x[:200].assign(value=y[:200]).to_csv("in.csv", index=False)
    x[200:].assign(value=y[200:]).to_csv("out.csv", index=False)
    words = ["--in", "in.csv", "--out", "out.csv", "--label", "value", "--trust", TREE, "--shadows", 4, "--seeds", 1]
    assert mia("model.skops", *words) == 0
    assert said(folder)["outcome"] == "leaks"
    assert said(folder)["train error"] < said(folder)["test error"]
