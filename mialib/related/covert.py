"""The covert channel of a malicious trainer against the side channel of membership, on one target."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import entropy

from mialib import metrics
from mialib.attack.answers import Answers, query
from mialib.base.seeding import stream
from mialib.related.encodings import bits_of
from mialib.related.hiding import Encoding, Hidden, hide


@dataclass(frozen=True, eq=False)
class Covert:
    """A target with its training images hidden in it; what it, and the honest one, answer about the same records."""

    encoding: Encoding
    hidden: Hidden
    answers: Answers
    honest: Answers

    @property
    def bit_accuracy(self):
        """Share of the hidden bits that are read correctly (float); NaN where values are hidden, not bits."""
        depth, hidden = self.encoding.depth, self.hidden
        return float(np.mean(bits_of(hidden.true, depth) == bits_of(hidden.read, depth))) if depth else np.nan

    @property
    def accuracy_lost(self):
        """Test accuracy of the honest target less that of this one (float)."""
        return self.honest.test_accuracy - self.answers.test_accuracy

    @property
    def bits_per_record(self):
        """Information about a training record that is read, in bits, the mean over all (float); NaN for values."""
        n_bits = self.hidden.true.size * (self.encoding.depth or np.nan) / self.hidden.n_corpus
        return n_bits * information(self.bit_accuracy)

    def numbers(self):
        """Return every number by name, a dict of str to Estimate or, for means and differences, float."""
        read = {} if self.encoding.depth is None else {"bits read correctly": self.bit_accuracy}
        return {
            "images hidden": len(self.hidden.true),
            "share of the hidden images recovered": metrics.share_of(self.hidden.recovered_images),
            "share of the corpus recovered": self.hidden.recovered,
            "mean absolute pixel error, of 255": 255 * float(self.hidden.error.mean()),
            "the same, of guessing the mean image": 255 * float(self.hidden.guess.mean()),
            **read,
            "train accuracy": self.answers.train_accuracy,
            "test accuracy": self.answers.test_accuracy,
            "test accuracy lost": self.accuracy_lost,
        }


def information(share):
    """Return what a yes or no that is right with this probability tells, in bits: 0 at one half, 1 when sure."""
    return float(1 - entropy([share, 1 - share], base=2))


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
    experiment, data, parts = result.experiment, result.data, result.split
    hidden = hide(encoding, experiment.recipe, data, parts.target_in, stream(experiment.seed, "target"), cache)
    answers = query(hidden.stack, data, parts.target_in[None], parts.target_out[None])
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
        Model to numbers by name. The AUC of the probability of the true class needs no shadows, so it does not suffer
        where shadows were trained otherwise than the model.
    """
    leaks = {}
    for name, each in answers.items():
        found, probability = result.attack.infer(each), metrics.true_class_probability(each.labels, each.vectors)
        leaks[name] = {
            "train accuracy minus test accuracy": each.accuracy_gap,
            "accuracy of the shadow attack": found.rows(found.judged).accuracy,
            "AUC of the shadow attack": found.auc,
            "AUC of the probability of the true class": metrics.roc_auc(each.member, probability),
        }
    return leaks


def side_and_covert(result, encoding, cache=None):
    """Return what either channel gives on a target: the attack's AUC, and the share of the corpus in its low bits.

    Parameters
    ----------
    result : Result
        Of the attack on the honest target, trained by a `Recipe` of epochs.
    encoding : LowBits
    cache : ModelCache, optional

    Returns
    -------
    dict of str to float or Estimate
        These, with the epochs and accuracies of the honest target, and the test accuracy that low bits cost.
    """
    found = plant(encoding, result, cache)
    return {
        "epochs": result.experiment.recipe.epochs,
        "train accuracy": result.target.train_accuracy,
        "test accuracy": result.target.test_accuracy,
        "shadow AUC": result.inference.auc,
        "share of the corpus in low bits": found.hidden.recovered,
        "test accuracy lost to low bits": found.accuracy_lost,
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
            "bits per training record": information(honest["accuracy of the shadow attack"]),
            "train minus test accuracy": honest["train accuracy minus test accuracy"],
            "test accuracy lost": 0.0,
        }
    }
    for name, found in covert.items():
        rows[f"covert channel: {name}"] = {
            "needs": found.encoding.needs,
            "share of the corpus recovered": found.hidden.recovered,
            "bits per training record": found.bits_per_record,
            "train minus test accuracy": found.answers.accuracy_gap,
            "test accuracy lost": found.accuracy_lost,
        }
    return rows
