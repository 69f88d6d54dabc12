"""What is audited, opened from whatever people have."""

import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import torch
from scipy.special import softmax

from mialib.auditing.refits import OnPlatform, Refit, Trained, as_numbers, module_outputs
from mialib.models.stack import NN, ReLU, Tanh
from mialib.models.training import Recipe


@dataclass(frozen=True)
class Opening:
    """What a user allows, and knows, of a model file.

    Parameters
    ----------
    logits : bool
        The model gives logits: a softmax is taken.
    partial : bool
        It leaves classes out.
    trust : sequence of str
        Types in a skops file that the user has looked at.
    allow_pickle : bool
        A pickle runs whatever its author put into it: only for files from oneself.
    activation : {"tanh", "relu"}
        Between the layers of a safetensors file, which does not say it.
    epochs : int
        Passes over the training records of shadow networks.
    rounded : bool
        Its vectors are rounded: they are made to sum to one.
    classes : tuple of str, optional
        What the classes are called, in the order of its vectors, where the model does not say.
    """

    logits: bool = False
    partial: bool = False
    trust: tuple[str, ...] = ()
    allow_pickle: bool = False
    activation: str = "relu"
    epochs: int = 100
    rounded: bool = False
    classes: tuple[str, ...] | None = None

    @property
    def stand_in(self):
        """How shadow models are trained where the model's own training is not known: the paper's network (§VI-B)."""
        return OnPlatform(Recipe(NN((128,)), epochs=self.epochs))

    def vectors(self, output):
        """Return prediction vectors from what a model puts out."""
        return softmax(output, axis=1) if self.logits else np.asarray(output)


PLAIN = Opening()


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that is audited.

    Parameters
    ----------
    name : str
    ask : callable
        From n records, a DataFrame or ndarray, to prediction vectors, shape (n, classes).
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
        What it takes in a column, where it says so.
    remarks : tuple of str
        What was done to its answers, or must be known of them: sentences for the report.
    task : {"classification", "regression"}
        A regressor is asked for values, shape (n,).
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
    estimator: object = None

    @classmethod
    def from_model(cls, model, opening=PLAIN):
        """Return a model file, a `Remote`, a fitted estimator or a subject as a subject."""
        if isinstance(model, cls):
            return model
        if hasattr(model, "url"):
            return cls.from_remote(model, opening)
        if hasattr(model, "predict_proba"):
            return cls.from_estimator(model, type(model).__name__, opening)
        if callable(model):
            return cls.from_callable(model, opening)
        return cls.from_file(model, opening)

    @classmethod
    def from_callable(cls, model, opening=PLAIN):
        """Return a function from records to prediction vectors, or a ``torch.nn.Module``, as a subject."""
        module = isinstance(model, torch.nn.Module)
        name = type(model).__name__ if module else getattr(model, "__name__", type(model).__name__)
        outputs = (lambda x: module_outputs(model, x)) if module else model
        return cls(name, lambda x: opening.vectors(outputs(x)), opening.stand_in, partial=opening.partial)

    @classmethod
    def from_remote(cls, remote, opening=PLAIN):
        """Return an endpoint, a `Remote`, as a subject."""
        name, partial = f"{remote.model} at {remote.url}", not remote.metadata.complete
        return cls(name, lambda x: remote.predict_proba(as_numbers(x))[0], opening.stand_in, partial=partial)

    @classmethod
    def from_estimator(cls, estimator, name, opening=PLAIN):
        """Return an estimator of scikit-learn; a ValueError if it gives no prediction vectors, or is not fitted."""
        if not hasattr(estimator, "predict_proba") or not hasattr(estimator, "classes_"):
            raise ValueError(
                f"{name} holds {type(estimator).__name__}, which is no fitted classifier with predict_proba"
            )
        names = getattr(estimator, "feature_names_in_", None)

        def ask(x):
            return estimator.predict_proba(_as_fitted(x, names))

        n_features = getattr(estimator, "n_features_in_", None)
        classes = np.asarray(estimator.classes_)
        return cls(name, ask, Refit(estimator), classes, opening.partial, names, n_features, estimator=estimator)

    @classmethod
    def from_file(cls, path, opening=PLAIN):
        """Return the model of a file; a ValueError if it is none of `OPENERS`, or not to be opened.

        ``.pkl``, ``.pickle`` and ``.joblib`` are opened only if `opening` allows it.
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


def _as_fitted(x, names):
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
    return Subject.from_estimator(io.load(path, trusted=list(opening.trust)), path.name, opening)


def _pickle(path, opening):
    if not opening.allow_pickle:
        raise ValueError(
            f"{path} is a pickle, which runs whatever its author put into it; save the model with skops, or say "
            "--allow-pickle if the file is your own"
        )
    return Subject.from_estimator(joblib.load(path), path.name, opening)


def _torchscript(path, opening):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = torch.jit.load(path, map_location="cpu")

    def ask(x):
        return opening.vectors(module_outputs(model, x))

    return Subject(path.name, ask, opening.stand_in, partial=opening.partial)


def _onnx(path, opening):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (record,) = session.get_inputs()
    dtype = np.float64 if record.type == "tensor(double)" else np.float32

    def ask(x):
        outputs = session.run(None, {record.name: np.ascontiguousarray(as_numbers(x), dtype)})
        tables = [output for output in outputs if isinstance(output, np.ndarray) and output.ndim == 2]
        if len(tables) != 1:
            raise ValueError(f"{path} has {len(tables)} outputs of shape (records, classes); it must have one")
        return opening.vectors(tables[0])

    return Subject(path.name, ask, opening.stand_in, partial=opening.partial)


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
    activation = {"tanh": Tanh(), "relu": ReLU()}[opening.activation]
    network = NN(tuple(shape[0] for shape in shapes[:-1]), activation)

    def ask(x):
        value = np.asarray(as_numbers(x), np.float32).reshape(len(x), -1)
        for i, name in enumerate(layers):
            value = value @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]
            if i < len(layers) - 1:
                value = np.tanh(value) if opening.activation == "tanh" else np.maximum(value, 0)
        return softmax(value, axis=1)

    return Subject(path.name, ask, OnPlatform(Recipe(network, epochs=opening.epochs), known=True))


OPENERS = {".skops": _skops, ".onnx": _onnx, ".safetensors": _safetensors}
OPENERS |= dict.fromkeys((".pt", ".ts"), _torchscript) | dict.fromkeys((".pkl", ".pickle", ".joblib"), _pickle)
