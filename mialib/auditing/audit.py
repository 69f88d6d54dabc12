"""Audit a model: does it leak who was in its training set? The paper's attack, turned on one's own model."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mialib import metrics
from mialib.attack.answers import Answers
from mialib.attack.lira import Evidence
from mialib.auditing.findings import Findings
from mialib.auditing.inputs import Records, apart, checked_vectors, codes, join_records
from mialib.auditing.subjects import PLAIN, Refit, Subject, of_estimator, of_remote, open_subject
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
    model : Subject, Remote, path or fitted estimator
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
        If records, labels or answers are not what they must be; see `mialib.auditing.inputs` and `mialib.auditing.inputs`.
    """
    subject = as_subject(model, opening)
    in_, out, pool = (
        part if part is None or isinstance(part, Records) else Records(*part) for part in (in_, out, pool)
    )
    out, n_dropped = apart(in_, out, ("in", "out"), settings.drop_shared)
    both, remarks = join_records(in_, out), []
    if n_dropped:
        remarks.append(f"{n_dropped} records were given as both in and out, and left out of those out.")
    vectors = checked_vectors(subject.ask(both.x), len(both), subject.partial)
    labels = codes(both.labels, vectors.shape[1], subject.classes)
    target = Answers(labels, vectors, np.repeat([True, False], [len(in_), len(out)]))
    names = [str(c) for c in (range(vectors.shape[1]) if subject.classes is None else subject.classes)]
    shadows, evidence = None, None
    if pool is not None:
        pool, n_dropped = apart(both, _records(pool), ("in or out", "in the pool"), settings.drop_shared)
        if n_dropped:
            remarks.append(f"{n_dropped} records of the pool are in or out as well, and left out of it.")
        shadows, evidence, size = _shadows(subject, both, target, pool, settings)
        remarks += _about_shadows(subject, size, len(in_))
    kind = "none" if pool is None else f"{settings.n_shadow} {subject.refit}"
    blind = blind_auc(both.x, target.member, settings.seed)
    return _findings(subject.name, target, shadows, kind, evidence, names, remarks, blind, settings.seed)


def audit_kind(estimator, records, settings=Settings(), name="model"):
    """Audit how a model is trained, where it is not known which records a model knows: train one anew.

    A quarter of the records is in, a quarter out, and the rest is the shadow models' pool.

    Parameters
    ----------
    estimator : estimator of scikit-learn
        Its settings are taken; what it has learned is not.
    records : Records or tuple of (x, labels)
    settings : Settings
    name : str

    Returns
    -------
    Findings
    """
    records = _records(records)
    parts = split(len(records), settings.size or len(records) // 4, child(settings.seed, 3))
    in_, out, pool = (records.take(rows) for rows in (parts.target_in, parts.target_out, parts.pool))
    fitted = Refit(estimator).fit(in_.x, in_.labels, child(settings.seed, 4))
    return audit(of_estimator(fitted, f"{name}, trained anew"), in_, out, pool, replace(settings, drop_shared=True))


def _records(part):
    return part if isinstance(part, Records) else Records(*part)


def audit_saved(saved, name, settings=Settings(), opening=PLAIN):
    """Audit a model by answers that it gave.

    Parameters
    ----------
    saved : SavedAnswers
    name : str
    settings : Settings
    opening : Opening
        Whether the answers are logits, or leave classes out.

    Returns
    -------
    Findings
    """
    vectors = checked_vectors(opening.vectors(saved.vectors), len(saved.labels), opening.partial)
    labels = codes(saved.labels, vectors.shape[1], saved.classes)
    parts = [Answers(labels[rows], vectors[rows], saved.member[rows]) for rows in (~saved.shadow, saved.shadow)]
    names = [str(c) for c in (range(vectors.shape[1]) if saved.classes is None else saved.classes)]
    shadows = parts[1] if saved.shadow.any() else None
    if shadows is not None and len(np.unique(shadows.member)) < 2:
        raise ValueError("the shadow models' answers are all in, or all out; an attack needs both to learn from")
    kind = "none" if shadows is None else "as saved"
    remarks = ["Only answers were given: whether a record is both in and out was checked by id, or not at all."]
    return _findings(name, parts[0], shadows, kind, None, names, remarks, None, settings.seed)


def _findings(name, target, shadows, kind, evidence, names, remarks, blind, seed):
    n_in, n_out = np.count_nonzero(target.member), np.count_nonzero(~target.member)
    if min(n_in, n_out) < 2:
        raise ValueError(f"there are {n_in} records in and {n_out} out; an audit needs at least 2 of each")
    return Findings(name, target, shadows, kind, evidence, tuple(names), tuple(remarks), blind, seed)


def as_subject(model, opening=PLAIN):
    """Return a model file, an endpoint or an estimator as a `Subject`."""
    if isinstance(model, Subject):
        return model
    if hasattr(model, "ledger"):
        return of_remote(model)
    if hasattr(model, "predict_proba"):
        return of_estimator(model, type(model).__name__, opening)
    return open_subject(model, opening)


def _shadows(subject, both, target, pool, settings):
    """Return shadow models' answers, what offline LiRA goes by, and the shadows' size."""
    n_classes, n_pool = target.vectors.shape[1], len(pool)
    everything = join_records(pool, both)
    labels = codes(everything.labels, n_classes, subject.classes)
    size = settings.size or max(1, min(np.count_nonzero(target.member), n_pool // 2))
    sets = shadow_sets(np.arange(n_pool), settings.n_shadow, size, child(settings.seed, 5))
    if min(len(np.unique(labels[rows])) for rows in sets.in_) < 2:
        raise ValueError("the pool gives some shadow model records of a single class; a classifier needs at least 2")
    asked = np.tile(np.arange(len(everything)), (settings.n_shadow, 1))
    seeds = children(child(settings.seed, 6), settings.n_shadow)
    vectors = subject.refit.answers(everything.x, labels, n_classes, sets.in_, asked, seeds)
    rows, models = np.concatenate([sets.in_, sets.out], axis=None), np.arange(settings.n_shadow).repeat(size)
    answers = Answers(labels[rows], vectors[np.tile(models, 2), rows], np.repeat([True, False], sets.in_.size))
    return answers, _evidence(labels, vectors, sets, n_pool), size


def _evidence(labels, vectors, sets, n_pool):
    if len(sets.in_) < 3:
        return None
    known = np.unique(np.concatenate([sets.in_, sets.out], axis=None))
    in_ = np.stack([np.isin(known, rows) for rows in sets.in_])
    return Evidence(labels[known], vectors[:, known], in_, vectors[:, n_pool:])


def _about_shadows(subject, size, n_in):
    said = []
    if not subject.is_own_kind:
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

    Parameters
    ----------
    x : DataFrame or ndarray, shape (n, ...)
    member : ndarray of bool, shape (n,)
    seed : int

    Returns
    -------
    Estimate or None
        None where there are fewer than 30 members or non-members.
    """
    if min(np.count_nonzero(member), np.count_nonzero(~member)) < 30:
        return None
    if isinstance(x, pd.DataFrame):
        x = x.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else pd.factorize(c)[0]).to_numpy(np.float64)
    x = np.asarray(x).reshape(len(x), -1)
    forest = RandomForestClassifier(50, max_depth=8, random_state=seed)
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    score = cross_val_predict(forest, np.nan_to_num(x), member, cv=folds, method="predict_proba")[:, 1]
    return metrics.auc_estimate(member, score)
