"""The attack on regression, which the paper leaves open: a target predicts a number, and its residuals leak.

There is no prediction vector. What a shadow regressor reports about a record, beside the record's
true value, takes its place; one attack model serves all records.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge

from mialib.attack.answers import Answers
from mialib.attack.shadow import PooledAttack
from mialib.base.seeding import child, children
from mialib.base.validate import check_integer
from mialib.datasets.people import LARGEST
from mialib.datasets.splits import shadow_sets, split
from mialib.models.stack import NN, ReLU
from mialib.models.training import Recipe
from mialib.platforms.estimators import seeded

ATTACK = Recipe(NN((64,), ReLU()), steps=1500, learning_rate=5e-3)
"""The paper's attack model, for three inputs."""


@dataclass(frozen=True)
class Exact:
    """Report the prediction as it is."""

    def __call__(self, predicted, rng):
        """Return what a client gets to see of predictions, ndarray of float64, shape (n,)."""
        return predicted

    def __str__(self):
        return "exact"


@dataclass(frozen=True)
class ToSteps:
    """Report the prediction to the nearest multiple of a step, in units of what is predicted."""

    step: float

    def __post_init__(self):
        if not self.step > 0:
            raise ValueError(f"step is {self.step}; it must be positive")

    def __call__(self, predicted, rng):
        """Return what a client gets to see of predictions."""
        return np.round(predicted / self.step) * self.step

    def __str__(self):
        return f"to steps of {self.step:g}"


@dataclass(frozen=True)
class Noisy:
    """Report the prediction with Gaussian noise, drawn for each answer; `sd` is in units of what is predicted."""

    sd: float

    def __post_init__(self):
        if not self.sd >= 0:
            raise ValueError(f"sd is {self.sd}; it must be at least 0")

    def __call__(self, predicted, rng):
        """Return what a client gets to see of predictions."""
        return predicted + self.sd * rng.normal(size=predicted.shape)

    def __str__(self):
        return f"noise of {self.sd:g}"


REPORTS = (Exact(), ToSteps(1), ToSteps(10), Noisy(5))
"""Ways of reporting an age, in years."""

REGRESSORS = {
    "ridge": Ridge(),
    "forest, leaves of 10": RandomForestRegressor(50, min_samples_leaf=10),
    "forest": RandomForestRegressor(50),
}
"""From one that cannot learn its records by heart to one that does."""


@dataclass(frozen=True, eq=False)
class RegressionTask:
    """Records, float32 of shape (n, features), with a number to predict, float64 of shape (n,)."""

    x: np.ndarray
    y: np.ndarray


def ages(adult):
    """Return the task of predicting people's age, in years, from their other columns of UCI Adult; age is the first."""
    return RegressionTask(np.delete(adult.x, 0, axis=1), adult.x[:, 0].astype(np.float64) * LARGEST["age"])


def attack_regression(task, regressor, reports, size, n_shadow=5, seed=0, attack=ATTACK):
    """Train a target regressor and shadows, and infer membership from what each way of reporting shows.

    `size` records are in, and as many out, of the target and of each shadow; these report as it does. By report: mean
    absolute error on members and on non-members, as reported, then accuracy and AUC of the attack.
    """
    check_integer("n_shadow", n_shadow, 1)
    split_seed, sets_seed, model_seed, report_seed, attack_seed = children(seed, 5)
    parts = split(len(task.x), size, split_seed)
    sets = shadow_sets(parts.pool, n_shadow, size, sets_seed)
    in_, out = (np.vstack(rows) for rows in ((parts.target_in, sets.in_), (parts.target_out, sets.out)))
    asked = np.hstack([in_, out])
    predicted = [
        seeded(regressor, s).fit(task.x[rows], task.y[rows]).predict(task.x[a])
        for rows, a, s in zip(in_, asked, children(model_seed, n_shadow + 1), strict=True)
    ]
    member, scale = np.repeat([True, False], size), task.y[sets.in_].std()
    return {
        str(report): _attack(report, predicted, task.y[asked], member, scale, attack, s, child(attack_seed, 0))
        for report, s in zip(reports, children(report_seed, len(reports)), strict=True)
    }


def _attack(report, predicted, true, member, scale, recipe, noise, of_attack):
    reported = report(np.array(predicted), np.random.default_rng(noise))
    residual = (reported - true) / scale
    seen = np.stack([residual, np.abs(residual), true / scale], axis=2).astype(np.float32)
    target, shadows = (
        Answers(np.zeros(of.shape[0] * of.shape[1], np.int64), of.reshape(-1, 3), np.tile(member, len(of)))
        for of in (seen[:1], seen[1:])
    )
    found = PooledAttack(recipe, of_attack).fit(shadows).infer(target)
    error = np.abs(reported[0] - true[0])
    return {
        "error, members": float(error[member].mean()),
        "error, non-members": float(error[~member].mean()),
        "attack accuracy": found.accuracy,
        "attack AUC": found.auc,
    }


def attack_regressors(task, size, n_shadow=5, seed=0, regressors=REGRESSORS, reports=REPORTS):
    """Attack regressors through what they report; see the rows of `attack_regression`, here by both names.

    Parameters
    ----------
    task : RegressionTask
    size, n_shadow : int
        Records in, and out, of each model; shadow models of each regressor.
    seed : int or SeedSequence
    regressors : dict of str to BaseEstimator
        Of scikit-learn, not fitted; ``random_state`` is set for each model.
    reports : sequence of Exact, ToSteps or Noisy

    Returns
    -------
    dict of str to dict of str to float or Estimate
        Such as ``"forest, to steps of 10"`` to its row.
    """
    return {
        f"{name}, {report}": row
        for name, regressor in regressors.items()
        for report, row in attack_regression(task, regressor, reports, size, n_shadow, seed).items()
    }
