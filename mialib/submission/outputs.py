"""What models put out, as prediction vectors or values: one place for files, functions and saved answers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.special import expit, softmax

from mialib.base.validate import TOLERANCE

ROUNDING = 0.01
"""By how much the sum of a prediction vector may miss one: it is scaled to one then, and that is said."""


@dataclass(frozen=True, eq=False)
class Output:
    """What was taken of a model's several outputs, and the sentences that say so."""

    value: object
    remarks: tuple[str, ...] = ()


def as_vectors(output, n, *, logits=False, partial=False, rounded=False, classes=None):
    """Return what a model puts out about n records as prediction vectors, and what was done to it.

    Parameters
    ----------
    output : array_like, Tensor, DataFrame, list of dict, dict, tuple or Output
        Shape (n, classes); (n,) or (n, 1) is the probability of the second of two classes, or labels if it holds no
        floats. Of a dict or tuple of several outputs that one is taken which holds probabilities. A list of dicts
        names the classes (ZipMap of ONNX).
    n : int
    logits : bool
        Take a softmax, or of one number the logistic function.
    partial : bool
        Classes are left out: vectors may sum to less than one.
    rounded : bool
        Scale vectors to one, however far from it their sums are.
    classes : sequence, optional
        What the model calls its classes, in the order of the vectors: labels need it.

    Returns
    -------
    vectors : ndarray of float32, shape (n, classes)
    remarks : list of str

    Raises
    ------
    ValueError
        If the output is not of n records, or holds NaN, infinity, or what are no probabilities.
    """
    output, remarks = taken(output, n, classes)
    if output.ndim == 1 and output.dtype.kind != "f":
        if classes is None:
            raise ValueError(
                f"the answers are labels such as {output[:1].tolist()[0]!r}; give prediction vectors, or in Python an "
                "object with predict and classes_"
            )
        return one_hot(output, classes), [*remarks, LABELS_ONLY]
    if output.ndim == 1:
        output = output[:, None]
    if output.ndim != 2 or len(output) != n or not output.size:
        raise ValueError(f"prediction vectors have shape {output.shape}; it must be ({n}, classes)")
    _check_finite(output)
    if output.shape[1] == 1:
        vectors, remark = _of_one_number(output[:, 0], logits)
        return vectors, [*remarks, remark]
    if logits:
        if is_probabilities(output):
            raise ValueError("the answers are probabilities already, each vector sums to one; leave --logits out")
        return softmax(output, axis=1).astype(np.float32), [*remarks, "A softmax was taken of the model's logits."]
    vectors, more = _scaled(output, partial, rounded)
    return vectors, remarks + more


LABELS_ONLY = "The model answers with labels only: the class that it names has probability 1."


def one_hot(labels, classes):
    """Return labels as prediction vectors, float32 of shape (n, classes); a label that is no class is a row of zeros.

    Labels and `classes` are both as the model calls them.
    """
    labels = np.asarray(labels.value if isinstance(labels, Output) else labels)
    place = {c: i for i, c in enumerate(np.asarray(classes).tolist())}
    rows = np.array([place.get(label, -1) for label in labels.reshape(len(labels)).tolist()])
    return (rows[:, None] == np.arange(len(place))).astype(np.float32)


def as_values(output, n):
    """Return what a regressor puts out about n records, float64 of shape (n,), and what was done to it.

    A ValueError says if it is not one finite number for each.
    """
    output, remarks = taken(output, n, None)
    if output.size and output.dtype.kind not in "fiub":
        raise ValueError(
            f"predicted values such as {str(output.flat[0])!r} are no numbers; a regressor answers with one each"
        )
    if output.size != n:
        raise ValueError(f"predicted values have shape {output.shape}; it must be ({n},), one number for each record")
    values = output.reshape(n, 1).astype(np.float64)
    _check_finite(values)
    return values[:, 0], remarks


def is_probabilities(output):
    """Say whether an array is prediction vectors that sum to one, all of them."""
    if output.ndim != 2 or output.shape[1] < 2 or output.dtype.kind != "f":
        return False
    off = np.abs(output.sum(axis=1, dtype=np.float64) - 1)
    return output.min() >= -TOLERANCE and off.max() <= TOLERANCE


def chosen(outputs, n, classes=None):
    """Return that one of several named outputs which holds prediction vectors, an `Output`.

    A ValueError names them if it cannot be told.
    """
    arrays = {name: np.asarray(value) for name, value in outputs.items()}
    arrays = {name: array for name, array in arrays.items() if array.ndim in (1, 2) and len(array) == n}
    floats = {name: array for name, array in arrays.items() if array.dtype.kind == "f"} or arrays
    if len(floats) == 1:
        return Output(*floats.values())
    found = [name for name, array in floats.items() if is_probabilities(array)]
    names = ", ".join(map(repr, map(str, outputs)))
    if len(found) == 1:
        return Output(
            floats[found[0]], (f"Of the model's outputs {names} the probabilities were taken, {found[0]!r}.",)
        )
    columns = [array.reshape(n) for array in floats.values() if array.size == n]
    if classes is not None and len(columns) == len(floats) == len(classes) and floats is not arrays:
        return Output(np.stack(columns, axis=1))
    raise ValueError(
        f"the model has the outputs {names}, of which {'several' if found else 'none'} hold{'' if found else 's'} "
        "probabilities; it must put out one array of shape (records, classes)"
    )


def in_batches(answer, n, size, fixed=False):
    """Return what `answer` says about n records that it is given so many at a time, as arrays of their positions.

    If the number is `fixed`, the last are made as many by repeating one. The answers, arrays or a dict or tuple of
    them, are put together, the latter as a dict.
    """
    found = []
    for start in range(0, n, size):
        rows = np.arange(start, start + size)
        said = answer(np.minimum(rows, n - 1) if fixed else rows[: n - start])
        said = dict(enumerate(said)) if isinstance(said, tuple) else said
        cut = n - start  # or fewer, if more records follow
        if isinstance(said, dict):
            arrays = {str(name): _array(value) for name, value in said.items() if value is not None}
            found.append({name: array[:cut] for name, array in arrays.items() if array.ndim})
        else:
            found.append(_array(said)[:cut])
    if isinstance(found[0], dict):
        return {name: np.concatenate([part[name] for part in found]) for name in found[0]}
    return np.concatenate(found)


@torch.no_grad()
def module_outputs(module, x, size=1024, fixed=False):
    """Return what a module of PyTorch puts out about an array of records, where it is, and in numbers of its type."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    x = torch.from_numpy(np.ascontiguousarray(x)).to(like)
    return in_batches(lambda rows: module(x[rows]), len(x), size, fixed)


def _array(value):
    """Return a tensor, or something like an array, as ndarray."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


def taken(output, n, classes):
    """Return the one array of what a model puts out, numbers or labels, and remarks."""
    if isinstance(output, tuple | dict):
        named = output if isinstance(output, dict) else dict(enumerate(output))
        output = chosen({name: _array(value) for name, value in named.items() if value is not None}, n, classes)
    remarks = []
    if isinstance(output, Output):
        output, remarks = output.value, list(output.remarks)
    if isinstance(output, list) and output and isinstance(output[0], dict):
        names = list(output[0]) if classes is None else list(classes)
        output = [[entry[name] for name in names] for entry in output]
    elif isinstance(output, list) and output and np.ndim(output[0]) > 1:
        raise ValueError(
            f"the model answers with a list of {len(output)} arrays, as for several targets; an audit is of one target"
        )
    array = output.to_numpy() if isinstance(output, pd.DataFrame | pd.Series) else _array(output)
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind != "f":
        array = array[:, 0]
    if array.ndim > 1 and array.dtype.kind != "f":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"prediction vectors are no numbers ({error})") from error
    return array, remarks


def _check_finite(rows):
    bad = ~np.isfinite(rows).all(axis=1)
    if bad.any():
        what = "prediction vectors" if rows.shape[1] > 1 else "answers"
        raise ValueError(
            f"{bad.sum()} {what} hold NaN or infinity (the first is that of record {bad.argmax() + 1}); leave those "
            "records out, or correct them"
        )


def _of_one_number(p, logit):
    """Return prediction vectors of two classes from one number for each record, and the remark."""
    p = p.astype(np.float64)
    if logit:
        said = "The model gives one logit a record: its logistic function p was taken as (1 - p, p)."
        return np.stack([expit(-p), expit(p)], axis=1).astype(np.float32), said
    if p.min() < -TOLERANCE or p.max() > 1 + TOLERANCE:
        raise ValueError(
            f"the model gives one number a record, from {p.min():.4g} to {p.max():.4g}, which is no probability; say "
            "--logits if it is a logit, --regression if it is a predicted value"
        )
    if p.min() == 1:
        raise ValueError("prediction vectors have one entry; a classifier has at least 2 classes, an entry for each")
    p = np.clip(p, 0, 1)
    said = "The model gives one probability p a record: it was taken as (1 - p, p)."
    return np.stack([1 - p, p], axis=1).astype(np.float32), said


def _scaled(vectors, partial, rounded):
    """Return prediction vectors as float32 without negatives and, unless `partial`, sums that miss one; and remarks."""
    sums = vectors.sum(axis=1, dtype=np.float64)
    off, low, high, remarks = np.abs(sums - 1), vectors.min(), vectors.max(), []
    in_range = low >= -TOLERANCE and high <= 1 + ROUNDING
    if not in_range or not (partial or off.max() <= ROUNDING or (rounded and sums.min() > 0)):
        worst = int(off.argmax())
        raise ValueError(
            f"prediction vectors are no probabilities that sum to one (that of record {worst + 1} sums to "
            f"{sums[worst]:.4g}, values go from {low:.4g} to {high:.4g}); {_way_on(vectors, sums, in_range, rounded)}"
        )
    if low < 0:
        vectors = np.maximum(vectors, 0)
        remarks.append(f"Probabilities below 0, down to {low:.2g}, were taken as 0.")
    if not partial and off.max() > vectors.shape[1] * np.finfo(np.float32).eps:  # what float32 itself may miss
        vectors = vectors / vectors.sum(axis=1, dtype=np.float64)[:, None]
        remarks.append(f"Prediction vectors were scaled to sum to one, which they missed by up to {off.max():.2g}.")
    return np.asarray(vectors, np.float32), remarks


def _way_on(vectors, sums, in_range, rounded):
    """Return what may be wrong with vectors that are no probabilities, and what to do, half a sentence."""
    if not in_range:
        percent = vectors.min() >= 0 and np.abs(sums - 100).max() <= 1
        return "they are percentages: divide them by 100" if percent else "say --logits if they are logits"
    if rounded:
        return "a vector of zeros cannot be scaled"
    ways = []
    if np.abs(sums - 1).max() <= 0.1 or np.array_equal(np.round(vectors, 2), vectors):
        ways.append("rounding is the likely cause: say --rounded to scale each to one")
    if sums.max() <= 1 + ROUNDING:
        ways.append("say --partial if classes are left out")
    return ", or ".join(ways) or "classes must exclude each other, and one of them be right"
