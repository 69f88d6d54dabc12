"""A lower bound on ε from one training run with canaries (Steinke, Nasr, Jagielski 2023)."""

import numpy as np

from mialib.attack.epsilon import canary_epsilon
from mialib.base.seeding import child
from mialib.submission.refits import ask


def epsilon_by_canaries(refit, both, member, classes, settings):
    """Train a model on the records in and about half of some canaries, and return a lower bound on ε (float).

    A canary is a record out with a wrong label, the hardest to learn without remembering it. Which of them are in, fair
    coins decide; which were, is guessed from the probability that the model gives to the wrong label.

    Parameters
    ----------
    refit : Refit, Trained or OnPlatform
    both : Records
        In and out.
    member : ndarray of bool, shape (n,)
    classes : ndarray
    settings : Settings

    Raises
    ------
    ValueError
        If it is not known how the model is trained, or there are not as many records out as canaries.
    """
    if not refit.known:
        raise ValueError("canaries need to know how the model is trained; give that with --train")
    outside = np.flatnonzero(~member)
    if settings.canaries > len(outside):
        raise ValueError(f"{settings.canaries} canaries are asked for; there are but {len(outside)} records out")
    rng = np.random.default_rng(child(settings.seed, 7))
    rows = rng.choice(outside, settings.canaries, replace=False)
    number = {str(c): i for i, c in enumerate(classes)}
    right = np.array([number[str(label)] for label in both.labels[rows]])
    wrong = (right + rng.integers(1, len(classes), len(rows))) % len(classes)
    in_ = rng.random(len(rows)) < 0.5
    trained_on = both.take(np.concatenate([np.flatnonzero(member), rows[in_]]))
    labels = trained_on.labels.copy()
    labels[np.count_nonzero(member) :] = classes[wrong[in_]]
    model = refit.fit(trained_on.x, labels, child(settings.seed, 8), trained_on.weights)
    vectors = ask(model, both.take(rows).x, classes)
    return canary_epsilon(in_, vectors[np.arange(len(rows)), wrong], settings.delta)
