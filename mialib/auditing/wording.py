"""What an audit found, in words that say no more than its numbers."""

import numpy as np

from mialib import metrics
from mialib.auditing.panel import HALF
from mialib.auditing.verdict import FAMILY, LEAKS, NO_LEAK, RATES

FEW = 30
"""Members, or non-members, below which little can be said."""

AWAY = 0.05
"""By how much shadow models' accuracies may differ from the target's before it is said."""


def about_privacy(findings):
    """Return what the lower bounds on ε say of the promise, sentences."""
    found = {"the records in and out, if those in were drawn at random": findings.privacy["lower bound"]}
    if findings.canaries is not None:
        found["canaries"] = findings.canaries
    bounds = "; ".join(f"by {way}, ε is at least {bound:.2f}" for way, bound in found.items())
    each = "each with 95 %" if len(found) > 1 else "with 95 %"
    text = f"{bounds[0].upper()}{bounds[1:]} ({each} confidence, δ = {findings.delta:g})."
    highest = max(found.values())
    if findings.epsilon is None:
        return text + (" Nothing is proved by a bound of 0." if highest == 0 else "")
    if highest > findings.epsilon:
        return f"{text} This contradicts the promised ε of {findings.epsilon:g}."
    return f"{text} This is consistent with the promised ε of {findings.epsilon:g}, and no proof of it."


def about_model(findings):
    """Return how well the model does on the records in and on those out, a sentence."""
    target = findings.target
    return (
        f"The model classifies {float(target.train_accuracy):.1%} of the records in and "
        f"{float(target.test_accuracy):.1%} of those out correctly."
    )


def likeness(findings, shadows):
    """Return how well shadow models and target classify, the end of a sentence, and whether they differ (bool)."""
    theirs, own = shadows.accuracies, (float(findings.target.train_accuracy), float(findings.target.test_accuracy))
    like = f"classify {theirs[0]:.1%} of records in and {theirs[1]:.1%} out correctly"
    like += f", the audited model {own[0]:.1%} and {own[1]:.1%}"
    return like, max(abs(a - b) for a, b in zip(theirs, own, strict=True)) > AWAY


def about_shadows(findings):
    """Return how far shadow models are like the target, a list of sentences."""
    said = []
    for of in findings.shadows:
        like, away = findings.likeness(of)
        like = f"those from the {of.source} {like}"
        if not of.own:
            said.append(
                f"How the model was trained is not known; its shadow models are {of.kind}: {like}. They may miss "
                "what the model leaks. Give its training with --train, or a model of its kind with --like."
            )
        elif away:
            said.append(f"The shadow models differ from the model: {like}. They may miss some of what it leaks.")
    return said


def about_sizes(size, n_in):
    """Return what the numbers of records that a pool's shadow models, and the target, know do to the findings."""
    said = []
    if size != n_in:
        said.append(f"Shadow models of the pool are trained on {size} records, {n_in} records in were given.")
    said.append(
        "If the model was trained on more records than were given as in, shadow models overfit more than it does."
    )
    return said


def limits(findings):
    """Return what these findings do not say, a list of sentences."""
    said = [
        "A stronger attack may find more than these. An attack that finds nothing is no proof that nothing leaks.",
        "Intervals speak of the choice of records for this one model, not of training it again.",
    ]
    if not findings.shadows:
        said.append(
            "There are no shadow models: attacks that judge each record by models that know it and models that do "
            "not, the strongest there are, were not tried."
        )
    said += about_shadows(findings)
    for name, fpr in RATES.items():
        if findings.n_out < 1 / fpr:
            said.append(f"{name} needs at least {1 / fpr:.0f} records out; there are {findings.n_out}.")
    if findings.fewer < FEW:
        said.append(
            f"With {findings.n_in} records in and {findings.n_out} out, only a large leak can be told from chance; "
            "read the intervals, not the values."
        )
    if len(np.unique(findings.target.labels)) == 1:
        said.append("All records are of one class; nothing is said of the others.")
    if HALF in findings.attacks and (n := np.count_nonzero(~findings.attacks[HALF].inference.judged)):
        said.append(f"{n} records are of classes without an attack model, and were not judged by it.")
    return said + list(findings.remarks)


def sentence(findings):
    """Return the verdict, one or two sentences that say no more than the bounds do."""
    verdict, n_attacks = findings.verdict, len(findings.attacks)
    if verdict.outcome == LEAKS:
        text = "Membership leaks, though not over all records together."
        if verdict.strongest.leaks:
            text = f"Membership leaks: {verdict.strongest.attack}, of {n_attacks} attacks, {_told(verdict.strongest)}."
        if verdict.groups:
            inside = "single classes or subgroups" if findings.by else "single classes"
            text += f" It leaks inside {inside}: {_some(verdict.groups)}."
    elif verdict.outcome == NO_LEAK:
        kind = "" if findings.has_own_kind else " by attacks without shadow models of the model's own kind"
        text = (
            f"No leak above {findings.material:.0%} was found{kind}: balanced accuracy and AUC of each of {n_attacks} "
            f"attacks lie below that with their whole intervals (error {FAMILY:.0%} in all)."
        )
    else:
        text = (
            f"Undecided: none of {n_attacks} attacks is shown to do better than random guessing, and a leak above "
            f"{findings.material:.0%} is not ruled out: {verdict.open.attack} {_told(verdict.open)}."
        )
        if verdict.needed is not None:
            text += f" About {verdict.needed:,} records in, and as many out, would decide if values stay as they are."
    if findings.blind is not None and findings.blind.low > metrics.BASELINE:
        text += (
            f" Beware: members can be told from non-members by their features alone (AUC {findings.blind}), without "
            "the model: the two sets differ in more than membership, and what looks like a leak may be that."
        )
    if findings.target.train_accuracy.high < findings.target.test_accuracy.low:
        text += (
            f" Beware: the model is right on fewer of the records in ({float(findings.target.train_accuracy):.1%}) "
            f"than of those out ({float(findings.target.test_accuracy):.1%}); check which records are which."
        )
    return " ".join([text, *about_guessing(findings), *findings.beware])


def about_guessing(findings):
    """Return a warning if a guess knows the classes of the records in better than the model, a list of sentences."""
    target = findings.target
    if findings.task == "regression":
        return []
    share = np.bincount(target.labels[target.member]) / findings.n_in
    guess, right = float(share @ share), target.train_accuracy
    if right.high >= guess:
        return []
    return [
        f"Beware: the model is right on {float(right):.1%} of the records in, fewer than a guess by the shares of the "
        f"classes ({guess:.1%}); check that labels and the columns of the answers count the classes alike (from 0, or "
        "from 1), and that features are scaled as in training."
    ]


def _told(bound):
    """Return what was measured, with its interval and what chance has."""
    found = bound.found
    if bound.quantity == "accuracy":
        measured = f"infers membership correctly for {found:.1%} of records [{found.low:.1%} to {found.high:.1%}]"
        return f"{measured}; random guessing is right for 50 %"
    if bound.quantity == "AUC":
        measured = f"ranks members above others with an AUC of {found:.3f} [{found.low:.3f} to {found.high:.3f}]"
        return f"{measured}; random guessing has 0.5"
    few, members = bound.quantity.removeprefix("TPR at ").removesuffix(" FPR"), f"{found:.1%} of the members"
    measured = f"finds {members} [{found.low:.1%} to {found.high:.1%}] at {few} false positives"
    return f"{measured}; random guessing finds {few}"


def _some(names):
    if len(names) > 5:
        return f"{', '.join(names[:5])} and {len(names) - 5} others"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
