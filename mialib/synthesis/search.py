"""Algorithm 1 for many searches at once (§V-C): each has a slot, a row of every array, and its own random stream."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mialib.base.seeding import child
from mialib.base.validate import check_integer

DRAWS = 1024  # random numbers that a search fetches from its stream at once


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
        If a number is out of its range.
    """

    k_max: int = 128
    k_min: int = 4
    rej_max: int = 10
    conf_min: float = 0.2
    iter_max: int = 1000

    def __post_init__(self):
        check_integer("k_min", self.k_min, 1)
        check_integer("k_max", self.k_max, self.k_min)
        check_integer("rej_max", self.rej_max, 0)
        check_integer("iter_max", self.iter_max, 1)
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
        Records that the target may be asked about in all, in one call.
    n_jobs : int
        Threads, as for joblib, that ask the target each about its part of the searches; torch gets one thread in each.
        A watched run, or one on a budget, takes one.
    tolerance : float
        Relative difference up to which answers are not told apart. A model's floats differ in their last bits with
        what else is in the batch, so a decision that hangs on less is made on answers to queries of one record. 0 for
        an endpoint that always answers a record the same, above all one that rounds, where equal answers are common.
    """

    width: int = 2048
    budget: int | None = None
    n_jobs: int = 1
    tolerance: float = 1e-4

    def __post_init__(self):
        check_integer("width", self.width, 1)
        check_integer("budget", self.budget or 0, 0)
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance is {self.tolerance}; it must be at least 0 and below 1")


class Streams:
    """Random numbers for searches, each from a stream of its own, so that none depends on what runs beside it.

    `n_draws` of a stream are fetched at once: a call of each generator at each query took twice the time in all.
    """

    def __init__(self, n_slots, n_draws):
        self._generators, self._next = [None] * n_slots, np.full(n_slots, n_draws)
        self._draws = np.empty((n_slots, n_draws))

    def open(self, slots, seeds):
        """Start a new stream in each of some slots."""
        for slot, seed in zip(slots, seeds, strict=True):
            self._generators[slot] = np.random.default_rng(seed)
        self._next[slots] = self._draws.shape[1]

    def take(self, slots, counts):
        """Return the next `counts` numbers, uniform in 0..1, of each slot, one slot after the other, 1-D.

        What a stream has left is skipped where it is too little: that hangs on its own past alone.
        """
        n_draws = self._draws.shape[1]
        for slot in slots[self._next[slots] + counts > n_draws]:
            self._generators[slot].random(out=self._draws[slot])
            self._next[slot] = 0
        begin, end = slots * n_draws + self._next[slots], np.cumsum(counts)
        self._next[slots] += counts
        at = np.repeat(begin - end + counts, counts)
        at += np.arange(len(at))
        return self._draws.ravel().take(at)


class HillClimb:
    """Searches under way, their state named as in Algorithm 1 (`best` is x*, `best_confidence` y*_c).

    `todo` (ndarray of int) are the searches to run, `width` of them together; `n_asked` counts the records that the
    target was asked about. All threads of a call write into the same `found`, a `Synthesis`, each for its own searches.
    """

    def __init__(self, ask, found, todo, width, format, search, queries, seed):
        self.ask, self.found, self.format, self.search, self.queries = ask, found, format, search, queries
        self.n_asked, self._waiting = 0, todo
        self._class_seed = {c: child(seed, c) for c in np.unique(found.classes).tolist()}
        self._number_in_class = pd.Series(found.classes).groupby(found.classes).cumcount().tolist()
        n_slots, d = min(width, len(todo)), format.n_features
        self._rows = found.x.reshape(-1, d)
        self.streams = Streams(n_slots, max(DRAWS, d))
        self.index = np.full(n_slots, -1)
        self.x, self.best = np.empty((2, n_slots, d), format.dtype)
        self.best_confidence, self.j, self.k = np.empty(n_slots), np.empty(n_slots, int), np.empty(n_slots, int)

    def step(self, watch=None):
        """Take all running searches one query further, unless the target fails; return whether there were any."""
        self._open()
        slots = np.flatnonzero(self.index >= 0)[: self._left()]
        if not len(slots):
            return False
        slots, confidence, accepted = self._decide(slots)
        found, search = self.found, self.index[slots]
        if watch:
            watch(search, self.format.records(self.x[slots]), confidence)
        found.queries[search] += 1
        better = confidence >= self.best_confidence[slots]
        up, down = slots[better], slots[~better]
        self.best[up], self.best_confidence[up], self.j[up] = self.x[up], confidence[better], 0
        self.j[down] += 1
        stuck = down[self.j[down] > self.search.rej_max]
        self.k[stuck], self.j[stuck] = np.maximum(self.search.k_min, -(-self.k[stuck] // 2)), 0
        self._rows[search[accepted]] = self.x[slots[accepted]]
        found.confidence[search[accepted]] = confidence[accepted]
        ended = accepted | (found.queries[search] >= self.search.iter_max)
        found.ended[search[ended]] = True
        self.index[slots[ended]] = -1
        slots = slots[~ended]
        chosen = self._chosen(slots)
        u = self.streams.take(slots, self.k[slots]) if self.format.resampled else None
        self.x[slots] = self.format.changed(self.best[slots], chosen, u)
        return True

    def _left(self):
        return None if self.queries.budget is None else self.queries.budget - self.n_asked

    def _open(self):
        slots = np.flatnonzero(self.index < 0)[: len(self._waiting)]
        if not len(slots):
            return
        new, self._waiting = self._waiting[: len(slots)], self._waiting[len(slots) :]
        seeds = [child(self._class_seed[self.found.classes[i]], self._number_in_class[i]) for i in new.tolist()]
        self.streams.open(slots, seeds)
        d = self.format.n_features
        self.x[slots] = self.format.drawn(self.streams.take(slots, np.full(len(slots), d)).reshape(-1, d))
        self.index[slots], self.best_confidence[slots], self.j[slots], self.k[slots] = new, 0, 0, self.search.k_max

    def _ask(self, slots, x):
        """Return the probability of each search's class, and the largest other one where the first exceeds conf_min."""
        y, c = np.asarray(self.ask(self.format.records(x))), self.found.classes[self.index[slots]]
        self.n_asked += len(x)
        if y.ndim != 2 or len(y) != len(x) or y.shape[1] <= max(1, c.max()) or not np.isfinite(y).all():
            raise ValueError(
                f"the target answered {len(x)} records with an array of shape {y.shape}; "
                f"it must be finite, one row per record and one column per class, among them class {c.max()}"
            )
        confidence, other = y[np.arange(len(c)), c].astype(np.float64), np.zeros(len(c))
        ripe = np.flatnonzero(confidence > self.search.conf_min * (1 - self.queries.tolerance))
        others = y[ripe].astype(np.float64)
        others[np.arange(len(ripe)), c[ripe]] = -np.inf
        other[ripe] = others.max(axis=1)
        return confidence, other

    def _decide(self, slots):
        """Ask about proposals; return the slots that are decided, their confidence, and which are accepted."""
        confidence, other = self._ask(slots, self.x[slots])
        u, best = self.streams.take(slots, np.ones(len(slots), int)), self.best_confidence[slots]
        unsure = np.flatnonzero(self._unsure(confidence, best, other, u))
        if self._left() is not None and 2 * len(unsure) > self._left():
            decided = np.delete(np.arange(len(slots)), unsure)
            slots, confidence, other, u, best = (a[decided] for a in (slots, confidence, other, u, best))
            unsure = unsure[:0]
        for i in unsure:
            alone = slots[i : i + 1]
            (confidence[i],), (other[i],) = self._ask(alone, self.x[alone])
            if best[i]:
                (best[i],), _ = self._ask(alone, self.best[alone])
        self.best_confidence[slots] = best
        certain = (confidence > self.search.conf_min) & (confidence >= other)
        return slots, confidence, (confidence >= best) & certain & (u < confidence)

    def _unsure(self, confidence, best, other, u):
        """Return where a decision hangs on less than the tolerance (ndarray of bool)."""

        def close(a, b):
            return np.abs(a - b) < self.queries.tolerance * np.maximum(a, b)

        sampled = (confidence > self.search.conf_min) & (close(confidence, other) | close(confidence, u))
        return close(confidence, best) | ((confidence >= best) & (close(confidence, self.search.conf_min) | sampled))

    def _chosen(self, slots):
        """Return k random features of each search, ndarray of bool: drawn with replacement until there are k."""
        d, k = self.format.n_features, self.k[slots]
        wanted = np.minimum(k, d - k)
        chosen = np.zeros((len(slots), d), bool)
        open_ = np.flatnonzero(wanted)
        missing = wanted[open_]
        while len(open_):
            at = (self.streams.take(slots[open_], missing) * d).astype(np.int64)
            # Flat positions and a small dtype for counts: a seventh of a whole query's time.
            chosen.ravel()[at + np.repeat(open_ * d, missing)] = True
            missing = wanted[open_] - chosen[open_].sum(axis=1, dtype=np.min_scalar_type(d))
            open_, missing = open_[missing > 0], missing[missing > 0]
        chosen[k > d - k] ^= True
        return chosen
