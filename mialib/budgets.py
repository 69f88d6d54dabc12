"""What an attacker gets for how many queries: one asks the target about one record."""

import numpy as np

from mialib import intervals


def precision_by_budget(result, budgets, seed):
    """Return the attack's precision among the records that a budget reaches, half of them members.

    Shadow models are the attacker's own, so a query is spent on nothing but a record to be judged.

    Parameters
    ----------
    result : Result
    budgets : sequence of int
        Numbers of queries; what exceeds the records is left out.
    seed : int or SeedSequence
        Which records are asked about; a larger budget asks about those of a smaller one as well.

    Returns
    -------
    dict of int to Estimate
        With exact intervals, since some budgets are small.
    """
    half = result.experiment.size
    order = np.random.default_rng(seed).permutation(half)
    found = {}
    for budget in budgets:
        if budget <= 2 * half:
            rows = np.concatenate([order[: budget // 2], half + order[: budget // 2]])
            found[budget] = intervals.precision(result.target.member[rows], result.inferred[rows])
    return found


def first_above(line, level):
    """Return the smallest budget from which on every interval lies above a level, NaN if there is none.

    Parameters
    ----------
    line : dict of int to Estimate
        From `precision_by_budget`.
    level : float

    Returns
    -------
    float
    """
    enough = float("nan")
    for budget in sorted(line, reverse=True):
        if not line[budget].low > level:
            break
        enough = float(budget)
    return enough
