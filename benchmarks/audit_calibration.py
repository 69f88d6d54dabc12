"""How often `mia audit` is wrong: audits of models that leak nothing, and of models that leak by design.

    python benchmarks/audit_calibration.py null 500 [FIRST]   # membership is drawn at random after training
    python benchmarks/audit_calibration.py private 100 [FIRST] # DP-SGD: is more proved than the accountant promises?
    python benchmarks/audit_calibration.py leaky [SIZE...]   # kinds of models that leak, each audited in four ways

Prints a line per audit, then a table; the lines are JSON, so that runs in parts can be joined.
"""

import itertools
import json
import sys
import time
from collections import Counter

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, make_classification
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from mialib.auditing.audit import Settings, audit, audit_saved
from mialib.base.seeding import child
from mialib.models.stack import NN
from mialib.platforms.private import DPSGD
from mialib.submission.inputs import Records
from mialib.submission.refits import OnPlatform
from mialib.submission.saved import SavedAnswers
from mialib.submission.subjects import Opening, Subject

KINDS = {
    "forest": lambda s: RandomForestClassifier(50, random_state=s),
    "logistic regression": lambda s: LogisticRegression(max_iter=200),
    "nearest neighbours": lambda s: KNeighborsClassifier(3),
}
SIZES = (20, 200, 2000)


def people(n, seed, n_features=12, n_classes=3, flip=0.2):
    x, y = make_classification(
        n, n_features, n_informative=8, n_classes=n_classes, flip_y=flip, class_sep=1.0, random_state=seed
    )
    return x.astype(np.float32), y


def null(n_audits, first):
    """Audit models to which all records are alike: all trained on, or none; membership is a coin tossed afterwards."""
    cells = list(itertools.product(SIZES, KINDS, ("all known", "none known")))
    for i in range(first, first + n_audits):
        size, kind, known = cells[i % len(cells)]
        x, y = people(4 * size + 60, i)
        of = slice(0, 2 * size) if known == "all known" else slice(2 * size, None)
        model = KINDS[kind](i).fit(x[of], y[of])
        rows = np.random.default_rng(10_000 + i).permutation(2 * size)
        in_, out = rows[:size], rows[size:]
        found = audit(model, (x[in_], y[in_]), (x[out], y[out]), settings=Settings(n_shadow=4, seeds=1, seed=i))
        yield {"n": size, "kind": kind, "known": known, "outcome": found.verdict.outcome}


class Memory(ClassifierMixin, BaseEstimator):
    """A logistic regression that has memorised some of its records: those of a class, or of a subgroup."""

    def __init__(self, of="class", share=0.1):
        self.of, self.share = of, share

    def fit(self, x, y):
        x = np.asarray(x)
        self.plain_ = LogisticRegression(max_iter=500).fit(x, y)
        self.classes_ = self.plain_.classes_
        some = y == self.classes_[0] if self.of == "class" else x[:, 0] > np.quantile(x[:, 0], 1 - self.share)
        self.known_ = {row.tobytes(): label for row, label in zip(x[some], y[some], strict=True)}
        return self

    def predict_proba(self, x):
        x = np.asarray(x)
        vectors = self.plain_.predict_proba(x)
        for i, row in enumerate(x):
            if (label := self.known_.get(row.tobytes())) is not None:
                vectors[i] = np.where(self.classes_ == label, 0.97, 0.03 / (len(self.classes_) - 1))
        return vectors


class Behind(ClassifierMixin, BaseEstimator):
    """A classifier behind a filter of its answers, by name."""

    def __init__(self, model, how):
        self.model, self.how = model, how

    def fit(self, x, y):
        self.model.fit(x, y)
        self.classes_ = self.model.classes_
        return self

    def predict_proba(self, x):
        p = self.model.predict_proba(x)
        if self.how == "label":
            return np.eye(p.shape[1])[p.argmax(axis=1)]
        if self.how == "clipped":
            p = np.clip(p, 0.1, 0.8)
        elif self.how == "rounded":
            p = np.round(p, 1) + 1e-3
        elif self.how == "temperature":
            p = softmax(np.log(np.maximum(p, 1e-12)) / 20, axis=1)
        elif self.how == "permuted":  # the largest entry is not the most likely class
            p = np.where(p == p.max(axis=1, keepdims=True), p.min(axis=1, keepdims=True), p) + 1e-3
        return p / p.sum(axis=1, keepdims=True)


class Net(ClassifierMixin, BaseEstimator):
    """A network of PyTorch with label smoothing and weight decay."""

    def __init__(self, smoothing=0.0, decay=0.0, epochs=150, convolution=False, random_state=0):
        self.smoothing, self.decay, self.epochs = smoothing, decay, epochs
        self.convolution, self.random_state = convolution, random_state

    def fit(self, x, y):
        torch.manual_seed(self.random_state or 0)
        self.classes_ = np.unique(y)
        k, d = len(self.classes_), x.shape[1]
        if self.convolution:
            layers = [torch.nn.Unflatten(1, (1, 8, 8)), torch.nn.Conv2d(1, 16, 3), torch.nn.ReLU(), torch.nn.Flatten()]
            layers += [torch.nn.Linear(16 * 36, 64), torch.nn.ReLU(), torch.nn.Linear(64, k)]
        else:
            layers = [torch.nn.Linear(d, 128), torch.nn.ReLU(), torch.nn.Linear(128, k)]
        self.net_ = torch.nn.Sequential(*layers)
        x, y = torch.as_tensor(np.asarray(x, np.float32)), torch.as_tensor(np.searchsorted(self.classes_, y))
        optimiser = torch.optim.Adam(self.net_.parameters(), 2e-3, weight_decay=self.decay)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(x)).split(64):
                optimiser.zero_grad()
                loss = torch.nn.functional.cross_entropy(self.net_(x[rows]), y[rows], label_smoothing=self.smoothing)
                loss.backward()
                optimiser.step()
        return self

    @torch.no_grad()
    def predict_proba(self, x):
        return softmax(self.net_(torch.as_tensor(np.asarray(x, np.float32))).numpy().astype(np.float64), axis=1)


def leaky_kinds(s=0):
    forest, net = RandomForestClassifier(50, random_state=s), MLPClassifier((128,), max_iter=400, random_state=s)
    return {
        "forest": forest,
        "forest, leaves of 5": RandomForestClassifier(50, min_samples_leaf=5, random_state=s),
        "forest, leaves of 40": RandomForestClassifier(50, min_samples_leaf=40, random_state=s),
        "shallow forest of many trees": RandomForestClassifier(200, max_depth=6, random_state=s),
        "tree": DecisionTreeClassifier(random_state=s),
        "1 nearest neighbour": KNeighborsClassifier(1),
        "5 nearest neighbours": KNeighborsClassifier(5),
        "5 nearest neighbours, by distance": KNeighborsClassifier(5, weights="distance"),
        "boosted trees": HistGradientBoostingClassifier(max_iter=150, random_state=s),
        "support vectors": SVC(C=100, gamma=0.3, probability=True, random_state=s),
        "network": net,
        "network, label smoothing 0.3": Net(0.3),
        "network, weight decay": Net(0.0, 1e-3),
        "network, both": Net(0.3, 1e-3),
        "convolution, label smoothing": Net(0.2, convolution=True, epochs=60),
        "overfitted in one class": Memory("class"),
        "overfitted in a subgroup": Memory("group"),
        "overfitted in 2 % of the records": Memory("group", 0.02),
        "calibrated forest": CalibratedClassifierCV(forest, cv=3),
        "forest, clipped": Behind(forest, "clipped"),
        "forest, label only": Behind(forest, "label"),
        "network, label only": Behind(net, "label"),
        "forest, rounded": Behind(forest, "rounded"),
        "network, temperature 20": Behind(net, "temperature"),
        "forest, largest entry hidden": Behind(forest, "permuted"),
    }


def leaky(sizes):
    """Audit each kind of leaky model by its own kind, with a pool, as a function, and by its answers alone."""
    for size, (name, model) in itertools.product(sizes, leaky_kinds().items()):
        if name.startswith("convolution"):
            digits = load_digits()
            order = np.random.default_rng(0).permutation(len(digits.target))
            x, y = (digits.data / 16).astype(np.float32)[order], digits.target[order]
            part = min(size, len(x) // 3)
        else:
            (x, y), part = people(4 * size, 77, flip=0.1 if name.startswith("overfitted") else 0.2), size
        model.fit(x[:part], y[:part])
        in_, out, pool = ((x[i : i + part], y[i : i + part]) for i in (0, part, 2 * part))
        settings = Settings(n_shadow=4, seeds=1)
        vectors = model.predict_proba(x[: 2 * part])
        saved = SavedAnswers(vectors, y[: 2 * part], np.arange(2 * part) < part, np.zeros(2 * part, bool))
        unknown = (model.predict_proba, Records(*in_), Records(*out), Records(*pool), settings, Opening(epochs=30))
        ways = {
            "own kind": (audit, model, in_, out, None, settings),
            "own kind and pool": (audit, model, in_, out, pool, settings),
            "unknown kind and pool": (audit, *unknown),
            "answers alone": (audit_saved, saved, "saved"),
        }
        for way, (run, *arguments) in ways.items():
            found = run(*arguments)
            bound = found.verdict.strongest
            yield {
                "n": part,
                "kind": name,
                "way": way,
                "outcome": found.verdict.outcome,
                "by": f"{bound.attack}, {bound.quantity}",
                "found": f"{bound.found}",
            }


def private(n_audits, first, epsilon=1.0, delta=1e-3, size=300):
    """Train by DP-SGD, and bound ε from below by the records in and out, and by canaries."""
    platform = DPSGD(epsilon, delta, NN((16,)), epochs=20, batch_size=50, learning_rate=0.02, accountant="rdp")
    for i in range(first, first + n_audits):
        x, y = people(2 * size, i)
        refit = OnPlatform(platform, known=True)
        settings = Settings(n_shadow=2, seeds=1, canaries=200, epsilon=epsilon, delta=delta, seed=i)
        model = refit.fit(x[:size], y[:size], child(i, 0))
        subject = Subject("private", model.predict_proba, refit, model.classes_)
        found = audit(subject, (x[:size], y[:size]), (x[size:], y[size:]), settings=settings)
        bounds = {"records": found.privacy["lower bound"], "canaries": found.canaries}
        above = max(bounds.values()) > epsilon
        yield {"n": size, "kind": f"DP-SGD {epsilon:g}", **bounds, "outcome": "above" if above else "not above"}


def main(which, *numbers):
    numbers, started, rows = [int(number) for number in numbers], time.perf_counter(), []
    if which == "leaky":
        made = leaky(numbers or (400,))
    else:
        n_audits, first = (*(numbers or [100]), 0)[:2]
        made = {"null": null, "private": private}[which](n_audits, first)
    for row in made:
        rows.append(row)
        print(json.dumps(row), flush=True)
    by = ("n", "way") if which == "leaky" else ("n", "kind")
    for cell, group in itertools.groupby(sorted(rows, key=lambda r: [r[b] for b in by]), lambda r: [r[b] for b in by]):
        print(*cell, dict(Counter(r["outcome"] for r in group)))
    print(len(rows), "audits", dict(Counter(r["outcome"] for r in rows)), f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main(*sys.argv[1:])
