import numpy as np
import pandas as pd
import pytest

from mialib.auditing.audit import audit_saved
from mialib.submission.inputs import Roles
from mialib.submission.saved import SavedAnswers
from mialib.submission.subjects import PLAIN, Opening

N, K = 120, 12


@pytest.fixture(scope="module")
def sure():
    """Vectors of 12 classes that are right about every record, and surer about members; labels; membership."""
    rng = np.random.default_rng(0)
    labels, member = rng.integers(K, size=N), np.arange(N) < N // 2
    right = np.where(member, 0.9, 0.5) + rng.normal(size=N) * 0.02
    vectors = np.repeat(((1 - right) / (K - 1))[:, None], K, axis=1)
    vectors[np.arange(N), labels] = right
    return vectors, labels, member


def table(sure, names=range(K), labels=None):
    vectors, own, member = sure
    columns = pd.DataFrame(vectors, columns=[str(name) for name in names])
    return columns.assign(label=own if labels is None else labels, member=member.astype(int))


def read(frame, tmp_path, *more, index=False):
    frame.to_csv(tmp_path / "saved.csv", index=index)
    return SavedAnswers.from_file(tmp_path / "saved.csv", *more)


def is_right(saved, opening=PLAIN):
    found = audit_saved(saved, "saved", opening=opening)
    return (float(found.target.train_accuracy), float(found.target.test_accuracy)) == (1, 1)


def test_columns_are_taken_by_name_in_any_order(sure, tmp_path):
    frame = table(sure)
    for order in (sorted(frame.columns), list(frame.columns[::-1])):
        assert is_right(read(frame[order], tmp_path))


@pytest.mark.parametrize("prefix", ["p_", "class ", "prob", "V"])
def test_columns_may_have_a_prefix(sure, tmp_path, prefix):
    frame = table(sure, [f"{prefix}{k}" for k in range(K)])
    assert is_right(read(frame[sorted(frame.columns)], tmp_path))


@pytest.mark.parametrize("names", [range(1, K + 1), np.arange(1.0, K + 1), [f"c{k}" for k in range(K)]])
def test_labels_may_count_from_anywhere_if_columns_do_so_too(sure, tmp_path, names):
    assert is_right(read(table(sure, names, np.array(names)[sure[1]]), tmp_path))


@pytest.mark.parametrize("first", [0, 1])
def test_named_columns_are_in_order_if_labels_number_all_of_them(sure, tmp_path, first):
    frame = table(sure, list("abcdefghijkl"), sure[1] + first)
    saved = read(frame, tmp_path)
    assert is_right(saved)
    assert f"are taken as classes {first} to {K - 1 + first}." in saved.remarks[0]
    with pytest.raises(ValueError, match="has no column for class"):
        read(frame.assign(age=40), tmp_path)


def test_labels_that_no_column_is_called_by_are_refused(sure, tmp_path):
    with pytest.raises(ValueError, match=r"has no column for class '12'; its columns are '0', .* --classes"):
        read(table(sure, labels=sure[1] + 1), tmp_path)
    assert is_right(read(table(sure, labels=sure[1] + 1), tmp_path, Roles(), [str(k + 1) for k in range(K)]))


def test_labels_from_1_of_which_the_last_is_absent_are_in_the_verdict(sure, tmp_path):
    """Labels 1 to 11 fit columns 0 to 11: nothing is wrong but that the model is right about nothing."""
    vectors, labels, member = sure
    some = labels < K - 1
    saved = read(table((vectors[some], labels[some] + 1, member[some])), tmp_path)
    found = audit_saved(saved, "saved")
    assert float(found.target.train_accuracy) == 0
    assert "Beware: the model is right on 0.0% of the records in, fewer than a guess" in found.sentence()


def test_the_number_of_a_record_is_no_class(sure, tmp_path):
    vectors, labels, member = sure
    saved = read(table((np.log(vectors) + 3, labels, member)), tmp_path, index=True)
    assert saved.vectors.shape == (N, K)
    assert "Columns 'Unnamed: 0', which number the records, are left out." in saved.remarks
    assert is_right(saved, Opening(logits=True))


def test_a_column_that_fits_no_label_is_refused(sure, tmp_path):
    frame = table(sure, [f"c{k}" for k in range(K)], [f"c{k}" for k in sure[1]])
    with pytest.raises(ValueError, match=r"column 'age' of .* fits no label; leave it out with --drop"):
        read(frame.assign(age=40.0), tmp_path)
    assert is_right(read(frame.assign(age=40.0), tmp_path, Roles(drop=("age",))))
    absent = read(frame.assign(c12=0.0), tmp_path)
    assert absent.vectors.shape == (N, K + 1)
    assert is_right(absent)


@pytest.mark.parametrize(
    ("name", "other", "of"), [("score", "0", "1"), ("no", "yes", "no"), ("p", "1", "2"), ("p", "-1", "1")]
)
def test_one_column_is_the_probability_of_a_class(tmp_path, name, other, of):
    p = np.array([0.9, 0.2, 0.7, 0.1] * 4)
    frame = pd.DataFrame({name: p, "label": np.where(p > 0.5, of, other), "member": ["in", "in", "out", "out"] * 4})
    saved = read(frame, tmp_path)
    assert is_right(saved)
    assert f"it is read as the probability of class {of!r}" in saved.remarks[0]


def test_one_column_of_which_class_is_asked(tmp_path):
    frame = pd.DataFrame({"score": [0.9, 0.2], "label": ["no", "yes"], "member": [1, 0]})
    with pytest.raises(ValueError, match="column 'score' is one probability; name it by its class, 'no', 'yes'"):
        read(frame, tmp_path)


def test_answers_in_two_files_without_names(sure, tmp_path):
    vectors, labels, member = sure
    for name, side in (("in", member), ("out", ~member)):
        np.savetxt(tmp_path / f"{name}.csv", np.c_[labels[side], vectors[side]], delimiter=",")
    saved = SavedAnswers.from_files(tmp_path / "in.csv", tmp_path / "out.csv")
    np.testing.assert_array_equal(saved.member, member)
    assert is_right(saved)
    assert "in.csv has no names of columns" in saved.remarks[0]


def test_answers_in_two_files_with_names(sure, tmp_path):
    frame = table(sure)
    for name, side in (("in", sure[2]), ("out", ~sure[2])):
        frame[side].drop(columns="member").to_csv(tmp_path / f"{name}.csv", index=False)
    assert is_right(SavedAnswers.from_files(tmp_path / "in.csv", tmp_path / "out.csv"))
    frame.drop(columns=["member", "3"]).to_csv(tmp_path / "out.csv", index=False)
    with pytest.raises(ValueError, match=r"have other columns \('3'\); both need the same"):
        SavedAnswers.from_files(tmp_path / "in.csv", tmp_path / "out.csv")


def test_arrays(sure, tmp_path):
    vectors, labels, member = sure
    np.savez(tmp_path / "a.npz", vectors=vectors, label=np.eye(K)[labels], member=member)
    assert is_right(SavedAnswers.from_file(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", vectors=vectors, label=labels, member=member[:100])
    with pytest.raises(ValueError, match="has 120 vectors but 100 entries of member"):
        SavedAnswers.from_file(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", vectors=vectors, label=np.zeros((N, 2)), member=member)
    with pytest.raises(ValueError, match=r"labels have shape \(120, 2\)"):
        SavedAnswers.from_file(tmp_path / "a.npz")


def test_what_a_record_is_called_and_whose_it_is(sure, tmp_path):
    frame = table(sure).assign(id=[f"r{i}" for i in range(N)], who=np.arange(N) // 2, region=["n", "s"] * (N // 2))
    saved = read(frame, tmp_path, Roles("label", "id", "who", ("region",)))
    found = audit_saved(saved, "saved")
    assert list(found.ids[:2]) == ["r0", "r1"]
    assert len(np.unique(found.persons)) == N // 2
    assert set(found.subgroups) == {"region = n", "region = s"}
    frame.loc[N - 1, "id"] = "r0"
    with pytest.raises(ValueError, match="1 ids are both in and out, such as r0"):
        read(frame, tmp_path, Roles(by=("who", "region")))
