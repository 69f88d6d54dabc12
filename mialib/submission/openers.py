"""Model files: one door, which opens each kind and says in one sentence what is wrong with a file."""

import os
import re
import warnings
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
from scipy.special import softmax

from mialib.base.archives import check_sizes
from mialib.base.extras import needs
from mialib.models.stack import NN, ReLU, Tanh
from mialib.models.training import Recipe
from mialib.submission.boosters import open_catboost, open_lightgbm, open_xgboost
from mialib.submission.doors import named
from mialib.submission.isolation import open_isolated
from mialib.submission.onnx_files import open_onnx
from mialib.submission.refits import OnPlatform, as_numbers
from mialib.submission.subjects import CONSENT, PLAIN, Subject
from mialib.submission.torch_files import open_torch
from mialib.submission.trees import check_estimator


def open_file(path, opening=PLAIN):
    """Return the model of a file, in a process without rights if `opening` says so; see `open_here`."""
    return open_isolated(path, opening) if opening.isolated else open_here(path, opening)


def open_here(path, opening=PLAIN):
    """Return the model of a file, in this process.

    Parameters
    ----------
    path : path_like
        Of one of the `OPENERS`.
    opening : Opening

    Returns
    -------
    Subject

    Raises
    ------
    ValueError
        If there is no such file, it is of no such kind, damaged, needs a package, or holds what is not allowed.
    """
    path = Path(path)
    if path.suffix not in OPENERS:
        raise ValueError(f"{path} is no model file that can be audited; those end in {', '.join(OPENERS)}")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    opener, kind = OPENERS[path.suffix]
    with path.open("rb") as file:
        head = file.read(40)
    if head.startswith(b"version https://git-lfs"):
        raise ValueError(f"{path} is no {kind} but a pointer of Git LFS to one; fetch it with git lfs pull")
    if not head:
        raise ValueError(f"{path} is no {kind}: it is empty")
    with named(path, f"is no {kind}, or it is damaged"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            check_sizes(path)
            return Opened(**vars(opener(path, opening)))
        except ModuleNotFoundError as error:
            raise ValueError(needs(path, error)) from error


@dataclass(frozen=True, eq=False)
class Opened(Subject):
    """The model of a file, which is named in whatever goes wrong when it is asked, too."""

    def answers(self, x):
        """Ask about records; see `Subject.answers`."""
        with named(self.name, otherwise="cannot answer about these records"):
            return super().answers(x)


def _skops(path, opening):
    import skops
    from skops import io

    _check_safe(path, skops)
    asked = set(io.get_untrusted_types(file=path))
    trusted = asked if opening.isolated else set(opening.trust)
    if untrusted := asked - trusted:
        flags = " ".join(f"--trust {name}" for name in sorted(untrusted))
        raise ValueError(f"{path} holds types that are not known to be safe; if you know them, say {flags}")
    model = io.load(path, trusted=sorted(trusted))
    check_estimator(model)
    return Subject.from_estimator(model, path.name, opening)


def _check_safe(path, package):
    """Raise a ValueError if a package has a version in which files are known to run code."""
    safe = SAFE[package.__name__]
    if tuple(int(re.match(r"\d*", part)[0] or 0) for part in package.__version__.split(".")[:2]) < safe:
        since = ".".join(map(str, safe))
        raise ValueError(f"{path} needs {package.__name__} {since} or newer, which opens files without running them")


def _pickle(path, opening):
    if not opening.may_run:
        raise ValueError(
            f"{path} is a pickle, which runs whatever its author put into it; save the model with skops, {CONSENT}"
        )
    model = joblib.load(path)
    if not (callable(model) or hasattr(model, "predict") or hasattr(model, "predict_proba")):
        raise ValueError(f"{path} holds a {type(model).__name__}, which is no model that can be asked")
    return replace(Subject.from_model(model, opening), name=path.name)


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
            "not say how to compute: save those as ONNX or with torch.export"
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

    refit = OnPlatform(Recipe(network, epochs=opening.epochs), known=True)
    return Subject(path.name, ask, refit, n_features=shapes[0][1])


def _keras(path, opening):
    os.environ.setdefault("KERAS_BACKEND", "torch")  # which is there; Keras itself would look for TensorFlow
    import keras

    _check_safe(path, keras)
    model = keras.saving.load_model(path, compile=False, safe_mode=not opening.isolated)
    shape = model.input_shape
    if isinstance(shape, list | dict):
        raise ValueError(f"{path} has {len(shape)} inputs; it must take a record as one array")
    fixed = None not in shape[1:]

    def ask(x):
        x = np.asarray(as_numbers(x), np.float32)
        return model.predict(x.reshape(len(x), *shape[1:]) if fixed else x, verbose=0)

    n_features = int(np.prod(shape[1:])) if fixed else None
    return Subject.from_answers(path.name, ask, opening, n_features)


SAFE = {"keras": (3, 12), "skops": (0, 13)}
"""From which version on no file is known that runs code where the package says that none runs."""

OPENERS = {
    ".skops": (_skops, "file of skops"),
    ".onnx": (open_onnx, "ONNX file"),
    ".safetensors": (_safetensors, "file of safetensors"),
    **dict.fromkeys((".pt2", ".pt", ".pth", ".ts"), (open_torch, "model of PyTorch")),
    **dict.fromkeys((".json", ".ubj"), (open_xgboost, "model of XGBoost")),
    ".txt": (open_lightgbm, "model of LightGBM"),
    ".cbm": (open_catboost, "model of CatBoost"),
    ".keras": (_keras, "model of Keras"),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), (_pickle, "pickle of a model")),
}
"""By ending: what opens a file, and what it should be."""
