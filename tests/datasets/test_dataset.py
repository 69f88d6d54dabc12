from dataclasses import replace

import numpy as np
import pytest

from mialib.datasets.dataset import Dataset, Provenance, join_provenances

REAL = Provenance("one", "real", "here", "none", "a" * 64)


def test_joined_provenance_is_as_weak_as_the_weakest():
    sample, stand_in = replace(REAL, name="two", kind="sample"), replace(REAL, kind="stand-in", sha256="b" * 64)
    assert join_provenances(REAL, REAL) == REAL
    assert join_provenances(REAL, sample).kind == join_provenances(sample, REAL).kind == "sample"
    assert join_provenances(sample, stand_in, REAL).kind == "stand-in"
    found = join_provenances(REAL, sample, stand_in)
    assert (found.name, found.source, found.sha256) == ("one and two", "here", f"{'a' * 64} and {'b' * 64}")


def test_a_kind_must_be_known():
    with pytest.raises(ValueError, match="kind is 'fake'; it must be one of real, sample, stand-in"):
        replace(REAL, kind="fake")


def test_a_data_set_must_fit_together():
    with pytest.raises(ValueError, match="2 records but 3 classes"):
        Dataset(np.zeros((2, 1)), np.array([0, 1, 1]), 2, REAL)
    with pytest.raises(ValueError, match="classes run from 1 to 2; they must run from 0 to 1"):
        Dataset(np.zeros((2, 1)), np.array([1, 2]), 2, REAL)
