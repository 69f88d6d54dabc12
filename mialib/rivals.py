"""The shadow attack beside what else a user could run on the same target."""

from mialib import lira
from mialib.baselines import Confidence, GapAttack, Inference, Loss, ThresholdAttack

SHORT = {
    "precision": "precision",
    "recall": "recall",
    "accuracy": "accuracy",
    "recall at 1 % false positives": "recall, 1 % FPR",
    "recall at 0.1 % false positives": "recall, 0.1 % FPR",
}
"""Headings of a table that fits a page."""


def columns(rows):
    """Return numbers as `mialib.tables.numbers_table` takes them, an attack a row.

    Parameters
    ----------
    rows : dict of str to dict of str to Estimate
        By attack, then by the name of the number.

    Returns
    -------
    dict of str to dict of str to Estimate
    """
    return {short: {attack: row[name] for attack, row in rows.items()} for name, short in SHORT.items()}


def rivals(result, cache=None, n_jobs=-1):
    """Return what each attack says about a result's target.

    Parameters
    ----------
    result : Result
        All attacks but online LiRA learn from its shadow models; that one trains as many others, on halves of the
        target's records.
    cache : ModelCache, optional
    n_jobs : int

    Returns
    -------
    dict of str to Inference
    """
    simple = {
        "gap attack": GapAttack(),
        "confidence threshold": ThresholdAttack(Confidence()),
        "loss threshold": ThresholdAttack(Loss()),
    }
    return {
        **{name: attack.fit(result.shadows).infer(result.target) for name, attack in simple.items()},
        "shadow attack": Inference(result.target.member, result.probability, result.inferred),
        "LiRA, offline": lira.offline(result, cache),
        "LiRA, online": lira.online(result.experiment, result.data, cache, n_jobs=n_jobs),
    }
