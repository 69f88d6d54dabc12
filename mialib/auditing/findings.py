"""What an audit found: how much a model leaks, of whom, what would help, and what stays unknown."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from mialib import metrics
from mialib.attack.answers import Answers
from mialib.attack.lira import Evidence
from mialib.attack.shadow import LearnedAttack, inferred_by
from mialib.attack.thresholds import Confidence, GapAttack, Loss, ThresholdAttack
from mialib.base.seeding import child, children
from mialib.metrics import Estimate
from mialib.platforms.mitigations import LabelOnly, Rounding, Temperature, TopK

RESAMPLES = 300
LIRA = "LiRA, offline"


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
    classes : sequence of str
    remarks : tuple of str
        What this audit in particular cannot say.
    blind : Estimate or None
        How well members are told apart by their features alone, without the model: an AUC.
    seed : int
    """

    name: str
    target: Answers
    shadows: Answers | None
    shadow_kind: str
    evidence: Evidence | None
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    blind: Estimate | None = None
    seed: int = 0

    @cached_property
    def attacks(self):
        """What each attack says (dict of str to Inference), the first the one that all else is about."""
        learned = "shadow attack" if self.shadows is not None else "attack learned from half of the records"
        kinds = {
            learned: LearnedAttack(child(self.seed, 0)),
            "loss threshold": ThresholdAttack(Loss()),
            "confidence threshold": ThresholdAttack(Confidence()),
            "gap attack": GapAttack(),
        }
        found = {
            name: inferred_by(kind, self.target, self.shadows, child(self.seed, 1)) for name, kind in kinds.items()
        }
        return found | ({LIRA: self.evidence.infer(self.target)} if self.evidence is not None else {})

    @property
    def learned(self):
        """What the learned attack says (`Inference`)."""
        return next(iter(self.attacks.values()))

    @cached_property
    def strongest(self):
        """Name of the attack that infers membership rightly most often (str)."""
        accuracies = {n: metrics.balanced_accuracy(f.member, f.inferred).value for n, f in self.attacks.items()}
        return max(accuracies, key=accuracies.get)

    def strongest_accuracy(self):
        """Return its accuracy (`Estimate`); the interval is wider, since it was chosen among several (Bonferroni)."""
        found = self.attacks[self.strongest]
        return metrics.balanced_accuracy(found.member, found.inferred, 1 - 0.05 / len(self.attacks))

    @property
    def n_in(self):
        """Number of members (int)."""
        return int(np.count_nonzero(self.target.member))

    @property
    def n_out(self):
        """Number of non-members (int)."""
        return len(self.target.member) - self.n_in

    @cached_property
    def overall(self):
        """The numbers of each attack (dict of str to dict of str to Estimate)."""
        seeds = children(child(self.seed, 2), len(self.attacks))
        return {name: self._numbers(found, s) for (name, found), s in zip(self.attacks.items(), seeds, strict=True)}

    def _numbers(self, found, seed):
        judged = found.judged
        member, score = found.member[judged], found.score[judged]
        return {
            "precision": metrics.precision_estimate(found.member, found.inferred),
            "recall": metrics.recall_estimate(found.member, found.inferred),
            "accuracy": metrics.balanced_accuracy(found.member, found.inferred),
            "AUC": metrics.auc_estimate(member, score),
            "recall at 1 % false positives": _recall_at(0.01, member, score, seed),
            "recall at 0.1 % false positives": _recall_at(0.001, member, score, seed),
        }

    def by_class(self):
        """Return for each class its counts, accuracies and the strongest attack's numbers (dict of str to dict)."""
        rows, found, right = {}, self.attacks[self.strongest], self.target.right
        for c in np.unique(self.target.labels):
            of_class = self.target.labels == c
            member, inferred = found.member[of_class], found.inferred[of_class]
            rows[self.classes[c]] = {
                "in": int(member.sum()),
                "out": int((~member).sum()),
                "train accuracy": float(right[of_class][member].mean()) if member.any() else float("nan"),
                "test accuracy": float(right[of_class][~member].mean()) if (~member).any() else float("nan"),
                "precision": metrics.precision_estimate(member, inferred),
                "recall": metrics.recall_estimate(member, inferred),
                "accuracy": metrics.balanced_accuracy(member, inferred),
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
                "class": self.classes[self.target.labels[row]],
                "probability of its class": float(probability[row]),
                "score": float(score[row]),
            }
            for row in order
        ]

    @cached_property
    def mitigations(self):
        """What attacks reach behind each output filter, which they learn behind as well (dict of str to dict).

        Accuracy (`Estimate`) of the learned attack and, where there is one, of offline LiRA; and the share of records
        whose most likely class stays.
        """
        rows = {"none": self._behind(None)}
        return rows | {str(kind): self._behind(kind) for kind in filters(self.target.vectors.shape[1])}

    def _behind(self, kind):
        target, shadows, evidence = self.target, self.shadows, self.evidence
        if kind is not None:
            target = replace(target, vectors=kind(target.vectors))
            shadows = shadows and replace(shadows, vectors=kind(shadows.vectors))
            evidence = evidence and evidence.behind(kind)
        learned = inferred_by(LearnedAttack(child(self.seed, 0)), target, shadows, child(self.seed, 1))
        found = {next(iter(self.attacks)): learned} | ({LIRA: evidence.infer(target)} if evidence else {})
        same = np.mean(target.vectors.argmax(axis=1) == self.target.vectors.argmax(axis=1))
        accuracies = {name: metrics.balanced_accuracy(f.member, f.inferred) for name, f in found.items()}
        return accuracies | {"same class": float(same)}

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
        for share in (0.01, 0.001):
            if self.n_out < 1 / share:
                said.append(
                    f"Recall at {100 * share:g} % false positives needs at least {1 / share:.0f} records out; "
                    f"there are {self.n_out}."
                )
        if min(self.n_in, self.n_out) < 30:
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
        measured = f"{found.value:.1%} of records [{found.low:.1%} to {found.high:.1%}]"
        of = f"the strongest of {len(self.attacks)} attacks ({self.strongest})"
        if found.low <= metrics.BASELINE:
            return f"No leak was measured: {of} infers membership rightly for {measured}, and guessing for 50 %."
        return f"Membership leaks: {of} infers it rightly for {measured}, where guessing is right for 50 %."

    def to_dict(self):
        """Return everything as plain dicts and lists that JSON can hold; a number that is not defined is None."""
        return _plain(
            {
                "model": self.name,
                "verdict": self.verdict(),
                "strongest attack": {"name": self.strongest, "accuracy": self.strongest_accuracy()},
                "records in": self.n_in,
                "records out": self.n_out,
                "base rate": metrics.base_rate(self.target.member),
                "baseline": {"accuracy": metrics.BASELINE, "precision": metrics.base_rate(self.target.member)},
                "train accuracy": self.target.train_accuracy,
                "test accuracy": self.target.test_accuracy,
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


def filters(n_classes):
    """Return the output filters of the paper (§IX) that do something for this many classes."""
    kept = [TopK(3)] if n_classes > 3 else []
    kept += [TopK(1), LabelOnly(), Rounding(3), Rounding(1), Temperature(5), Temperature(20)]
    return kept


def _recall_at(fpr, member, score, seed):
    if np.count_nonzero(~member) < 1 / fpr or not member.any():
        return metrics.UNKNOWN

    def statistic(member, score, weight=None):
        return metrics.tpr_at_fpr(member, score, fpr, weight)

    return metrics.estimate(statistic, member, score, seed, RESAMPLES)


def _plain(value):
    if isinstance(value, Estimate):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
