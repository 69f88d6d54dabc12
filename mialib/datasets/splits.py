"""Who is a member of what: the target's records, and the pool the shadows draw from.

The target's training records (in), its held-out records (out) and the shadows' pool never share a record, nor a group
(such as a patient's stays); the sets of different shadow models may overlap each other (§V-C, §VI-D).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mialib.base.seeding import children
from mialib.base.validate import check_integer


def _assert_apart(groups=None, **sets):
    """Assert that no set lists a record twice, and no two share a record or, where there are groups, a group."""
    for name, rows in sets.items():
        if len(np.unique(rows)) != len(rows):
            raise ValueError(f"{name} lists a record twice; each record may stand in it once")
    for (first, a), (second, b) in combinations(sets.items(), 2):
        if n_shared := len(np.intersect1d(a, b)):
            raise ValueError(f"{first} and {second} share {n_shared} records; membership sets must be disjoint")
        if groups is not None and (n_shared := len(np.intersect1d(groups[a], groups[b]))):
            raise ValueError(f"{first} and {second} share {n_shared} groups; a group must lie in one set")


@dataclass(frozen=True, eq=False)
class Split:
    """The target's members, its non-members, and the pool left to the shadow models.

    Parameters
    ----------
    target_in, target_out, pool : ndarray of int64, 1-D
        Row numbers into one data set; a ValueError if two of the sets share a record or a group.
    groups : ndarray of int, shape (records,), optional
        Group of each record of the data set.
    """

    target_in: np.ndarray
    target_out: np.ndarray
    pool: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self):
        _assert_apart(self.groups, target_in=self.target_in, target_out=self.target_out, pool=self.pool)


@dataclass(frozen=True, eq=False)
class ShadowSets:
    """What each of k shadow models is trained on, and what it is not, drawn from a pool; groups as in `Split`.

    Row `i` of `in_` and `out`, ndarrays of int64 of shape (k, n), belongs to shadow model `i`. A ValueError if its two
    sets share a record or a group, or a record is not in the pool.
    """

    in_: np.ndarray
    out: np.ndarray
    pool: np.ndarray
    groups: np.ndarray | None = None

    def __post_init__(self):
        for i, (in_, out) in enumerate(zip(self.in_, self.out, strict=True)):
            _assert_apart(self.groups, **{f"in set of shadow {i}": in_, f"out set of shadow {i}": out})
        if n_foreign := len(np.setdiff1d(np.concatenate([self.in_, self.out], axis=None), self.pool)):
            raise ValueError(f"{n_foreign} shadow records are not in the pool; shadows may draw from it alone")


def split(n_records, size, seed, groups=None):
    """Draw the target's members and non-members, `size` each, out of `n_records`; return the `Split` (§VI-D).

    What remains is the shadows' pool. The shadows need as many again twice, so a ValueError says if `size` is larger
    than a quarter of the data. Records of one of the `groups`, ints of shape (n_records,), come into one of the three
    sets, or into none.
    """
    check_integer("size", size, 1)
    if 4 * size > n_records:
        raise ValueError(
            f"size is {size}, but {n_records} records carry at most {n_records // 4}: "
            "the target takes size records in and size out, each shadow model as many from the rest"
        )
    if groups is not None:
        return Split(*_cut_groups(np.arange(n_records), (size, size), seed, groups), groups)
    order = np.random.default_rng(seed).permutation(n_records)
    return Split(np.sort(order[:size]), np.sort(order[size : 2 * size]), np.sort(order[2 * size :]))


def _cut_groups(records, sizes, seed, groups):
    """Return random sets of these sizes and the rest; a group that a cut goes through lies before it only."""
    present, group = np.unique(groups[records], return_inverse=True)
    rank = np.random.default_rng(seed).permutation(len(present))[group]
    order = np.argsort(rank, kind="stable")
    records, rank = records[order], rank[order]
    sets, start = [], 0
    for size in sizes:
        end = start + size
        if end > len(records):
            raise ValueError(
                f"{len(records)} records in {len(present)} groups do not carry sets of {' and '.join(map(str, sizes))} "
                "that share no group; take a smaller size"
            )
        sets.append(np.sort(records[start:end]))
        start = np.searchsorted(rank, rank[end - 1], side="right")
    return [*sets, np.sort(records[start:])]


def _sample(records, sizes, seed, groups):
    """Return disjoint random sets of these sizes, a list."""
    if groups is not None:
        return _cut_groups(records, sizes, seed, groups)[:-1]
    drawn = np.random.default_rng(seed).choice(records, sum(sizes), replace=False)
    return np.split(drawn, np.cumsum(sizes)[:-1])


@dataclass(frozen=True)
class OwnOut:
    """Each shadow model draws its own in and out records from the pool (the paper, §V-C)."""

    def draw(self, pool, n_shadow, size, seed, groups=None):
        """Return the in sets and the out sets, two lists of `n_shadow` arrays of `size` rows."""
        drawn = [_sample(pool, (size, size), s, groups) for s in children(seed, n_shadow)]
        return [in_ for in_, _ in drawn], [out for _, out in drawn]

    def __str__(self):
        return "own"


@dataclass(frozen=True)
class SharedOut:
    """All shadow models have the same out records, and none of them trains on these: what the talk asks about."""

    def draw(self, pool, n_shadow, size, seed, groups=None):
        """Return the in sets and the out sets, as `OwnOut` does."""
        in_seed, out_seed = children(seed, 2)
        (out,) = _sample(pool, (size,), out_seed, groups)
        rest = np.setdiff1d(pool, out) if groups is None else pool[~np.isin(groups[pool], groups[out])]
        return [_sample(rest, (size,), s, groups)[0] for s in children(in_seed, n_shadow)], [out] * n_shadow

    def __str__(self):
        return "shared"


def shadow_sets(pool, n_shadow, size, seed, out=OwnOut(), groups=None):
    """Draw the training and the out records of every shadow model, `size` each: `ShadowSets`.

    Shadow `i` gets the same records whatever `n_shadow` (k in the paper) is, so a run with more shadow models continues
    one with fewer. A ValueError if `n_shadow` or `size` is not positive, or the pool is smaller than ``2 * size``.
    """
    check_integer("n_shadow", n_shadow, 1)
    check_integer("size", size, 1)
    if 2 * size > len(pool):
        raise ValueError(
            f"a shadow model of {size} records in and {size} out needs a pool of {2 * size}; it has {len(pool)}"
        )
    in_, held_out = out.draw(pool, n_shadow, size, seed, groups)
    return ShadowSets(np.sort(in_, axis=1), np.sort(held_out, axis=1), pool, groups)
