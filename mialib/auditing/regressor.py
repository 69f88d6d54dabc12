"""Audit a regressor: its answers are values, and what they give away is how near they come."""

import time
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import joblib
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import RandomForestRegressor
from sklearn.metrics import r2_score

from mialib.auditing import asking, wording
from mialib.auditing.findings import Findings
from mialib.auditing.panel import as_columns
from mialib.auditing.residuals import ResidualCase, Values
from mialib.auditing.shadows import pool_size, train_on_own, train_pool
from mialib.base.machine import progress
from mialib.base.seeding import child
from mialib.submission.inputs import join_records
from mialib.submission.outputs import module_outputs
from mialib.submission.refits import STARTING, OnPlatform, Refit, as_numbers

DIGITS = (3, 2, 1)
"""To how many digits of the labels' spread answers are rounded, to see what that helps."""

FAR = 0.05
"""By how many standard deviations of the labels errors of shadow models may differ from the target's unsaid."""


def audit_regressor(subject, in_, out, pool, settings, remarks=(), **more):
    """Audit a regressor by records of known membership.

    Parameters
    ----------
    subject : Subject
        Asked for values, shape (n,) or (n, 1). Where its training is not known, random forests stand in for it.
    in_, out : Records
        That share no record, and whose columns are the model's; labels are numbers.
    pool : Records or None
        Others again, for shadow models.
    settings : Settings
    remarks : sequence of str
        What this audit in particular cannot say.
    **more
        What is known besides, by the names that `Findings` has.

    Returns
    -------
    RegressionFindings

    Raises
    ------
    ValueError
        If labels or answers are no finite numbers, or all the same, or if canaries are asked for.
    """
    if settings.canaries:
        raise ValueError("canaries are records of a wrong class, and a regressor has no classes; leave --canaries out")
    remarks, both = list(remarks), join_records(in_, out)
    labels = checked_labels(both.labels)
    answers, said = asking.answers(subject, both.x)
    answers = checked_values(answers, len(both), "the model")
    remarks += [*subject.remarks, *said]
    for values, what in ((labels, "labels are"), (answers, "of the model's answers are")):
        if np.ptp(values) == 0:
            raise ValueError(
                f"all {len(both)} {what} {values[0]:g}; a regressor is audited by values that differ: check the column "
                "of the labels, and that features have the columns and units that the model was fitted on"
            )
    target = Values(labels, answers, np.repeat([True, False], [len(in_), len(out)]))
    persons = None if both.groups is None else both.groups.astype(str)
    features, records, known = as_columns(both.x), replace(both, labels=labels), subject.refit
    if pool is not None:
        pool = replace(pool, labels=checked_labels(pool.labels))
    if isinstance(known, OnPlatform):
        known = StandIn(RandomForestRegressor())
        # text gets its numbers from all records together, and so the same ones everywhere
        columns = as_columns(join_records(both, pool).x) if pool is not None else features
        records = replace(records, x=columns[: len(both)])
        pool = pool and replace(pool, x=columns[len(both) :])
    kind = Regressors(known)
    shadows = train_on_own(remarks, kind, records, labels, None, settings)
    if pool is not None:
        size = pool_size(settings, len(in_), pool.groups, len(pool))
        values = np.concatenate([labels, pool.labels])
        shadows.append(train_pool(kind, records, pool, values, None, size, settings))
        remarks += wording.about_sizes(size, len(in_))
    return RegressionFindings(
        subject.name,
        target,
        [replace(of, learned=[Values(a.labels, a.vectors[:, 0], a.member) for a in of.learned]) for of in shadows],
        features=features,
        remarks=list(dict.fromkeys(remarks)),
        beware=asking.asked_twice(subject, both.x, answers, settings.seed, np.std(answers)),
        material=settings.material,
        epsilon=settings.epsilon,
        delta=settings.delta,
        seed=settings.seed,
        ids=both.ids,
        persons=persons,
        by=both.by,
        **more,
    )


def checked_labels(labels):
    """Return a regressor's labels as float64, shape (n,); a ValueError if they are no finite numbers."""
    values = pd.to_numeric(pd.Series(np.asarray(labels).tolist()), errors="coerce").to_numpy(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{bad.sum()} of {len(values)} labels are no finite numbers, such as {str(labels[bad.argmax()])!r}; a "
            "regressor predicts numbers: name their column with --label, or leave these records out"
        )
    return values


def checked_values(answers, n, whose):
    """Return a regressor's answers about n records as float64, shape (n,); a ValueError says if they are none."""
    answers = np.asarray(answers)
    if answers.shape not in ((n,), (n, 1)):
        raise ValueError(
            f"{whose}'s answers about {n} records have shape {answers.shape}; it must be ({n},), a value each"
        )
    try:
        answers = answers.reshape(n).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{whose}'s answers are no numbers ({error}); a regressor answers with one each") from error
    bad = ~np.isfinite(answers)
    if bad.any():
        raise ValueError(
            f"{bad.sum()} of {whose}'s answers are NaN or infinite (the first is that of record {bad.argmax() + 1}); "
            "leave those records out, or correct them"
        )
    return answers


@dataclass(frozen=True, eq=False)
class StandIn(Refit):
    """Train what stands in for a model whose training is not known."""

    known = False

    def __str__(self):
        return "random forests in its place"


@dataclass(frozen=True, eq=False)
class Regressors:
    """Train regressors by a `Refit`, a `StandIn` or a `Trained`, whose ``predict``, or call, answers with values."""

    refit: object

    @property
    def known(self):
        """Whether they are of the audited model's own kind (bool)."""
        return self.refit.known

    def answers(self, records, classes, in_, asked, seeds):
        """Return what k models say, float64 of shape (k, m); see `Refit.answers`."""
        jobs = [(self.refit, records.take(i), records.take(a).x, s) for i, a, s in zip(in_, asked, seeds, strict=True)]
        started = time.perf_counter()
        first = _fit_and_ask(*jobs[0])
        # what a user's function does need not bear several processes
        apart = isinstance(self.refit, Refit) and (time.perf_counter() - started) * len(jobs) > STARTING
        rest = joblib.Parallel(-1 if apart else 1, return_as="generator")(
            joblib.delayed(_fit_and_ask)(*job) for job in jobs[1:]
        )
        return np.stack([first, *progress("shadow models", "model", rest, len(jobs) - 1)])

    def __str__(self):
        return str(self.refit)


def _fit_and_ask(refit, trained_on, asked, seed):
    model = refit.fit(trained_on.x, trained_on.labels, seed, trained_on.weights)
    if hasattr(model, "predict"):
        found = model.predict(asked)
    else:
        found = module_outputs(model.eval(), as_numbers(asked)) if isinstance(model, torch.nn.Module) else model(asked)
    return checked_values(found, len(asked), "a shadow model")


@dataclass(frozen=True)
class Steps:
    """Round answers to whole multiples of a step, a filter like those of §IX."""

    step: float

    def __call__(self, values):
        """Return what the client gets to see of values, an array of any shape."""
        return np.round(values / self.step) * self.step

    def __str__(self):
        return f"rounding to {self.step:g}"


@dataclass(frozen=True, eq=False)
class RegressionFindings(Findings):
    """What an audit of a regressor has to go by, and what it finds; `target`, and what shadows say, are `Values`."""

    task = "regression"

    def _case(self):
        return ResidualCase(self.target, self.half, tuple(self.shadows), self.features, child(self.seed, 0))

    classes_alone = MappingProxyType({})  # a regressor has none

    @staticmethod
    def _does(target):
        return {"train error": float(target.train_error), "test error": float(target.test_error)}

    def beyond_overfitting(self):
        """Return nothing: no attack on a regressor is right by overfitting alone, as the gap attack is (dict)."""
        return {}

    def numbers(self):
        """Return what `Findings.numbers` does of the attacks, and mean absolute errors (dict of str to Estimate)."""
        of_attacks = {name: value for name, value in super().numbers().items() if value == value}
        return of_attacks | {"train error": self.target.train_error, "test error": self.target.test_error}

    def _fit(self):
        return -np.abs(self.target.residual)

    def _shown(self, row):
        of = {"value": self.target.labels, "prediction": self.target.vectors, "residual": self.target.residual}
        return {name: float(values[row]) for name, values in of.items()}

    @cached_property
    def mitigations(self):
        """What attacks reach behind rounded answers, as `Findings.mitigations`, and the error that these have then."""
        size = np.floor(np.log10(np.std(self.target.labels)))
        kinds = [Steps(float(10 ** (size - digits + 1))) for digits in DIGITS]
        return {"none": self._behind(None)} | {str(kind): self._behind(kind) for kind in kinds}

    def _kept(self, vectors):
        return {"test error": float(replace(self.target, vectors=vectors).test_error)}

    @property
    def r2(self):
        """Share of the variance that the model explains, of the records in and of those out (tuple of float)."""
        sides = (self.target.rows(rows) for rows in (self.target.member, ~self.target.member))
        return tuple(float(r2_score(side.labels, side.vectors)) for side in sides)

    def about_model(self):
        """Return how well the model does on the records in and on those out, a sentence."""
        return (
            f"R² is {self.r2[0]:.3f} on the records in and {self.r2[1]:.3f} on those out; the model is off by "
            f"{self.target.train_error:.4g} and by {self.target.test_error:.4g} on average."
        )

    def likeness(self, shadows):
        """Return how near shadow models and target come, the end of a sentence, and whether they differ (bool)."""
        parts = [(float(of.train_error), float(of.test_error)) for of in (*shadows.learned, self.target)]
        theirs, own = np.mean(parts[:-1], axis=0), parts[-1]
        like = f"are off by {theirs[0]:.4g} on records in and by {theirs[1]:.4g} on those out, on average"
        like += f", the audited model by {own[0]:.4g} and by {own[1]:.4g}"
        return like, bool(np.abs(theirs - own).max() > FAR * np.std(self.target.labels))

    def spread(self):
        """Return what the report's histogram shows: its label, and values of each record from 0 to 1 (ndarray)."""
        away = np.abs(self.target.residual)
        largest = np.quantile(away, 0.99) or 1.0
        return f"|residual|, of {largest:.3g} (its 99 % quantile)", np.minimum(away / largest, 1)

    def sentence(self):
        """Return the verdict, one or two sentences that say no more than the bounds do."""
        error_in, error_out, text = self.target.train_error, self.target.test_error, super().sentence()
        if error_in.low > error_out.high:
            text += (
                f" Beware: the model is further off on the records in (by {error_in:.4g} on average) than on those out "
                f"({error_out:.4g}); check which records are which."
            )
        return text

    def errors(self):
        """Return mean absolute errors and R², of the records in and of those out (dict of float)."""
        return {
            "train error": float(self.target.train_error),
            "test error": float(self.target.test_error),
            "train R²": self.r2[0],
            "test R²": self.r2[1],
        }
