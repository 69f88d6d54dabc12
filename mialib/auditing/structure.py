"""What a model's structure tells of the people it was trained on, before any attack.

After the structural attack of SACRO-ML (``sacroml.attacks.structural_attack``; Smith et al., "Safe machine learning
model release from Trusted Research Environments: The SACRO-ML package", arXiv:2212.01233), which holds models to the
rules for tables and regressions: residual degrees of freedom, and records with equal answers as the cells of a table,
with their sizes (k-anonymity), zeros (class disclosure) and small counts. Its rules of risky settings, learned from a
grid of experiments, are left out: the smallest leaf shows what they did. Added are records that the model holds as they
are, and categories of few people.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from mialib.auditing.anatomy import as_fitted, attempt, parts, row_keys
from mialib.base.validate import check_integer

FREEDOM, LEAF = "residual degrees of freedom", "smallest leaf"
GROUP, CELL = "smallest group of equal answers", "smallest class in a group of equal answers"
RULED_OUT, KEPT, RARE = "classes ruled out with certainty", "training records kept in the model", "rare categories kept"

BY_DESIGN = ("support_vectors_", "_fit_X", "X_train_", "X_fit_")
"""Attributes that hold training records whatever the model was fitted on."""

OF_ONE = (*BY_DESIGN, "X_thresholds_")
"""Those that are compared where records have one feature; in others single numbers are equal by chance."""

ZERO = 1e-8
"""A probability below this is none."""


@dataclass(frozen=True)
class Check:
    """What one look at a model's structure found.

    Parameters
    ----------
    name : str
    value : int or None
        None where it could not be found out.
    unit : str
        Of the value.
    concern : bool or None
        None where it cannot be said.
    meaning : str
        What was found and what it means, in sentences for whoever decides on a release.
    """

    name: str
    value: int | None
    unit: str
    concern: bool | None
    meaning: str


def checks(estimator, records, subject_ask=None, threshold=10):
    """Return what a model's structure tells of the records that it was trained on.

    Parameters
    ----------
    estimator : object
        A fitted estimator, pipeline, search or ensemble of scikit-learn, XGBoost or LightGBM, or a
        ``torch.nn.Module``. Of anything else it is said what could not be looked at.
    records : mialib.submission.inputs.Records
        Those that it was trained on.
    subject_ask : callable, optional
        From the features of n records to prediction vectors, shape (n, classes), or values, shape (n,); by default what
        `estimator` predicts.
    threshold : int
        Fewest people that a published figure may rest on, and fewest residual degrees of freedom.

    Returns
    -------
    list of Check
        Those that apply to the model; one that fails says so.

    Raises
    ------
    ValueError
        If `threshold` is no whole number of at least 1.
    """
    check_integer("threshold", threshold, 1)
    case, found = _Case(estimator, records, subject_ask, threshold), []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for name, look in {FREEDOM: _freedom, LEAF: _leaf, GROUP: _groups, KEPT: _kept, RARE: _rare}.items():
            try:
                found += look(case)
            except Exception as error:  # whatever a strange model raises, the other checks are made
                reason = " ".join(str(error).split())[:150] or type(error).__name__
                found.append(_unknown(name, f"This could not be looked at ({reason})."))
    return found


@dataclass(frozen=True, eq=False)
class _Case:
    """A model, and what it was trained on."""

    model: object
    records: object
    ask: object
    threshold: int

    def __len__(self):
        return len(self.records)

    @cached_property
    def x(self):
        """Features as the model was fitted."""
        return as_fitted(self.model, self.records.x)

    @cached_property
    def parts(self):
        """What the model is made of (list of `Part`)."""
        return list(parts(self.model, attempt(lambda: self.x)))

    @cached_property
    def answering(self):
        """The parts that answers are made of (list of `Part`)."""
        return [part for part in self.parts if part.answers]

    @cached_property
    def is_trees(self):
        """Whether all of them that see records are trees (bool)."""
        return all([part.trees for part in self.answering if part.x is not None] or [None])

    @cached_property
    def answers(self):
        """What the model says of the records, 2-D, and whether these are vectors, labels or values."""
        vectors = getattr(self.model, "predict_proba", None)
        kind = "labels" if vectors is None and hasattr(self.model, "classes_") else "values"
        answers = np.asarray(self.ask(self.records.x) if self.ask else (vectors or self.model.predict)(self.x))
        if kind == "values" and answers.ndim > 1 and answers.shape[1] > 1:
            kind = "vectors"
        return answers.reshape(len(self), -1), kind


def _freedom(case):
    counts = [part.n_parameters for part in case.answering]
    if None in counts:
        kind = case.answering[counts.index(None)].kind
        return [_unknown(FREEDOM, f"The fitted parameters of {kind} are of no kind that can be counted here.")]
    value = len(case) - sum(counts)
    meaning = f"{_n(len(case), 'training record')} less {_n(sum(counts), 'fitted parameter')} leave {value:,}; "
    meaning += f"the rule for regressions asks for at least {case.threshold}."
    if value < case.threshold:
        meaning += (
            " The model has room for single people, though less if penalties hold it back. Train a smaller one, or on "
            "more records."
        )
    return [Check(FREEDOM, value, "degrees of freedom", value < case.threshold, meaning)]


def _leaf(case):
    sizes = [part.trees[1] for part in case.answering if part.trees and part.trees[1] is not None]
    if not sizes:
        dark = [part for part in case.answering if part.trees or part.n_parameters is None]
        dark = [part.kind for part in dark if not any(hasattr(part.model, name) for name in BY_DESIGN)]
        return [_unknown(LEAF, f"{dark[0]} shows no leaves, or not how many records they hold.")] if dark else []
    sizes = np.concatenate(sizes)
    value, n_few = int(sizes.min()), np.count_nonzero(sizes < case.threshold)
    meaning = f"The smallest of {_n(len(sizes), 'leaf', 'leaves')} was made from {_n(value, 'training record')}"
    if n_few:
        meaning += (
            f", and {n_few:,} from fewer than {case.threshold}: their answers speak of these few people. Train with at "
            f"least {case.threshold} records in a leaf (min_samples_leaf, min_child_samples)"
        )
    return [Check(LEAF, value, "training records", bool(n_few), f"{meaning}.")]


def _groups(case):
    answers, kind = case.answers
    _, group, sizes = np.unique(row_keys(answers), return_inverse=True, return_counts=True)
    value, limit, gradual = int(sizes.min()), case.threshold, not case.is_trees and 2 * len(sizes) > len(case)
    n_few = int(sizes[sizes < limit].sum())
    meaning = f"The smallest of {_n(len(sizes), 'group')} of training records with equal answers has {value:,}"
    if gradual:
        meaning += (
            ". On average a group has fewer than two, as with any model whose answers change gradually with the "
            "features; nothing follows from that."
        )
    elif n_few:
        meaning += (
            f", and {_n(n_few, 'record')} stand in groups of fewer than {limit}: such an answer points to few people. "
            "Round the answers, or train a model that distinguishes less."
        )
    else:
        meaning += f"; the rule for tables asks for at least {limit}."
    found = [Check(GROUP, value, "training records", None if gradual else bool(n_few), meaning)]
    if kind == "labels":
        found.append(_unknown(RULED_OUT, "The model answers with a class alone, and says of none how likely it is."))
    if kind == "vectors":
        found += ([] if gradual else [_cell(case, group)]) + [_ruled_out(answers)]
    return found


def _cell(case, group):
    codes, classes = pd.factorize(case.records.labels)
    cells = np.unique(group * len(classes) + codes, return_counts=True)[1]
    value, n_few = int(cells.min()), np.count_nonzero(cells < case.threshold)
    meaning = f"In a table of groups of equal answers by class, the smallest count besides zeros is {value:,}"
    if n_few:
        meaning += (
            f", and {n_few:,} of {_n(len(cells), 'count')} are below {case.threshold}. Answers that are the shares of "
            "classes in a group give such counts away; round them, or train a model that distinguishes less"
        )
    return Check(CELL, value, "training records", bool(n_few), f"{meaning}.")


def _ruled_out(answers):
    left = np.count_nonzero(answers >= ZERO, axis=1)
    value, n_sure = int(np.count_nonzero(left < answers.shape[1])), np.count_nonzero(left == 1)
    meaning = "No class has the probability 0 in the answer to a training record."
    if value:
        meaning = (
            f"In its answers to {_n(value, 'training record')} the model gives a class the probability 0, and in "
            f"{n_sure:,} of these all classes but one: that discloses what such people are not, or are, as zeros in a "
            "table do. Train with larger leaves or more smoothing, or cut probabilities off before 0."
        )
    return Check(RULED_OUT, value, "training records", value > 0, meaning)


def _kept(case):
    marked, where, designed, looked = np.zeros(len(case), bool), [], [], case.is_trees
    seen, keys, dark = set(), {}, [part.kind for part in case.answering if part.x is None]
    for part in case.parts:
        x, width = part.x, (*np.shape(part.x), 1, 1)[1]
        for name, array in part.arrays(seen):
            looked, attribute = looked or x is not None, name.split(".")[-1]
            rows = array.reshape(len(array), -1) if isinstance(array, np.ndarray) else array
            if attribute in BY_DESIGN:
                designed.append(f"{_n(rows.shape[0], 'row')} in {name}")
            if x is None or rows.shape[1] != width or (width == 1 and attribute not in OF_ONE):
                continue
            if id(x) not in keys:
                keys[id(x)] = row_keys(x)
            same = np.isin(keys[id(x)], row_keys(rows, x))
            if (keys[id(x)][same] != row_keys(np.zeros((1, width)), x)).any():  # a row of zeros means nothing
                marked |= same
                where.append(name if x is case.x else f"{name}, as its step sees them")
    value = int(np.count_nonzero(marked))
    if value:
        meaning = (
            f"The model holds {value:,} of {_n(len(case), 'training record')} as they are ({_listed(where)}): whoever "
            "has its file reads them. Release it only if the records may be released; otherwise release answers alone."
        )
    elif designed:
        meaning = (
            f"The model keeps records by design ({_listed(designed)}), though none equals one that was given here; "
            "check that these are those that it was trained on. Whoever has its file reads them."
        )
    elif not looked or len(dark) == len(case.answering):
        return [_unknown(KEPT, f"{type(case.model).__name__} shows nothing in which to look for training records.")]
    else:
        meaning = "No array in the model holds a training record as it is"
        meaning += f", besides perhaps in {_listed(dark)}, which sees them changed." if dark else "."
    return [Check(KEPT, value, "training records", bool(value or designed), meaning)]


def _rare(case):
    counts = []
    for part in case.parts:
        if isinstance(getattr(part.model, "categories", None), str) and hasattr(part.model, "categories_"):
            table, known = pd.DataFrame(part.x), part.model.categories_
            of_columns = [table.iloc[:, i].value_counts(dropna=False) for i in range(len(known))]
            counts += [of[of.index.isin(names)] for of, names in zip(of_columns, known, strict=True)]
        elif not getattr(part.model, "fixed_vocabulary_", True):
            counts.append(np.asarray((part.model.transform(part.x) != 0).sum(axis=0)).ravel())
    if not counts:
        return []
    counts = np.concatenate(counts)
    n_rare = int(np.count_nonzero(counts < case.threshold))
    meaning = (
        f"{n_rare:,} of {len(counts):,} categories or words in the model occur in fewer than {case.threshold} records"
    )
    if n_rare:
        meaning += (
            "; its file tells that such people were there. Merge rare ones in the records before training: a least "
            "frequency in the encoder leaves their names in the file"
        )
    return [Check(RARE, n_rare, "categories", bool(n_rare), f"{meaning}.")]


def _unknown(name, meaning):
    return Check(name, None, "", None, meaning)


def _listed(names):
    return ", ".join(dict.fromkeys(names))


def _n(number, one, more=None):
    """Return a number of things in words."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"
