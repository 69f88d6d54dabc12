import numpy as np
import pandas as pd
import pytest

from mialib import metrics
from mialib.attack.answers import Answers, Inference
from mialib.attack.shadow import halves
from mialib.auditing.panel import ATTACKS, GAP, HALF, WITHOUT_SHADOWS, Case, Said, as_columns
from mialib.auditing.shadows import HALVES, POOL, Shadows


def answers(rng, n=200, known=2.0):
    """Return answers in three classes, n in and n out; those about members are surer."""
    labels, member = rng.integers(0, 3, 2 * n), np.arange(2 * n) < n
    logits = rng.normal(size=(2 * n, 3))
    logits[np.arange(2 * n), labels] += 1 + known * member
    vectors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Answers(labels, vectors.astype(np.float32), member)


def shadows(rng, target, source, k=8, own=True):
    """Return shadow models that know some of the target's records as it does, or none."""
    in_ = rng.random((k, len(target.member))) < (0.5 if source == HALVES else 0)
    in_[1::2] = ~in_[::2] if source == HALVES else False
    logits = rng.normal(size=(k, len(target.member), 3))
    logits[:, np.arange(len(target.member)), target.labels] += 1 + 2.0 * in_
    vectors = (np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)).astype(np.float32)
    learned = [answers(np.random.default_rng(i), 100) for i in range(2)]
    return Shadows(source, "toys", own, learned, vectors, in_, np.repeat([0, 1], k // 2))


@pytest.fixture
def case(rng):
    target = answers(rng)
    sources = (shadows(rng, target, HALVES), shadows(rng, target, POOL))
    return Case(target, halves(target, 0), sources, rng.normal(size=(400, 4)))


def test_every_attack_is_tried_that_can_be(case):
    assert list(case.run()) == list(ATTACKS)
    alone = Case(case.target, case.half)
    assert list(alone.run()) == [name for name in WITHOUT_SHADOWS if name != "quantile regression"]
    saved = Shadows("as saved", "as saved", True, [answers(np.random.default_rng(1), 50)])
    assert list(Case(case.target, case.half, (saved,)).run())[-1] == "shadow attack"


def test_shadow_models_never_change_what_other_attacks_say(case):
    """Notices the fault of an audit in which a pool takes the place of what was learned without one."""
    alone, halves_only, both = (Case(case.target, case.half, case.shadows[:n], case.features).run() for n in (0, 1, 2))
    for fewer, more in ((alone, halves_only), (halves_only, both)):
        assert set(fewer) < set(more)
        for name, said in fewer.items():
            np.testing.assert_array_equal(said.inference.inferred, more[name].inference.inferred)
            assert str(said.accuracy(0.998)) == str(more[name].accuracy(0.998))


def test_membership_in_one_half_never_decides_a_score_in_it(case):
    """Notices the fault of scores or thresholds learned from the records that they judge.

    With membership in a half turned round, that half's own scores and decisions stay; those of attacks that learn
    nothing from membership stay everywhere.
    """
    turned = case.target.member ^ (case.half == 0)
    other = Case(Answers(case.target.labels, case.target.vectors, turned), case.half, case.shadows, case.features, 0)
    mine, theirs = case.run(), other.run()
    here, there = case.half == 0, case.half == 1
    for name, said in mine.items():
        a, b = said.inference, theirs[name].inference
        if said.half is None:
            np.testing.assert_array_equal(a.score, b.score)
        else:
            np.testing.assert_array_equal(a.score[here], b.score[here], err_msg=name)
            assert (a.score[there] != b.score[there]).any()
        if said.decided is not None:
            np.testing.assert_array_equal(a.inferred[here], b.inferred[here], err_msg=name)


def test_what_two_halves_say_is_no_surer_than_either():
    """Both halves succeed or fail together: the interval of their mean is the mean of theirs, not narrower."""
    rng = np.random.default_rng(0)
    member, half = np.arange(400) < 200, np.arange(400) % 2
    score = rng.normal(size=400) + member
    said = Said(Inference(member, score, score > 0.5), half, half)
    parts = [metrics.roc_auc_widest(member[half == of], score[half == of]) for of in (0, 1)]
    found = said.auc()
    assert (found, found.low, found.high) == pytest.approx(tuple(np.mean([(e, e.low, e.high) for e in parts], axis=0)))
    whole = Said(Inference(member, score, score > 0.5)).auc()
    assert found.high - found.low > 1.2 * (whole.high - whole.low)


def test_learning_from_halves_leaves_chance_what_it_is():
    """Of 300 audits of answers that say nothing of membership, the half-learned attack exceeds its bound in few."""
    rng, above = np.random.default_rng(1), 0
    for _ in range(300):
        member, score = np.arange(80) < 40, rng.normal(size=80)
        half = np.arange(80) % 2
        # learns the direction in which the other half's members lie, the most that one number can teach
        signs = [np.sign(score[(half != of) & member].mean() - score[(half != of) & ~member].mean()) for of in (0, 1)]
        learned = score * np.where(half == 0, *signs)
        above += Said(Inference(member, learned, learned > 0), half, half).auc(0.9).low > 0.5
    assert above / 300 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_seeds_are_told_apart(case):
    said = case.run()
    for name in ATTACKS:
        between = said[name].between_seeds()
        if name in WITHOUT_SHADOWS:
            assert between is None
        else:
            assert len(said[name].per_seed) == 2
            assert between["AUC"].low <= between["AUC"] <= between["AUC"].high


def test_odds_are_clipped_by_the_smallest_doubt_of_any_model(case):
    assert case.least == pytest.approx(
        min(0.01, min(of.min() for of in (case.target.vectors, *(s.vectors for s in case.shadows))) / 2), rel=1e-3
    )
    forest = Answers(np.zeros(4, int), np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], np.float32), np.ones(4, bool))
    assert Case(forest, np.zeros(4, int)).least == 0.01
    odds = Case(forest, np.zeros(4, int)).odds(forest.vectors)
    np.testing.assert_allclose(odds, np.log([99, 9, 1, 1 / 99]), rtol=1e-5)


def test_the_gap_attack_and_the_half_learned_one_need_nothing(case):
    alone = Case(case.target, case.half).run((GAP, HALF))
    assert list(alone) == [GAP, HALF]
    assert alone[HALF].auc() > 0.7


def test_records_become_numbers():
    table = pd.DataFrame({"a": [1, np.nan], "b": ["x", "y"], "c": [True, False]})
    np.testing.assert_array_equal(as_columns(table), [[1, 0, 1], [0, 1, 0]])
    assert as_columns(np.zeros((3, 2, 2))).shape == (3, 4)
