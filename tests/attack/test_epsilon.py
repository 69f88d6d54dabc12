import math

import numpy as np
import pytest
from scipy.stats import binom

from mialib.attack.epsilon import canary_epsilon, held_out_epsilon, one_run_epsilon, one_run_p_value


def responses(epsilon, n, rng):
    """Return fair coins, and what randomised response says of each: ε-private, and nothing that is tells more."""
    member = rng.random(n) < 0.5
    truth = rng.random(n) < math.exp(epsilon) / (1 + math.exp(epsilon))
    return member, np.where(truth, member, ~member)


def test_without_delta_it_is_the_tail_of_a_binomial():
    for epsilon, n, right in ((0.0, 20, 15), (1.0, 100, 80), (3.0, 40, 40)):
        tail = sum(math.comb(n, k) * math.exp(epsilon * k) / (1 + math.exp(epsilon)) ** n for k in range(right, n + 1))
        assert one_run_p_value(epsilon, n, n, right) == pytest.approx(tail, rel=1e-6)


def test_delta_adds_what_the_theorem_says():
    """Theorem 5.2: the largest mean of i probabilities just below the number of right guesses, times 2 m δ."""
    epsilon, m, r, v, delta = 1.0, 500, 60, 50, 1e-4
    share = math.exp(epsilon) / (1 + math.exp(epsilon))
    most = max(sum(binom.pmf(v - j, r, share) for j in range(1, i + 1)) / i for i in range(1, v + 1))
    expected = binom.sf(v - 1, r, share) + 2 * m * delta * most
    assert one_run_p_value(epsilon, m, r, v, delta) == pytest.approx(expected)
    assert one_run_epsilon(m, r, v, delta) < one_run_epsilon(m, r, v)


@pytest.mark.parametrize("epsilon", [0.0, 1.0, 3.0])
def test_randomised_response_is_bounded_below_and_closely(epsilon):
    """Of 200 runs at most 5 % and their error say too much; with 5,000 coins the bound is near the truth."""
    rng, found = np.random.default_rng(3), []
    for _ in range(200):
        member, said = responses(epsilon, 5000, rng)
        found.append(one_run_epsilon(5000, 5000, int(np.count_nonzero(said == member))))
    assert np.mean(np.array(found) > epsilon) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 200)
    assert epsilon - 0.25 <= np.median(found) <= epsilon


@pytest.mark.parametrize("epsilon", [0.0, 1.0])
def test_a_threshold_chosen_on_one_half_and_judged_on_the_other_says_no_more_than_is_true(epsilon):
    rng, found = np.random.default_rng(4), []
    for _ in range(100):
        member, said = responses(epsilon, 800, rng)
        scores = {"noise": rng.normal(size=800), "answer": said + rng.normal(0, 0.01, 800)}
        found.append(held_out_epsilon(member, scores, np.arange(800) % 2)[0])
    assert np.mean(np.array(found) > epsilon) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)
    if epsilon:
        assert np.median(found) > 0.4


def test_canaries_that_are_known_prove_much_and_noise_proves_nothing(rng):
    member = rng.random(400) < 0.5
    assert canary_epsilon(member, member + rng.normal(0, 0.01, 400)) > 3
    none = [canary_epsilon(rng.random(400) < 0.5, rng.normal(size=400)) for _ in range(100)]
    assert np.mean(np.array(none) > 0) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 100)


def test_the_luckiest_of_many_scores_proves_nothing_where_there_is_nothing():
    """Notices the fault of a bound that is judged on the records by which attack and threshold were chosen."""
    rng, found = np.random.default_rng(8), []
    for _ in range(40):
        member, scores = rng.random(400) < 0.5, {str(i): rng.normal(size=400) for i in range(12)}
        found.append(held_out_epsilon(member, scores, np.arange(400) % 2)[0])
    assert np.mean(np.array(found) > 0) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 40)
