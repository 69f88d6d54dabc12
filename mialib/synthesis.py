"""Shadow data without data: records that the target itself is sure of, found by queries (§V-C, Algorithm 1).

Many searches advance together, one batched query at a time. Each has its own random stream and
its own state, so that what it finds does not depend on how many run beside it.
"""

import warnings
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from mialib.datasets import Dataset
from mialib.search import Queries, Run, Search


@dataclass(frozen=True, eq=False)
class Synthesis:
    """What searches found: an entry for each, in the order in which they were asked for.

    Parameters
    ----------
    x : ndarray, shape (n, ...)
        Records; zero where none was found.
    classes : ndarray of int64, shape (n,)
        The class that each search was for.
    confidence : ndarray of float64, shape (n,)
        Probability that the target gave the record for its class; NaN where none was found.
    queries : ndarray of int64, shape (n,)
        Iterations of Algorithm 1, each a query of one record.
    ended : ndarray of bool, shape (n,)
        False where the budget or an error of the endpoint came before the search's end.
    n_asked : int
        Records that the target was asked about in all: the queries, and what `Queries.tolerance` added.
    interruption : Exception or None
        The endpoint's error that ended it all.
    """

    x: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray
    queries: np.ndarray
    ended: np.ndarray
    n_asked: int
    interruption: Exception | None = None

    @property
    def found(self):
        """The searches that found a record (ndarray of bool)."""
        return ~np.isnan(self.confidence)

    @property
    def failed(self):
        """Searches of each class that ended without a record, most first (dict of int to int)."""
        return dict(Counter(self.classes[self.ended & ~self.found].tolist()).most_common())

    @property
    def failed_classes(self):
        """Classes for which searches ended and none found a record (ndarray of int64)."""
        return np.setdiff1d(self.classes[self.ended], self.classes[self.found])

    @property
    def queries_a_record(self):
        """All queries, those of searches that failed too, over the records found (float)."""
        n_found = np.count_nonzero(self.found)
        return self.queries.sum() / n_found if n_found else float("nan")

    def dataset(self, n_classes, provenance):
        """Return the records found, each with the class that it was searched for.

        Parameters
        ----------
        n_classes : int
            Of the target.
        provenance : Provenance
            Of the target's records.

        Returns
        -------
        Dataset
        """
        source = f"synthesized by queries to a model of {provenance.source}"
        x, classes = self.x[self.found], self.classes[self.found]
        return Dataset(x, classes, n_classes, replace(provenance, source=source))


def query_function(target):
    """Return what answers records, ``(n, ...)``, with prediction vectors, ``(n, C)``.

    Parameters
    ----------
    target : callable or object with ``predict_proba``

    Raises
    ------
    TypeError
        If it is neither.
    """
    ask = getattr(target, "predict_proba", target)
    if not callable(ask):
        raise TypeError(f"the target is a {type(target).__name__}; it must be callable, or have predict_proba")
    return ask


def synthesize(target, classes, format, search=Search(), queries=Queries(), seed=0, resume=None, watch=None):
    """Search for records that the target is sure of, for many classes and records at once (Algorithm 1).

    The j-th search of a class finds the same record whatever else is searched for.

    Parameters
    ----------
    target : callable or object with ``predict_proba``
        Answers records, shape (n, ...), with prediction vectors, shape (n, C).
    classes : array_like of int
        The class of each search; one that is listed twice is searched twice.
    format : Format
    search : Search
    queries : Queries
    seed : int or SeedSequence
    resume : Synthesis, optional
        An earlier call's for the same classes: searches that ended there are not run again.
    watch : callable, optional
        Called after each query with the searches asked, their records and confidences.

    Returns
    -------
    Synthesis

    Raises
    ------
    ValueError
        If the target answers with something else than prediction vectors, more features are to be
        changed than there are, or `resume` is of other searches.
    Exception
        The target's own, if it fails before any search has ended.

    Warns
    -----
    UserWarning
        If the target fails later. All that was found is returned, with the error in `interruption`.
    """
    classes = np.asarray(classes, np.int64)
    if search.k_max > format.n_features:
        raise ValueError(f"k_max is {search.k_max}, but a record has {format.n_features} features")
    if resume is not None and not np.array_equal(resume.classes, classes):
        raise ValueError("resume is the result of other searches; give the same classes in the same order")
    earlier = np.zeros(len(classes), bool) if resume is None else resume.ended
    run = Run(query_function(target), classes, np.flatnonzero(~earlier), format, search, queries, seed)
    n_earlier = np.count_nonzero(earlier)
    interruption = None
    with tqdm(total=len(classes), initial=n_earlier, desc="synthesis", unit="search", disable=None) as bar:
        try:
            while run.step(watch):
                bar.update(n_earlier + np.count_nonzero(run.ended) - bar.n)
        except Exception as error:
            if not run.ended.any():
                raise
            interruption = error
    if interruption:
        warnings.warn(
            f"the target failed ({type(interruption).__name__}: {interruption}) after {n_earlier + run.ended.sum()} of "
            f"{len(classes)} searches had ended; pass the result as resume to go on",
            stacklevel=2,
        )
    made = Synthesis(
        format.records(run.rows), classes, run.confidence, run.n_queries, run.ended, run.n_asked, interruption
    )
    return made if resume is None else _joined(resume, made)


def _joined(earlier, later):
    """Return both: of each search what the earlier call ended with, else what the later found."""

    def either(name):
        before, after = getattr(earlier, name), getattr(later, name)
        return np.where(earlier.ended.reshape(-1, *[1] * (before.ndim - 1)), before, after)

    joined = {name: either(name) for name in ("x", "confidence", "queries", "ended")}
    return replace(later, n_asked=earlier.n_asked + later.n_asked, **joined)
