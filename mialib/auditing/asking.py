"""A model is asked about the records in and out: whatever it is, its answers and the labels come in one form."""

from dataclasses import dataclass, replace

import numpy as np

from mialib.attack.answers import Answers
from mialib.base.seeding import child
from mialib.base.validate import TOLERANCE
from mialib.service.client import ServiceError
from mialib.submission.inputs import Records, join_records
from mialib.submission.labels import class_numbers, known_classes
from mialib.submission.tables import some

TWICE = 64
"""Records about which a model is asked twice."""


@dataclass(frozen=True, eq=False)
class Asked:
    """What a model says about the records in and out: `names` is what it calls its classes, `classes` that or numbers.

    The labels of `records` are as the model calls them.
    """

    target: Answers
    records: Records
    classes: np.ndarray
    names: np.ndarray | None
    beware: list

    @classmethod
    def of(cls, subject, in_, out, opening, settings, remarks):
        """Ask a subject, and add to the remarks what was done to its answers and to the labels."""
        both = join_records(in_, out)
        subject = subject.knowing(both.labels)
        vectors, said = answers(subject, both.x)
        remarks += [*subject.remarks, *said]
        names = subject.classes if opening.classes is None else np.array(opening.classes)
        if names is not None and len(names) != vectors.shape[1]:
            raise ValueError(f"{len(names)} classes are named, but prediction vectors have {vectors.shape[1]} entries")
        labels, said = class_numbers(both.labels, vectors.shape[1], names)
        classes = np.arange(vectors.shape[1]) if names is None else names
        remarks += said
        side = np.arange(len(both)) < len(in_)
        known_classes(in_, labels[side], "in", classes)
        known, said = known_classes(out, labels[~side], "out", classes)
        remarks += said
        if not known.any():
            raise ValueError(f"no record out is of a class that the model has, {some(classes)}; an audit needs some")
        rows = np.concatenate([np.flatnonzero(side), len(in_) + np.flatnonzero(known)])
        both, labels, vectors, side = both.take(rows), labels[rows], vectors[rows], side[rows]
        beware = asked_twice(subject, both.x, vectors, settings.seed)
        return cls(Answers(labels, vectors, side), replace(both, labels=classes[labels]), classes, names, beware)


def answers(subject, x):
    """Return what a subject answers, and remarks; a ValueError has the first line of whatever its model fails with."""
    try:
        return subject.answers(x)
    except (MemoryError, ServiceError):
        raise
    except Exception as error:  # the model is anybody's
        if isinstance(error, ValueError) and str(error).startswith(f"{subject.name} cannot answer "):
            raise  # a file's model has said it
        said = (str(error).strip() or "no message").splitlines()[0]
        kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise ValueError(f"{subject.name} cannot answer about these records ({kind}{said})") from error


def asked_twice(subject, x, found, seed, unit=1.0):
    """Return a warning, in a list, if a model answers some records otherwise when it is asked again, in other company.

    Dropout or batch normalisation that were left in training mode, or an answer that is made noisy on purpose. `unit`
    is what the answers are counted in.
    """
    rows = np.random.default_rng(child(seed, 9)).permutation(len(found))[:TWICE]
    again, _ = answers(subject, x.iloc[rows] if hasattr(x, "iloc") else x[rows])
    away = np.abs(again - found[rows]).reshape(len(rows), -1).max(axis=1)
    n_away = np.count_nonzero(away > TOLERANCE * unit)
    if not n_away:
        return []
    return [
        f"Beware: the model answers {n_away} of {len(rows)} records otherwise when it is "
        f"asked again (by up to {away.max():.2g}): dropout or batch normalisation may have been left in training mode "
        "(call eval() before you export it). Another audit may then come to another verdict."
    ]
