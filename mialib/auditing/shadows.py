"""Shadow models of an audit: trained on random halves of the records in and out, or on a pool of others."""

import time
from dataclasses import dataclass, replace

import numpy as np

from mialib.attack.answers import Answers
from mialib.base.seeding import child, children
from mialib.datasets.splits import shadow_sets
from mialib.submission.inputs import join_records
from mialib.submission.refits import Trained

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

    Half and rest are of two models each, with as many of each class, so that every record is in for half of the models;
    records of one person are in together.
    """
    if both.groups is not None:
        _, first, back = np.unique(both.groups.astype(str), return_index=True, return_inverse=True)

    def draw(seed):
        rng, made = np.random.default_rng(seed), []
        for _ in range((settings.n_shadow + 1) // 2):
            side = _sides(labels, rng) if both.groups is None else _sides(labels[first], rng)[back]
            made += [np.flatnonzero(side), np.flatnonzero(~side)]
        few = min(map(len, made))
        return [(rng.permutation(rows)[:few], ()) for rows in made[: settings.n_shadow]]

    return _train(HALVES, refit, both, labels, classes, draw, len(labels), settings, 5)


def _sides(labels, rng):
    """Return a random half of some labels, as many of each class as can be, ndarray of bool."""
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    side = np.empty(len(order), bool)
    side[order] = (np.arange(len(order)) + rng.integers(2)) % 2 == 0
    return side


def pool_size(settings, n_in, groups, n_pool):
    """Return how many records of a pool each shadow model is trained on (int), as many as the `n_in` at most.

    Half of the pool has room for them, and for the rest of a person's whose records cannot be divided.
    """
    largest = 1 if groups is None else np.unique(groups.astype(str), return_counts=True)[1].max()
    return settings.size or max(1, min(n_in, (n_pool + 1 - largest) // 2))


def train_pool(refit, both, pool, labels, classes, size, settings):
    """Return `Shadows` trained on a pool, as the paper's attacker does (§V-C); they know none of the target's records.

    `labels` are the numbers of the classes, of the records in and out and then of the pool.
    """
    records = join_records(both, pool)
    persons = None if records.groups is None else np.unique(records.groups.astype(str), return_inverse=True)[1]

    def draw(seed):
        drawn = shadow_sets(len(both) + np.arange(len(pool)), settings.n_shadow, size, seed, groups=persons)
        return [(in_, (*in_, *out)) for in_, out in zip(drawn.in_, drawn.out, strict=True)]

    return _train(POOL, refit, records, labels, classes, draw, len(both), settings, 6)


def train_on_own(remarks, refit, both, labels, classes, settings):
    """Return shadow models of the records in and out, in a list; none, and a remark, where these are too few for it."""
    if len(np.unique(labels)) < 2:
        remarks.append("Records of a single class can train no shadow models.")
        return []
    try:
        return [train_halves(refit, both, labels, classes, settings)]
    except ValueError as error:
        if isinstance(refit, Trained):
            raise
        remarks.append(f"No shadow models could be trained on halves of the records in and out ({error}).")
        return []


def _train(source, refit, records, labels, classes, draw, n_own, settings, stream):
    """Train shadow models from each seed, and ask them about the target's records, the first `n_own`.

    `draw` returns for each model of a seed the rows that it is trained on, and those besides the target's that it is
    asked about: the former, and as many others. Where there are none, the attack learns from the target's records.
    Without `classes`, labels and answers are values.
    """
    vectors, in_, learned, repetition, seconds = [], [], [], [], 0.0
    n_seeds, seed_number, own = settings.seeds or 1, 0, np.arange(n_own)
    while seed_number < n_seeds:
        seed = child(child(settings.seed, stream), seed_number)
        rows, more = zip(*draw(child(seed, 0)), strict=True)
        if classes is not None and min(len(np.unique(labels[of])) for of in rows) < 2:
            raise ValueError(
                f"of the records {'of the pool' if source == POOL else source} some shadow model gets a single class; "
                "a classifier needs at least 2"
            )
        started = time.perf_counter()
        asked = [np.concatenate([own, of]).astype(np.int64) for of in more]
        found = refit.answers(records, classes, rows, asked, children(child(seed, 1), len(rows)))
        seconds += time.perf_counter() - started
        if settings.seeds is None and seed_number == 0 and seconds / len(rows) < QUICK:
            n_seeds = 3
        vectors.append(found[:, :n_own])
        in_.append(np.stack([np.isin(own, of) for of in rows]))
        repetition += [seed_number] * len(rows)
        from_ = n_own if len(more[0]) else 0
        learn = np.concatenate([of[from_:] for of in asked])
        member = np.concatenate([np.isin(of[from_:], trained_on) for of, trained_on in zip(asked, rows, strict=True)])
        answers = Answers(labels[learn], found[:, from_:].reshape(len(learn), -1), member)
        learned.append(_some(answers, child(seed, 2)))
        seed_number += 1
    return Shadows(
        source,
        f"{settings.n_shadow} {refit}" + (f", from each of {n_seeds} seeds" if n_seeds > 1 else ""),
        refit.known,
        learned,
        np.concatenate(vectors),
        np.concatenate(in_),
        np.array(repetition),
        seconds,
    )


def _some(answers, seed):
    n, most = len(answers.member), MOST * answers.vectors.shape[1]
    if n <= most:
        return answers
    return answers.rows(np.sort(np.random.default_rng(seed).choice(n, most, replace=False)))
