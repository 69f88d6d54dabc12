"""What is audited, opened from whatever people have, and how shadow models like it are trained."""

import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone

from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.datasets.features import as_features
from mialib.models.stack import NN, ReLU, Tanh
from mialib.models.training import Epochs, Recipe, train_models


@dataclass(frozen=True, eq=False)
class Refit:
    """Train copies of an estimator of scikit-learn, with its settings and without what it has learned.

    Parameters
    ----------
    estimator : estimator with ``fit`` and ``predict_proba``
    """

    estimator: BaseEstimator

    def fit(self, x, y, seed):
        """Return a fitted copy."""
        state = int(np.random.default_rng(seed).integers(2**31))
        names = [name for name in self.estimator.get_params() if name.split("__")[-1] == "random_state"]
        return clone(self.estimator).set_params(**dict.fromkeys(names, state)).fit(x, y)

    def answers(self, x, y, n_classes, in_, asked, seeds):
        """Train a model for each row of `in_`, and ask it.

        Parameters
        ----------
        x : DataFrame or ndarray
            Records.
        y : ndarray of int64
            Their classes, 0 to ``n_classes - 1``.
        n_classes : int
        in_, asked : ndarray of int, shape (k, n) and (k, m)
            The records that each model is trained on, and asked about.
        seeds : sequence of k SeedSequence

        Returns
        -------
        ndarray of float32, shape (k, m, n_classes)
            A class without training records has probability 0.
        """
        jobs = (
            joblib.delayed(self._fit_and_ask)(_rows(x, i), y[i], n_classes, _rows(x, a), s)
            for i, a, s in zip(in_, asked, seeds, strict=True)
        )
        return np.stack(joblib.Parallel(-1)(jobs))

    def _fit_and_ask(self, x, y, n_classes, asked, seed):
        fitted = self.fit(x, y, seed)
        vectors = np.zeros((len(asked), n_classes), np.float32)
        vectors[:, fitted.classes_] = fitted.predict_proba(asked)
        return vectors

    def __str__(self):
        return f"copies of the model's own kind, {type(_last(self.estimator)).__name__}, with its settings"


@dataclass(frozen=True)
class Networks:
    """Train networks of this package.

    Parameters
    ----------
    recipe : Recipe
    known : bool
        Whether the audited model is known to be such a network.
    """

    recipe: Recipe
    known: bool = False

    def answers(self, x, y, n_classes, in_, asked, seeds):
        """Train a model for each row of `in_`, and ask it; see `Refit.answers`."""
        x = as_features(numeric(x))
        data = Dataset(x, y, n_classes, Provenance("audited", "sample", "the user's", "the user's", array_sha256(x)))
        return train_models(self.recipe, data, in_, seeds).predict_proba(x, asked)

    def __str__(self):
        return f"networks with hidden layers of {self.recipe.architecture.hidden}, {self.recipe.length}"


def numeric(x):
    """Return records as an array of numbers.

    Raises
    ------
    ValueError
        If a column is text.
    """
    if not isinstance(x, pd.DataFrame):
        return np.asarray(x)
    text = [str(name) for name in x.columns if not pd.api.types.is_numeric_dtype(x[name])]
    if text:
        raise ValueError(f"column {text[0]!r} is text; this kind of model takes numbers only: encode it first")
    return x.to_numpy(np.float32)


def _rows(x, rows):
    return x.iloc[rows] if isinstance(x, pd.DataFrame) else x[rows]


def _last(estimator):
    return estimator[-1] if hasattr(estimator, "steps") else estimator


ACTIVATIONS = {"tanh": Tanh(), "relu": ReLU()}
STAND_IN = Networks(Recipe(NN((128,)), Epochs(100)))
"""How shadow models are trained where the audited model's training is not known: the paper's network (§VI-B)."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that is audited.

    Parameters
    ----------
    name : str
    ask : callable
        From records, a DataFrame or ndarray of n, to prediction vectors, shape (n, classes).
    refit : Refit or Networks
        How shadow models are trained.
    classes : ndarray, optional
        What the model calls its classes, in the order of its prediction vectors.
    partial : bool
        Whether its vectors leave classes out.
    """

    name: str
    ask: object
    refit: Refit | Networks = STAND_IN
    classes: np.ndarray | None = None
    partial: bool = False

    @property
    def is_own_kind(self):
        """Whether shadow models are trained as this model was, as far as a file can tell (bool)."""
        return isinstance(self.refit, Refit) or self.refit.known


@dataclass(frozen=True)
class Opening:
    """What a user allows, and knows, of a model file.

    Parameters
    ----------
    logits : bool
        The model gives logits: a softmax is taken.
    partial : bool
        It leaves classes out.
    trust : tuple of str
        Types in a skops file that the user has looked at.
    allow_pickle : bool
        A pickle runs whatever its author put into it: only for files from oneself.
    activation : {"tanh", "relu"}
        Between the layers of a safetensors file, which does not say it.
    epochs : int
        Passes over the training records of shadow networks.
    """

    logits: bool = False
    partial: bool = False
    trust: tuple[str, ...] = ()
    allow_pickle: bool = False
    activation: str = "relu"
    epochs: int = 100

    def vectors(self, output):
        """Return prediction vectors from what a model puts out."""
        output = np.asarray(output)
        if not self.logits:
            return output
        e = np.exp(output - output.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)


PLAIN = Opening()
"""Probabilities of all classes, from a file that needs no trust."""


def of_estimator(estimator, name, opening=PLAIN):
    """Return a fitted estimator of scikit-learn as a subject.

    Raises
    ------
    ValueError
        If it gives no prediction vectors, or is not fitted.
    """
    if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
        raise ValueError(f"{name} holds {type(estimator).__name__}, which is no fitted classifier with predict_proba")
    names = getattr(estimator, "feature_names_in_", None)

    def ask(x):
        return estimator.predict_proba(_as_known(x, names))

    return Subject(name, ask, Refit(estimator), np.asarray(estimator.classes_), opening.partial)


def _as_known(x, names):
    """Return records as an estimator was fitted: columns in its order if it knows their names, else an array."""
    if names is None:
        return x.to_numpy() if isinstance(x, pd.DataFrame) else np.asarray(x).reshape(len(x), -1)
    if not isinstance(x, pd.DataFrame):
        return pd.DataFrame(np.asarray(x).reshape(len(x), -1), columns=names)
    if missing := [name for name in names if name not in x]:
        raise ValueError(f"the records have no column {missing[0]!r}, which the model was fitted with")
    return x[list(names)]


def _skops(path, opening):
    from skops import io

    untrusted = set(io.get_untrusted_types(file=path)) - set(opening.trust)
    if untrusted:
        flags = " ".join(f"--trust {name}" for name in sorted(untrusted))
        raise ValueError(f"{path} holds types that are not known to be safe; if you know them, say {flags}")
    return of_estimator(io.load(path, trusted=list(opening.trust)), path.name, opening)


def _pickle(path, opening):
    if not opening.allow_pickle:
        raise ValueError(
            f"{path} is a pickle, which runs whatever its author put into it; save the model with skops, or say "
            "--allow-pickle if the file is your own"
        )
    return of_estimator(joblib.load(path), path.name, opening)


def _torchscript(path, opening):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = torch.jit.load(path, map_location="cpu").eval()

    @torch.no_grad()
    def ask(x):
        x = torch.from_numpy(np.ascontiguousarray(numeric(x), np.float32))
        return opening.vectors(torch.cat([model(part) for part in x.split(1024)]).numpy())

    return Subject(path.name, ask, _stand_in(opening), partial=opening.partial)


def _onnx(path, opening):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (record,) = session.get_inputs()
    dtype = np.float64 if record.type == "tensor(double)" else np.float32

    def ask(x):
        outputs = session.run(None, {record.name: np.ascontiguousarray(numeric(x), dtype)})
        tables = [output for output in outputs if isinstance(output, np.ndarray) and output.ndim == 2]
        if len(tables) != 1:
            raise ValueError(f"{path} has {len(tables)} outputs of shape (records, classes); it must have one")
        return opening.vectors(tables[0])

    return Subject(path.name, ask, _stand_in(opening), partial=opening.partial)


def _safetensors(path, opening):
    from safetensors.numpy import load_file

    tensors = load_file(path)
    layers = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    layers = sorted(layers, key=lambda name: [int(part) if part.isdigit() else part for part in name.split(".")])
    shapes = [tensors[f"{name}.weight"].shape for name in layers]
    chained = all(len(s) == 2 for s in shapes) and all(a[0] == b[1] for a, b in pairwise(shapes))
    expected = {f"{name}.{part}" for name in layers for part in ("weight", "bias")}
    if not layers or not chained or set(tensors) != expected:
        raise ValueError(
            f"{path} is not a chain of fully connected layers, with weight and bias each; weights of other models do "
            "not say how to compute: save those as ONNX or TorchScript"
        )
    network = NN(tuple(shape[0] for shape in shapes[:-1]), ACTIVATIONS[opening.activation])

    def ask(x):
        value = np.asarray(numeric(x), np.float32).reshape(len(x), -1)
        for i, name in enumerate(layers):
            value = value @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
            if i < len(layers) - 1:
                value = np.tanh(value) if opening.activation == "tanh" else np.maximum(value, 0)
        return Opening(logits=True).vectors(value)

    return Subject(path.name, ask, Networks(Recipe(network, Epochs(opening.epochs)), known=True))


def _stand_in(opening):
    return Networks(Recipe(NN((128,)), Epochs(opening.epochs)))


OPENERS = {
    ".skops": _skops,
    ".pkl": _pickle,
    ".pickle": _pickle,
    ".joblib": _pickle,
    ".pt": _torchscript,
    ".ts": _torchscript,
    ".onnx": _onnx,
    ".safetensors": _safetensors,
}


def open_subject(path, opening=PLAIN):
    """Return the model of a file as a subject.

    Parameters
    ----------
    path : path
        ``.skops`` (scikit-learn), ``.onnx``, ``.pt`` or ``.ts`` (TorchScript), ``.safetensors`` (fully connected
        layers); ``.pkl``, ``.pickle`` or ``.joblib`` only if `opening` allows it.
    opening : Opening

    Raises
    ------
    ValueError
        If the file is none of them, or not to be opened.
    """
    path = Path(path)
    if path.suffix not in OPENERS:
        raise ValueError(f"{path} is no model file that can be audited; those end in {', '.join(OPENERS)}")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    try:
        return OPENERS[path.suffix](path, opening)
    except ModuleNotFoundError as error:
        raise ValueError(f'{path} needs {error.name}; install it with pip install "mialib[audit]"') from error


def of_remote(remote, refit=STAND_IN):
    """Return an endpoint as a subject."""

    def ask(x):
        return remote.predict_proba(numeric(x))[0]

    return Subject(f"{remote.model} at {remote.url}", ask, refit, partial=not remote.metadata.complete)
