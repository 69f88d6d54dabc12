"""Shadow data without data: records that the target itself is confident about, found by queries (§V-C, Algorithm 1).

Many searches advance together, one batched query at a time. Each has its own random stream and its own state, so that
what it finds does not depend on how many run beside it.
"""

import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import joblib
import numpy as np
import torch

from mialib.base.machine import one_thread, progress
from mialib.datasets.dataset import Dataset
from mialib.metrics import Estimate
from mialib.synthesis.search import HillClimb, Queries, Search


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
    interruption : Exception, optional
        The endpoint's error that ended it all.
    """

    x: np.ndarray
    classes: np.ndarray
    confidence: np.ndarray
    queries: np.ndarray
    ended: np.ndarray
    n_asked: int = 0
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
    def queries_per_record(self):
        """All queries, those of searches that failed too, over the records found (float)."""
        n_found = np.count_nonzero(self.found)
        return self.queries.sum() / n_found if n_found else float("nan")

    def numbers(self):
        """Return what the searches came to, by name."""
        return {
            "queries a record": float(self.queries_per_record),
            "mean confidence": float(np.nanmean(self.confidence)),
            "searches that found a record": float(self.found.mean()),
            "classes without a record": len(self.failed_classes),
        }

    def cost(self, which=slice(None)):
        """Return the median queries of some searches, its ends the quartiles, and the share that found a record."""
        low, median, high = np.quantile(self.queries[which], [0.25, 0.5, 0.75])
        success = float(self.found[which].mean())
        return {"median queries": Estimate(median, low, high), "searches that found a record": success}

    def dataset(self, n_classes, provenance):
        """Return the records found, a Dataset, each with the class that it was searched for."""
        source = f"synthesized by queries to a model of {provenance.source}"
        return Dataset(self.x[self.found], self.classes[self.found], n_classes, replace(provenance, source=source))


def query_function(target):
    """Return what answers records with prediction vectors: a callable target, or its ``predict_proba``.

    Models answer with an axis more; if there is one of them, it is taken.
    """
    ask = getattr(target, "predict_proba", target)
    if not callable(ask):
        raise TypeError(f"the target is a {type(target).__name__}; it must be callable, or have predict_proba")

    def answers(x):
        y = np.asarray(ask(x))
        return y[0] if y.ndim == 3 and len(y) == 1 else y

    return answers


def synthesize(target, classes, format, search=None, queries=None, seed=0, resume=None, watch=None):
    """Search for records that the target is confident about, for many classes and records at once (Algorithm 1).

    The j-th search of a class finds the same record whatever else is searched for.

    Parameters
    ----------
    target : callable or object with ``predict_proba``, such as one model
        Answers records, shape (n, ...), with prediction vectors, shape (n, C). An endpoint must raise an error when its
        time is out: a query that never returns is not cut short.
    classes : array_like of int
        The class of each search; one that is listed twice is searched twice.
    format : Format
    search : Search, optional
    queries : Queries, optional
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
        If the target answers with something else than prediction vectors, more features are to be changed than there
        are, or `resume` is of other searches.
    Exception
        The target's own, if it fails before any search has ended. If it fails later, this is a UserWarning, and all
        that was found is returned, with the error in `interruption`.
    """
    classes, search, queries = np.asarray(classes, np.int64), search or Search(), queries or Queries()
    if search.k_max > format.n_features:
        raise ValueError(f"k_max is {search.k_max}, but a record has {format.n_features} features")
    if resume is not None and not np.array_equal(resume.classes, classes):
        raise ValueError("resume is the result of other searches; give the same classes in the same order")
    found = _start(classes, format, resume)
    todo = np.flatnonzero(~found.ended)
    n_jobs = queries.n_jobs if watch is None and queries.budget is None else 1
    n_parts = min(joblib.effective_n_jobs(n_jobs), max(1, len(todo)))
    ask, width = query_function(target), -(-queries.width // n_parts)
    parts = [HillClimb(ask, found, todo[i::n_parts], width, format, search, queries, seed) for i in range(n_parts)]
    n_before, errors = len(classes) - len(todo), []
    with progress("synthesis", "search", total=len(classes), initial=n_before) as bar:
        _climb(parts, errors, watch, lambda: bar.update(np.count_nonzero(found.ended) - bar.n))
    interruption, n_ended = (errors or [None])[0], np.count_nonzero(found.ended)
    if interruption:
        if n_ended == n_before:
            raise interruption
        warnings.warn(
            f"the target failed ({type(interruption).__name__}: {interruption}) when {n_ended} of {len(classes)} "
            "searches had ended; pass the result as resume to go on",
            stacklevel=2,
        )
    n_asked = found.n_asked + sum(part.n_asked for part in parts)
    return replace(found, n_asked=n_asked, interruption=interruption)


def _start(classes, format, earlier):
    """Return room for what is found, and what an earlier call found; a search that did not end there starts anew."""
    n = len(classes)
    x, confidence, queries = np.zeros((n, *format.shape), format.dtype), np.full(n, np.nan), np.zeros(n, np.int64)
    found = Synthesis(x, classes, confidence, queries, np.zeros(n, bool), earlier.n_asked if earlier else 0)
    for name in ("x", "confidence", "queries", "ended") if earlier else ():
        getattr(found, name)[earlier.ended] = getattr(earlier, name)[earlier.ended]
    return found


def _climb(parts, errors, watch, report):
    """Take the parts of the searches to their end, a thread each; an error of one stops all, and is kept."""

    def climb(part):
        try:
            while not errors and part.step(watch):
                report()
        except Exception as error:
            errors.append(error)

    if len(parts) == 1:
        return climb(parts[0])
    with one_thread(), ThreadPoolExecutor(len(parts), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        list(pool.map(climb, parts))


def confidence_paths(target, classes, format, search=None, seed=0):
    """Return the confidence of every proposal of a search for each class of a dict, by its name, for `plots.climbs`."""
    paths = {name: [] for name in classes}

    def watch(searches, x, confidence):
        for i, value in zip(searches, confidence, strict=True):
            paths[list(paths)[i]].append(value)

    synthesize(target, list(classes.values()), format, search, seed=seed, watch=watch)
    return paths
