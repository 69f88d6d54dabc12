"""From bounds to a verdict: leaks, no leak above a bound found, or undecided; never more than the bounds say."""

from dataclasses import dataclass

import numpy as np

from mialib import metrics
from mialib.auditing.panel import ATTACKS

FAMILY = 0.05
"""Error of a verdict: how often a model that leaks nothing may be said to leak."""

OF_GROUPS = 0.2
"""Part of it that is spent on classes and groups one by one; the rest is spent on all records together."""

RATES = {"TPR at 1 % FPR": 0.01, "TPR at 0.1 % FPR": 0.001}
QUANTITIES = ("accuracy", "AUC", *RATES)

LEVEL = 1 - 2 * FAMILY * (1 - OF_GROUPS) / (len(ATTACKS) * len(QUANTITIES))
"""Of the two-sided interval of one quantity of one attack: each end fails with its share of the error."""

LEAKS, NO_LEAK, UNDECIDED = "leaks", "no leak found", "undecided"


@dataclass(frozen=True)
class Bound:
    """One quantity of one attack, with the interval that the verdict goes by.

    Parameters
    ----------
    attack, quantity : str
    found : Estimate
    chance : float
        What random guessing has.
    material : float
        From where on a leak is material.
    """

    attack: str
    quantity: str
    found: metrics.Estimate
    chance: float
    material: float

    @property
    def leaks(self):
        """Whether the whole interval lies above chance."""
        return self.found.low > self.chance

    @property
    def ruled_out(self):
        """Whether the whole interval lies below what is material."""
        return self.found.high < self.material

    def records_needed(self, n, goal):
        """Return how many records a side would decide for a goal, `LEAKS` or `NO_LEAK`, if the value stays (float)."""
        if goal == LEAKS:
            half, room = self.found - self.found.low, self.found - self.chance
        else:
            half, room = self.found.high - self.found, self.material - self.found
        return n * max(1.0, half / room) ** 2 if room > 0 else np.inf


@dataclass(frozen=True)
class Verdict:
    """What an audit comes to.

    Parameters
    ----------
    outcome : {"leaks", "no leak found", "undecided"}
    bounds : list of Bound
        Of each quantity of each attack that could be tried.
    material : float
        Balanced accuracy from which on a leak is material.
    strongest : Bound
        That whose interval lies highest above chance: of those that show a leak, else of accuracies and areas.
    open : Bound
        That which is least ruled out.
    groups : list of str
        Classes or groups that leak, if not all records together show it.
    needed : int or None
        Records in, and as many out, that would decide, if values stay as they are; None where no number would.
    """

    outcome: str
    bounds: list
    material: float
    strongest: Bound
    open: Bound
    groups: list
    needed: int | None = None


def bounds_of(said, material):
    """Return the `Bound`s of attacks, a dict of str to `Said`; what cannot be measured is left out."""
    found = []
    for attack, of in said.items():
        values = {"accuracy": of.accuracy(LEVEL)}
        if of.inference.judged.any() and len(np.unique(of.inference.score[of.inference.judged])) > 2:
            values |= {"AUC": of.auc(LEVEL)} | {name: of.tpr(fpr, LEVEL) for name, fpr in RATES.items()}
        for name, value in values.items():
            chance = RATES.get(name, metrics.BASELINE)
            least = chance + 2 * material - 1 if name in RATES else material
            if value == value:
                found.append(Bound(attack, name, value, chance, least))
    return found


def decide(said, groups, material, n):
    """Return the `Verdict` about attacks, a dict of str to `Said`.

    Parameters
    ----------
    said : dict of str to Said
    groups : dict of str to Estimate
        The AUC of each group that can be judged alone, with an interval that knows how many there are.
    material : float
        From 0.5 to 1.
    n : int
        Records in, or out, whichever are fewer.
    """
    bounds = bounds_of(said, material)
    leaking = [bound for bound in bounds if bound.leaks]
    ranked = leaking or [bound for bound in bounds if bound.quantity not in RATES]
    strongest = max(ranked, key=lambda of: (of.found.low - of.chance) / (1 - of.chance))
    open_ = max(bounds, key=lambda of: (of.found.high - of.material) / (1 - of.material))
    groups = [name for name, found in groups.items() if found.low > metrics.BASELINE]
    needed = None
    if leaking or groups:
        outcome = LEAKS
    elif all(bound.ruled_out for bound in bounds):
        outcome = NO_LEAK
    else:
        outcome = UNDECIDED
        to_leak = min(bound.records_needed(n, LEAKS) for bound in bounds)
        to_none = max(bound.records_needed(n, NO_LEAK) for bound in bounds)
        fewest = min(to_leak, to_none)
        needed = int(np.ceil(fewest)) if np.isfinite(fewest) else None
    return Verdict(outcome, bounds, material, strongest, open_, groups, needed)
