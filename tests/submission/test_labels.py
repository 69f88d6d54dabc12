import numpy as np
import pytest

from mialib.submission.inputs import Records
from mialib.submission.labels import class_numbers, known_classes


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["no", "yes", "no"], ["no", "yes"]),
        (["0", "1", "0"], [0, 1]),
        ([0.0, 1.0, 0.0], [0, 1]),
        (["0.0", "1.0", "0.0"], np.array([0, 1])),
        ([False, True, False], [0, 1]),
        (["True", "False", "True"], [1, 0]),
        (["01", "02", "01"], [1, 2]),
        ([1, 2, 1], ["1.0", "2.0"]),
        (["None", "x", "None"], [None, "x"]),
        ([0, 1, 0], None),
        ([1, 2, 1], None),
        (["1.0", "2.0", "1.0"], None),
    ],
)
def test_labels_that_mean_the_same_are_the_same(labels, classes):
    numbers, _ = class_numbers(np.array(labels, object), 2, classes)
    assert list(numbers) == [0, 1, 0]


def test_what_is_read_in_another_way_is_said():
    assert class_numbers(np.array(["1.0"]), 2, [0, 1])[1] == [
        "Labels are written in another way than the model's classes: '1.0' is '1'."
    ]
    assert class_numbers(np.array([1, 3, 2]), 3)[1] == ["Labels run from 1 to 3; they are read as from 0 to 2."]
    assert class_numbers(np.array([1, 0]), 2, [0, 1])[1] == []


def test_two_classes_that_mean_the_same_number_are_told_apart_by_their_names():
    numbers, _ = class_numbers(np.array(["1", "01"]), 2, ["01", "1"])
    assert list(numbers) == [1, 0]


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        (["a", "b"], ["c", "d"], "the model has no class 'a', 'b'; it has 'c', 'd'"),
        (["a", "b"], None, "labels are names such as 'a', and the model does not say .* --classes"),
        ([0.5, 1], None, "labels are not whole numbers"),
        ([0, 2], None, "labels run from 0 to 2, but prediction vectors have 2 entries"),
        ([1, 3], None, "labels run from 1 to 3, but"),
    ],
)
def test_labels_that_are_none(labels, classes, message):
    with pytest.raises(ValueError, match=message):
        class_numbers(np.array(labels, object), 2, classes)


def test_a_class_that_the_model_lacks():
    numbers, _ = class_numbers(np.array(["a", "z", "b"]), 2, ["a", "b"])
    assert list(numbers) == [0, -1, 1]
    records = Records(np.zeros((3, 1)), np.array(["a", "z", "b"]))
    known, said = known_classes(records, numbers, "out", ["a", "b"])
    assert list(known) == [True, False, True]
    assert said == [
        "1 of the records out (record 2) are of class 'z', which the model does not have, and are left out."
    ]
    with pytest.raises(ValueError, match=r"1 of the records in \(record 2\) are of class 'z'.*it has 'a', 'b'"):
        known_classes(records, numbers, "in", ["a", "b"])
