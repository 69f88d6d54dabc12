import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from skops import io

from mialib import metrics
from mialib.attack.answers import Answers
from mialib.auditing import report
from mialib.auditing.audit import Settings, audit, audit_kind, audit_saved, blind_auc
from mialib.auditing.panel import ATTACKS, WITHOUT_SHADOWS
from mialib.base.seeding import children
from mialib.cli import main
from mialib.platforms.mitigations import LabelOnly, Rounding
from mialib.service.client import Remote
from mialib.submission.inputs import Records
from mialib.submission.refits import Refit
from mialib.submission.saved import SavedAnswers
from mialib.submission.subjects import Opening

TREE = "sklearn.tree._tree.Tree"
FOREST = RandomForestClassifier(30, random_state=0)
ONE = Settings(n_shadow=2, seeds=1)


@pytest.fixture(scope="module")
def people():
    """900 people with a number, a text and a named class: in, out and a pool of 300 each."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"age": rng.normal(40, 10, 900), "town": rng.choice(list("abcd"), 900)})
    sure = (table["age"] - 40) / 10 + rng.normal(0, 1.5, 900)
    table["income"] = np.where(sure > 0, "high", "low")
    return [table[start : start + 300].reset_index(drop=True) for start in (0, 300, 600)]


def records(table):
    return Records(table.drop(columns="income"), table["income"].to_numpy())


@pytest.fixture(scope="module")
def forest(people):
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    return make_pipeline(columns, FOREST).fit(people[0].drop(columns="income"), people[0]["income"])


@pytest.fixture(scope="module")
def findings(forest, people):
    return audit(forest, *map(records, people), Settings(n_shadow=4, seed=1))


@pytest.fixture
def files(people, tmp_path, forest):
    """Write the people as CSV, Parquet and CSV, and the forest with skops; return the words of mia audit."""
    people[0].to_csv(tmp_path / "in.csv", index=False)
    people[1].to_parquet(tmp_path / "out.parquet")
    people[2].to_csv(tmp_path / "pool.csv", index=False)
    io.dump(forest, tmp_path / "forest.skops")
    words = ["audit", tmp_path / "forest.skops", "--in", tmp_path / "in.csv", "--out", tmp_path / "out.parquet"]
    return [*map(str, words), "--label", "income", "-o", str(tmp_path / "audit.html")]


def test_a_forest_leaks(findings):
    assert findings.verdict.outcome == "leaks"
    assert findings.overall["RMIA, online"]["accuracy"].low > 0.6
    assert re.match(r"Membership leaks: [\w ,]+, of 12 attacks, ", findings.sentence())


def test_a_model_that_knows_neither_set_does_not_leak(forest, people):
    """The forest knows the first people; of the others some are said to be in, and some out."""
    found = audit(forest, records(people[1]), records(people[2]), settings=ONE)
    assert found.verdict.outcome == "undecided"
    assert not any(bound.leaks for bound in found.verdict.bounds)
    assert found.sentence().startswith("Undecided")


def test_the_numbers_are_those_of_the_attacks(findings):
    assert list(findings.overall) == list(ATTACKS)
    for name, said in findings.attacks.items():
        found, row = said.inference, findings.overall[name]
        assert row["accuracy"] == pytest.approx(metrics.balanced_accuracy(found.member, found.inferred), abs=0.02)
        if name not in ("gap attack", "attack learned from half of the records", "quantile regression"):
            assert row["AUC"] == pytest.approx(metrics.roc_auc(found.member, found.score), abs=0.02)
    train, test = findings.target.train_accuracy, findings.target.test_accuracy
    assert findings.overall["gap attack"]["accuracy"] == pytest.approx((1 + train - test) / 2)
    numbers = findings.numbers()
    assert numbers["accuracy, LiRA, online"] == findings.attacks["LiRA, online"].accuracy()
    assert (numbers["train accuracy"], numbers["test accuracy"]) == (train, test)


def test_each_shadow_model_is_asked_about_its_own_records(findings):
    """A forest knows what it was trained on by heart; asked about another's records it would not be right on all."""
    halves, pool = findings.shadows
    assert (halves.source, pool.source) == ("in and out", "pool")
    for of in (halves, pool):
        assert of.accuracies[0] > 0.97
        assert of.accuracies[1] < 0.8
        assert len(of.learned) == 3
    assert len(pool.learned[0].labels) == 2 * 4 * 150
    assert halves.in_.shape == pool.in_.shape == (12, 600)
    assert not pool.in_.any()
    assert (halves.in_.sum(axis=0) == 6).all()
    right = halves.vectors.argmax(axis=2) == findings.target.labels
    assert right[halves.in_].mean() > 0.97
    assert right[~halves.in_].mean() < 0.8


def test_a_class_that_a_shadow_model_never_saw_has_probability_zero(rng):
    x, y = rng.normal(size=(40, 2)), np.where(np.arange(40) % 2, 2, 0)
    in_, asked = np.arange(30)[None], np.arange(30, 40)[None]
    (found,) = Refit(LogisticRegression()).answers(Records(x, y), np.arange(3), in_, asked, children(0, 1))
    alone = LogisticRegression().fit(x[:30], y[:30]).predict_proba(x[30:])
    np.testing.assert_allclose(found, np.stack([alone[:, 0], np.zeros(10), alone[:, 1]], axis=1), atol=1e-6)


def test_classes_and_records_are_the_users(findings, people, forest):
    assert list(findings.by_class()) == ["high", "low"]
    rows = findings.by_class()
    assert rows["low"]["in"] == np.count_nonzero(people[0]["income"] == "low")
    assert rows["low"]["out"] == np.count_nonzero(people[1]["income"] == "low")
    exposed = findings.exposed(5)
    vectors = forest.predict_proba(people[0].drop(columns="income"))
    for entry in exposed:
        row = entry["record"] - 1
        assert people[0]["income"][row] == entry["class"]
        assert vectors[row][list(forest.classes_).index(entry["class"])] == pytest.approx(
            entry["probability of its class"], abs=1e-6
        )
    scores = findings.attacks[findings.strongest].inference.score
    assert [entry["score"] for entry in exposed] == pytest.approx(sorted(scores[:300])[-5:][::-1])
    for entry in exposed:
        assert entry["records out that score as high"] == np.count_nonzero(scores[300:] >= entry["score"])


def test_mitigations_are_measured(findings):
    rows = findings.mitigations
    assert list(rows)[:3] == ["none", "top k = 1", "label only"]
    assert rows["none"]["AUC"] == max(row["AUC"] for row in findings.overall.values() if row["AUC"] == row["AUC"])
    assert rows["none"]["AUC"] >= rows["label only"]["accuracy"]
    assert rows["label only"]["same class"] == rows["top k = 1"]["same class"] == 1
    assert rows["rounding d = 1"]["same class"] < 1


@pytest.mark.parametrize("kind", [LabelOnly(), Rounding(1)])
def test_a_mitigation_is_an_audit_of_what_is_left(answers, kind):
    vectors, labels, member, shadow = answers
    found = audit_saved(SavedAnswers(vectors, labels, member, shadow), "all")
    left = audit_saved(SavedAnswers(kind(vectors), labels, member, shadow), "some", opening=Opening(partial=True))
    assert found.mitigations[str(kind)]["AUC"] == left.mitigations["none"]["AUC"]
    assert found.mitigations[str(kind)]["AUC"] != found.mitigations["none"]["AUC"]


def test_without_shadows_attacks_learn_from_half_of_the_records(forest, people):
    vectors = [forest.predict_proba(table.drop(columns="income")) for table in people[:2]]
    labels = np.concatenate([table["income"] for table in people[:2]])
    saved = SavedAnswers(np.concatenate(vectors), labels, np.arange(600) < 300, np.zeros(600, bool), forest.classes_)
    found = audit_saved(saved, "forest")
    assert list(found.overall) == [name for name in WITHOUT_SHADOWS if name != "quantile regression"]
    assert found.overall["attack learned from half of the records"]["accuracy"].low > 0.55
    assert any("There are no shadow models" in sentence for sentence in found.limits())


def test_an_attack_is_not_tried_on_what_it_learned(people):
    """Vectors that say nothing of membership: an attack that knew its own records would find them."""
    rng = np.random.default_rng(0)
    vectors = rng.dirichlet(np.ones(3), 400)
    saved = SavedAnswers(vectors, rng.integers(0, 3, 400), np.arange(400) < 200, np.zeros(400, bool))
    found = audit_saved(saved, "noise")
    assert all(0.4 < row["accuracy"] < 0.6 for row in found.overall.values())
    assert found.verdict.outcome == "undecided"


def test_ten_records_are_enough_for_a_report_that_says_how_little_it_knows(forest, people, tmp_path):
    found = audit(forest, *(records(table[:5]) for table in people[:2]), settings=ONE)
    said = " ".join(found.limits())
    assert "With 5 records in and 5 out, only a large leak can be told from chance" in said
    assert "TPR at 1 % FPR needs at least 100 records out; there are 5." in said
    assert "TPR at 0.1 % FPR needs at least 1000 records out" in said
    assert found.verdict.outcome == "undecided"
    accuracy = found.overall["loss"]["accuracy"]
    assert accuracy.high - accuracy.low > 0.4
    page, content, _ = report.save(found, tmp_path / "ten.html")
    assert json.loads(content.read_text())["overall"]["loss"]["TPR at 1 % FPR"]["value"] is None
    assert "only a large leak" in page.read_text()
    with pytest.raises(ValueError, match="there are 1 records in and 5 out; an audit needs at least 4 of each"):
        audit(forest, records(people[0][:1]), records(people[1][:5]))


def test_one_command(files, tmp_path, capsys):
    words = [*files, "--pool", str(tmp_path / "pool.csv"), "--shadows", "2", "--seeds", "1"]
    words += ["--trust", TREE]
    assert main.main(words) == 0
    assert "Membership leaks" in capsys.readouterr().out
    assert json.loads((tmp_path / "audit.json").read_text())["model"] == "forest.skops"
    assert "forest.skops" in (tmp_path / "audit.html").read_text()


def test_a_skops_file_with_other_types_names_them(files, capsys):
    assert main.main(files) == 1
    assert f"say --trust {TREE}" in capsys.readouterr().err


def test_a_pickle_is_not_opened_unasked(people, tmp_path, capsys):
    """Opening it would create a file."""
    import pickle

    class Malicious:
        def __reduce__(self):
            return open, (str(tmp_path / "harm"), "w")

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Malicious()))
    people[0].to_csv(tmp_path / "in.csv", index=False)
    words = [
        "audit",
        tmp_path / "model.pkl",
        "--in",
        tmp_path / "in.csv",
        "--out",
        tmp_path / "in.csv",
        "--label",
        "income",
    ]
    assert main.main(list(map(str, words))) == 1
    assert "runs whatever its author put into it" in capsys.readouterr().err
    assert not (tmp_path / "harm").exists()


def test_a_pickle_of_ones_own(forest, people, tmp_path):
    import joblib

    joblib.dump(forest, tmp_path / "model.joblib")
    found = audit(
        tmp_path / "model.joblib", *map(records, people[:2]), settings=ONE, opening=Opening(allow_pickle=True)
    )
    assert found.verdict.outcome == "leaks"


def test_a_kind_of_model_is_audited_by_data_alone(forest, people):
    everyone = pd.concat(people, ignore_index=True)
    found = audit_kind(forest, records(everyone), Settings(n_shadow=3, seeds=1))
    assert (found.n_in, found.n_out) == (225, 225)
    assert found.verdict.outcome == "leaks"
    assert "trained anew" in found.name


def test_an_endpoint(endpoint, rng):
    x = rng.normal(size=(60, 3)).astype(np.float32)
    y = endpoint.vectors(x).argmax(axis=1)
    with Remote(endpoint.url, budget=60) as remote:
        found = audit(remote, (x[:30], y[:30]), (x[30:], y[30:]), settings=ONE, opening=Opening(epochs=3))
        assert remote.spent == 60
    np.testing.assert_array_equal(found.target.vectors, endpoint.vectors(x))
    assert found.name == f"target at {endpoint.url}"
    endpoint.metadata["outputs"][0]["shape"] = [-1, 3]
    endpoint.metadata["versions"] = ["2"]
    with Remote(endpoint.url) as remote, pytest.raises(RuntimeError, match="it said that it has 3 classes"):
        audit(remote, (x[:30], y[:30]), (x[30:], y[30:]))


def test_an_endpoint_by_the_command_with_shadows_like_a_file(endpoint, files, rng, tmp_path, capsys):
    x = rng.normal(size=(90, 3)).astype(np.float32)
    y = endpoint.vectors(x).argmax(axis=1)
    for i, name in enumerate(("in", "out", "pool")):
        np.savez(tmp_path / f"{name}.npz", x=x[30 * i : 30 * i + 30], y=y[30 * i : 30 * i + 30])
    io.dump(LogisticRegression().fit(x, y), tmp_path / "line.skops")
    address = endpoint.url.replace("://", "://me:hushpw@") + "?code=hushcode#hush"
    words = ["audit", address, "--like", tmp_path / "line.skops", "--budget", 60, "-o", tmp_path / "e.html"]
    words += ["--seeds", 1, "--shadows", 2, "--batch", 25]
    for name in ("in", "out", "pool"):
        words += [f"--{name}", tmp_path / f"{name}.npz"]
    assert main.main(list(map(str, words))) == 0
    assert "LogisticRegression" in json.loads((tmp_path / "e.json").read_text())["shadow models"][0]
    assert not [path for path in tmp_path.glob("e.*") if "hush" in path.read_text()]
    assert endpoint.asked == [25, 25, 10]
    assert main.main(list(map(str, [*words, "--data", tmp_path / "in.npz"]))) == 0
    endpoint.metadata["versions"] = ["2"]
    assert main.main([*map(str, words), "--budget", "59"]) == 1
    assert "60 records are not answered yet, and of a budget of 59" in capsys.readouterr().err


@pytest.mark.parametrize("failure", [500, lambda handler: handler.connection.close(), b"{}"])
def test_a_dying_endpoint_is_one_sentence(endpoint, rng, tmp_path, capsys, monkeypatch, failure):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: None)
    endpoint.replies = [failure] * 5
    for name in ("in", "out"):
        np.savez(tmp_path / f"{name}.npz", x=rng.normal(size=(5, 3)), y=np.arange(5) % 2)
    words = [
        "audit",
        endpoint.url,
        "--in",
        tmp_path / "in.npz",
        "--out",
        tmp_path / "out.npz",
        "-o",
        tmp_path / "e.html",
    ]
    assert main.main(list(map(str, words))) == 1
    errors = capsys.readouterr().err
    assert errors.startswith(f"mia: {endpoint.url} ")
    assert errors.count("\n") == 1
    assert not (tmp_path / "e.html").exists()


def saved_table(vectors, labels, member, **columns):
    return pd.DataFrame(vectors, columns=["a", "b", "c"]).assign(label=labels, member=member, **columns)


@pytest.fixture
def answers(rng):
    """120 answers of a target that is surer of its members, and as many of a shadow model."""
    labels, member = rng.integers(0, 3, 240), np.arange(240) % 2 == 0
    logits = rng.normal(size=(240, 3))
    logits[np.arange(240), labels] += np.where(member, 4, 1)
    vectors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return vectors, labels, member, np.arange(240) >= 120


@pytest.mark.parametrize("ending", ["csv", "parquet", "npz"])
def test_saved_answers(answers, tmp_path, ending, capsys):
    vectors, labels, member, shadow = answers
    path = tmp_path / f"answers.{ending}"
    table = saved_table(vectors, labels, np.where(member, "in", "out"), shadow=shadow)
    if ending == "npz":
        np.savez(path, vectors=vectors, label=labels, member=member, shadow=shadow)
    elif ending == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    assert main.main(["audit", str(path), "-o", str(tmp_path / "a.html")]) == 0
    parsed = json.loads((tmp_path / "a.json").read_text())
    assert (parsed["records in"], parsed["records out"], parsed["shadow models"]) == (60, 60, ["as saved"])
    assert parsed["overall"]["shadow attack"]["AUC"]["low"] > 0.6


def test_saved_answers_with_named_classes(answers):
    vectors, labels, member, shadow = answers
    saved = SavedAnswers(vectors, np.array(list("abc"))[labels], member, shadow, np.array(list("abc")))
    assert list(audit_saved(saved, "named").by_class()) == ["a", "b", "c"]
    saved = SavedAnswers(vectors, np.array(list("abd"))[labels], member, shadow, np.array(list("abc")))
    with pytest.raises(ValueError, match="the model has no class 'd'; it has 'a', 'b', 'c'"):
        audit_saved(saved, "named")


def bad(change):
    def table(answers):
        vectors, labels, member, _ = answers
        made = saved_table(vectors, labels, member, id=np.arange(len(labels)))
        return change(made)

    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(a=t.a * 2), r"no probabilities that sum to one .that of record \d+ sums to"),
        (
            lambda t: t.assign(a=t.a.where(t.index != 3)),
            "1 prediction vectors hold NaN .*the first is that of record 4",
        ),
        (lambda t: t.assign(a=t.a - 2, b=t.b + 2), "no probabilities"),
        (lambda t: t.drop(columns="a"), "has no column for class '0', '1', '2'; its columns are 'b', 'c'"),
        (lambda t: t.drop(columns=["a", "b"]).assign(c=1), "there is one column of a prediction vector, 'c', but 3"),
        (lambda t: t.assign(label=t.label + 5), "has no column for class '5', '6', '7'"),
        (lambda t: t.assign(label=t.label + 0.5), "has no column for class '0.5'"),
        (lambda t: t.assign(member="perhaps"), "says 'perhaps' of membership; it must be 1 or 0"),
        (lambda t: t.assign(member=1), "there are 240 records in and 0 out; an audit needs at least 4 of each"),
        (lambda t: t.assign(id=0), "1 ids are both in and out, such as 0; a record can be one only"),
        (lambda t: t.assign(a="x"), "a column of a prediction vector that is not numeric"),
        (lambda t: t.drop(columns="member"), "has no column 'member'; saved answers need label and member"),
        (lambda t: t.assign(shadow=t.index % 2 == 0), "answers are all in, or all out; an attack needs both"),
    ],
)
def test_bad_answers_are_one_sentence(answers, change, message, tmp_path, capsys):
    path = tmp_path / "answers.csv"
    bad(change)(answers).to_csv(path, index=False)
    assert main.main(["audit", str(path), "-o", str(tmp_path / "a.html")]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert re.search(message, errors), errors
    assert not (tmp_path / "a.html").exists()


def test_in_and_out_that_overlap_are_found(forest, people):
    in_, out = records(people[0]), records(pd.concat([people[1], people[0][5:8]], ignore_index=True))
    with pytest.raises(ValueError, match=r"3 records are both in and out \(the first is record 301 of those out\)"):
        audit(forest, in_, out)
    found = audit(forest, in_, out, settings=Settings(n_shadow=2, seeds=1, drop_shared=True))
    assert found.n_out == 300
    assert any("3 records were given as both in and out" in sentence for sentence in found.limits())
    other_label = Records(out.x, np.full(303, "low"))
    with pytest.raises(ValueError, match="3 records are both in and out"):
        audit(forest, in_, other_label)
    with pytest.raises(ValueError, match="all records out are in as well"):
        audit(forest, in_, in_, settings=Settings(drop_shared=True))


def test_a_pool_that_overlaps_is_found(forest, people):
    pool = records(pd.concat([people[2], people[1][:4]], ignore_index=True))
    with pytest.raises(ValueError, match="4 records are both in or out and in the pool"):
        audit(forest, records(people[0]), records(people[1]), pool)
    found = audit(forest, records(people[0]), records(people[1]), pool, Settings(n_shadow=2, seeds=1, drop_shared=True))
    assert any("4 records of the pool are in or out as well" in sentence for sentence in found.limits())


def test_equal_rows_of_arrays_are_found_whatever_their_type(rng):
    x = rng.integers(0, 9, (20, 4))
    model = LogisticRegression().fit(x, np.arange(20) % 2)
    with pytest.raises(ValueError, match="1 records are both in and out"):
        audit(model, (x[:10], np.arange(10) % 2), (x[9:].astype(float), np.arange(11) % 2))


def test_a_single_class(forest, people):
    rich = [table[table["income"] == "high"].reset_index(drop=True) for table in people]
    found = audit(forest, *map(records, rich[:2]), settings=ONE)
    assert list(found.by_class()) == ["high"]
    assert any("All records are of one class" in sentence for sentence in found.limits())
    assert not found.shadows
    with pytest.raises(ValueError, match="of the records of the pool some shadow model gets a single class"):
        audit(forest, *map(records, rich), settings=ONE)


def test_sets_that_differ_by_themselves_are_pointed_out(forest, people):
    older = people[1].assign(age=people[1]["age"] + 15)
    found = audit(forest, records(people[0]), records(older), settings=ONE)
    assert found.blind.low > 0.6
    assert "Beware: members can be told from non-members by their features alone" in found.sentence()
    alike = audit(forest, records(people[0]), records(people[1]), settings=ONE)
    assert alike.blind.low <= 0.5


def nobody(n):
    """Answers about n records of one class, of which half are in."""
    return Answers(np.zeros(n, int), np.full((n, 2), 0.5), np.arange(n) < n // 2)


def test_sets_that_do_not_differ_set_off_few_alarms():
    """Notices the fault of a cross-validated area whose folds fail together, and whose interval does not know it."""
    alarms = 0
    for seed in range(40):
        x, target = np.random.default_rng(seed).normal(size=(120, 4)), nobody(120)
        alarms += blind_auc(x, target, None, seed).low > 0.5
    assert alarms <= 4


def test_ten_records_have_no_blind_guess():
    assert blind_auc(np.zeros((20, 2)), nobody(20), None, 0) is None


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            Records(pd.DataFrame({"age": [1.0, 2]}), np.array(["high", "low"])),
            "records out have no columns 'town', which the model was fitted on",
        ),
        (Records(np.zeros((2, 2)), np.array(["high", "low"])), "column 'town' is text; the model takes|is text in one"),
        (
            Records(pd.DataFrame({"age": [1.0, 2], "town": ["a", "b"]}), np.array(["up", "top"])),
            "no record out is of a class that the model has, 'high', 'low'",
        ),
    ],
)
def test_records_that_do_not_fit(forest, people, part, message):
    with pytest.raises(ValueError, match=message):
        audit(forest, records(people[0]), part)


def test_records_that_are_none():
    with pytest.raises(ValueError, match="3 records but 2 labels"):
        Records(np.zeros((3, 2)), np.zeros(2))
    with pytest.raises(ValueError, match="there are no records"):
        Records(np.zeros((0, 2)), np.zeros(0))
    with pytest.raises(ValueError, match="1 labels are missing"):
        Records(np.zeros((2, 2)), np.array([1, np.nan]))


def test_models_that_are_none(tmp_path, people):
    with pytest.raises(ValueError, match="is no model file that can be audited"):
        audit(tmp_path / "model.h5", *map(records, people[:2]))
    with pytest.raises(ValueError, match="there is no file"):
        audit(tmp_path / "model.onnx", *map(records, people[:2]))
    with pytest.raises(ValueError, match="RandomForestClassifier, which is not fitted; fit it first"):
        audit(RandomForestClassifier(), *map(records, people[:2]))
    for settings in ({"n_shadow": 0}, {"size": 0}, {"seed": -1}):
        with pytest.raises(ValueError, match="must be a whole number"):
            Settings(**settings)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--label", "salary"], "has no column 'salary'; name that of the labels"),
        (["--in", "nowhere.csv"], "nowhere.csv"),
        (["--in", "in.txt"], "there is no file in.txt"),
        (["-o", "report.pdf"], "does not end in .html"),
    ],
)
def test_the_command_says_what_is_wrong(files, extra, message, capsys):
    assert main.main([*files, "--trust", TREE, *extra]) == 1
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert message in errors


def test_arrays_without_pickles(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.array([{}], object), y=np.zeros(1))
    with pytest.raises(ValueError, match="cannot be read as NPZ without pickles"):
        Records.from_file(tmp_path / "x.npz")
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 2)))
    with pytest.raises(ValueError, match="has no array 'y' or 'Y' or 'labels' or 'label' or 'target'; it has 'x'"):
        Records.from_file(tmp_path / "x.npz")


def test_the_readmes_example_runs(tmp_path, monkeypatch, capsys):
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(from mialib import Records.*?)```", text, re.DOTALL)
    assert example.count("\n") <= 15
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    assert "Membership leaks" in capsys.readouterr().out
    assert (tmp_path / "report.html").exists()
