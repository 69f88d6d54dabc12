"""The shadow attack beside what else a user could run on the same target."""

from mialib import lira
from mialib.baselines import Confidence, GapAttack, Inference, Loss, ThresholdAttack


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
