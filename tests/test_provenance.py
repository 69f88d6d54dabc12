from dataclasses import replace

import pytest

from mialib.provenance import Provenance, joined

REAL = Provenance("one", "real", "here", "none", "a" * 64)


def test_joined_provenance_is_as_weak_as_the_weakest():
    sample, stand_in = replace(REAL, name="two", kind="sample"), replace(REAL, kind="stand-in", sha256="b" * 64)
    assert joined(REAL, REAL) == REAL
    assert joined(REAL, sample).kind == joined(sample, REAL).kind == "sample"
    assert joined(sample, stand_in, REAL).kind == "stand-in"
    found = joined(REAL, sample, stand_in)
    assert (found.name, found.source, found.sha256) == ("one and two", "here", f"{'a' * 64} and {'b' * 64}")


def test_a_kind_must_be_known():
    with pytest.raises(ValueError, match="kind is 'fake'; it must be one of real, sample, stand-in"):
        replace(REAL, kind="fake")
