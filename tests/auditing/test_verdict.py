from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mialib.attack import shadow
from mialib.attack.answers import Answers, Inference
from mialib.auditing.audit import Settings, audit, audit_saved
from mialib.auditing.findings import Findings
from mialib.auditing.panel import ATTACKS, Said
from mialib.auditing.verdict import FAMILY, LEAKS, LEVEL, NO_LEAK, QUANTITIES, UNDECIDED, bounds_of, decide
from mialib.metrics import Estimate
from mialib.submission.saved import SavedAnswers


def said(score, member):
    return Said(Inference(member, score, score > np.median(score)))


def verdict(shift, n, rng, material=0.55, groups=None):
    member = np.arange(2 * n) < n
    return decide({"loss": said(rng.normal(size=2 * n) + shift * member, member)}, groups or {}, material, n)


def test_each_end_has_its_share_of_the_error():
    """All ends that may show a leak, over attacks and quantities, fail with four fifths of 5 % together."""
    tests = len(ATTACKS) * len(QUANTITIES)
    assert tests * (1 - LEVEL) / 2 == pytest.approx(0.8 * FAMILY)
    rng = np.random.default_rng(0)
    member = np.arange(600) < 300
    bounds = bounds_of({"loss": said(rng.normal(size=600), member)}, 0.55)
    assert [bound.quantity for bound in bounds] == ["accuracy", "AUC", "TPR at 1 % FPR"]
    assert [bound.chance for bound in bounds] == [0.5, 0.5, 0.01]
    assert [bound.material for bound in bounds] == pytest.approx([0.55, 0.55, 0.11])


def test_the_three_verdicts(rng):
    assert verdict(2.0, 500, rng).outcome == LEAKS
    assert verdict(0.0, 4000, rng).outcome == NO_LEAK
    found = verdict(0.0, 50, rng)
    assert found.outcome == UNDECIDED
    assert found.needed > 200


def test_a_leak_of_few_records_is_found_where_few_are_falsely_accused(rng):
    """Forty of 2,000 members stand out: accuracy and AUC show nothing, the recall at 1 % false positives does."""
    member = np.arange(4000) < 2000
    score = rng.normal(size=4000)
    score[:60] += 8
    found = decide({"loss": said(score, member)}, {}, 0.55, 2000)
    assert found.outcome == LEAKS
    assert [bound.quantity for bound in found.bounds if bound.leaks] == ["TPR at 1 % FPR", "TPR at 0.1 % FPR"]


def test_a_leak_of_one_group_is_a_leak(rng):
    groups = {"a": Estimate(0.5, 0.4, 0.6), "b": Estimate(0.8, 0.6, 0.9)}
    found = verdict(0.0, 4000, rng, groups=groups)
    assert (found.outcome, found.groups) == (LEAKS, ["b"])


def test_what_is_material_is_the_users(rng):
    seed = np.random.default_rng(3)
    assert verdict(0.0, 600, np.random.default_rng(3), material=0.65).outcome == NO_LEAK
    assert verdict(0.0, 600, seed, material=0.52).outcome == UNDECIDED


def test_the_records_that_would_decide_do(rng):
    """With as many more records and the same spread the verdict is reached, in most of ten tries."""
    tries, decided = 0, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = verdict(0.25, 150, rng)
        if found.outcome == UNDECIDED and found.needed is not None and found.needed < 20_000:
            tries += 1
            decided += verdict(0.25, int(1.5 * found.needed), rng).outcome != UNDECIDED
    assert tries >= 5
    assert decided / tries > 0.5


def test_answers_that_say_nothing_are_said_to_leak_in_few_audits(monkeypatch):
    """Of 200 models that know nothing of membership at most 5 %, and their error, are said to leak."""
    monkeypatch.setattr(shadow, "ATTACK_RECIPE", replace(shadow.ATTACK_RECIPE, steps=60))  # nothing to learn
    rng, outcomes = np.random.default_rng(7), []
    for seed in range(200):
        vectors, labels = rng.dirichlet(np.ones(2), 60), rng.integers(0, 2, 60)
        saved = SavedAnswers(vectors, labels, rng.permutation(60) < 30, np.zeros(60, bool))
        found = Findings("noise", Answers(labels, vectors.astype(np.float32), saved.member), seed=seed)
        outcomes.append(found.verdict.outcome)
    assert outcomes.count(LEAKS) / 200 <= FAMILY + 3 * np.sqrt(FAMILY * (1 - FAMILY) / 200)
    assert NO_LEAK not in outcomes


def saved(rng, n=300, surer=0.0):
    labels, member = rng.integers(0, 3, 2 * n), np.arange(2 * n) < n
    logits = rng.normal(size=(2 * n, 3))
    logits[np.arange(2 * n), labels] += 1 + surer * member
    vectors = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return SavedAnswers(vectors, labels, member, np.zeros(2 * n, bool))


def test_fifty_records_in_which_nothing_is_found_are_no_reassurance(rng):
    found = audit_saved(saved(rng, 50), "fifty")
    assert found.verdict.outcome == UNDECIDED
    assert "is shown to do better than random guessing, and a leak above 55% is not ruled out" in found.sentence()
    assert "No leak" not in found.sentence()


def test_the_sentence_says_what_was_measured(rng):
    found = audit_saved(saved(rng, surer=2.0), "sure")
    bound = found.verdict.strongest
    assert found.sentence().startswith(f"Membership leaks: {bound.attack}, of 5 attacks, ")
    assert bound.found.low > bound.chance
    none = audit_saved(saved(rng, 6000), "none")
    assert none.verdict.outcome == NO_LEAK
    assert none.sentence().startswith(
        "No leak above 55% was found by attacks without shadow models of the model's own kind: "
    )


def test_sets_given_the_wrong_way_round_are_pointed_out(rng):
    one = saved(rng, 300, surer=2.0)
    turned = SavedAnswers(one.vectors, one.labels, ~one.member, one.shadow)
    assert "check which records are which" in audit_saved(turned, "turned").sentence()
    assert "check which" not in audit_saved(one, "straight").sentence()


@pytest.mark.parametrize("seed", range(3))
def test_more_shadow_models_or_a_pool_never_turn_a_leak_into_none(seed):
    """Whatever leaks without shadow models leaks with few, with many, and with those of a pool."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(900, 80)), rng.integers(0, 2, 900)
    model = LogisticRegression(C=100).fit(x[:300], y[:300])
    in_, out, pool = ((x[i : i + 300], y[i : i + 300]) for i in (0, 300, 600))
    plain = audit_saved(
        SavedAnswers(model.predict_proba(x[:600]), y[:600], np.arange(600) < 300, np.zeros(600, bool)), "alone"
    )
    outcomes = [plain.verdict.outcome]
    for n_shadow, more in ((2, None), (6, None), (2, pool), (6, pool)):
        found = audit(model, in_, out, more, Settings(n_shadow, seeds=1, seed=seed))
        outcomes.append(found.verdict.outcome)
        for bound in plain.verdict.bounds:
            if bound.leaks and bound.attack in ("gap attack", "loss", "confidence"):
                (same,) = (b for b in found.verdict.bounds if (b.attack, b.quantity) == (bound.attack, bound.quantity))
                assert same.leaks
    assert outcomes == [LEAKS] * 5
