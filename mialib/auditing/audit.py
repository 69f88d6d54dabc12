"""Audit a model: does it leak who was in its training set? The paper's attack and its rivals, on one's own model."""

from dataclasses import dataclass, replace

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from mialib.attack.answers import Answers, Inference
from mialib.auditing.asking import Asked
from mialib.auditing.canaries import epsilon_by_canaries
from mialib.auditing.findings import Findings
from mialib.auditing.panel import Said, as_columns, halves_of
from mialib.auditing.regressor import audit_regressor
from mialib.auditing.shadows import Shadows, pool_size, train_on_own, train_pool
from mialib.auditing.structure import checks
from mialib.auditing.wording import FEW, about_sizes
from mialib.base.seeding import child
from mialib.base.validate import check_integer
from mialib.datasets.splits import split
from mialib.submission.columns import align
from mialib.submission.inputs import Records, apart, join_records
from mialib.submission.labels import class_numbers, known_classes
from mialib.submission.refits import OnPlatform, Refit, Trained, as_numbers
from mialib.submission.subjects import PLAIN, Subject
from mialib.submission.tables import some

SEEN = 10_000
"""Records by which members are told from non-members without the model; of more, this many are drawn."""


@dataclass(frozen=True)
class Settings:
    """How an audit is done.

    Parameters
    ----------
    n_shadow : int
        Shadow models, of each seed and each source of records.
    size : int, optional
        Records that a shadow model of the pool is trained on; by default as many as there are in, or half of the pool.
    seeds : int, optional
        From how many seeds shadow models are trained; by default 3 if a refit takes under 10 s, else 1.
    material : float
        Balanced accuracy, above 0.5, from which on a leak is material.
    epsilon : float, optional
        Differential privacy that the owner promises.
    delta : float
        Of that promise.
    canaries : int
        Records with wrong labels that are put into a training run of their own, each with a probability of a half, to
        bound ε from below; needs a way of training the model.
    drop_shared : bool
        Leave records out of the later set that an earlier one has too (in, out, pool); otherwise they are an error.
    seed : int
    """

    n_shadow: int = 8
    size: int | None = None
    seeds: int | None = None
    material: float = 0.55
    epsilon: float | None = None
    delta: float = 0.0
    canaries: int = 0
    drop_shared: bool = False
    seed: int = 0

    def __post_init__(self):
        check_integer("n_shadow", self.n_shadow, 2)
        check_integer("seed", self.seed, 0)
        check_integer("canaries", self.canaries, 0)
        for name in ("size", "seeds"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), 1)
        if not 0.5 < self.material <= 1:
            raise ValueError(f"material is {self.material}; it must be above 0.5, which is guessing, and at most 1")
        if not 0 <= self.delta < 1:
            raise ValueError(f"delta is {self.delta}; it must be from 0 to below 1")
        if self.epsilon is not None and not self.epsilon >= 0:
            raise ValueError(f"epsilon is {self.epsilon}; it must be at least 0")


def audit(model, in_, out, pool=None, settings=Settings(), opening=PLAIN, train=None):
    """Audit a model by records of known membership.

    Parameters
    ----------
    model : path, Remote, fitted estimator, callable or Subject
    in_, out : Records or tuple of (x, labels)
        Records that the model was trained on, and others like them.
    pool : Records or tuple of (x, labels), optional
        Others again, for shadow models besides those that are trained on halves of `in_` and `out`.
    settings : Settings
    opening : Opening
        How a file is opened.
    train : callable, optional
        How the model is trained, ``train(x, labels, seed)``: what it returns has ``predict_proba``, or is called and
        returns logits or probabilities. An estimator of scikit-learn needs none.

    Returns
    -------
    Findings

    Raises
    ------
    ValueError
        If records, labels or answers are not what they must be.
    """
    subject = Subject.from_model(model, opening)
    if train is not None:
        subject = replace(subject, refit=train if hasattr(train, "answers") else Trained(train, _name_of(train)))
    parts = {"in": _records(in_), "out": _records(out)} | ({} if pool is None else {"in the pool": _records(pool)})
    parts, remarks = align(parts, subject.names, subject.n_features, subject.kinds)
    in_, out, pool = parts["in"], parts["out"], parts.get("in the pool")
    out, n_dropped = apart(in_, out, ("in", "out"), settings.drop_shared)
    if n_dropped:
        remarks.append(f"{n_dropped} records were given as both in and out, and left out of those out.")
    if subject.task == "regression":
        return _audit_regressor(subject, in_, out, pool, settings, remarks)
    found = Asked.of(subject, in_, out, opening, settings, remarks)
    both, labels, classes = found.records, found.target.labels, found.classes
    if words := _words(subject.refit, both.x):
        remarks.append(f"No shadow models were trained: {words}")
        pool = None
    shadows = [] if words else train_on_own(remarks, subject.refit, both, labels, classes, settings)
    if pool is not None:
        pool, of_pool = _labelled(_outside(both, pool, settings, remarks), found, remarks)
        size = pool_size(settings, np.count_nonzero(found.target.member), pool.groups, len(pool))
        numbers = np.concatenate([labels, of_pool])
        shadows.append(train_pool(subject.refit, both, pool, numbers, classes, size, settings))
        remarks += about_sizes(size, len(in_))
    if both.weights is not None and isinstance(subject.refit, OnPlatform):
        remarks.append("Shadow models are trained without the records' weights, which their kind does not take.")
    canaries = None
    if settings.canaries:
        canaries = epsilon_by_canaries(subject.refit, both, found.target.member, classes, settings)
    persons = None if both.groups is None else both.groups.astype(str)
    return Findings(
        subject.name,
        found.target,
        shadows,
        features=as_columns(both.x),
        classes=found.names,
        remarks=list(dict.fromkeys(remarks)),
        beware=found.beware,
        blind=blind_auc(both.x, found.target, persons, settings.seed),
        material=settings.material,
        epsilon=settings.epsilon,
        delta=settings.delta,
        canaries=canaries,
        seed=settings.seed,
        ids=both.ids,
        persons=persons,
        by=both.by,
        structure=_structure(subject.estimator, found, len(in_)),
    )


def _audit_regressor(subject, in_, out, pool, settings, remarks):
    """Return the `Findings` about a regressor by records that are aligned."""
    both = join_records(in_, out)
    if pool is not None:
        pool = _outside(both, pool, settings, remarks)
    found = audit_regressor(subject, in_, out, pool, settings, remarks)
    blind = blind_auc(both.x, found.target, found.persons, settings.seed)
    values, estimator = found.target.vectors[: len(in_)], subject.estimator
    structure = () if estimator is None else checks(estimator, in_, lambda _: values)
    return replace(found, blind=blind, structure=structure)


def _outside(both, pool, settings, remarks):
    """Return a pool without the records that are in or out as well, and add to the remarks how many those are."""
    pool, n_dropped = apart(both, pool, ("in or out", "in the pool"), settings.drop_shared)
    if n_dropped:
        remarks.append(f"{n_dropped} records of the pool are in or out as well, and left out of it.")
    return pool


def _labelled(pool, found, remarks):
    """Return the records of a pool whose class the model has, labelled as it calls them, and the classes' numbers."""
    numbers, said = class_numbers(pool.labels, len(found.classes), found.names)
    known, foreign = known_classes(pool, numbers, "in the pool", found.classes)
    remarks += [*said, *foreign]
    numbers = numbers[known]
    return replace(pool.take(np.flatnonzero(known)), labels=found.classes[numbers]), numbers


def _words(refit, x):
    """Return why a kind of model that takes numbers cannot take the records, None if it can."""
    try:
        if isinstance(refit, OnPlatform):
            as_numbers(x)
    except ValueError as error:
        return f"{error}."
    return None


def _structure(estimator, found, n_in):
    """Return what the structure of the model tells, if it is one that can be looked into."""
    if estimator is None:
        return ()
    return checks(estimator, found.records.take(np.arange(n_in)), lambda _: found.target.vectors[:n_in])


def audit_kind(estimator, records, settings=Settings(), name="model"):
    """Return the `Findings` about how an estimator is trained, where it is not known which records it knows.

    One is trained anew, with its settings: of the `Records` a quarter is in, a quarter out, and the rest is the shadow
    models' pool.
    """
    records = _records(records)
    persons = None if records.groups is None else np.unique(records.groups.astype(str), return_inverse=True)[1]
    parts = split(len(records), settings.size or len(records) // 4, child(settings.seed, 3), persons)
    in_, out, pool = (records.take(rows) for rows in (parts.target_in, parts.target_out, parts.pool))
    fitted = Refit(estimator).fit(in_.x, in_.labels, child(settings.seed, 4), in_.weights)
    subject = Subject.from_estimator(fitted, f"{name}, trained anew")
    return audit(subject, in_, out, pool, replace(settings, drop_shared=True))


def audit_platform(platform, data, size, settings=Settings(), name="model"):
    """Train a model on a platform, as a chapter does, and audit it with shadow models that are trained likewise.

    Parameters
    ----------
    platform : Recipe, Classifier, DPSGD or another with their ``train``
        Trains the model and, likewise, its shadow models.
    data : Dataset
    size : int
        Records that the model is trained on; as many are out, and the rest is the shadow models' pool.
    settings : Settings
    name : str

    Returns
    -------
    Findings
    """
    parts = split(len(data), size, child(settings.seed, 3), data.groups)
    in_, out, pool = (Records.from_data(data, rows) for rows in (parts.target_in, parts.target_out, parts.pool))
    model = platform.train(data, parts.target_in[None], [child(settings.seed, 4)])
    subject = Subject(name, lambda x: model.predict_proba(x)[0], OnPlatform(platform, known=True))
    return audit(subject, in_, out, pool, replace(settings, drop_shared=True))


def audit_saved(saved, name, settings=Settings(), opening=PLAIN):
    """Return the `Findings` about a model by `SavedAnswers`, which are what `opening` says."""
    vectors, said = opening.vectors(saved.vectors, len(saved.labels))
    names = saved.classes if opening.classes is None else np.array(opening.classes)
    labels, more = class_numbers(saved.labels, vectors.shape[1], names)
    foreign = dict.fromkeys(str(label) for label in saved.labels[labels < 0])
    if foreign:
        raise ValueError(f"the model has no class {some(foreign)}; it has {some(names)}")
    answers, shadows = Answers(labels, vectors, saved.member), []
    if saved.shadow.any():
        learned = answers.rows(saved.shadow)
        if len(np.unique(learned.member)) < 2:
            raise ValueError("the shadow models' answers are all in, or all out; an attack needs both to learn from")
        shadows.append(Shadows("as saved", "as saved", True, [learned]))
    own = ~saved.shadow
    checked = "by id" if saved.ids is not None else "not at all: there is no column id"
    remark = f"Only answers were given: whether a record is both in and out was checked {checked}."
    return Findings(
        name,
        answers.rows(own),
        shadows,
        classes=names,
        remarks=[*saved.remarks, *said, *more, remark],
        material=settings.material,
        epsilon=settings.epsilon,
        delta=settings.delta,
        seed=settings.seed,
        ids=None if saved.ids is None else saved.ids[own],
        persons=None if saved.groups is None else saved.groups[own].astype(str),
        by={divides: of[own] for divides, of in saved.by.items()},
    )


def _records(part):
    return part if isinstance(part, Records) else Records(*part)


def _name_of(function):
    return getattr(function, "__name__", type(function).__name__)


def blind_auc(x, target, persons, seed):
    """Return how well members are told apart by their features alone, an AUC (Estimate).

    A forest learns from one of the `halves` of the records and is tried on the other, and the other way round. None
    where there are fewer than `FEW` members or non-members.
    """
    member, half = target.member, halves_of(target, persons, child(seed, 1))
    if min(np.count_nonzero(member), np.count_nonzero(~member)) < FEW:
        return None
    x = as_columns(x)
    if len(x) > SEEN:
        rows = np.random.default_rng(seed).choice(len(x), SEEN, replace=False)
        x, member, half = x[rows], member[rows], half[rows]
        persons = None if persons is None else persons[rows]
    forest, score = RandomForestClassifier(50, max_depth=8, random_state=seed), np.empty(len(x))
    for of in (0, 1):
        score[half == of] = forest.fit(x[half != of], member[half != of]).predict_proba(x[half == of])[:, 1]
    said = Said(Inference(member, score, score > 0.5), half)
    return (said if persons is None else said.by_person(persons)).auc()
