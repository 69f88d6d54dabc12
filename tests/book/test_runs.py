import json
from dataclasses import replace

import numpy as np
import pytest

from mialib.book.runs import Origin, Recording, Run
from mialib.datasets.dataset import Provenance
from mialib.metrics import Estimate

RUN = Run(Origin("toy", "paper", 0, (Provenance("set", "real", "here", "none", "0" * 64),)), {})


def test_what_only_some_seeds_kept_has_a_row_for_these():
    dear = replace(RUN, numbers={"a": 0.5, "b": 1.0}, arrays={"a": [1, 2], "b": [3]})
    cheap = replace(RUN, numbers={"a": 0.7}, arrays={"a": [3, 4]})
    found = Recording((dear, cheap))
    assert found.arrays["a"].tolist() == [[1, 2], [3, 4]]
    assert found.arrays["b"].tolist() == [[3]]
    assert found.numbers["a"] == pytest.approx(0.6)
    assert found.numbers["b"] == 1


def test_what_one_seed_alone_has_is_its_own_number_and_the_badge_says_that_some_have_fewer():
    alone = Estimate(0.6, 0.5, 0.7)
    runs = [Run(replace(RUN.origin, seed=s), {"a": 0.1 * s} | ({"b": alone} if s == 1 else {})) for s in range(3)]
    found = Recording(tuple(runs))
    assert (found.numbers["b"], found.numbers["b"].low, found.numbers["b"].high) == (alone, 0.5, 0.7)
    assert found.origin.badge.endswith("seeds 0 to 2 (some rows fewer)")
    assert Recording(tuple(runs[:1])).origin.badge.endswith("seed 0")


def test_what_is_not_defined_survives_json():
    """JSON knows no NaN, and what reads it strictly would not open a notebook that has one."""
    kept = replace(RUN, arrays={"by class": [0.5, np.nan]})
    text = json.dumps(kept.to_dict(), allow_nan=False)
    np.testing.assert_array_equal(Recording((Run.from_dict(json.loads(text)),)).arrays["by class"], [[0.5, np.nan]])
