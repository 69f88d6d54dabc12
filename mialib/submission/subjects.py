"""What is audited: a model as a function from records to answers, and what it knows of both."""

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from mialib.models.stack import NN
from mialib.models.training import Recipe
from mialib.submission import fitted
from mialib.submission.columns import align
from mialib.submission.inputs import Records
from mialib.submission.outputs import LABELS_ONLY, as_values, as_vectors, module_outputs, one_hot
from mialib.submission.refits import OnPlatform, Refit, Trained, as_numbers


@dataclass(frozen=True)
class Opening:
    """What a user allows, and knows, of a model file.

    Parameters
    ----------
    logits : bool
        The model gives logits: a softmax is taken.
    partial : bool
        It leaves classes out.
    rounded : bool
        It rounds: vectors are scaled to sum to one, however far from it they are.
    regression : bool
        It predicts values, not classes, which is not to be seen of every kind of model.
    trust : sequence of str
        Types in a skops file that the user has looked at.
    allow_pickle : bool
        A pickle runs whatever its author put into it, TorchScript can read and overwrite files, and a program of
        torch.export can run code when it is opened: only for one's own files.
    isolated : bool
        Open the file, of any kind, in a process without rights to files, network and other processes: whatever runs
        there touches nothing. Needs Linux; the model's own kind of training stays there.
    activation : {"tanh", "relu"}
        Between the layers of a safetensors file, which does not say it.
    epochs : int
        Passes over the training records of shadow networks.
    classes : tuple of str, optional
        What the classes are called, in the order of its vectors, where the model does not say.
    """

    logits: bool = False
    partial: bool = False
    rounded: bool = False
    regression: bool = False
    trust: tuple[str, ...] = ()
    allow_pickle: bool = False
    isolated: bool = False
    activation: str = "relu"
    epochs: int = 100
    classes: tuple[str, ...] | None = None

    @property
    def may_run(self):
        """Whether code in a file may run, as it is the user's own or has no rights (bool)."""
        return self.allow_pickle or self.isolated

    @property
    def stand_in(self):
        """How shadow models are trained where the model's own training is not known: the paper's network (§VI-B)."""
        return OnPlatform(Recipe(NN((128,)), epochs=self.epochs))

    @property
    def task(self):
        """What a model is for that does not say it itself (str)."""
        return "regression" if self.regression else "classification"

    def vectors(self, output, n):
        """Return prediction vectors from what a model puts out about n records, and remarks; see `as_vectors`."""
        return as_vectors(output, n, logits=self.logits, partial=self.partial, rounded=self.rounded)


PLAIN = Opening()

CONSENT = (
    "say --isolated to run it in a process without rights (on Linux), or say --allow-pickle if the file is your own"
)
"""The ways on with a file that runs code, for the end of a sentence."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that is audited.

    Parameters
    ----------
    name : str
    ask : callable
        From n records, a DataFrame or ndarray, to what the model puts out, as `as_vectors` takes it.
    refit : Refit, Trained or OnPlatform
        How shadow models are trained.
    classes : ndarray, optional
        What the model calls its classes, in the order of its prediction vectors.
    partial : bool
        Whether its vectors leave classes out.
    names : sequence of str, optional
        The columns that it was fitted on, if it knows them.
    n_features : int, optional
        How many it was fitted on, if it knows that.
    kinds : dict of str to {"number", "text", "category"}
        What it takes in a column, where it says so; a dtype of pandas for categories equals "category".
    remarks : tuple of str
        What must be known of it: sentences for the report.
    task : {"classification", "regression"}
        A regressor is asked for values, shape (n,).
    opening : Opening
        Of what kind the numbers are that it puts out.
    label_only : bool
        It answers with labels.
    estimator : estimator, optional
        The model itself, where it is one, whose structure can be looked at.
    """

    name: str
    ask: object
    refit: Refit | Trained | OnPlatform
    classes: np.ndarray | None = None
    partial: bool = False
    names: np.ndarray | None = None
    n_features: int | None = None
    kinds: dict = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    task: str = "classification"
    opening: Opening = PLAIN
    label_only: bool = False
    estimator: object = None

    def answers(self, x):
        """Ask about records.

        Parameters
        ----------
        x : DataFrame or ndarray, shape (n, ...)

        Returns
        -------
        vectors : ndarray of float32, shape (n, classes)
            Of a regressor the values, float64 of shape (n,).
        remarks : list of str
            What was done to them: sentences for the report.

        Raises
        ------
        ValueError
            If the model takes other records, or its answers are no prediction vectors.
        """
        output = self.ask(self.fitted(x))
        if self.task == "regression":
            return as_values(output, len(x))
        if self.label_only:
            if self.classes is None:
                raise ValueError(f"{self.name} answers with labels, and does not say which there are; add classes_")
            return one_hot(output, self.classes), [LABELS_ONLY]
        of = replace(self.opening, partial=self.partial)
        vectors, remarks = as_vectors(
            output, len(x), logits=of.logits, partial=of.partial, rounded=of.rounded, classes=self.classes
        )
        if self.classes is not None and vectors.shape[1] != len(self.classes):
            raise ValueError(
                f"{self.name} gives vectors of {vectors.shape[1]} entries, and names {len(self.classes)} classes; it "
                "must name the class of each entry"
            )
        return vectors, remarks

    def fitted(self, x):
        """Return records as the model takes them, by `align`."""
        parts, _ = align({"asked about": Records(x, np.zeros(len(x)))}, self.names, self.n_features, self.kinds)
        return parts["asked about"].x

    def knowing(self, labels):
        """Return the subject with the classes of the labels, if it answers with labels and names no classes itself."""
        if not self.label_only or self.classes is not None:
            return self
        return replace(self, classes=np.unique(labels), partial=True)

    @classmethod
    def from_model(cls, model, opening=PLAIN):
        """Return a model file, a `Remote`, a fitted estimator, a function, a module or a subject as a subject."""
        if isinstance(model, cls):
            return model
        if hasattr(model, "url"):
            return cls.from_remote(model, opening)
        if hasattr(model, "predict_proba"):
            return cls.from_estimator(model, type(model).__name__, opening)
        if callable(model):
            return cls.from_callable(model, opening)
        if hasattr(model, "predict"):
            return cls.from_estimator(model, type(model).__name__, opening)
        return cls.from_file(model, opening)

    @classmethod
    def from_callable(cls, model, opening=PLAIN):
        """Return a function from records to prediction vectors, or a ``torch.nn.Module``, as a subject."""

        def ask_module(x):
            return module_outputs(model.eval(), as_numbers(x))

        module = isinstance(model, torch.nn.Module)
        name = type(model).__name__ if module else getattr(model, "__name__", type(model).__name__)
        ask = ask_module if module else model
        return cls.from_answers(name, ask, opening)

    @classmethod
    def from_answers(cls, name, ask, opening=PLAIN, n_features=None):
        """Return as a subject what answers, by a function `ask`, and says neither how it was trained nor of what kind.

        It is what the `Opening` says; stand-ins are trained in the place of its kind.
        """
        task, partial = opening.task, opening.partial
        return cls(name, ask, opening.stand_in, partial=partial, n_features=n_features, task=task, opening=opening)

    @classmethod
    def from_remote(cls, remote, opening=PLAIN):
        """Return an endpoint, a `Remote`, as a subject."""
        name, partial = f"{remote.model} at {remote.url}", not remote.metadata.complete
        return cls(name, lambda x: remote.predict_proba(as_numbers(x))[0], opening.stand_in, partial=partial)

    @classmethod
    def from_estimator(cls, estimator, name, opening=PLAIN):
        """Return an estimator of scikit-learn, or what follows it with ``predict_proba`` or ``predict``, as a subject.

        A ValueError says if it is not fitted, has neither, or answers for several targets.
        """
        if type(estimator).__name__ == "Booster":
            from mialib.submission import boosters

            return boosters.from_booster(estimator, name, opening)
        _check_fitted(estimator, name)
        classes, names = getattr(estimator, "classes_", None), fitted.names_of(estimator)
        if isinstance(classes, list) and classes and np.ndim(classes[0]):
            raise ValueError(f"{name} predicts {len(classes)} targets; an audit is of one: give a model of that one")
        texts, n_features = fitted.takes_texts(estimator), fitted.n_features_of(estimator)
        model = fitted.on_texts(estimator) if texts else estimator
        values = opening.regression or fitted.takes_values(estimator)
        vectors = hasattr(estimator, "predict_proba") and not values
        answer = model.predict_proba if vectors else model.predict

        def ask(x):
            if names is None and n_features is not None:  # it was fitted on an array
                x = x.to_numpy() if isinstance(x, pd.DataFrame) else np.reshape(x, (len(x), -1))
            return answer(x)

        return cls(
            name,
            ask,
            _refit(model, opening),
            None if classes is None or values else np.asarray(classes),
            opening.partial,
            names,
            n_features,
            fitted.kinds_of(estimator),
            task="regression" if values else "classification",
            opening=opening,
            label_only=not vectors and not values,
            estimator=estimator,
        )

    @classmethod
    def from_file(cls, path, opening=PLAIN):
        """Return the model of a file; a ValueError if it is none that can be audited, or not to be opened.

        A pickle, TorchScript or program of torch.export is opened only if `opening` allows it.
        """
        from mialib.submission.openers import open_file

        return open_file(path, opening)


def _refit(estimator, opening):
    """Return how to train such estimators."""
    if hasattr(estimator, "get_cat_feature_indices"):
        from mialib.submission.boosters import OfCatBoost

        return OfCatBoost.like(estimator)
    return Refit(estimator) if hasattr(estimator, "get_params") else opening.stand_in


def _check_fitted(estimator, name):
    """Raise a ValueError unless an object is a fitted estimator, or follows scikit-learn in ``predict`` alone."""
    if not hasattr(estimator, "predict"):
        if hasattr(estimator, "predict_proba"):
            return
        raise ValueError(
            f"{name} holds {type(estimator).__name__}, which has neither predict_proba nor predict; an audit is of a "
            "fitted classifier or regressor"
        )
    if isinstance(estimator, BaseEstimator):
        try:
            check_is_fitted(estimator)
        except NotFittedError as error:
            raise ValueError(f"{name} holds {type(estimator).__name__}, which is not fitted; fit it first") from error
