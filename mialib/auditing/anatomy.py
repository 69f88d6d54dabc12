"""What a fitted model is made of: its parts, their parameters, leaves and arrays."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import FunctionType, ModuleType

import numpy as np
import pandas as pd
from scipy import sparse

PARAMETERS = (
    ("coefs_", "intercepts_"),  # networks
    ("coef_", "intercept_"),  # linear models
    ("dual_coef_", "intercept_"),  # support vector machines
    ("dual_coef_",),  # kernel ridge
    ("theta_", "var_", "class_prior_"),  # naive Bayes of numbers
    ("feature_log_prob_", "class_log_prior_"),  # and of counts and categories
    ("X_thresholds_", "y_thresholds_"),  # isotonic regression
    ("a_", "b_"),  # Platt's calibration
)
"""What a kind of model has fitted: attributes, of which the first line that a model has all of is its own."""

ALONE = ("best_estimator_", "regressor_", "estimator_")
"""Where a search, or another that holds one fitted model, holds it."""

BARE = (str, bytes, int, float, complex, np.generic, type, FunctionType, ModuleType, type(None))
"""What consists of nothing else."""


@dataclass(frozen=True, eq=False)
class Part:
    """A fitted part of a model.

    Parameters
    ----------
    model : object
    x : ndarray, DataFrame or sparse matrix, shape (n, ...), optional
        The training records as it sees them, where that is known.
    answers : bool
        Answers are made of it itself, unlike of a pipeline, or of what stands before the last step.
    """

    model: object
    x: object
    answers: bool

    @property
    def kind(self):
        """Name of its class (str)."""
        return type(self.model).__name__

    @cached_property
    def trees(self):
        """Number of parameters, and sizes of the leaves in training records, of trees; None of other models.

        A split has two parameters, a leaf as many as there are numbers that it chooses freely. Sizes may be None.
        """
        tree, free = getattr(self.model, "tree_", None), 1
        if hasattr(tree, "children_left"):
            free = tree.value.shape[1] * max(1, tree.value.shape[2] - 1)
            leaf, sizes = tree.children_left < 0, tree.n_node_samples
        elif hasattr(self.model, "_predictors"):
            nodes = np.concatenate([of.nodes for step in self.model._predictors for of in step])
            leaf, sizes = nodes["is_leaf"] > 0, nodes["count"]
        else:
            has_booster = hasattr(self.model, "get_booster")
            booster = self.model.get_booster() if has_booster else getattr(self.model, "booster_", self.model)
            if not hasattr(booster, "trees_to_dataframe"):
                return None
            nodes = booster.trees_to_dataframe()
            counted = "left_child" in nodes  # by LightGBM
            leaf = (nodes["left_child"].isna() if counted else nodes["Feature"] == "Leaf").to_numpy()
            sizes = nodes["count"].to_numpy() if counted else None
        sizes = attempt(self._sizes) if sizes is None else sizes[leaf]
        return int(2 * np.count_nonzero(~leaf) + free * np.count_nonzero(leaf)), sizes

    def _sizes(self):
        places = self.model.apply(self.x).reshape(len(self.x), -1).astype(np.int64)
        sizes = np.concatenate([np.bincount(of) for of in places.T])
        return sizes[sizes > 0]

    @cached_property
    def n_parameters(self):
        """How many numbers it has fitted (int), or None if that is not known."""
        if self.trees:
            return self.trees[0]
        if hasattr(self.model, "count_params"):  # Keras
            return int(self.model.count_params())
        if callable(getattr(self.model, "parameters", None)):  # PyTorch
            return sum(of.numel() for of in self.model.parameters())
        for names in PARAMETERS:
            if all(hasattr(self.model, name) for name in names):
                kept = [name for name in names if name != "intercept_" or getattr(self.model, "fit_intercept", True)]
                return sum(_size(getattr(self.model, name)) for name in kept)
        return None

    def arrays(self, seen):
        """Yield each array that it holds, by the class and name of its attribute, but for those `seen`, a set of ids.

        What is yielded, and whatever else was looked into, is added to `seen`.
        """
        left = [(self.kind, self.model)]
        while left:
            name, value = left.pop()
            if isinstance(value, BARE) or id(value) in seen:
                continue
            seen.add(id(value))
            if hasattr(value, "detach"):  # a tensor
                value = value.detach().cpu().numpy()
            elif hasattr(value, "get_arrays"):  # a tree of neighbours
                value = np.asarray(value.get_arrays()[0])
            if isinstance(value, np.ndarray | pd.DataFrame) or sparse.issparse(value):
                if value.ndim and all(value.shape):
                    yield name, value
                value = list(value.flat) if getattr(value, "dtype", None) == np.dtype(object) else ()
            if isinstance(value, dict):
                left += [(name, of) for of in value.values()]
            elif isinstance(value, list | tuple | set | frozenset):
                left += [(name, of) for of in value]
            elif hasattr(value, "__dict__"):
                left += [(f"{type(value).__name__}.{attribute}", of) for attribute, of in vars(value).items()]


def parts(model, x, answers=True):
    """Yield each fitted `Part` of a model, inner ones first, from the training records as the whole of it sees them."""
    inner = [] if isinstance(model, BARE) else list(_inner(model, x))
    for of, seen, of_answers in inner:
        yield from parts(of, seen, answers and of_answers)
    yield Part(model, x, answers and not any(of_answers for *_, of_answers in inner))


def _inner(model, x):
    """Yield what a pipeline, a search or an ensemble consists of, with its records, and whether it answers."""
    steps = [step for _, step in getattr(model, "steps", ())]
    for i, step in enumerate(steps):
        yield step, x, i == len(steps) - 1
        if i < len(steps) - 1 and hasattr(step, "transform"):
            x = attempt(step.transform, x)
    for _, part, which in getattr(model, "transformers_", ()):
        yield part, attempt(_columns, x, which), False
    for _, part in getattr(model, "transformer_list", ()):
        yield part, x, False
    members = getattr(model, "estimators_", None)
    if members is None:
        members = [getattr(model, name) for name in ALONE if hasattr(model, name)]
    members = list(members.flat if isinstance(members, np.ndarray) else members)
    which = getattr(model, "estimators_features_", None)
    for i, member in enumerate(members):
        yield member, x if which is None else attempt(_columns, x, which[i]), True
    for member in getattr(model, "calibrated_classifiers_", ()):
        yield member.estimator, x, True
        yield from ((calibrator, None, True) for calibrator in member.calibrators)
    if hasattr(model, "final_estimator_"):
        yield model.final_estimator_, None, True


def as_fitted(model, x):
    """Return features as a model was fitted: a table if it knows names, else an array; texts in one dimension."""
    names = getattr(model, "feature_names_in_", None)
    if names is not None and isinstance(x, pd.DataFrame):
        return x[list(names)]
    x = np.asarray(x).reshape(len(x), -1)
    if names is not None:
        return pd.DataFrame(x, columns=names)
    return x[:, 0] if x.shape[1] == 1 and x.dtype.kind in "OU" and not hasattr(model, "n_features_in_") else x


def attempt(function, *args):
    """Return what a function returns, or None if it raises, whatever that is: a strange model is no error here."""
    try:
        return function(*args)
    except Exception:
        return None


def _columns(x, which):
    """Return some columns, by name or by place."""
    if not isinstance(x, pd.DataFrame):
        return x[:, which]
    names = isinstance(which, str) or (not isinstance(which, slice) and all(isinstance(of, str) for of in which))
    return x.loc[:, which] if names else x.iloc[:, which]


def _size(value):
    """Return how many numbers an array, or a list of arrays, has."""
    return sum(map(_size, value)) if isinstance(value, list) else int(getattr(value, "size", 1))


def row_keys(rows, like=None):
    """Return a number for each of n rows that equal rows have in common, ndarray of int64, shape (n,).

    Rows are those of an ndarray, a DataFrame or a sparse matrix, to be compared with one another, or with those of
    `like`. Numbers are compared as float32, as many models keep them.
    """
    try:
        if sparse.issparse(rows if like is None else like):
            rows = sparse.csr_array(rows, dtype=np.float32)
            rows.sum_duplicates()
            rows.eliminate_zeros()
            places, ends = rows.indices.astype(np.int64), pairwise(rows.indptr)
            return np.array([hash((places[a:b].tobytes(), rows.data[a:b].tobytes())) for a, b in ends], np.int64)
        rows = np.ascontiguousarray(np.asarray(rows).reshape(len(rows), -1), np.float32) + np.float32(0)  # no -0.0
        return np.array([hash(row.tobytes()) for row in rows], np.int64)
    except (TypeError, ValueError):
        return pd.util.hash_pandas_object(pd.DataFrame(rows).astype(str), index=False).to_numpy().view(np.int64)
