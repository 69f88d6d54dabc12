"""Whatever the form in which the same records come, a model is asked the same, or the records are refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mialib.attack.answers import Answers
from mialib.auditing.asking import Asked
from mialib.auditing.audit import Settings, audit, audit_kind
from mialib.auditing.panel import halves_of
from mialib.auditing.shadows import train_halves, train_pool
from mialib.submission.columns import align
from mialib.submission.inputs import Records, Roles
from mialib.submission.refits import Refit
from mialib.submission.subjects import PLAIN, Subject

N = 120
ONE = Settings(n_shadow=2, seeds=1)


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 80, 2 * N),
            "dose": rng.normal(size=2 * N).round(3),
            "smoker": rng.random(2 * N) < 0.4,
            "code": rng.choice(["01", "02", "10"], 2 * N),
        }
    )
    return table.assign(ill=((table["age"] > 50) ^ (rng.random(2 * N) < 0.3)).astype(int))


@pytest.fixture(scope="module")
def model(people):
    columns = make_column_transformer((OneHotEncoder(), ["code"]), remainder="passthrough")
    forest = make_pipeline(columns, RandomForestClassifier(10, random_state=0))
    return forest.fit(people[:N].drop(columns="ill"), people[:N]["ill"])


def asked(model, tables, tmp_path):
    """Write two tables as CSV, read them as the command does, and ask the model."""
    subject, parts = Subject.from_model(model), {}
    for name, table in zip(("in", "out"), tables, strict=True):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        parts[name] = Records.from_file(tmp_path / f"{name}.csv", Roles("ill"), subject.names, subject.kinds)
    parts, remarks = align(parts, subject.names, subject.n_features, subject.kinds)
    return Asked.of(subject, parts["in"], parts["out"], PLAIN, ONE, remarks), remarks


def ill(table):
    """The labels of a table as 0 and 1, however it has them."""
    return table["ill"].astype(float).astype(int)


CHANGES = {
    "columns permuted": lambda table, rng: table[list(rng.permutation(table.columns))],
    "columns added": lambda table, rng: table.assign(index=rng.permutation(N), note="a, b").rename(
        columns={"index": ""}
    ),
    "whole numbers as others": lambda table, rng: table.astype({"age": float}),
    "truth values as numbers": lambda table, rng: table.astype({"smoker": int}),
    "labels as other numbers": lambda table, rng: table.assign(ill=ill(table).astype(float)),
    "labels as truth values": lambda table, rng: table.assign(ill=ill(table) == 1),
    "labels with a zero in front": lambda table, rng: table.assign(ill="0" + ill(table).astype(str)),
}


@pytest.mark.parametrize("seed", range(12))
def test_the_form_in_which_records_come_does_not_matter(people, model, tmp_path, seed):
    rng = np.random.default_rng(seed)
    tables = [people[:N].reset_index(drop=True), people[N:].reset_index(drop=True)]
    right = Answers(people["ill"].to_numpy(), model.predict_proba(people.drop(columns="ill")), np.arange(2 * N) < N)
    for _ in range(3):
        side, change = rng.integers(2), rng.choice(list(CHANGES))
        tables[side] = CHANGES[change](tables[side], rng)
    found, _ = asked(model, tables, tmp_path)
    np.testing.assert_allclose(found.target.vectors, right.vectors, atol=1e-6)
    np.testing.assert_array_equal(found.target.labels, right.labels)
    np.testing.assert_array_equal(found.target.member, right.member)
    assert found.beware == []


@pytest.mark.parametrize("change", CHANGES)
def test_the_verdict_does_not_move(people, model, tmp_path, change):
    rng, subject, told = np.random.default_rng(0), Subject.from_model(model), []
    for of in (lambda table, rng: table, CHANGES[change]):
        parts = []
        for name, rows in (("in", slice(0, N)), ("out", slice(N, None))):
            of(people[rows].reset_index(drop=True), rng).to_csv(tmp_path / f"{name}.csv", index=False)
            parts.append(Records.from_file(tmp_path / f"{name}.csv", Roles("ill"), subject.names, subject.kinds))
        told.append(audit(model, *parts, settings=ONE))
    assert told[0].sentence() == told[1].sentence()
    assert told[0].overall == told[1].overall


def test_other_codes_are_refused(people, model, tmp_path):
    """Numbers such as 2 are no codes such as 02, which the model was fitted on."""
    tables = [people[:N].astype({"code": int}), people[N:].astype({"code": int})]
    with pytest.raises(ValueError, match=r"cannot answer about these records \(Found unknown categories"):
        asked(model, tables, tmp_path)


def test_a_class_outside_that_the_model_lacks_is_left_out_and_said(people, model):
    table = people.drop(columns="ill")
    labels = people["ill"].to_numpy().copy()
    labels[-2:] = 7
    found = audit(model, Records(table[:N], labels[:N]), Records(table[N:], labels[N:]), settings=ONE)
    assert (found.n_in, found.n_out) == (N, N - 2)
    assert any("2 of the records out (record 119, 120) are of class '7'" in said for said in found.limits())
    labels[0] = 7
    with pytest.raises(ValueError, match=r"1 of the records in \(record 1\) are of class '7'"):
        audit(model, Records(table[:N], labels[:N]), Records(table[N:], labels[N:]), settings=ONE)


def test_a_model_that_answers_otherwise_when_asked_again_is_in_the_verdict(people):
    drop = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    x, y = people[["age", "dose"]].to_numpy(np.float32), people["ill"].to_numpy()

    def left_on(x):
        with torch.no_grad():
            return torch.softmax(
                torch.nn.functional.dropout(drop(torch.from_numpy(np.array(x, np.float32))), 0.5), 1
            ).numpy()

    found = audit(left_on, Records(x[:N], y[:N]), Records(x[N:], y[N:]), settings=ONE)
    assert "Beware: the model answers " in found.sentence()
    assert "records otherwise when it is asked again" in found.sentence()


def test_batch_statistics_are_noticed(people):
    x, y = people[["age", "dose"]].to_numpy(np.float32), people["ill"].to_numpy()

    def normalised(x):
        sure = 1 / (1 + np.exp(-(x[:, 0] - np.mean(x[:, 0])) / np.std(x[:, 0])))
        return np.stack([1 - sure, sure], axis=1)

    found = audit(normalised, Records(x[:N], y[:N]), Records(x[N:], y[N:]), settings=ONE)
    assert "batch normalisation may have been left in training mode" in found.sentence()


def test_whatever_a_model_fails_with_is_one_sentence(people):
    def fails(x):
        raise KeyError("first line\nsecond line")

    x, y = people[["age", "dose"]].to_numpy(), people["ill"].to_numpy()
    with pytest.raises(ValueError, match=r"^fails cannot answer about these records \(KeyError: 'first line") as error:
        audit(fails, Records(x[:N], y[:N]), Records(x[N:], y[N:]), settings=ONE)
    assert "\n" not in str(error.value)


@pytest.fixture
def families(people):
    """Two records of each person, persons in or out as a whole, regions, and weights."""
    x, y, person = people[["age", "dose"]], people["ill"].to_numpy(), np.arange(2 * N) // 2
    region = np.array(["north", "south"])[person % 2]
    records = Records(x, y, np.arange(2 * N), person, {"region": region}, np.linspace(0.5, 2, 2 * N))
    return records.take(np.arange(N)), records.take(np.arange(N, 2 * N))


def test_persons_are_judged_and_stand_on_one_side(families):
    model = RandomForestClassifier(20, random_state=0).fit(families[0].x, families[0].labels)
    found = audit(model, *families, settings=ONE)
    loss = found.attacks["loss"].inference
    assert len(loss.member) == N
    assert np.count_nonzero(loss.member) == found.fewer == N // 2
    by_record = found.by_record["loss"].inference.score
    _, back = np.unique(found.persons, return_inverse=True)
    expected = [by_record[back == k].mean() for k in range(N)]
    np.testing.assert_allclose(loss.score, expected)
    for rows in (found.half, *found.shadows[0].in_):
        assert all(len(np.unique(rows[back == k])) == 1 for k in range(N))
    assert list(found.by_subgroup()) == ["region = north", "region = south"]
    assert found.by_subgroup()["region = north"]["in"] == N // 2
    assert set(found.groups) >= {"region = north", "region = south"}
    assert found.exposed(1)[0]["record"] in range(1, N + 1)


def test_persons_of_the_pool_stand_on_one_side(families):
    pool, rows = families[1], Records(families[0].x[:8], families[0].labels[:8], groups=np.arange(1000, 1008))
    labels = np.concatenate([rows.labels, pool.labels])
    seen = []

    class Watched(Refit):
        def answers(self, records, classes, in_, asked, seeds):
            seen.extend((records.groups[i], records.groups[a[8:]]) for i, a in zip(in_, asked, strict=True))
            return super().answers(records, classes, in_, asked, seeds)

    train_pool(Watched(LogisticRegression()), rows, pool, labels, np.arange(2), 40, ONE)
    assert len(seen) == 2
    for in_, both in seen:
        assert not set(in_) & set(both[len(in_) :])


def test_halves_of_persons_hold_as_many_of_each_class():
    member, persons = np.arange(80) < 40, np.arange(80) // 2
    target = Answers(np.arange(80) // 2 % 2, np.full((80, 2), 0.5), member)
    half = halves_of(target, persons, 0)
    assert (half[::2] == half[1::2]).all()
    for side in (True, False):
        assert np.bincount(half[member == side]).tolist() == [20, 20]


def test_records_are_weighted_in_shadow_models_as_in_the_model(families):
    """Weights of 0 for one class: no shadow model knows it."""
    both, labels = families[0], families[0].labels
    weighted = Records(both.x, labels, weights=np.where(labels == 1, 0.0, 1.0))
    alone, _ = train_halves(Refit(LogisticRegression()), both, labels, np.arange(2), ONE), None
    found = train_halves(Refit(RandomForestClassifier(5)), weighted, labels, np.arange(2), ONE)
    assert (found.vectors.argmax(axis=2) == 0).all()
    assert (alone.vectors.argmax(axis=2) == 1).any()
    piped = train_halves(Refit(make_pipeline(RandomForestClassifier(5))), weighted, labels, np.arange(2), ONE)
    assert (piped.vectors.argmax(axis=2) == 0).all()


def test_a_kind_is_trained_on_persons_as_a_whole(families):
    everyone = Records(
        pd.concat([part.x for part in families], ignore_index=True),
        np.concatenate([part.labels for part in families]),
        groups=np.concatenate([part.groups for part in families]),
    )
    found = audit_kind(RandomForestClassifier(10, random_state=0).fit(everyone.x, everyone.labels), everyone, ONE)
    assert all(len(np.unique(found.target.member[found.persons == who])) == 1 for who in np.unique(found.persons))
