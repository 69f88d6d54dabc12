import numpy as np
import pandas as pd
import pytest

from mialib.submission.inputs import Records, Roles
from mialib.submission.tables import read_table

PLAIN = "age,town,label\n30,a,0\n41.5,b,1\n"


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "in.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding", "remark"),
    [
        (PLAIN, "utf-8", None),
        (PLAIN, "utf-8-sig", None),
        (PLAIN.replace(",", ";"), "utf-8", "is separated by ';'."),
        (PLAIN.replace(",", "\t"), "utf-8", r"is separated by '\t'."),
        (PLAIN.replace(",", ";").replace("41.5", "41,5"), "utf-8", "is separated by ';' and has decimal commas."),
        ('"age";"town";"label"\n"30";"a";"0"\n"41,5";"b";"1"\n', "utf-8", "decimal commas"),
        (PLAIN, "utf-16", "is read as utf-16"),
    ],
)
def test_a_table_is_the_same_however_it_is_exported(tmp_path, text, encoding, remark):
    table, remarks = read_table(written(tmp_path, text, encoding))
    expected = pd.DataFrame({"age": [30, 41.5], "town": ["a", "b"], "label": [0, 1]})
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    assert [remark in said for said in remarks] == ([] if remark is None else [True])


def test_names_in_another_encoding(tmp_path):
    table, remarks = read_table(written(tmp_path, "größe,label\n1,ä\n", "cp1252"))
    assert list(table.columns) == ["größe", "label"]
    assert table["label"][0] == "ä"
    assert "cp1252" in remarks[0]


def test_codes_with_leading_zeros_stay_text(tmp_path):
    table, _ = read_table(written(tmp_path, "code,n,label\n02,10,0\n10,20,1\n"))
    assert list(table["code"]) == ["02", "10"]
    assert list(table["n"]) == [10, 20]


def test_a_label_called_none_is_a_class_and_a_missing_feature_is_missing(tmp_path):
    records = Records.from_file(written(tmp_path, "a,label\n1,None\nNA,NA\n3,null\n"))
    assert list(records.labels) == ["None", "NA", "null"]
    assert list(records.x["a"].isna()) == [False, True, False]
    with pytest.raises(ValueError, match="1 labels are missing"):
        Records.from_file(written(tmp_path, "a,label\n1,\n2,x\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3,4\n", "its first line has numbers and no names"),
        ("a,a,label\n1,2,0\n", "more than one column 'a'"),
        ("a,label\n1,0\n2,0,1,2\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_what_is_no_table_gives_one_sentence(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        Records.from_file(written(tmp_path, text))
    assert "\n" not in str(error.value)


def test_another_kind_of_file_is_one_sentence(tmp_path):
    (tmp_path / "in.xlsx").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"in.xlsx is none of .csv, .parquet and .npz"):
        Records.from_file(tmp_path / "in.xlsx")
    with pytest.raises(ValueError, match=r"there is no file .*in.csv"):
        Records.from_file(tmp_path / "in.csv")


def test_a_column_of_lists_is_spread(tmp_path):
    table = pd.DataFrame({"pixels": [[1.0, 2.0], [3.0, 4.0]], "label": [0, 1]})
    table.to_parquet(tmp_path / "in.parquet")
    records = Records.from_file(tmp_path / "in.parquet")
    assert list(records.x.columns) == ["pixels[0]", "pixels[1]"]
    np.testing.assert_array_equal(records.x.to_numpy(), [[1, 2], [3, 4]])
    pd.DataFrame({"pixels": [[1.0], [3.0, 4.0]], "label": [0, 1]}).to_parquet(tmp_path / "in.parquet")
    with pytest.raises(ValueError, match="column 'pixels' has lists of different lengths"):
        Records.from_file(tmp_path / "in.parquet")


def test_damaged_files_give_one_sentence(tmp_path):
    for name in ("in.parquet", "in.npz"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 not what it says")
        with pytest.raises(ValueError, match="cannot be read") as error:
            Records.from_file(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "arrays",
    [
        {"x": np.eye(3), "y": np.array([0, 2, 1])},
        {"features": np.eye(3), "labels": np.eye(3)[[0, 2, 1]]},
        {"X": np.eye(3), "y": np.array([[0.0], [2.0], [1.0]])},
    ],
)
def test_arrays_under_their_usual_names(tmp_path, arrays):
    np.savez(tmp_path / "in.npz", **arrays)
    records = Records.from_file(tmp_path / "in.npz")
    np.testing.assert_array_equal(records.labels, [0, 2, 1])
    assert [("one-hot" in said) for said in records.remarks] == ([True] if "features" in arrays else [])


def test_an_array_that_the_label_names(tmp_path):
    np.savez(tmp_path / "in.npz", features=np.eye(3), labels=np.eye(3), other=np.arange(3))
    np.testing.assert_array_equal(Records.from_file(tmp_path / "in.npz", Roles("other")).labels, [0, 1, 2])
    with pytest.raises(ValueError, match="has no array 'y'; it has 'features', 'labels', 'other'"):
        Records.from_file(tmp_path / "in.npz", Roles("y"))


def test_labels_of_another_shape():
    with pytest.raises(ValueError, match=r"labels have shape \(3, 2\); it must be \(3,\), or one-hot"):
        Records(np.eye(3), np.full((3, 2), 0.5))


def test_each_column_has_its_role(tmp_path):
    text = "who,person,region,w,junk,age,label\nx1,7,n,0.5,?,30,a\nx2,7,s,2,?,40,b\n"
    roles = Roles("label", "who", "person", ("region",), "w", ("junk",))
    records = Records.from_file(written(tmp_path, text), roles)
    assert list(records.x.columns) == ["region", "age"]
    assert list(records.ids) == ["x1", "x2"]
    assert list(records.groups) == ["7", "7"]
    assert list(records.by["region"]) == ["n", "s"]
    assert list(records.weights) == [0.5, 2]
    assert list(records.take([1]).by["region"]) == ["s"]
    kept = Records.from_file(written(tmp_path, text), roles, names=["age", "person"])
    assert "person" in kept.x
    with pytest.raises(ValueError, match="has no column 'klass'; name that of the labels, one of"):
        Records.from_file(written(tmp_path, text), Roles("klass"))
    with pytest.raises(ValueError, match="weights are negative"):
        Records.from_file(written(tmp_path, text.replace("0.5", "-1")), roles)
