import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, softmax

from mialib.submission.outputs import as_values, as_vectors, one_hot

VECTORS = np.array([[0.25, 0.75], [0.5, 0.5], [1.0, 0.0]], np.float32)


@pytest.mark.parametrize(
    "output",
    [
        VECTORS,
        VECTORS.tolist(),
        VECTORS.astype(np.float64),
        torch.from_numpy(VECTORS),
        pd.DataFrame(VECTORS),
        [{"a": a, "b": b} for a, b in VECTORS.tolist()],
        list(VECTORS),
        (VECTORS,),
        {"p": torch.from_numpy(VECTORS), "loss": torch.tensor(1.0), "none": None},
        (VECTORS.argmax(axis=1), VECTORS),
    ],
)
def test_vectors_stay_as_they_are(output):
    vectors, remarks = as_vectors(output, 3)
    np.testing.assert_array_equal(vectors, VECTORS)
    assert vectors.dtype == np.float32
    assert remarks == []


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_one_number_a_record(shape):
    p = VECTORS[:, 1].reshape(shape)
    vectors, remarks = as_vectors(p, 3)
    np.testing.assert_allclose(vectors, VECTORS)
    assert remarks == ["The model gives one probability p a record: it was taken as (1 - p, p)."]
    vectors, remarks = as_vectors(10 * p, 3, logits=True)
    np.testing.assert_allclose(vectors[:, 1], expit(10 * p.ravel()), rtol=1e-6)
    assert "logistic function" in remarks[0]
    with pytest.raises(ValueError, match=r"from 0 to 7.5, which is no probability; say --logits .*, --regression if"):
        as_vectors(10 * p, 3)


def test_what_is_nearly_a_probability_is_one_and_that_is_said():
    off = VECTORS + np.array([[0, 0], [0, 0.004], [0, -1.2e-07]], np.float32)
    vectors, remarks = as_vectors(off, 3)
    np.testing.assert_allclose(vectors, np.maximum(off, 0) / np.maximum(off, 0).sum(axis=1, keepdims=True), rtol=1e-6)
    assert vectors.min() == 0
    assert remarks == [
        "Probabilities below 0, down to -1.2e-07, were taken as 0.",
        "Prediction vectors were scaled to sum to one, which they missed by up to 0.004.",
    ]
    assert as_vectors(VECTORS + np.float32(1e-6), 3)[1] == [
        "Prediction vectors were scaled to sum to one, which they missed by up to 2e-06."
    ]
    wide = softmax(np.random.default_rng(0).normal(size=(50, 100)).astype(np.float32), axis=1)
    assert as_vectors(wide, 50)[1] == []


def test_rounded_vectors_have_an_option():
    exact = np.random.default_rng(0).dirichlet(np.ones(12), 50)
    with pytest.raises(ValueError, match=r"rounding is the likely cause: say --rounded to scale each to one$"):
        as_vectors(exact.round(2), 50)
    vectors, remarks = as_vectors(exact.round(2), 50, rounded=True)
    np.testing.assert_allclose(vectors, exact, atol=0.02)
    np.testing.assert_allclose(vectors.sum(axis=1), 1, rtol=1e-6)
    assert remarks[0].startswith("Prediction vectors were scaled")
    with pytest.raises(ValueError, match="a vector of zeros cannot be scaled"):
        as_vectors(VECTORS * [[0], [1], [1]], 3, rounded=True)


def test_vectors_that_leave_classes_out_stay_so():
    vectors, remarks = as_vectors(VECTORS * 0.7, 3, partial=True)
    np.testing.assert_array_equal(vectors, VECTORS * 0.7)
    assert remarks == []


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (VECTORS * 0.7, r"say --partial if classes are left out$"),
        (VECTORS * 1.4, r"values go from 0 to 1.4\); say --logits if they are logits$"),
        (VECTORS - 1, r"say --logits if they are logits$"),
        (VECTORS * 100, r"they are percentages: divide them by 100$"),
        (np.full((3, 4), 0.812), r"classes must exclude each other, and one of them be right$"),
        (np.where(VECTORS == 1, np.nan, VECTORS), r"1 prediction vectors hold NaN .*the first is that of record 3"),
        (np.where(VECTORS == 0.25, np.inf, VECTORS), r"1 prediction vectors hold NaN .*the first is that of record 1"),
        (VECTORS[:2], r"prediction vectors have shape \(2, 2\); it must be \(3, classes\)"),
        (np.zeros((3, 0)), r"prediction vectors have shape \(3, 0\)"),
        (np.ones((3, 1)), "have one entry; a classifier has at least 2 classes"),
        (np.array([["a", "b"]] * 3), "prediction vectors are no numbers"),
        (np.array([2, 0, 1]), "the answers are labels such as 2; give prediction vectors"),
        ([VECTORS, VECTORS], "answers with a list of 2 arrays, as for several targets"),
        ({"a": VECTORS, "b": VECTORS}, "has the outputs 'a', 'b', of which several hold probabilities"),
    ],
)
def test_what_is_no_vectors_is_one_sentence(output, message):
    with pytest.raises(ValueError, match=message) as caught:
        as_vectors(output, 3)
    assert "\n" not in str(caught.value)


def test_a_softmax_is_not_taken_twice():
    with pytest.raises(ValueError, match="are probabilities already, each vector sums to one; leave --logits out"):
        as_vectors(VECTORS, 3, logits=True)


def test_labels_become_vectors_of_their_class():
    expected = np.array([[0, 1], [1, 0], [0, 0]], np.float32)
    np.testing.assert_array_equal(one_hot(np.array(["b", "a", "c"]), ["a", "b"]), expected)
    np.testing.assert_array_equal(one_hot(np.array([2.0, 1.0, 9.0]), np.array([1, 2])), expected)
    vectors, remarks = as_vectors(np.array(["b", "a", "c"]), 3, classes=["a", "b"])
    np.testing.assert_array_equal(vectors, expected)
    assert "labels only" in remarks[0]


def test_values_of_a_regressor():
    for output in ([1, 2, 3], torch.tensor([[1.0], [2.0], [3.0]]), {"y": np.array([1.0, 2, 3])}):
        values, remarks = as_values(output, 3)
        np.testing.assert_array_equal(values, [1.0, 2.0, 3.0])
        assert (values.dtype, remarks) == (np.float64, [])
    with pytest.raises(ValueError, match=r"shape \(3, 2\); it must be \(3,\), one number for each record"):
        as_values(VECTORS, 3)
    with pytest.raises(ValueError, match=r"1 answers hold NaN or infinity .*record 2"):
        as_values([1.0, np.nan, 2.0], 3)
