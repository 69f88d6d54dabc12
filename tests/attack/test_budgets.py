import numpy as np
import pytest

from mialib import metrics
from mialib.attack.comparisons import first_above, precision_by_budget
from mialib.attack.experiment import Experiment, run, train_target
from mialib.metrics import Estimate
from mialib.models.stack import NN
from mialib.models.training import Recipe

OVERFITTED = Experiment(100, 3, Recipe(NN((32,)), epochs=100, batch_size=20), seed=3)


def test_a_model_that_stands_already_is_attacked_as_in_a_run(data):
    here = run(OVERFITTED, data)
    found = run(OVERFITTED, data, target=train_target(OVERFITTED, data)[1])
    np.testing.assert_array_equal(found.inference.score, here.inference.score)
    np.testing.assert_array_equal(found.shadow_sets.in_, here.shadow_sets.in_)


def test_a_budget_reaches_as_many_members_as_others(data):
    result = run(OVERFITTED, data)
    found = precision_by_budget(result, (20, 100, 200, 500), 1)
    assert list(found) == [20, 100, 200]
    assert found[200] == metrics.precision(result.target.member, result.inference.inferred)
    assert found[200].high - found[200].low < found[20].high - found[20].low
    assert found[20] == precision_by_budget(result, (20,), 1)[20]


def test_the_first_budget_above_a_level():
    line = {10: Estimate(0.9, 0.6, 1), 20: Estimate(0.6, 0.45, 0.7), 50: Estimate(0.7, 0.55, 0.8)}
    assert first_above(line, 0.5) == 50
    assert first_above(line, 0.4) == 10
    assert np.isnan(first_above(line, 0.56))
    assert first_above(line | {20: Estimate(0.6, 0.51, 0.7)}, 0.5) == pytest.approx(10)
