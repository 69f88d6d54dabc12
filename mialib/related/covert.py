"""The covert channel of a malicious trainer against the side channel of membership, on one target."""

from dataclasses import dataclass

import numpy as np

from mialib import metrics
from mialib.attack.answers import Answers, query
from mialib.attack.shadow import ClassAttack
from mialib.base.seeding import children
from mialib.metrics import true_class_probability
from mialib.related.encodings import bits_of
from mialib.related.hiding import CapacityAbuse, CorrelatedValues, Hidden, LowBits, Signs, hide


@dataclass(frozen=True, eq=False)
class Covert:
    """A target with its training images hidden in it, beside the honest one.

    Parameters
    ----------
    encoding : LowBits, CorrelatedValues, Signs or CapacityAbuse
    hidden : Hidden
    answers : Answers
        Of the model, about the honest target's members and non-members.
    honest : Answers
        Of the honest target, about the same.
    """

    encoding: LowBits | CorrelatedValues | Signs | CapacityAbuse
    hidden: Hidden
    answers: Answers
    honest: Answers

    @property
    def bit_accuracy(self):
        """Share of the hidden bits that are read rightly (float); NaN where values are hidden, not bits."""
        if not hasattr(self.encoding, "depth"):
            return float("nan")
        true, read = (bits_of(images, self.encoding.depth) for images in (self.hidden.true, self.hidden.read))
        return float(np.mean(true == read))

    @property
    def accuracy_lost(self):
        """Test accuracy of the honest target less that of this one (float)."""
        return self.honest.test_accuracy - self.answers.test_accuracy

    @property
    def bits_a_record(self):
        """Information about a training record that is read, in bits, the mean over all (float); NaN for values."""
        if not hasattr(self.encoding, "depth"):
            return float("nan")
        n_bits = self.hidden.true.size * self.encoding.depth / self.hidden.n_corpus
        return n_bits * information(self.bit_accuracy)

    def numbers(self):
        """Return every number by name, a dict of str to Estimate or, for means and differences, float."""
        error = self.hidden.error
        read = {"bits read rightly": self.bit_accuracy} if hasattr(self.encoding, "depth") else {}
        return {
            "images hidden": len(error),
            "share of the hidden images recovered": metrics.share_of(self.hidden.recovered_images),
            "share of the corpus recovered": self.hidden.recovered,
            "mean absolute pixel error, of 255": 255 * float(error.mean()),
            "the same, of guessing the mean image": 255 * float(self.hidden.guess.mean()),
            **read,
            "train accuracy": metrics.share_of(self.answers.right[self.answers.member]),
            "test accuracy": metrics.share_of(self.answers.right[~self.answers.member]),
            "test accuracy lost": self.accuracy_lost,
        }


def information(share):
    """Return what a yes or no that is right with this probability tells, in bits: 0 at one half, 1 when sure."""
    p = np.array([share, 1 - share])
    p = p[p > 0]
    return float(1 + np.sum(p * np.log2(p)))


def plant(encoding, result, cache=None):
    """Hide the training images of an attack's target in it, trained again by a malicious trainer.

    Parameters
    ----------
    encoding : LowBits, CorrelatedValues, Signs or CapacityAbuse
    result : Result
        Of the attack on the honest target.
    cache : ModelCache, optional

    Returns
    -------
    Covert
    """
    experiment, parts = result.experiment, result.split
    target_seed = children(experiment.seed, 3)[2]
    hidden = hide(encoding, experiment.recipe, result.data, parts.target_in, target_seed, cache)
    answers = query(hidden.stack, result.data, parts.target_in[None], parts.target_out[None])
    return Covert(encoding, hidden, answers, result.target)


def membership_leaks(result, answers):
    """Say how much membership models betray, by the attack that the shadows of a result teach.

    Parameters
    ----------
    result : Result
    answers : dict of str to Answers
        Of models, each about its members and non-members.

    Returns
    -------
    dict of str to dict
        Model to numbers by name. The AUC of the probability of the true class needs no shadows, so
        it does not suffer where shadows were trained otherwise than the model.
    """
    attack = ClassAttack(result.experiment.attack, children(result.experiment.seed, 5)[4]).fit(result.shadows)
    return {name: _leaks(attack, of) for name, of in answers.items()}


def _leaks(attack, answers):
    probability = attack.predict_proba(answers.labels, answers.vectors)
    judged = ~np.isnan(probability)
    return {
        "train accuracy minus test accuracy": answers.train_accuracy - answers.test_accuracy,
        "accuracy of the shadow attack": metrics.share_of((answers.member == (probability > 0.5))[judged]),
        "AUC of the shadow attack": metrics.auc_estimate(answers.member[judged], probability[judged]),
        "AUC of the probability of the true class": metrics.auc_estimate(
            answers.member, true_class_probability(answers.labels, answers.vectors)
        ),
    }


def channels(covert, leaks):
    """Return the side channel and the covert channels of a target, one row each.

    Parameters
    ----------
    covert : dict of str to Covert
    leaks : dict
        From `membership_leaks`, of the honest target: its entry ``honest target`` is taken.

    Returns
    -------
    dict of str to dict
        Channel to its columns: what is needed, extent, and relation to generalisation.
    """
    honest = leaks["honest target"]
    rows = {
        "side channel: membership": {
            "needs": "answers, and records to train shadows",
            "share of the corpus recovered": 0.0,
            "bits a training record": information(float(honest["accuracy of the shadow attack"])),
            "train minus test accuracy": honest["train accuracy minus test accuracy"],
            "test accuracy lost": 0.0,
        }
    }
    for name, found in covert.items():
        rows[f"covert channel: {name}"] = {
            "needs": found.encoding.needs,
            "share of the corpus recovered": found.hidden.recovered,
            "bits a training record": found.bits_a_record,
            "train minus test accuracy": found.answers.train_accuracy - found.answers.test_accuracy,
            "test accuracy lost": found.accuracy_lost,
        }
    return rows
