"""What an audit found: how much a model leaks, of whom, what would help, and what stays unknown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mialib import metrics
from mialib.attack.answers import Answers
from mialib.attack.lira import Evidence
from mialib.attack.shadow import LearnedAttack, infer_from_own
from mialib.attack.thresholds import GapAttack, ThresholdAttack, confidence
from mialib.base.seeding import child
from mialib.metrics import Estimate
from mialib.platforms.mitigations import LabelOnly, Rounding, Temperature, TopK

LIRA = "LiRA, offline"
FEW = 30
"""Members, or non-members, below which little can be said."""
RATES = {"recall at 1 % false positives": 0.01, "recall at 0.1 % false positives": 0.001}


@dataclass(frozen=True, eq=False)
class Findings:
    """What an audit has to go by, and what it finds.

    Parameters
    ----------
    name : str
        Of the model.
    target : Answers
        The model's, about members and non-members.
    shadows : Answers or None
        Shadow models'; without them attacks learn from half of the target's own answers.
    shadow_kind : str
        How the shadow models were trained.
    evidence : Evidence or None
        What offline LiRA goes by, where the shadow models could be asked about the target's records.
    classes : sequence, optional
        What the model calls its classes; otherwise by number.
    remarks : tuple of str
        What this audit in particular cannot say.
    blind : Estimate or None
        How well members are told apart by their features alone, without the model: an AUC.
    seed : int
    """

    name: str
    target: Answers
    shadows: Answers | None = None
    shadow_kind: str = "none"
    evidence: Evidence | None = None
    classes: Sequence | None = None
    remarks: Sequence[str] = ()
    blind: Estimate | None = None
    seed: int = 0

    def __post_init__(self):
        if min(self.n_in, self.n_out) < 2:
            raise ValueError(
                f"there are {self.n_in} records in and {self.n_out} out; an audit needs at least 2 of each"
            )

    def numbers(self):
        """Return the learned attack's precision, the strongest's accuracy, and accuracies of the target (Estimates)."""
        return {
            "precision": self.learned.precision,
            "accuracy": self.strongest_accuracy(),
            "train accuracy": self.target.train_accuracy,
            "test accuracy": self.target.test_accuracy,
        }

    @property
    def n_in(self):
        """Number of members (int)."""
        return int(np.count_nonzero(self.target.member))

    @property
    def n_out(self):
        """Number of non-members (int)."""
        return len(self.target.member) - self.n_in

    @property
    def base_rate(self):
        """Share of members, the precision of calling every record a member (float)."""
        return self.n_in / len(self.target.member)

    def class_name(self, c):
        """Return what class number c is called (str)."""
        return str(c if self.classes is None else self.classes[c])

    @cached_property
    def attacks(self):
        """What each attack says (dict of str to Inference), the first the one that all else is about."""
        learned = "shadow attack" if self.shadows is not None else "attack learned from half of the records"
        kinds = {
            learned: LearnedAttack(child(self.seed, 0)),
            "loss threshold": ThresholdAttack(),
            "confidence threshold": ThresholdAttack(confidence),
            "gap attack": GapAttack(),
        }
        found = {name: self._infer(kind, self.target, self.shadows) for name, kind in kinds.items()}
        return found | ({LIRA: self.evidence.infer(self.target)} if self.evidence is not None else {})

    def _infer(self, attack, target, shadows):
        if shadows is None:
            return infer_from_own(attack, target, child(self.seed, 1))
        return attack.fit(shadows).infer(target)

    @property
    def learned(self):
        """What the learned attack says (`Inference`)."""
        return next(iter(self.attacks.values()))

    @cached_property
    def overall(self):
        """The numbers of each attack (dict of str to dict of str to Estimate)."""
        return {name: self._numbers(found) for name, found in self.attacks.items()}

    def _numbers(self, found):
        """Return an attack's numbers; its accuracy as if there were as many in as out, a recall only if it can be."""
        numbers = found.numbers() | {"accuracy": _accuracy(found)}
        for name, fpr in RATES.items():
            if self.n_out < 1 / fpr:
                numbers[name] = metrics.UNDEFINED
        return numbers

    @cached_property
    def strongest(self):
        """Name of the attack that infers membership correctly most often (str)."""
        return max(self.attacks, key=lambda name: _accuracy(self.attacks[name]))

    def strongest_accuracy(self):
        """Return its accuracy (`Estimate`); the interval is wider, since it was chosen among several (Bonferroni)."""
        return _accuracy(self.attacks[self.strongest], 1 - 0.05 / len(self.attacks))

    def by_class(self):
        """Return for each class its counts, accuracies and the strongest attack's numbers (dict of str to dict)."""
        rows = {}
        for c in np.unique(self.target.labels):
            of_class = self.target.labels == c
            target, found = self.target.rows(of_class), self.attacks[self.strongest].rows(of_class)
            rows[self.class_name(c)] = {
                "in": int(np.count_nonzero(target.member)),
                "out": int(np.count_nonzero(~target.member)),
                "train accuracy": float(target.train_accuracy),
                "test accuracy": float(target.test_accuracy),
                "precision": found.precision,
                "recall": found.recall,
                "accuracy": _accuracy(found),
            }
        return rows

    @property
    def exposure(self):
        """Each record's score by offline LiRA where there is one, else by the learned attack (ndarray of float)."""
        return self.attacks.get(LIRA, self.learned).score

    def highest_out(self):
        """Return the highest such score of a non-member (float)."""
        return float(np.nanmax(np.append(self.exposure[~self.target.member], -np.inf)))

    def exposed(self, n=10):
        """Return the members of the highest `exposure`, and then the least loss, a list of dict."""
        score = self.exposure
        probability = metrics.true_class_probability(self.target.labels, self.target.vectors)
        members = np.flatnonzero(self.target.member)
        order = members[np.lexsort((-probability[members], -np.nan_to_num(score[members], nan=-np.inf)))][:n]
        position = np.cumsum(self.target.member)
        return [
            {
                "record": int(position[row]),
                "class": self.class_name(self.target.labels[row]),
                "probability of its class": float(probability[row]),
                "score": float(score[row]),
            }
            for row in order
        ]

    @cached_property
    def mitigations(self):
        """What attacks reach behind each output filter (§IX), which they learn behind as well (dict of str to dict).

        Accuracy (`Estimate`) of the learned attack and, where there is one, of offline LiRA; and the share of records
        whose most likely class stays.
        """
        kinds = [TopK(1), LabelOnly(), Rounding(3), Rounding(1), Temperature(5), Temperature(20)]
        if self.target.vectors.shape[1] > 3:
            kinds.insert(0, TopK(3))
        return {"none": self._behind(None)} | {str(kind): self._behind(kind) for kind in kinds}

    def _behind(self, kind):
        target, shadows, evidence = self.target, self.shadows, self.evidence
        if kind is not None:
            target = replace(target, vectors=kind(target.vectors))
            shadows = shadows and replace(shadows, vectors=kind(shadows.vectors))
            evidence = evidence and evidence.behind(kind)
        learned = self._infer(LearnedAttack(child(self.seed, 0)), target, shadows)
        found = {next(iter(self.attacks)): learned} | ({LIRA: evidence.infer(target)} if evidence else {})
        same = np.mean(target.vectors.argmax(axis=1) == self.target.vectors.argmax(axis=1))
        return {name: _accuracy(inference) for name, inference in found.items()} | {"same class": float(same)}

    def limits(self):
        """Return what these findings do not say, a list of sentences."""
        said = [
            "A stronger attack may find more than these. An attack that finds nothing is no proof that nothing leaks.",
            "Intervals (95 %) speak of the choice of records, not of training the model or its shadows again.",
        ]
        if self.shadows is None:
            said.append(
                "There are no shadow models: the attacks learned from records whose membership you know; an outsider "
                "does not, and may do worse."
            )
        for name, fpr in RATES.items():
            if self.n_out < 1 / fpr:
                said.append(f"{name.capitalize()} needs at least {1 / fpr:.0f} records out; there are {self.n_out}.")
        if min(self.n_in, self.n_out) < FEW:
            said.append(
                f"With {self.n_in} records in and {self.n_out} out, only a large leak can be told from chance; read "
                "the intervals, not the values."
            )
        if len(np.unique(self.target.labels)) == 1:
            said.append("All records are of one class; nothing is said of the others.")
        if n := np.count_nonzero(~self.learned.judged):
            said.append(f"{n} records are of classes without an attack model, and were not judged.")
        if self.blind is not None and self.blind.low > 0.5:
            said.append(
                f"Members can be told from non-members by their features alone (AUC {self.blind}): your two sets "
                "differ in more than membership, and what looks like a leak may be that."
            )
        return said + list(self.remarks)

    def verdict(self):
        """Return how much leaks, one sentence."""
        found = self.strongest_accuracy()
        measured = f"{found:.1%} of records [{found.low:.1%} to {found.high:.1%}]"
        of = f"the strongest of {len(self.attacks)} attacks ({self.strongest})"
        if found.low <= metrics.BASELINE:
            return f"No leak was measured: {of} infers membership correctly for {measured}, and guessing for 50 %."
        return f"Membership leaks: {of} infers it correctly for {measured}, where guessing is correct for 50 %."

    def to_dict(self):
        """Return everything as plain dicts and lists that JSON can hold; a number that is not defined is None."""
        return _plain(
            {
                "model": self.name,
                "verdict": self.verdict(),
                "strongest attack": {"name": self.strongest, "accuracy": self.strongest_accuracy()},
                "records in": self.n_in,
                "records out": self.n_out,
                "base rate": self.base_rate,
                "baseline": {"accuracy": metrics.BASELINE, "precision": self.base_rate},
                "train accuracy": float(self.target.train_accuracy),
                "test accuracy": float(self.target.test_accuracy),
                "shadow models": self.shadow_kind,
                "overall": self.overall,
                "by class": self.by_class(),
                "most exposed records": self.exposed(),
                "highest score of a record out": self.highest_out(),
                "mitigations": self.mitigations,
                "AUC of the features alone": self.blind,
                "what this does not say": self.limits(),
                "seed": self.seed,
            }
        )


def _accuracy(found, level=metrics.LEVEL):
    return metrics.balanced_accuracy(found.member, found.inferred, level)


def _plain(value):
    if isinstance(value, Estimate):
        return _plain({"value": float(value), "low": value.low, "high": value.high})
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
