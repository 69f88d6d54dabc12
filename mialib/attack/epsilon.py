"""What an attack proves of differential privacy: a lower bound on ε from what it inferred correctly."""

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom

from mialib.platforms.private import epsilon_found

HIGHEST = 30.0
"""No bound on ε is searched above this; binomial tails of that size say nothing more."""


def one_run_p_value(epsilon, n_canaries, n_guesses, n_right, delta=0.0):
    """Return how unlikely so many right guesses are of a training that is (ε, δ) private.

    Steinke, Nasr and Jagielski (2023), Theorem 5.2.

    Parameters
    ----------
    epsilon, delta : float
        For one record added or removed.
    n_canaries : int
        Records that were in or out by a fair coin each, in a single training run.
    n_guesses : int
        Of how many of them membership was guessed, decided before.
    n_right : int
        How many guesses are right.

    Returns
    -------
    float
    """
    share = 1 / (1 + np.exp(-epsilon))
    wins = np.arange(1, n_right + 1)
    # sum over the i most likely shortfalls, spread over i: the most that δ can add
    excess = np.cumsum(binom.pmf(n_right - wins, n_guesses, share)) / wins
    most = excess.max(initial=0.0)
    return float(min(1.0, binom.sf(n_right - 1, n_guesses, share) + 2 * n_canaries * delta * most))


def one_run_epsilon(n_canaries, n_guesses, n_right, delta=0.0, level=0.95):
    """Return the largest ε that so many right guesses contradict, at least 0; the arguments are `one_run_p_value`'s."""

    def excess(epsilon):
        return one_run_p_value(epsilon, n_canaries, n_guesses, n_right, delta) - (1 - level)

    if excess(0.0) >= 0:
        return 0.0
    return HIGHEST if excess(HIGHEST) < 0 else float(brentq(excess, 0.0, HIGHEST))


def canary_epsilon(member, score, delta=0.0, level=0.95):
    """Return a lower bound on ε from the scores of canaries in one training run, of which the extremes are guessed.

    Those of the highest score are guessed in, as many of the lowest out, and of the rest nothing. How many, is chosen
    among a half, a fifth, a tenth and a twentieth of them at each end, each at its share of the error. `member` is an
    array of bool, `score` larger for likelier members.
    """
    member = np.asarray(member, bool)[np.argsort(score, kind="stable")]
    n, found = len(member), [0.0]
    shares = (0.5, 0.2, 0.1, 0.05)
    for each in shares:
        if k := int(each * n):
            right = np.count_nonzero(member[-k:]) + np.count_nonzero(~member[:k])
            found.append(one_run_epsilon(n, 2 * k, int(right), delta, 1 - (1 - level) / len(shares)))
    return max(found)


def held_out_epsilon(member, scores, half, delta=0.0):
    """Return a lower bound on ε: attack and threshold from one half, and the exact rates of the other.

    Parameters
    ----------
    member : ndarray of bool, shape (n,)
    scores : dict of str to ndarray, shape (n,)
        Of attacks that learned nothing from membership; larger for likelier members.
    half : ndarray of int, shape (n,)
        0 where attack and threshold are chosen, 1 where they are judged.
    delta : float

    Returns
    -------
    tuple of float and str
        The bound, which is above the truth in at most 5 % of cases if records are independent, and the attack's name.
    """
    best = (-1.0, "", 0.0)
    chosen, judged = half == 0, half == 1
    for name, score in scores.items():
        for threshold in np.unique(np.nanquantile(score[chosen], np.linspace(0.01, 0.99, 50))):
            found = epsilon_found(member[chosen], score[chosen] > threshold, delta)
            best = max(best, (found, name, float(threshold)))
    _, name, threshold = best
    return epsilon_found(member[judged], scores[name][judged] > threshold, delta), name
