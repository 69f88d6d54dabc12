"""What an audit found, in numbers: how much a model leaks, of whom, what it means, and what would help."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mialib import metrics
from mialib.attack.answers import Answers
from mialib.attack.epsilon import held_out_epsilon
from mialib.auditing import wording
from mialib.auditing.panel import ATTACKS, GAP, Case, halves_of
from mialib.auditing.verdict import FAMILY, LEVEL, OF_GROUPS, RATES, bounds_of, decide
from mialib.base.seeding import child
from mialib.metrics import Estimate
from mialib.platforms.mitigations import LabelOnly, Rounding, Temperature, TopK

PRIORS = (0.5, 0.1, 0.01)
"""Shares of members among the people whom an attacker asks about."""

LONGER = ("quantile regression", "shadow attack, in and out")
"""Attacks that are not tried behind output filters: they learn what others do, and longer."""


@dataclass(frozen=True, eq=False)
class Findings:
    """What an audit has to go by, and what it finds.

    Parameters
    ----------
    name : str
        Of the model.
    target : Answers
        The model's, about members and non-members.
    shadows : sequence of Shadows
    features : ndarray of float, shape (n, f), optional
        Of the records, as numbers.
    classes : sequence, optional
        What the model calls its classes; otherwise by number.
    remarks : sequence of str
        What this audit in particular cannot say.
    beware : sequence of str
        Sentences that belong to the verdict.
    blind : Estimate or None
        How well members are told apart by their features alone, without the model: an AUC.
    material : float
        Balanced accuracy from which on a leak is material.
    epsilon, delta : float
        What the owner promises of differential privacy; `epsilon` is None if nothing.
    canaries : float or None
        Lower bound on ε from canaries, where a training run with them could be made.
    seed : int
    ids : ndarray, shape (n,), optional
        What the user calls each record, those in and then those out.
    persons : ndarray, shape (n,), optional
        Whose record it is.
    by : dict of str to ndarray of shape (n,)
        Subgroups of the records, by the name of what divides them.
    structure : sequence of mialib.auditing.structure.Check
        What the model's structure alone tells.
    filing : mialib.auditing.filing.Filing, optional
        With what, on what and when this was found.
    """

    name: str
    target: Answers
    shadows: Sequence = ()
    features: np.ndarray | None = None
    classes: Sequence | None = None
    remarks: Sequence[str] = ()
    beware: Sequence[str] = ()
    blind: Estimate | None = None
    material: float = 0.55
    epsilon: float | None = None
    delta: float = 0.0
    canaries: float | None = None
    seed: int = 0
    ids: np.ndarray | None = None
    persons: np.ndarray | None = None
    by: dict = field(default_factory=dict)
    structure: Sequence = ()
    filing: object = None
    task = "classification"

    def __post_init__(self):
        if min(self.n_in, self.n_out) < 4:
            raise ValueError(
                f"there are {self.n_in} records in and {self.n_out} out; an audit needs at least 4 of each, 2 for "
                "either half of the records"
            )

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
    def half(self):
        """The halves of the records, of which one judges what was learned from the other (ndarray of int)."""
        return halves_of(self.target, self.persons, child(self.seed, 1))

    def _case(self):
        return Case(self.target, self.half, tuple(self.shadows), self.features, child(self.seed, 0))

    @cached_property
    def by_record(self):
        """What each attack says of each record (dict of str to `mialib.auditing.panel.Said`)."""
        return self._case().run()

    @cached_property
    def attacks(self):
        """What each attack says, by which it is judged: of each person, where `persons` are known, else `by_record`."""
        return self._judged(self.by_record)

    def _judged(self, said):
        """Return what attacks say about the persons whose the records are, where these are known."""
        return said if self.persons is None else {name: of.by_person(self.persons) for name, of in said.items()}

    def _judged_alone(self, rows):
        """Return what attacks say about some of the records, or the persons whose they are."""
        some = {name: of.rows(rows) for name, of in self.by_record.items()}
        return some if self.persons is None else {name: of.by_person(self.persons[rows]) for name, of in some.items()}

    @cached_property
    def verdict(self):
        """What this comes to (`mialib.auditing.verdict.Verdict`)."""
        return decide(self.attacks, {name: of for name, (of, _) in self.groups.items()}, self.material, self.fewer)

    @property
    def fewer(self):
        """Number of members or of non-members, whichever are fewer: of persons, where these are known (int)."""
        if self.persons is None:
            return min(self.n_in, self.n_out)
        return min(len(np.unique(self.persons[self.target.member == side])) for side in (True, False))

    @property
    def strongest(self):
        """Name of the attack that the verdict speaks of (str)."""
        return self.verdict.strongest.attack

    @cached_property
    def classes_alone(self):
        """The records of each class, by its name (dict of str to ndarray of bool)."""
        return {self.class_name(c): self.target.labels == c for c in np.unique(self.target.labels)}

    @cached_property
    def subgroups(self):
        """The records of each subgroup, by what divides them and its name (dict of str to ndarray of bool)."""
        return {f"{name} = {value}": of == value for name, of in self.by.items() for value in np.unique(of)}

    @cached_property
    def groups(self):
        """How well members of each class and subgroup are told apart: AUC, and by which attack (dict of str to tuple).

        The attack is that of the highest lower bound; the interval (Bonferroni) knows how many classes, subgroups and
        attacks there are. Those with fewer than 4 records in or out are left out.
        """
        alone = self.classes_alone if len(self.classes_alone) > 1 else {}
        rows = {
            name: of
            for name, of in (alone | self.subgroups).items()
            if min(np.bincount(self.target.member[of], minlength=2)) >= 4
        }
        found = {}
        for name, of in rows.items():
            level = 1 - 2 * FAMILY * OF_GROUPS / (len(rows) * len(ATTACKS))
            estimates = {attack: said.auc(level) for attack, said in self._judged_alone(of).items()}
            judged = {attack: e for attack, e in estimates.items() if e == e}
            if judged:
                best = max(judged, key=lambda attack: judged[attack].low)
                found[name] = judged[best], best
        return found

    def numbers(self):
        """Return what each attack that could be tried reaches, and accuracies of the target (dict of str to Estimate).

        Accuracy, AUC and the recall at 1 % false positives, with 95 % intervals for each alone.
        """
        of_attacks = {}
        for name, said in self.attacks.items():
            of = {"accuracy": said.accuracy(), "AUC": said.auc(), "TPR at 1 % FPR": said.tpr(0.01)}
            of_attacks |= {f"{quantity}, {name}": value for quantity, value in of.items() if value == value}
        return of_attacks | {
            "train accuracy": self.target.train_accuracy,
            "test accuracy": self.target.test_accuracy,
        }

    @cached_property
    def overall(self):
        """Each attack's numbers with the intervals that the verdict goes by (dict of dict of Estimate)."""
        rows = {name: {"AUC": metrics.UNDEFINED} | dict.fromkeys(RATES, metrics.UNDEFINED) for name in self.attacks}
        for bound in self.verdict.bounds:
            rows[bound.attack][bound.quantity] = bound.found
        return {name: {q: rows[name][q] for q in ("accuracy", "AUC", *RATES)} for name in rows}

    def between_seeds(self):
        """Return what differs between seeds of shadow models (dict of str to dict of str to Estimate)."""
        found = {name: said.between_seeds() for name, said in self.attacks.items()}
        return {name: row for name, row in found.items() if row}

    def by_class(self):
        """Return for each class its counts, accuracies and how well members are told apart (dict of str to dict)."""
        return {name: self._alone(name, of) for name, of in self.classes_alone.items()}

    def by_subgroup(self):
        """Return the same for each subgroup."""
        return {name: self._alone(name, of) for name, of in self.subgroups.items()}

    def _alone(self, name, rows):
        target = self.target.rows(rows)
        auc, attack = self.groups.get(name, (metrics.UNDEFINED, "–"))
        return {
            "in": int(np.count_nonzero(target.member)),
            "out": int(np.count_nonzero(~target.member)),
            **self._does(target),
            "AUC": auc,
            "attack": attack,
            "leaks": bool(auc.low > metrics.BASELINE),
        }

    @staticmethod
    def _does(target):
        """Return how well the model does on some records in, and out."""
        return {"train accuracy": float(target.train_accuracy), "test accuracy": float(target.test_accuracy)}

    def beyond_overfitting(self):
        """Return accuracy of the gap attack, of the strongest, and what the latter adds (dict of str to Estimate)."""
        gap = self.attacks[GAP].accuracy()
        best = max(self.attacks.values(), key=lambda said: said.accuracy().low).accuracy()
        return {"gap attack": gap, "strongest by accuracy": best, "more than the gap": float(best - gap)}

    def precision_at(self):
        """Return the share of members among those that the strongest attack calls members, by prior (dict of float).

        At the attack's own threshold, and at that which 1 % of the non-members exceed (NaN where these are too few).
        """
        said = self.attacks[self.strongest]
        found = said.inference
        own = (np.mean(found.inferred[found.member]), np.mean(found.inferred[~found.member]))
        few = (float(said.tpr(0.01)), 0.01)
        return {
            name: {prior: _precision(*rates, prior) for prior in PRIORS}
            for name, rates in (("its own threshold", own), ("1 % FPR", few))
        }

    def threshold_at(self, fpr):
        """Return the strongest attack's score that this share of the non-members exceeds; NaN if there are too few."""
        found = self.attacks[self.strongest].inference
        outside = np.sort(found.score[~found.member & found.judged])[::-1]
        return float(outside[int(fpr * len(outside))]) if fpr * len(outside) >= 1 else float("nan")

    def exposed(self, n=10):
        """Return the members of the strongest attack's highest scores, a list of dict, each with its false alarms."""
        found = self.by_record[self.strongest].inference
        fit, members = self._fit(), np.flatnonzero(self.target.member)
        order = members[np.lexsort((-fit[members], -np.nan_to_num(found.score[members], nan=-np.inf)))][:n]
        position, outside = np.cumsum(self.target.member), found.score[~self.target.member]
        return [
            {
                "record": int(position[row]),
                **self._shown(row),
                "score": float(found.score[row]),
                "records out that score as high": int(np.count_nonzero(outside >= found.score[row])),
            }
            for row in order
        ]

    def _fit(self):
        """Return how well the model fits each record: of equal scores, the best fitted are the most exposed."""
        return metrics.true_class_probability(self.target.labels, self.target.vectors)

    def _shown(self, row):
        """Return what is shown of an exposed record."""
        return {
            "class": self.class_name(self.target.labels[row]),
            "probability of its class": float(self._fit()[row]),
        }

    @cached_property
    def mitigations(self):
        """What attacks reach behind each output filter (§IX), which they learn behind as well (dict of str to dict).

        Accuracy and AUC (`Estimate`) of the attack of the highest AUC behind it, its name, the highest upper end of any
        attack, whether everything material is ruled out, and the share of records whose most likely class stays.
        """
        kinds = [TopK(1), LabelOnly(), Rounding(3), Rounding(1), Temperature(5), Temperature(20)]
        if self.target.vectors.shape[1] > 3:
            kinds.insert(0, TopK(3))
        return {"none": self._behind(None)} | {str(kind): self._behind(kind) for kind in kinds}

    def _behind(self, kind):
        if kind is None:
            said, vectors = self.attacks, self.target.vectors
        else:
            vectors = kind(self.target.vectors)
            case = replace(
                self._case(),
                target=replace(self.target, vectors=vectors),
                shadows=tuple(of.behind(kind) for of in self.shadows),
            )
            said = self._judged(case.run([name for name in self.attacks if name not in LONGER]))
        best, bounds = max(said, key=lambda name: np.nan_to_num(said[name].auc().low)), bounds_of(said, self.material)
        measured = {
            "accuracy": said[best].accuracy(LEVEL),
            "AUC": said[best].auc(LEVEL),
            "attack": best,
            "at most": max(bound.found.high for bound in bounds if bound.quantity not in RATES),
            "ruled out": all(bound.ruled_out for bound in bounds),
        }
        return measured | self._kept(vectors)

    def _kept(self, vectors):
        """Return how useful filtered answers are."""
        return {"same class": float(np.mean(vectors.argmax(axis=1) == self.target.vectors.argmax(axis=1)))}

    @cached_property
    def privacy(self):
        """What is proved of ε (dict): the lower bound, by which attack, that of canaries, and what is promised."""
        fair = {name: said.inference.score for name, said in self.attacks.items() if said.half is None}
        fair = {name: score for name, score in fair.items() if not np.isnan(score).any()}
        member, half = self.target.member, self.half
        if self.persons is not None:
            _, first = np.unique(self.persons, return_index=True)
            member, half = member[first], half[first]
        found, attack = held_out_epsilon(member, fair, half, self.delta)
        return {
            "lower bound": found,
            "attack": attack,
            "lower bound by canaries": self.canaries,
            "promised": self.epsilon,
            "delta": self.delta,
        }

    @property
    def has_own_kind(self):
        """Whether there are shadow models of the audited model's own kind, asked about its records (bool)."""
        return any(of.own and of.vectors is not None for of in self.shadows)

    def about_privacy(self):
        """Return what the lower bounds on ε say of the promise, sentences."""
        return wording.about_privacy(self)

    def likeness(self, shadows):
        """Return how far `Shadows` are like the model, the end of a sentence, and whether they differ (bool)."""
        return wording.likeness(self, shadows)

    def about_model(self):
        """Return how well the model does on the records in and on those out, a sentence."""
        return wording.about_model(self)

    def spread(self):
        """Return what the report's histogram shows: its label, and values of each record from 0 to 1 (ndarray)."""
        return "probability of the true class", metrics.true_class_probability(self.target.labels, self.target.vectors)

    def limits(self):
        """Return what these findings do not say, a list of sentences."""
        return wording.limits(self)

    def sentence(self):
        """Return the verdict, one or two sentences that say no more than the bounds do."""
        return wording.sentence(self)

    def errors(self):
        """Return how far a regressor's values are off, nothing for a classifier (dict of float)."""
        return {}


def _precision(tpr, fpr, prior):
    called = tpr * prior + fpr * (1 - prior)
    return float(tpr * prior / called) if called > 0 else float("nan")
