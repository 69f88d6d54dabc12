"""Shadow models of an audit: trained on random halves of the records in and out, or on a pool of others."""

import time
from dataclasses import dataclass, replace

import numpy as np

from mialib.attack.answers import Answers
from mialib.auditing.inputs import join_records
from mialib.base.seeding import child, children
from mialib.datasets.splits import shadow_sets

HALVES, POOL = "in and out", "pool"
"""Where shadow models have their records from."""

MOST = 2_000
"""Answers for each class from which an attack learns; of more, this many are drawn."""

QUICK = 10.0
"""Seconds that a refit may take for everything to be done from three seeds."""


@dataclass(frozen=True, eq=False)
class Shadows:
    """What shadow models of one source answer.

    Parameters
    ----------
    source : {"in and out", "pool", "as saved"}
    kind : str
        How they were trained.
    own : bool
        Whether they are of the audited model's own kind.
    learned : list of Answers
        What the paper's attack learns from, an entry for each seed.
    vectors : ndarray of float32, shape (k, n, classes), optional
        What all of them say about the target's records.
    in_ : ndarray of bool, shape (k, n), optional
        Which of them was trained on which of these.
    repetition : ndarray of int, shape (k,), optional
        Which of the seeds each model is of.
    size : int, optional
        Records that each was trained on.
    seconds : float
        That it took to train them and to ask them.
    """

    source: str
    kind: str
    own: bool
    learned: list
    vectors: np.ndarray | None = None
    in_: np.ndarray | None = None
    repetition: np.ndarray | None = None
    size: int | None = None
    seconds: float = 0.0

    def behind(self, filter_):
        """Return the same models behind an output filter."""
        learned = [replace(answers, vectors=filter_(answers.vectors)) for answers in self.learned]
        vectors = None if self.vectors is None else np.stack([filter_(of_model) for of_model in self.vectors])
        return replace(self, learned=learned, vectors=vectors)

    @property
    def accuracies(self):
        """Accuracy of the shadow models on records in, and on records out (tuple of float)."""
        right = np.concatenate([answers.right for answers in self.learned])
        member = np.concatenate([answers.member for answers in self.learned])
        return float(right[member].mean()), float(right[~member].mean())


def train_halves(refit, both, labels, classes, settings):
    """Return `Shadows` trained on random halves of the records in and out, whatever is in and whatever out.

    Half and rest are of two models each, with as many of each class, so that every record is in for half of the models.
    """
    labels, n_pairs = np.asarray(labels), (settings.n_shadow + 1) // 2

    def sets(seed):
        rng, made = np.random.default_rng(seed), []
        for _ in range(n_pairs):
            order = rng.permutation(len(labels))
            order = order[np.argsort(labels[order], kind="stable")]
            side = (np.arange(len(order)) + rng.integers(2)) % 2 == 0
            made += [np.sort(order[side]), np.sort(order[~side])]
        few = min(map(len, made))
        return [rng.permutation(rows)[:few] for rows in made[: max(2, settings.n_shadow)]]

    everything = np.arange(len(labels))

    def about(in_):
        return everything

    return _train(HALVES, refit, both, labels, classes, sets, about, len(labels), 0, settings, 5)


def train_pool(refit, both, pool, labels, classes, size, settings):
    """Return `Shadows` trained on a pool, as the paper's attacker does (§V-C); they know none of the target's records.

    `labels` are the numbers of the classes, of the records in and out and then of the pool.
    """
    n_own, everything = len(both), join_records(both, pool)
    outside = {}

    def sets(seed):
        drawn = shadow_sets(n_own + np.arange(len(pool)), settings.n_shadow, size, seed)
        for in_, out in zip(drawn.in_, drawn.out, strict=True):
            outside[tuple(in_)] = out
        return list(drawn.in_)

    def about(in_):
        return np.concatenate([np.arange(n_own), in_, outside[tuple(in_)]])

    return _train(POOL, refit, everything, labels, classes, sets, about, n_own, 2 * size, settings, 6)


def _train(source, refit, records, labels, classes, sets, about, n_own, n_more, settings, stream):
    """Train shadow models from each seed and ask them; the first `n_own` rows asked are the target's records."""
    vectors, in_, learned, repetition, seconds = [], [], [], [], 0.0
    n_seeds = settings.seeds or 1
    i = 0
    while i < n_seeds:
        seed = child(child(settings.seed, stream), i)
        rows = sets(child(seed, 0))
        if min(len(np.unique(labels[of])) for of in rows) < 2:
            raise ValueError(
                f"of the records {'of the pool' if source == POOL else source} some shadow model gets a single class; "
                "a classifier needs at least 2"
            )
        asked, started = [about(of) for of in rows], time.perf_counter()
        found = refit.answers(records, classes, rows, asked, children(child(seed, 1), len(rows)))
        seconds += time.perf_counter() - started
        if settings.seeds is None and i == 0 and seconds / len(rows) < QUICK:
            n_seeds = 3
        own = np.stack([np.isin(np.arange(n_own), of) for of in rows])
        vectors.append(found[:, :n_own])
        in_.append(own)
        repetition += [i] * len(rows)
        if n_more:
            half = n_more // 2
            of_models = np.concatenate([of[n_own:] for of in asked])
            member = np.tile(np.repeat([True, False], half), len(rows))
            answers = Answers(labels[of_models], found[:, n_own:].reshape(len(of_models), -1), member)
        else:
            answers = Answers(np.tile(labels, len(rows)), found.reshape(-1, found.shape[2]), own.ravel())
        learned.append(_some(answers, child(seed, 2)))
        i += 1
    return Shadows(
        source,
        f"{settings.n_shadow} {refit}" + (f", from each of {n_seeds} seeds" if n_seeds > 1 else ""),
        refit.known,
        learned,
        np.concatenate(vectors),
        np.concatenate(in_),
        np.array(repetition),
        len(rows[0]),
        seconds,
    )


def _some(answers, seed):
    n, most = len(answers.member), MOST * answers.vectors.shape[1]
    if n <= most:
        return answers
    return answers.rows(np.sort(np.random.default_rng(seed).choice(n, most, replace=False)))
