"""Shadow data without data: records that the target itself is sure of, found by queries (§V-C, Algorithm 1).

Many searches advance together, one batched query at a time. Each has its own random stream and
its own state, so that what it finds does not depend on how many run beside it.
"""

import warnings
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from tqdm import tqdm

from mialib.checks import whole
from mialib.datasets import Dataset
from mialib.seeding import child

DRAWS = 512
"""Random numbers that a search fetches from its stream at once."""


@dataclass(frozen=True)
class Search:
    """The parameters of Algorithm 1, named as there; values for Purchase-100 (§VI-C).

    Parameters
    ----------
    k_max, k_min : int
        Features changed at a time: at first, and at least.
    rej_max : int
        Proposals rejected in a row before k is halved.
    conf_min : float
        Probability of its class that a record must exceed.
    iter_max : int
        Queries before a search fails. The paper does not give it; 1,000 is ours.

    Raises
    ------
    ValueError
        If a number is outside of its range.
    """

    k_max: int = 128
    k_min: int = 4
    rej_max: int = 10
    conf_min: float = 0.2
    iter_max: int = 1000

    def __post_init__(self):
        whole("k_min", self.k_min, 1)
        whole("k_max", self.k_max, self.k_min)
        whole("rej_max", self.rej_max, 0)
        whole("iter_max", self.iter_max, 1)
        if not 0 <= self.conf_min < 1:
            raise ValueError(f"conf_min is {self.conf_min}; it must be at least 0 and below 1")


@dataclass(frozen=True)
class Queries:
    """How the target is asked; no record depends on it, except that a budget may end a search early.

    Parameters
    ----------
    width : int
        Searches that run together, one record each in a query.
    budget : int, optional
        Records that the target may be asked about in all.
    tolerance : float
        Relative difference up to which answers are not told apart. A model's floats differ in
        their last bits with what else is in the batch, so a decision that hangs on less is made
        on answers to queries of one record. 0 for an endpoint that always answers a record the same.

    Raises
    ------
    ValueError
        If a number is outside of its range.
    """

    width: int = 1024
    budget: int | None = None
    tolerance: float = 1e-4

    def __post_init__(self):
        whole("width", self.width, 1)
        if self.budget is not None:
            whole("budget", self.budget, 0)
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}; it must be at least 0 and below 1")


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
    if resume and not np.array_equal(resume.classes, classes):
        raise ValueError("resume is the result of other searches; give the same classes in the same order")
    run = _Run(query_function(target), format, search, queries, seed, resume or _nothing_found(classes, format))
    interruption = None
    with tqdm(total=len(classes), initial=run.n_ended, desc="synthesis", unit="search", disable=None) as bar:
        try:
            while run.step(watch):
                bar.update(run.n_ended - bar.n)
        except Exception as error:
            if not run.n_ended:
                raise
            interruption = error
    if interruption:
        warnings.warn(
            f"the target failed ({type(interruption).__name__}: {interruption}) after {run.n_ended} of "
            f"{len(classes)} searches had ended; pass the result as resume to go on",
            stacklevel=2,
        )
    return run.result(interruption)


def _nothing_found(classes, format):
    n = len(classes)
    x = format.records(np.zeros((n, format.n_features), format.dtype))
    return Synthesis(x, classes, np.full(n, np.nan), np.zeros(n, np.int64), np.zeros(n, bool), 0)


class _Streams:
    """The random numbers of the searches that run, each from a stream of its own."""

    def __init__(self, n_draws):
        self.generators, self.next = [], np.empty(0, np.int64)
        self.draws = np.empty((0, n_draws))

    def open(self, seeds):
        """Add a stream for each seed."""
        self.generators += [np.random.default_rng(seed) for seed in seeds]
        n, n_draws = len(seeds), self.draws.shape[1]
        self.draws = np.concatenate([self.draws, np.empty((n, n_draws))])
        self.next = np.concatenate([self.next, np.full(n, n_draws)])

    def keep(self, rows):
        """Close all streams but some."""
        self.generators = [self.generators[row] for row in rows]
        self.draws, self.next = self.draws[rows], self.next[rows]

    def take(self, rows, counts):
        """Return the next `counts` numbers of some streams, one stream after the other, 1-D.

        What a stream has left is skipped where it is too little, whatever the other streams do.
        """
        n_draws = self.draws.shape[1]
        for row in rows[self.next[rows] + counts > n_draws]:
            self.generators[row].random(out=self.draws[row])
            self.next[row] = 0
        begin, end = rows * n_draws + self.next[rows], np.cumsum(counts)
        self.next[rows] += counts
        return self.draws.ravel()[np.repeat(begin - end + counts, counts) + np.arange(counts.sum())]


class _Run:
    """Algorithm 1 under way: an entry for each search that runs, named as in the paper (best: x*)."""

    def __init__(self, ask, format, search, queries, seed, earlier):
        self.ask, self.format, self.search, self.queries, self.seed = ask, format, search, queries, seed
        self.earlier, self.n_asked = earlier, 0
        self.found = {name: getattr(earlier, name).copy() for name in ("x", "confidence", "queries", "ended")}
        self.found["queries"][~earlier.ended] = 0
        self.waiting = np.flatnonzero(~earlier.ended)
        self.number = _number_in_class(earlier.classes)
        self.streams = _Streams(max(DRAWS, format.n_features))
        self.index = self.j = self.k = np.empty(0, np.int64)
        self.x = self.best = np.empty((0, format.n_features), format.dtype)
        self.best_confidence = np.empty(0)

    @property
    def n_ended(self):
        return int(np.count_nonzero(self.found["ended"]))

    def result(self, interruption):
        n_asked = self.earlier.n_asked + self.n_asked
        return Synthesis(classes=self.earlier.classes, n_asked=n_asked, interruption=interruption, **self.found)

    def step(self, watch):
        """Take every running search one query further; return whether there was one to take."""
        self._open()
        rows = np.arange(min(len(self.index), self._left()))
        if not len(rows):
            return False
        rows, confidence, accepted = self._decide(rows)
        if watch:
            watch(self.index[rows], self.format.records(self.x[rows]), confidence)
        queries = self.found["queries"]
        queries[self.index[rows]] += 1
        self._climb(rows, confidence)
        ended = accepted | (queries[self.index[rows]] >= self.search.iter_max)
        self._end(rows[ended], rows[accepted], confidence[accepted])
        self._propose(rows[~ended])
        if ended.any():
            self._keep(np.setdiff1d(np.arange(len(self.index)), rows[ended]))
        return True

    def _left(self):
        return len(self.index) if self.queries.budget is None else self.queries.budget - self.n_asked

    def _open(self):
        new, self.waiting = np.split(self.waiting, [self.queries.width - len(self.index)])
        if not len(new):
            return
        classes, numbers = self.earlier.classes[new].tolist(), self.number[new].tolist()
        self.streams.open([child(child(self.seed, c), i) for c, i in zip(classes, numbers, strict=True)])
        n, d = len(new), self.format.n_features
        u = self.streams.take(np.arange(len(self.index), len(self.index) + n), np.full(n, d))
        x = self.format.drawn(u.reshape(n, d))
        self.index = np.concatenate([self.index, new])
        self.x, self.best = np.concatenate([self.x, x]), np.concatenate([self.best, x])
        self.best_confidence = np.concatenate([self.best_confidence, np.zeros(n)])
        self.j = np.concatenate([self.j, np.zeros(n, np.int64)])
        self.k = np.concatenate([self.k, np.full(n, self.search.k_max)])

    def _keep(self, rows):
        for name in ("index", "j", "k", "x", "best", "best_confidence"):
            setattr(self, name, getattr(self, name)[rows])
        self.streams.keep(rows)

    def _ask(self, rows, x):
        """Return the probability of each search's class, and the largest of the other classes."""
        y = np.array(self.ask(self.format.records(x)), np.float64)
        self.n_asked += len(x)
        c = self.earlier.classes[self.index[rows]]
        if y.ndim != 2 or len(y) != len(x) or y.shape[1] <= max(1, c.max()) or not np.isfinite(y).all():
            raise ValueError(
                f"the target answered {len(x)} records with an array of shape {y.shape}; "
                f"it must be finite, one row a record and one column a class, among them class {c.max()}"
            )
        confidence = y[np.arange(len(c)), c]
        y[np.arange(len(c)), c] = -np.inf
        return confidence, y.max(axis=1)

    def _decide(self, rows):
        """Ask about proposals; return the rows that are decided, their confidence, and which are accepted."""
        confidence, other = self._ask(rows, self.x[rows])
        u, best = self.streams.take(rows, np.ones(len(rows), np.int64)), self.best_confidence[rows]
        conf_min = self.search.conf_min
        sampled = self._close(confidence, other) | self._close(confidence, u)
        ripe = self._close(confidence, conf_min) | ((confidence > conf_min) & sampled)
        unsure = np.flatnonzero(self._close(confidence, best) | ((confidence >= best) & ripe))
        if len(unsure) and 2 * len(unsure) > self._left() and self.queries.budget is not None:
            decided = np.delete(np.arange(len(rows)), unsure)
            rows, confidence, other, u, best = (a[decided] for a in (rows, confidence, other, u, best))
            unsure = unsure[:0]
        for i in unsure:
            alone = rows[i : i + 1]
            (confidence[i],), (other[i],) = self._ask(alone, self.x[alone])
            if best[i]:
                (best[i],), _ = self._ask(alone, self.best[alone])
        self.best_confidence[rows] = best
        return (
            rows,
            confidence,
            (confidence >= best) & (confidence > conf_min) & (confidence >= other) & (u < confidence),
        )

    def _close(self, a, b):
        return np.abs(a - b) < self.queries.tolerance * np.maximum(a, b)

    def _climb(self, rows, confidence):
        better = confidence >= self.best_confidence[rows]
        up, down = rows[better], rows[~better]
        self.best[up], self.best_confidence[up], self.j[up] = self.x[up], confidence[better], 0
        self.j[down] += 1
        stuck = down[self.j[down] > self.search.rej_max]
        self.k[stuck], self.j[stuck] = np.maximum(self.search.k_min, -(-self.k[stuck] // 2)), 0

    def _end(self, ended, accepted, confidence):
        self.found["ended"][self.index[ended]] = True
        self.found["x"][self.index[accepted]] = self.format.records(self.x[accepted])
        self.found["confidence"][self.index[accepted]] = confidence

    def _propose(self, rows):
        chosen = self._chosen(rows)
        u = self.streams.take(rows, self.k[rows]) if self.format.resampled else None
        self.x[rows] = self.format.changed(self.best[rows], chosen, u)

    def _chosen(self, rows):
        """Return k random features of each search, ndarray of bool: drawn with replacement until there are k."""
        d, k = self.format.n_features, self.k[rows]
        wanted = np.minimum(k, d - k)
        chosen = np.zeros((len(rows), d), bool)
        open_ = np.flatnonzero(wanted)
        missing = wanted[open_]
        while len(open_):
            u = self.streams.take(rows[open_], missing)
            chosen.ravel()[np.repeat(open_ * d, missing) + (u * d).astype(np.int64)] = True
            missing = wanted[open_] - np.count_nonzero(chosen[open_], axis=1)
            open_, missing = open_[missing > 0], missing[missing > 0]
        chosen[k > d - k] ^= True
        return chosen


def _number_in_class(classes):
    """Return how many entries of the same class come before each."""
    order = np.argsort(classes, kind="stable")
    first = np.searchsorted(classes[order], classes[order])
    number = np.empty(len(classes), np.int64)
    number[order] = np.arange(len(classes)) - first
    return number
