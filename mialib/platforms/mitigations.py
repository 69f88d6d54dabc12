"""What a model's owner can do about membership inference (§IX): filters of answers, and other training."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np

from mialib.base.validate import check_integer

VECTORS_A_STEP = 65_536
"""Prediction vectors that are filtered at once."""


class Filter:
    """What stands between a model and its client: called with prediction vectors, it returns others."""

    def __call__(self, vectors):
        """Return what the client gets to see of vectors, shape (..., classes): of the same shape and type."""
        vectors = np.asarray(vectors)
        vectors = vectors if np.issubdtype(vectors.dtype, np.floating) else vectors.astype(np.float64)
        flat, seen = vectors.reshape(-1, vectors.shape[-1]), np.empty_like(vectors, order="C")
        rows = seen.reshape(flat.shape)
        for start in range(0, len(flat), VECTORS_A_STEP):
            step = slice(start, start + VECTORS_A_STEP)
            rows[step] = self.of_rows(flat[step])
        return seen

    def of_rows(self, vectors):
        """Return what is left of vectors of shape (n, classes)."""
        raise NotImplementedError

    def answers(self, models, x, index=None):
        """Return models' filtered answers, as `Models.predict_proba`."""
        return self(models.predict_proba(x, index))


@dataclass(frozen=True)
class TopK(Filter):
    """Keep the k largest probabilities and set the others to 0 (§IX, "top k classes").

    What is kept is as it was, so a vector then sums to less than one. Of equal probabilities those of lower classes are
    kept.

    Parameters
    ----------
    k : int
        At least 1; with as many as there are classes, or more, vectors stay as they are.
    """

    k: int

    def __post_init__(self):
        check_integer("k", self.k, 1)

    def of_rows(self, vectors):
        """Return what is left of vectors of shape (n, classes)."""
        n_classes = vectors.shape[1]
        if self.k >= n_classes:
            return vectors
        least = np.partition(vectors, n_classes - self.k, axis=1)[:, n_classes - self.k, None]
        above, equal = vectors > least, vectors == least
        room = self.k - np.count_nonzero(above, axis=1)
        return np.where(above | (equal & (np.cumsum(equal, axis=1) <= room[:, None])), vectors, 0)

    def __str__(self):
        return f"top k = {self.k}"


@dataclass(frozen=True)
class LabelOnly(Filter):
    """Answer with the most likely class and no probability, as a vector of one 1 (§IX, "top k = 1, label").

    Of equally likely classes it is the lowest.
    """

    def of_rows(self, vectors):
        """Return what is left of vectors of shape (n, classes)."""
        return np.arange(vectors.shape[1]) == vectors.argmax(axis=1)[:, None]

    def __str__(self):
        return "label only"


@dataclass(frozen=True)
class Rounding(Filter):
    """Round probabilities to d digits behind the point, ties to even as numpy does (§IX).

    Parameters
    ----------
    d : int
        With 0, only a probability above one half is left, as 1.
    """

    d: int

    def __post_init__(self):
        check_integer("d", self.d, 0)

    def of_rows(self, vectors):
        """Return what is left of vectors of shape (n, classes)."""
        return np.round(vectors.astype(np.float64), self.d)

    def __str__(self):
        return f"rounding d = {self.d}"


@dataclass(frozen=True)
class Temperature(Filter):
    """Divide what the softmax is taken of by t (§IX, "increase entropy of the prediction vector").

    Models that have logits are asked for these. Of others, and of plain vectors, the logarithms of the probabilities
    are divided: the same but for a probability of 0, which stays 0. `taken_of` says which it is.

    Parameters
    ----------
    t : float
        Positive. Below 1 sharpens, above 1 flattens: near 0 the most likely class has all (equally likely ones share),
        with a large one the classes are nearly even.
    """

    t: float

    def __post_init__(self):
        if not 0 < self.t < np.inf:
            raise ValueError(f"t is {self.t}; a temperature must be positive and finite")

    def taken_of(self, models):
        """Return what is divided for these models: ``"logits"`` or ``"log-probabilities"``."""
        return "logits" if hasattr(models, "predict_logits") else "log-probabilities"

    def answers(self, models, x, index=None):
        """Return models' filtered answers; a UserWarning says if the models have no logits."""
        if self.taken_of(models) == "logits":
            return self.of_logits(models.predict_logits(x, index))
        warnings.warn(
            f"temperature {self.t:g} is taken of log-probabilities, since these models show no logits; "
            "a probability of 0 stays 0",
            stacklevel=3,
        )
        return self(models.predict_proba(x, index))

    def of_logits(self, logits):
        """Return prediction vectors, the softmax of logits divided by t; array_like, shape (..., classes)."""
        return _Softmax(self.t)(logits)

    def of_rows(self, vectors):
        """Return what is left of vectors of shape (n, classes)."""
        with np.errstate(divide="ignore"):
            return _Softmax(self.t).of_rows(np.log(vectors, dtype=np.float64))

    def __str__(self):
        return f"temperature {self.t:g}"


@dataclass(frozen=True)
class _Softmax(Filter):
    t: float

    def of_rows(self, logits):
        highest = logits.max(axis=1, keepdims=True)
        below = logits.astype(np.float64) - np.where(np.isfinite(highest), highest, 0)
        with np.errstate(over="ignore"):
            e = np.exp(below / self.t)
        total = e.sum(axis=1, keepdims=True)
        return np.divide(e, total, out=e, where=total > 0)  # a vector of zeros stays one


@dataclass(frozen=True, init=False)
class Chain(Filter):
    """Filters one after the other.

    Parameters
    ----------
    *filters : Filter
        At least one; the first stands next to the model.
    """

    filters: tuple

    def __init__(self, *filters):
        if not filters:
            raise ValueError("a chain of no filters filters nothing; give at least one")
        object.__setattr__(self, "filters", filters)

    def __call__(self, vectors):
        """Return what the client gets to see of vectors, shape (..., classes)."""
        for each in self.filters:
            vectors = each(vectors)
        return vectors

    def answers(self, models, x, index=None):
        """Return models' filtered answers, as `Models.predict_proba`."""
        first, *rest = self.filters
        seen = first.answers(models, x, index)
        return Chain(*rest)(seen) if rest else seen

    def __str__(self):
        return ", ".join(map(str, self.filters))


@dataclass(frozen=True)
class Filtered:
    """A platform whose models answer through a filter, the target and an attacker's shadows alike (§IX).

    Parameters
    ----------
    platform : Recipe or platform
        Models are trained by it, or found in the cache, as if there were no filter.
    filter : Filter
    """

    platform: object
    filter: Filter

    def train(self, data, index, seeds, cache=None, n_jobs=-1):
        """Return M models behind the filter; the arguments are those of `Recipe.train`."""
        return FilteredModels(self.platform.train(data, index, seeds, cache, n_jobs), self.filter)


@dataclass(frozen=True, eq=False)
class FilteredModels:
    """Models that are seen through a filter, and in no other way."""

    inside: object = field(repr=False)
    filter: Filter

    def predict_proba(self, x, index=None):
        """Return what a client gets to see, as `Models.predict_proba`."""
        return self.filter.answers(self.inside, x, index)

    def models(self, which):
        """Return some of the models, a slice."""
        return FilteredModels(self.inside.models(which), self.filter)


def with_l2(recipe, weight):
    """Return a recipe with the paper's penalty, λ · Σθ² on all parameters (§IX).

    The optimisers count λ/2, so theirs is twice this `weight`.
    """
    return replace(recipe, optimiser=replace(recipe.optimiser, l2=2 * weight))


def with_dropout(recipe, share):
    """Return a recipe in which a share of the hidden units sits out each update.

    Not in the paper's Table III; the talk names it along with L2.
    """
    return replace(recipe, architecture=replace(recipe.architecture, dropout=share))


def table_iii(recipe, l2=(1e-4, 5e-4, 1e-3, 5e-3, 1e-2), dropout=()):
    """Return the rows of the paper's Table III around one recipe (§IX), a dict of names to recipes or platforms.

    `l2` are weights λ of the penalty, `dropout` shares of units, which are not in the paper's table.
    """
    filters = (TopK(3), TopK(1), LabelOnly(), Rounding(3), Rounding(1), Temperature(5), Temperature(20))
    return (
        {"none": recipe}
        | {str(each): Filtered(recipe, each) for each in filters}
        | {f"L2 {weight:.0e}".replace("e-0", "e-"): with_l2(recipe, weight) for weight in l2}
        | {f"dropout {share:g}": with_dropout(recipe, share) for share in dropout}
    )
