"""Audit a model: does it leak who was in its training set? The paper's attack, turned on one's own model."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mialib import metrics
from mialib.attack.answers import Answers
from mialib.attack.lira import Evidence
from mialib.auditing.findings import FEW, Findings
from mialib.auditing.inputs import Records, apart, checked_vectors, class_numbers, join_records
from mialib.auditing.subjects import PLAIN, Refit, Subject
from mialib.base.seeding import child, children
from mialib.base.validate import check_integer
from mialib.datasets.splits import shadow_sets, split


@dataclass(frozen=True)
class Settings:
    """How an audit is done.

    Parameters
    ----------
    n_shadow : int
        Shadow models.
    size : int, optional
        Records that each is trained on; by default as many as there are records in, or half of the pool.
    drop_shared : bool
        Leave records out of the later set that an earlier one has too (in, out, pool); otherwise they are an error.
    seed : int
    """

    n_shadow: int = 8
    size: int | None = None
    drop_shared: bool = False
    seed: int = 0

    def __post_init__(self):
        check_integer("n_shadow", self.n_shadow, 1)
        check_integer("seed", self.seed, 0)
        if self.size is not None:
            check_integer("size", self.size, 1)


def audit(model, in_, out, pool=None, settings=Settings(), opening=PLAIN):
    """Audit a model by records of known membership.

    Parameters
    ----------
    model : path, Remote, fitted estimator or Subject
    in_, out : Records or tuple of (x, labels)
        Records that the model was trained on, and others like them.
    pool : Records or tuple of (x, labels), optional
        Others again, for shadow models. Without them attacks learn from half of `in_` and `out`.
    settings : Settings
    opening : Opening
        How a file is opened.

    Returns
    -------
    Findings

    Raises
    ------
    ValueError
        If records, labels or answers are not what they must be.
    """
    subject, remarks = Subject.from_model(model, opening), []
    in_, out = _records(in_), _records(out)
    out, n_dropped = apart(in_, out, ("in", "out"), settings.drop_shared)
    if n_dropped:
        remarks.append(f"{n_dropped} records were given as both in and out, and left out of those out.")
    both = join_records(in_, out)
    vectors = checked_vectors(subject.ask(both.x), len(both), subject.partial)
    labels = class_numbers(both.labels, vectors.shape[1], subject.classes)
    target = Answers(labels, vectors, np.repeat([True, False], [len(in_), len(out)]))
    found = {"classes": subject.classes, "blind": blind_auc(both.x, target.member, settings.seed)}
    if pool is not None:
        pool, n_dropped = apart(both, _records(pool), ("in or out", "in the pool"), settings.drop_shared)
        if n_dropped:
            remarks.append(f"{n_dropped} records of the pool are in or out as well, and left out of it.")
        size = settings.size or max(1, min(len(in_), len(pool) // 2))
        shadows, evidence = _ask_shadows(subject, both, vectors.shape[1], pool, size, settings)
        found |= {"shadows": shadows, "evidence": evidence, "shadow_kind": f"{settings.n_shadow} {subject.refit}"}
        remarks += _about_shadows(subject, size, len(in_))
    return Findings(subject.name, target, remarks=remarks, seed=settings.seed, **found)


def audit_kind(estimator, records, settings=Settings(), name="model"):
    """Return the `Findings` about how an estimator is trained, where it is not known which records it knows.

    One is trained anew, with its settings: of the `Records` a quarter is in, a quarter out, and the rest is the shadow
    models' pool.
    """
    records = _records(records)
    parts = split(len(records), settings.size or len(records) // 4, child(settings.seed, 3))
    in_, out, pool = (records.take(rows) for rows in (parts.target_in, parts.target_out, parts.pool))
    fitted = Refit(estimator).fit(in_.x, in_.labels, child(settings.seed, 4))
    subject = Subject.from_estimator(fitted, f"{name}, trained anew")
    return audit(subject, in_, out, pool, replace(settings, drop_shared=True))


def audit_saved(saved, name, settings=Settings(), opening=PLAIN):
    """Return the `Findings` about a model by `SavedAnswers`, which are what `opening` says."""
    vectors = checked_vectors(opening.vectors(saved.vectors), len(saved.labels), opening.partial)
    answers = Answers(class_numbers(saved.labels, vectors.shape[1], saved.classes), vectors, saved.member)
    found = {"classes": saved.classes, "seed": settings.seed}
    if saved.shadow.any():
        found |= {"shadows": answers.rows(saved.shadow), "shadow_kind": "as saved"}
        if len(np.unique(found["shadows"].member)) < 2:
            raise ValueError("the shadow models' answers are all in, or all out; an attack needs both to learn from")
    remarks = ["Only answers were given: whether a record is both in and out was checked by id, or not at all."]
    return Findings(name, answers.rows(~saved.shadow), remarks=remarks, **found)


def _records(part):
    return part if isinstance(part, Records) else Records(*part)


def _ask_shadows(subject, both, n_classes, pool, size, settings):
    """Return shadow models' answers, and what offline LiRA goes by."""
    everything, n_pool, n_shadow = join_records(pool, both), len(pool), settings.n_shadow
    labels = class_numbers(everything.labels, n_classes, subject.classes)
    sets = shadow_sets(np.arange(n_pool), n_shadow, size, child(settings.seed, 5))
    if min(len(np.unique(labels[rows])) for rows in sets.in_) < 2:
        raise ValueError("the pool gives some shadow model records of a single class; a classifier needs at least 2")
    asked, seeds = np.tile(np.arange(len(everything)), (n_shadow, 1)), children(child(settings.seed, 6), n_shadow)
    vectors = subject.refit.answers(everything, labels, n_classes, sets.in_, asked, seeds)
    rows, models = np.concatenate([sets.in_, sets.out], axis=None), np.arange(n_shadow).repeat(size)
    answers = Answers(labels[rows], vectors[np.tile(models, 2), rows], np.repeat([True, False], sets.in_.size))
    if n_shadow < 3:
        return answers, None
    known = np.unique(rows)
    in_ = np.stack([np.isin(known, of_model) for of_model in sets.in_])
    return answers, Evidence(labels[known], vectors[:, known], in_, vectors[:, n_pool:])


def _about_shadows(subject, size, n_in):
    said = []
    if not subject.refit.known:
        said.append(
            f"How the model was trained is not known: its shadow models are {subject.refit}. Shadow models of its own "
            "kind may teach an attack more; give one with --like."
        )
    if size != n_in:
        said.append(f"Shadow models are trained on {size} records, {n_in} records in were given.")
    said.append(
        "If the model was trained on more records than were given as in, shadow models overfit more than it does."
    )
    return said


def blind_auc(x, member, seed):
    """Return how well members are told apart by their features alone: the AUC of a forest, cross-validated.

    None where there are fewer than `FEW` members or non-members.
    """
    if min(np.count_nonzero(member), np.count_nonzero(~member)) < FEW:
        return None
    if isinstance(x, pd.DataFrame):
        x = x.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else pd.factorize(c)[0]).to_numpy(np.float64)
    forest = RandomForestClassifier(50, max_depth=8, random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    x = np.nan_to_num(np.asarray(x).reshape(len(x), -1))
    return metrics.roc_auc(member, cross_val_predict(forest, x, member, cv=folds, method="predict_proba")[:, 1])
