"""How shadow models are trained: as the audited model was, or as something that stands in for it."""

import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator

from mialib.base.machine import progress
from mialib.base.validate import TOLERANCE
from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.datasets.features import as_features
from mialib.models.training import Recipe
from mialib.platforms.estimators import seeded
from mialib.submission.outputs import module_outputs, one_hot

STARTING = 5.0
"""Seconds of work that are worth the start of other processes."""


@dataclass(frozen=True, eq=False)
class Refit:
    """Train copies of an estimator of scikit-learn, with its settings and without what it has learned."""

    estimator: BaseEstimator
    known = True

    def fit(self, x, labels, seed, weights=None):
        """Return a copy, fitted with the user's labels, and weights if there are any."""
        fresh = seeded(self.estimator, seed)
        if weights is None:
            return fresh.fit(x, labels)
        last = f"{fresh.steps[-1][0]}__" if hasattr(fresh, "steps") else ""
        return fresh.fit(x, labels, **{f"{last}sample_weight": weights})

    def answers(self, records, classes, in_, asked, seeds):
        """Return what k models say, trained on the rows `in_` of some `Records` and asked about the rows `asked`.

        Prediction vectors, float32 of shape (k, m, classes), from k arrays of rows each, and k seeds. `classes` are all
        classes as the labels call them; one without training records has probability 0.
        """
        jobs = [
            (self, records.take(i), classes, records.take(a).x, s) for i, a, s in zip(in_, asked, seeds, strict=True)
        ]
        started = time.perf_counter()
        first = _fit_and_ask(*jobs[0])
        worth_it = (time.perf_counter() - started) * len(jobs) > STARTING
        run = joblib.Parallel(-1 if worth_it else 1, return_as="generator")
        rest = run(joblib.delayed(_fit_and_ask)(*job) for job in jobs[1:])
        return np.stack([first, *progress("shadow models", "model", rest, len(jobs) - 1)])

    def __str__(self):
        last = self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator
        return f"copies of the model's own kind, {type(last).__name__}, with its settings"


@dataclass(frozen=True)
class Trained:
    """Train models by a function of the user's, ``function(x, labels, seed)``, or with ``weights`` as the fourth.

    What it returns has ``predict_proba``, or is called with records and returns logits or probabilities.
    """

    function: object
    name: str = "a function"
    known = True

    @classmethod
    def from_name(cls, name):
        """Return what ``module:function`` names, sought in the current folder too; a ValueError if there is none."""
        module, _, function = name.partition(":")
        if not function:
            raise ValueError(f"--train is {name!r}; name a module and a function in it, as module:function")
        sys.path.insert(0, str(Path.cwd()))
        try:
            return cls(getattr(import_module(module), function), name)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"--train {name}: {error}; name a module and a function in it") from error
        finally:
            sys.path.pop(0)

    def fit(self, x, labels, seed, weights=None):
        """Return a model."""
        more = () if weights is None else (weights,)
        return self.function(x, labels, int(np.random.default_rng(seed).integers(2**31)), *more)

    def answers(self, records, classes, in_, asked, seeds):
        """Return what k models say, one after the other; see `Refit.answers`."""
        jobs = zip(in_, asked, seeds, strict=True)
        jobs = progress("shadow models", "model", list(jobs))
        return np.stack([_fit_and_ask(self, records.take(i), classes, records.take(a).x, s) for i, a, s in jobs])

    def __str__(self):
        return f"trained by {self.name}"


@dataclass(frozen=True)
class ModuleTrainer:
    """Trains a module of PyTorch by a `Recipe`, for `Trained`: a function from records, labels and a seed to one.

    Parameters
    ----------
    factory : callable
        Returns a fresh ``torch.nn.Module``, from records (float32) to logits.
    recipe : Recipe
        Its length, batch size, learning rate and optimiser; the architecture is the factory's.
    classes : sequence
        What the labels call the classes, in the order of the logits.
    """

    factory: object
    recipe: Recipe
    classes: tuple

    def __call__(self, x, labels, seed):
        """Return a trained module."""
        number = {str(c): i for i, c in enumerate(self.classes)}
        x = torch.from_numpy(np.ascontiguousarray(as_numbers(x), np.float32))
        y = torch.tensor([number[str(label)] for label in labels])
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            module = self.factory().train()
            kind = {"Adam": torch.optim.Adam, "SGD": torch.optim.SGD}[type(self.recipe.optimiser).__name__]
            optimiser = kind(module.parameters(), self.recipe.learning_rate)
            for _ in range(max(1, self.recipe.n_steps(len(x)) * self.recipe.batch_size // len(x))):
                for rows in torch.randperm(len(x)).split(self.recipe.batch_size):
                    optimiser.zero_grad()
                    torch.nn.functional.cross_entropy(module(x[rows]), y[rows]).backward()
                    optimiser.step()
        return module.eval()


@dataclass(frozen=True)
class OnPlatform:
    """Train models on a platform, such as a `Recipe`; `known` says that the audited model was trained on it too."""

    platform: object
    known: bool = False

    def fit(self, x, labels, seed, weights=None):
        """Return a model of the classes that the labels have, with ``predict_proba`` and ``classes_``."""
        classes = np.unique(labels)
        data = self._dataset(x, labels, classes)
        return _Fitted(self.platform.train(data, np.arange(len(labels))[None], [seed]), classes)

    def answers(self, records, classes, in_, asked, seeds):
        """Return what k models say; see `Refit.answers`. All are trained on as many records: the fewest of any."""
        data, few = self._dataset(records.x, records.labels, classes), min(map(len, in_))
        models = self.platform.train(data, np.stack([rows[:few] for rows in in_]), seeds)
        return models.predict_proba(data.x, np.stack(asked))

    @staticmethod
    def _dataset(x, labels, classes):
        x, number = _as_engine(x), {str(c): i for i, c in enumerate(classes)}
        y = np.array([number[str(label)] for label in labels])
        origin = Provenance("audited", "sample", "the user's", "the user's", array_sha256(x))
        return Dataset(x, y, len(classes), origin)

    def __str__(self):
        if not isinstance(self.platform, Recipe):
            return f"models on the platform {self.platform}"
        network = self.platform.architecture
        kind = f"networks with hidden layers of {network.hidden}" if hasattr(network, "hidden") else f"{network}"
        return f"{kind}, {self.platform.epochs} epochs"


@dataclass(frozen=True, eq=False)
class _Fitted:
    """One model that was trained on a platform."""

    models: object
    classes_: np.ndarray

    def predict_proba(self, x):
        return self.models.predict_proba(_as_engine(x))[0]


def _as_engine(x):
    """Return records as the engine takes them: images stay images."""
    x = as_numbers(x)
    return x if x.ndim > 2 else as_features(x)


def as_numbers(x):
    """Return records as an array; a ValueError names a column of text."""
    if not isinstance(x, pd.DataFrame):
        return np.asarray(x)
    text = [str(name) for name in x.columns if not pd.api.types.is_numeric_dtype(x[name])]
    if text:
        raise ValueError(f"column {text[0]!r} is text; this kind of model takes numbers only: encode it first")
    return x.to_numpy(np.float32)


def ask(model, x, classes):
    """Return a model's prediction vectors, float32 of shape (n, classes), in the order of `classes`.

    `model` has ``predict_proba`` or ``predict``, or is called, and returns logits, probabilities or labels.
    A ValueError says if the answers have another shape.
    """
    if hasattr(model, "predict_proba"):
        found = np.asarray(model.predict_proba(x))
        if hasattr(model, "classes_"):
            place = {str(c): i for i, c in enumerate(classes)}
            vectors = np.zeros((len(found), len(classes)), np.float32)
            vectors[:, [place[str(c)] for c in model.classes_]] = found
            found = vectors
    elif isinstance(model, torch.nn.Module):
        found = module_outputs(model.eval(), as_numbers(x))
    else:
        found = np.asarray(model.predict(x) if hasattr(model, "predict") else model(x))
        found = one_hot(found, classes) if found.shape == (len(x),) else found
    if found.shape != (len(x), len(classes)):
        raise ValueError(
            f"a shadow model's answers about {len(x)} records have shape {found.shape}; it must be "
            f"({len(x)}, {len(classes)}), an entry for each class"
        )
    if not np.isfinite(found).all():
        raise ValueError(f"a shadow model's answers about {len(x)} records hold NaN or infinity; they must be numbers")
    certain = found.min() >= 0 and np.abs(found.sum(axis=1) - 1).max() <= TOLERANCE
    return (found if certain else softmax(found, axis=1)).astype(np.float32)


def _fit_and_ask(kind, trained_on, classes, asked, seed):
    return ask(kind.fit(trained_on.x, trained_on.labels, seed, trained_on.weights), asked, classes)
