import numpy as np
import pandas as pd
import pytest

from mialib.submission.columns import align
from mialib.submission.inputs import Records, apart, join_records


def part(**columns):
    n = len(next(iter(columns.values())))
    return Records(pd.DataFrame(columns), np.arange(n) % 2)


def only(records, **known):
    parts, remarks = align({"in": records}, **known)
    return parts["in"].x, remarks


def test_names_decide_and_not_places():
    x, remarks = only(part(b=[1, 2], a=[3, 4]), names=["a", "b"])
    assert list(x.columns) == ["a", "b"]
    assert list(x["a"]) == [3, 4]
    assert remarks == []


def test_columns_that_the_model_does_not_know_are_left_out():
    x, remarks = only(part(**{"Unnamed: 0": [0, 1], "a": [3, 4], "extra": [0, 0]}), names=["a"])
    assert list(x.columns) == ["a"]
    assert remarks == ["Columns 'Unnamed: 0', 'extra', which the model does not know, are left out."]


def test_columns_that_are_missing_are_listed():
    with pytest.raises(ValueError, match=r"records in have no columns 'b', 'c', which .* they have 'd'"):
        only(part(a=[1, 2], d=[1, 2]), names=["a", "b", "c"])


def test_names_as_boosters_write_them():
    x, _ = only(part(**{"age group": [1, 2], "b": [0, 0]}), names=["age_group", "b"])
    assert list(x.columns) == ["age_group", "b"]
    assert list(x["age_group"]) == [1, 2]


@pytest.mark.parametrize("known", [{}, {"n_features": 2}])
def test_the_number_that_pandas_writes_before_each_record_is_no_feature(known):
    x, remarks = only(part(**{"Unnamed: 0": [0, 1], "a": [3, 4], "b": [0, 0]}), **known)
    assert list(x.columns) == ["a", "b"]
    assert "'Unnamed: 0', which number the records, are left out" in remarks[0]


def test_a_model_that_was_fitted_on_such_a_column_gets_it():
    columns = {"Unnamed: 0": [0, 1], "a": [3, 4]}
    assert list(only(part(**columns), n_features=2)[0].columns) == list(columns)
    assert list(only(part(**columns), names=list(columns))[0].columns) == list(columns)


def test_a_subgroup_that_is_no_feature_is_left_out():
    records = Records(
        pd.DataFrame({"a": [1, 2], "region": ["n", "s"]}), np.zeros(2), by={"region": np.array(["n", "s"])}
    )
    x, remarks = only(records, n_features=1)
    assert list(x.columns) == ["a"]
    assert remarks == ["Columns 'region', for which the model, which takes 1, has no place, are left out."]
    assert list(only(records, n_features=2)[0].columns) == ["a", "region"]


def test_another_width_is_one_sentence():
    with pytest.raises(ValueError, match="records in have 2 features, 'a', 'b'; the model was fitted on 3"):
        only(part(a=[1, 2], b=[1, 2]), n_features=3)
    with pytest.raises(ValueError, match="records in have 2 features; the model was fitted on 3"):
        only(Records(np.zeros((4, 2)), np.zeros(4)), n_features=3)


@pytest.mark.parametrize(
    ("first", "second", "kind", "expected"),
    [
        ([1, 2], [1.0, 3.0], None, [[1.0, 2.0], [1.0, 3.0]]),
        ([True, False], [1, 0], None, [[1.0, 0.0], [1.0, 0.0]]),
        ([True, None], [True, False], None, [[1.0, np.nan], [1.0, 0.0]]),
        (["02", "10"], [10, 20], None, [["02", "10"], ["10", "20"]]),
        (["02", "10"], ["10", "20"], "number", [[2, 10], [10, 20]]),
        ([2, 10], [10, 20], "text", [["2", "10"], ["10", "20"]]),
    ],
)
def test_a_column_has_one_type_in_all_parts(first, second, kind, expected):
    parts, _ = align({"in": part(a=first), "out": part(a=second)}, kinds={"a": kind} if kind else None)
    found = [records.x["a"] for records in parts.values()]
    assert found[0].dtype == found[1].dtype
    for column, right in zip(found, expected, strict=True):
        assert [value if value == value else None for value in column] == [v if v == v else None for v in right]


def test_categories_are_those_of_all_parts():
    first, second = part(a=pd.Categorical(["x", "y"])), part(a=["z", "x"])
    parts, _ = align({"in": first, "out": second})
    for records in parts.values():
        assert list(records.x["a"].cat.categories) == ["x", "y", "z"]
    assert list(join_records(*parts.values()).x["a"]) == ["x", "y", "z", "x"]
    parts, _ = align({"in": first, "out": second}, kinds={"a": pd.CategoricalDtype(["y", "x"])})
    assert list(parts["out"].x["a"].isna()) == [True, False]
    assert list(parts["out"].x["a"].cat.categories) == ["y", "x"]
    with pytest.raises(ValueError, match=r"column 'a' is (str|object) here, and the model takes its own categories"):
        align({"in": first, "out": second}, kinds={"a": "category"})


@pytest.mark.parametrize(
    ("first", "second", "kind", "message"),
    [
        (["a", "b"], [0.5, 1], None, "column 'a' is text in one place and numbers in another"),
        (["a", "b"], ["a", "c"], "number", "column 'a' is text; the model takes numbers there"),
    ],
)
def test_types_that_do_not_fit_are_one_sentence(first, second, kind, message):
    with pytest.raises(ValueError, match=message):
        align({"in": part(a=first), "out": part(a=second)}, kinds={"a": kind} if kind else None)


def test_records_are_the_same_whatever_the_type_or_the_columns_that_the_model_does_not_know():
    first = part(**{"Unnamed: 0": [0, 1], "a": [1, 2]})
    second = part(**{"Unnamed: 0": [7, 8], "a": [2.0, 3.0]})
    parts, _ = align({"in": first, "out": second}, names=["a"])
    with pytest.raises(ValueError, match="1 records are both in and out"):
        apart(parts["in"], parts["out"], ("in", "out"), False)


def test_persons_stand_on_one_side():
    first = Records(np.array([[1.0], [2.0]]), np.zeros(2), groups=np.array(["p", "q"]))
    second = Records(np.array([[3.0], [4.0], [2.0]]), np.zeros(3), groups=np.array(["q", "r", "s"]))
    with pytest.raises(ValueError, match="1 records are both in and out"):
        apart(first, second, ("in", "out"), False)
    with pytest.raises(ValueError, match="1 records of persons are both in and out"):
        apart(first, second.take([0, 1]), ("in", "out"), False)
    left, n = apart(first, second, ("in", "out"), True)
    assert (list(left.groups), n) == (["r"], 2)
