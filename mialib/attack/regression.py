"""The attack on regression, which the paper leaves open: a target predicts a number, and its residuals leak.

There is no prediction vector. The attack model gets instead what a shadow regressor reports about a
record, and the record's true value; one attack model serves all records.
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
class Report:
    """How a service reports a prediction: exactly, to the nearest multiple of a step, or with Gaussian noise.

    Parameters
    ----------
    step, noise : float
        In units of what is predicted; 0 for none. Noise is drawn anew for each answer.
    """

    step: float = 0.0
    noise: float = 0.0

    def __post_init__(self):
        for name in ("step", "noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 0")

    def __call__(self, predicted, rng):
        """Return what a client gets to see of predictions, ndarray of float64, shape (n,)."""
        seen = np.round(predicted / self.step) * self.step if self.step else predicted
        return seen + self.noise * rng.normal(size=seen.shape) if self.noise else seen

    def __str__(self):
        step, noise = f"to steps of {self.step:g}", f"noise of {self.noise:g}"
        return ", ".join([step] * (self.step > 0) + [noise] * (self.noise > 0)) or "exact"


REPORTS = (Report(), Report(step=1), Report(step=10), Report(noise=5))
"""Ways of reporting an age, in years."""

REGRESSORS = {
    "ridge": Ridge(),
    "forest, leaves of 10": RandomForestRegressor(50, min_samples_leaf=10),
    "forest": RandomForestRegressor(50),
}
"""From one that cannot memorise its records to one that does."""


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
    reports : sequence of Report

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
