"""Streams of random numbers that no two choices share."""

from mialib.base.seeding import EXPERIMENT, child, children, stream


def test_each_choice_of_an_experiment_has_a_stream_of_its_own():
    """Notices the fault of a split that hangs on the same random numbers as the models."""
    found = {tuple(stream(seed, name).generate_state(4)) for seed in (0, 1) for name in EXPERIMENT}
    assert len(found) == 2 * len(EXPERIMENT)


def test_children_of_children_are_no_others_children():
    """Notices the fault of a first shadow model with the seed of the split."""
    first, second = children(3, 2)
    states = [tuple(s.generate_state(4)) for s in (first, second, *children(first, 2), *children(second, 2))]
    assert len(set(states)) == 6
    assert tuple(child(first, 0).generate_state(4)) == states[2]
