"""What an output checker may do with a model after an audit; never more than the audit's intervals say."""

from dataclasses import dataclass

from mialib import metrics
from mialib.auditing.panel import GAP
from mialib.auditing.structure import KEPT
from mialib.auditing.verdict import LEAKS, UNDECIDED

RELEASE, FILTERS, RETRAIN, WITHHOLD = "release", "release with filters", "retrain", "do not release"
ABOVE, BELOW = "above", "below"

USEFUL = 0.95
"""What an output filter must leave to be recommended: this share of predicted classes, or of a value's precision."""


@dataclass(frozen=True)
class Recommendation:
    """What to do with a model, and why.

    Parameters
    ----------
    action : str
        ``release``, ``release with filters``, ``retrain``, ``do not release``, or ``undecided: `` and what is missing.
    reason : str
        One to three sentences with the figures.
    """

    action: str
    reason: str


def check_threshold(threshold):
    """Check that a threshold on accuracy and AUC is from 0.5 to below 1; else a ValueError."""
    if not metrics.BASELINE <= threshold < 1:
        raise ValueError(f"the threshold is {threshold}; it must be from 0.5, which is guessing, to below 1")


def verdict_above(findings, threshold):
    """Return whether an attack's balanced accuracy or AUC lies above a threshold: above, below or undecided (str).

    Above if the whole interval of some attack does, below if those of all lie below it. A ValueError says if the
    threshold is not from 0.5 to below 1.
    """
    check_threshold(threshold)
    found = [row[quantity] for row in findings.overall.values() for quantity in ("accuracy", "AUC")]
    found = [estimate for estimate in found if estimate == estimate]
    if any(estimate.low > threshold for estimate in found):
        return ABOVE
    return BELOW if all(estimate.high < threshold for estimate in found) else UNDECIDED


def recommend(findings):
    """Return the `Recommendation` that follows from `Findings`."""
    concerns = [check for check in findings.structure if check.concern]
    holds = [check for check in concerns if check.name == KEPT]
    by_answers = _by_answers(findings)
    if holds:
        return Recommendation(
            WITHHOLD,
            f"{holds[0].meaning} The file is disclosive whatever attacks find; a service that gives its answers alone "
            f"is another matter ({by_answers.action}). {by_answers.reason}",
        )
    if concerns and by_answers.action in (RELEASE, FILTERS):
        return Recommendation(
            "undecided: the model's structure",
            f"{by_answers.reason} But its structure raises a concern that an output checker must judge "
            f"({concerns[0].name}: {concerns[0].value:,} {concerns[0].unit}).",
        )
    return by_answers


def _by_answers(findings):
    """Return what follows from the model's answers, whatever its file holds."""
    verdict, material = findings.verdict, f"{findings.material:.0%}"
    if findings.blind is not None and findings.blind.low > metrics.BASELINE:
        return Recommendation(
            "undecided: records in and out that are alike",
            f"The two sets can be told apart by their features alone (AUC {findings.blind}), so the audit does not "
            "show what the model itself discloses; audit it with records from one source.",
        )
    if _seem_swapped(findings):
        return Recommendation(
            "undecided: which records are in",
            "The model does better on the records out than on those in; check which are which, and audit it again.",
        )
    proved = max(findings.privacy["lower bound"], findings.privacy["lower bound by canaries"] or 0)
    if findings.epsilon is not None and proved > findings.epsilon:
        return Recommendation(
            RETRAIN,
            f"The promise of differential privacy does not hold: ε is at least {proved:.2f}, not {findings.epsilon:g}.",
        )
    if verdict.outcome == LEAKS:
        return _leaking(findings)
    if verdict.outcome == UNDECIDED:
        text = f"The intervals hold both no leak and one above {material}: {_figure(verdict.open)}."
        if verdict.needed is not None:
            text += f" About {verdict.needed:,} records in, and as many out, would decide."
        return Recommendation("undecided: more records", text)
    text = f"No attack of {len(findings.attacks)} reaches {material}: the least ruled out is {_figure(verdict.open)}."
    if findings.has_own_kind:
        return Recommendation(RELEASE, f"{text} The disclosure risk that remains is that of what was not tested.")
    return Recommendation(
        "undecided: shadow models of the model's own kind",
        f"{text} But the strongest attacks, by shadow models of its own kind, were not tried.",
    )


def _leaking(findings):
    verdict, material = findings.verdict, f"{findings.material:.0%}"
    found = f"The model is disclosive: {_figure(verdict.strongest)}."
    if not verdict.strongest.leaks:
        found = f"The model is disclosive inside {len(verdict.groups)} of its groups, such as {verdict.groups[0]}."
    plain, *filters = findings.mitigations.items()
    enough = [(name, row) for name, row in filters if row["ruled out"] and _kept(row, plain[1])]
    if enough and findings.has_own_kind and not verdict.groups:
        name, row = min(enough, key=lambda of: of[1]["at most"])
        return Recommendation(
            FILTERS,
            f"{found} Behind a service that answers with {name}, no attack tried there reaches {material} (the highest "
            f"bound is {row['at most']:.3f}), and {_kept(row, plain[1])}.",
        )
    no_filter = f"No output filter that was tried is shown to keep it below {material}."
    if enough:
        no_filter = "Behind output filters " + (
            "single groups were not judged." if verdict.groups else "no shadow models of its own kind were tried."
        )
    if overfits := _overfits(findings):
        return Recommendation(
            RETRAIN,
            f"{found} {no_filter} It overfits ({overfits}): train it with more regularisation, more records or "
            "differential privacy, and audit it again.",
        )
    if any(bound.found.low > bound.material for bound in verdict.bounds):
        return Recommendation(WITHHOLD, f"{found} {no_filter} Overfitting does not explain it.")
    return Recommendation(
        RETRAIN,
        f"{found} {no_filter} Train it with more records or differential privacy, and audit it again.",
    )


def _kept(row, plain):
    """Return how useful filtered answers stay, a clause; nothing if that is too little."""
    if "same class" in row:
        return f"{row['same class']:.1%} of the predicted classes stay" if row["same class"] >= USEFUL else ""
    if USEFUL * row["test error"] > plain["test error"]:
        return ""
    return f"the mean absolute error is {row['test error']:.4g} instead of {plain['test error']:.4g}"


def _overfits(findings):
    """Return what shows that the model does better on the records in, a clause; nothing if nothing shows it."""
    if GAP in findings.attacks:
        gap = findings.attacks[GAP].accuracy()
        return f"the gap attack alone is right for {gap:.1%}" if gap.low > metrics.BASELINE else ""
    of_in, of_out = findings.target.train_error, findings.target.test_error
    return f"it is off by {of_in:.4g} on records in, by {of_out:.4g} on others" if of_in.high < of_out.low else ""


def _seem_swapped(findings):
    """Return whether the model surely does better on the records out."""
    target = findings.target
    if GAP in findings.attacks:
        return target.train_accuracy.high < target.test_accuracy.low
    return target.train_error.low > target.test_error.high


def _figure(bound):
    """Return what an attack reaches, with its interval."""
    quantity = {"accuracy": "balanced accuracy"}.get(bound.quantity, bound.quantity)
    return f"{quantity} {bound.found} by {bound.attack}"
