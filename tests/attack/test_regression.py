import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mialib.attack import regression
from mialib.attack.regression import (
    REGRESSORS,
    REPORTS,
    RegressionTask,
    Report,
    ages,
    attack_regression,
    attack_regressors,
)
from mialib.attack.shadow import PooledAttack
from mialib.datasets.catalog import load
from mialib.datasets.splits import shadow_sets

REPORTED = [Report(), Report(step=1e-9), Report(step=1e9), Report(noise=1e-9), Report(noise=100)]


@pytest.fixture(scope="module")
def task():
    """2,000 records of 20 numbers; what is predicted is mostly noise."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, 20)).astype(np.float32)
    return RegressionTask(x, x[:, 0] + rng.normal(size=2000))


def test_reports():
    predicted, rng = np.array([1.26, -3.0, 17.5]), np.random.default_rng(0)
    np.testing.assert_array_equal(Report()(predicted, rng), predicted)
    np.testing.assert_allclose(Report(step=0.5)(predicted, rng), [1.5, -3, 17.5])
    np.testing.assert_array_equal(Report(step=10)(predicted, rng), [0, 0, 20])
    noisy = Report(noise=2)(np.zeros(20_000), rng)
    assert abs(noisy.std() - 2) < 0.05
    assert abs(noisy.mean()) < 0.05
    assert [str(r) for r in (Report(), Report(step=10), Report(noise=5), Report(2, 1))] == [
        "exact",
        "to steps of 10",
        "noise of 5",
        "to steps of 2, noise of 1",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"step": -1}, "step is -1; it must be at least 0"),
        ({"noise": float("nan")}, "noise is nan; it must be at least 0"),
    ],
)
def test_bad_reports_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Report(**fields)


def test_a_forest_that_knows_its_records_leaks_through_its_residuals(task):
    found = attack_regression(task, RandomForestRegressor(20), REPORTED, 200, 4, seed=1)
    exact = found["exact"]
    assert exact["error, members"] < 0.6 * exact["error, non-members"]
    assert exact["attack AUC"].low > 0.65
    assert found["to steps of 1e-09"]["attack AUC"] == pytest.approx(exact["attack AUC"], abs=0.02)
    for blind in ("to steps of 1e+09", "noise of 100"):  # what is reported says nothing of the record
        assert abs(found[blind]["attack AUC"] - 0.5) < 0.1  # more than three standard errors of 200 and 200 records
    assert found["noise of 1e-09"]["error, members"] == pytest.approx(exact["error, members"])


def test_the_attack_goes_by_the_shadows_records_alone(task, monkeypatch):
    """Notices two faults: residuals in units of the target's own records, and these among what the attack learns."""
    drawn, learned = [], []

    class Watched(PooledAttack):
        def fit(self, shadows):
            learned.append(shadows)
            return super().fit(shadows)

    monkeypatch.setattr(regression, "shadow_sets", lambda *given: drawn.append(shadow_sets(*given)) or drawn[-1])
    monkeypatch.setattr(regression, "PooledAttack", Watched)
    attack_regression(task, Ridge(), [Report()], 100, 3, seed=1)
    ((sets,), (answers,)) = drawn, learned
    rows = np.hstack([sets.in_, sets.out]).ravel()
    np.testing.assert_allclose(answers.vectors[:, 2], task.y[rows] / task.y[sets.in_].std(), rtol=1e-5)
    np.testing.assert_array_equal(answers.member, np.tile(np.repeat([True, False], 100), 3))


def test_a_pipeline_is_seeded_in_all_its_parts(task):
    """The same seed gives the same numbers, and another seed others, however deep a ``random_state`` lies."""
    pipeline = make_pipeline(StandardScaler(), RandomForestRegressor(5))
    first, again, other = (attack_regression(task, pipeline, [Report()], 100, 2, seed) for seed in (1, 1, 2))
    assert first == again
    assert first["exact"]["error, members"] != other["exact"]["error, members"]


def test_a_model_that_cannot_overfit_does_not_leak(task):
    found = attack_regression(task, Ridge(1e9), [Report()], 200, 4, seed=1)["exact"]
    assert found["error, members"] == pytest.approx(found["error, non-members"], rel=0.15)
    assert found["attack AUC"].low <= 0.5 <= found["attack AUC"].high


def test_one_seed_one_outcome(task):
    first, again, other = (
        attack_regression(task, RandomForestRegressor(5), [Report(noise=1)], 100, 2, seed=s) for s in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_regressors_are_attacked_one_by_one(task):
    regressors, reports = {"ridge": Ridge(), "forest": RandomForestRegressor(5)}, [Report(), Report(step=1)]
    found = attack_regressors(task, 100, 2, 1, regressors, reports)
    assert list(found) == [f"{name}, {report}" for name in regressors for report in ("exact", "to steps of 1")]
    alone = attack_regression(task, regressors["forest"], reports, 100, 2, 1)
    assert found["forest, to steps of 1"] == alone["to steps of 1"]
    assert [str(report) for report in REPORTS] == ["exact", "to steps of 1", "to steps of 10", "noise of 5"]
    assert list(REGRESSORS) == ["ridge", "forest, leaves of 10", "forest"]


def test_sizes_that_do_not_fit_are_refused(task):
    with pytest.raises(ValueError, match="2000 records carry at most 500"):
        attack_regression(task, Ridge(), [Report()], 501)
    with pytest.raises(ValueError, match="n_shadow is 0"):
        attack_regression(task, Ridge(), [Report()], 100, 0)


def test_ages_are_in_years_and_not_among_the_features():
    adult = load("adult", "sample")
    task = ages(adult)
    assert (task.y.min(), task.y.max()) == (pytest.approx(17), pytest.approx(90))
    np.testing.assert_allclose(task.y, np.round(task.y), atol=1e-4)
    assert task.x.shape == (len(adult), adult.x.shape[1] - 1)
    correlation = [abs(np.corrcoef(column, task.y)[0, 1]) for column in task.x[:, :3].T]
    assert max(correlation) < 0.99
