from dataclasses import replace

import pytest

from mialib.datasets.dataset import Provenance, join_provenances

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
