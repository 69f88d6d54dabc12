import numpy as np
import pytest

from mialib.datasets.splits import OwnOut, ShadowSets, SharedOut, Split, shadow_sets, split


def test_split_covers_all_records_once():
    parts = split(100, 20, seed=4)
    assert len(parts.target_in) == len(parts.target_out) == 20
    everything = np.concatenate([parts.target_in, parts.target_out, parts.pool])
    np.testing.assert_array_equal(np.sort(everything), np.arange(100))


def test_split_follows_its_seed():
    np.testing.assert_array_equal(split(100, 20, 4).target_in, split(100, 20, 4).target_in)
    assert not np.array_equal(split(100, 20, 4).target_in, split(100, 20, 5).target_in)


@pytest.mark.parametrize("planted", ["target_in", "target_out"])
def test_a_planted_overlap_with_the_pool_is_an_error(planted):
    parts = split(100, 20, seed=4)
    pool = np.append(parts.pool, getattr(parts, planted)[:3])
    with pytest.raises(ValueError, match=f"{planted} and pool share 3 records"):
        Split(parts.target_in, parts.target_out, pool)


def test_a_record_listed_twice_is_an_error():
    with pytest.raises(ValueError, match="target_in lists a record twice"):
        Split(np.array([1, 1]), np.array([2]), np.array([3]))


@pytest.mark.parametrize("out", [OwnOut(), SharedOut()])
def test_shadow_sets_stay_in_the_pool_and_apart(out):
    pool = split(1000, 100, seed=4).pool
    sets = shadow_sets(pool, 6, 150, seed=9, out=out)
    assert sets.in_.shape == sets.out.shape == (6, 150)
    assert np.isin(sets.in_, pool).all()
    assert np.isin(sets.out, pool).all()
    for in_, held_out in zip(sets.in_, sets.out, strict=True):
        assert not np.intersect1d(in_, held_out).size
    assert not np.array_equal(sets.in_[0], sets.in_[1])


def test_shared_out_records_are_never_in():
    sets = shadow_sets(np.arange(500), 5, 100, seed=9, out=SharedOut())
    assert (sets.out == sets.out[0]).all()
    assert not np.intersect1d(sets.in_, sets.out).size


def test_own_out_records_may_be_in_for_another():
    sets = shadow_sets(np.arange(500), 5, 100, seed=9)
    assert np.intersect1d(sets.in_, sets.out).size


@pytest.mark.parametrize("out", [OwnOut(), SharedOut()])
def test_more_shadows_continue_fewer(out):
    few, many = (shadow_sets(np.arange(500), k, 100, seed=9, out=out) for k in (3, 8))
    np.testing.assert_array_equal(few.in_, many.in_[:3])
    np.testing.assert_array_equal(few.out, many.out[:3])


def test_shadow_records_from_outside_the_pool_are_an_error():
    with pytest.raises(ValueError, match="1 shadow records are not in the pool"):
        ShadowSets(np.array([[1, 2]]), np.array([[3, 99]]), np.arange(10))


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "size is 0; it must be a whole number of at least 1"),
        (-5, "size is -5"),
        (26, "100 records carry at most 25"),
    ],
)
def test_impossible_sizes_are_refused(size, message):
    with pytest.raises(ValueError, match=message):
        split(100, size, seed=0)


def test_impossible_shadows_are_refused():
    with pytest.raises(ValueError, match="n_shadow is 0"):
        shadow_sets(np.arange(10), 0, 2, seed=0)
    with pytest.raises(ValueError, match="needs a pool of 12; it has 10"):
        shadow_sets(np.arange(10), 1, 6, seed=0)


def groups_of(n_records):
    """Groups of one to five records, in no order."""
    rng = np.random.default_rng(2)
    return rng.permutation(np.repeat(np.arange(n_records), rng.integers(1, 6, n_records))[:n_records])


@pytest.mark.parametrize("out", [OwnOut(), SharedOut()])
def test_a_group_lies_on_one_side_only(out):
    groups = groups_of(1000)
    parts = split(1000, 150, seed=4, groups=groups)
    assert len(parts.target_in) == len(parts.target_out) == 150
    of = [set(groups[rows]) for rows in (parts.target_in, parts.target_out, parts.pool)]
    assert sum(map(len, of)) == len(set.union(*of))
    assert len(parts.pool) >= 1000 - 300 - 8  # two cuts, each through one group at most
    sets = shadow_sets(parts.pool, 6, 150, seed=9, out=out, groups=groups)
    assert sets.in_.shape == sets.out.shape == (6, 150)
    for in_, held_out in zip(sets.in_, sets.out, strict=True):
        assert not np.intersect1d(groups[in_], groups[held_out]).size
    assert not np.array_equal(sets.in_[0], sets.in_[1])
    few = shadow_sets(parts.pool, 3, 150, seed=9, out=out, groups=groups)
    np.testing.assert_array_equal(few.in_, sets.in_[:3])


def test_a_group_of_the_shared_out_records_is_never_in():
    """Notices the fault of a group that the cut goes through; four records of groups of three always cut one."""
    groups = np.repeat(np.arange(6), 3)
    for seed in range(20):
        sets = shadow_sets(np.arange(18), 4, 4, seed, SharedOut(), groups)
        assert not np.intersect1d(groups[sets.in_], groups[sets.out]).size


def test_a_planted_overlap_of_groups_is_an_error():
    groups = np.array([0, 0, 1, 2, 2, 3])
    with pytest.raises(ValueError, match="target_in and pool share 1 groups"):
        Split(np.array([0]), np.array([2]), np.array([1, 3, 4]), groups)
    with pytest.raises(ValueError, match="in set of shadow 0 and out set of shadow 0 share 1 groups"):
        ShadowSets(np.array([[3]]), np.array([[4]]), np.arange(6), groups)


def test_groups_too_large_for_the_sizes_are_refused():
    with pytest.raises(ValueError, match="8 records in 1 groups do not carry sets of 2 and 2"):
        split(8, 2, seed=0, groups=np.zeros(8, int))
