"""A model's answers, saved by a user or given just now: checked before anything is concluded from them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mialib.submitted import read_npz, read_table, some

SUM_TOLERANCE = 1e-3
MEMBER_WORDS = {"1": True, "true": True, "in": True, "0": False, "false": False, "out": False}


def checked_vectors(vectors, n, partial=False):
    """Return prediction vectors once they are such.

    Parameters
    ----------
    vectors : array_like, shape (n, classes)
    n : int
        Records that were asked about.
    partial : bool
        Whether the model leaves classes out, so that vectors need not sum to one.

    Returns
    -------
    ndarray of float32, shape (n, classes)

    Raises
    ------
    ValueError
        If they are not finite, no probabilities, or not as many as records.
    """
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != n:
        raise ValueError(f"prediction vectors have shape {vectors.shape}; it must be ({n}, classes)")
    if vectors.shape[1] < 2:
        raise ValueError("prediction vectors have one entry; a classifier has at least 2 classes, an entry for each")
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{bad.sum()} prediction vectors hold NaN or infinity (the first is that of record {bad.argmax() + 1}); "
            "leave those records out, or correct them"
        )
    sums = vectors.sum(axis=1, dtype=np.float64)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if vectors.min() < 0 or vectors.max() > 1 + SUM_TOLERANCE or (off.any() and not partial):
        worst = int(np.argmax(np.abs(sums - 1)))
        raise ValueError(
            f"prediction vectors are no probabilities that sum to one (that of record {worst + 1} sums to "
            f"{sums[worst]:.4g}, values go from {vectors.min():.4g} to {vectors.max():.4g}); say --logits if they are "
            "logits, --partial if classes are left out"
        )
    return vectors


@dataclass(frozen=True, eq=False)
class SavedAnswers:
    """Prediction vectors that a model gave, with labels and membership.

    Parameters
    ----------
    vectors : ndarray, shape (n, classes)
    labels : ndarray, shape (n,)
    member : ndarray of bool, shape (n,)
    shadow : ndarray of bool, shape (n,)
        Answers of shadow models, from which an attack may learn; the others are the target's.
    classes : ndarray, optional
        Names of the classes, where labels are names.
    """

    vectors: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    shadow: np.ndarray
    classes: np.ndarray | None = None

    @classmethod
    def read(cls, path, label="label"):
        """Read saved answers.

        Parameters
        ----------
        path : path
            CSV or Parquet with the columns ``label`` and ``member`` (1 or 0, true or false, in or out), perhaps ``id``
            and ``shadow``, and one for each class; or NPZ with arrays ``vectors``, ``label`` and ``member``.
        label : str

        Raises
        ------
        ValueError
            If the file has another form, or an id is both in and out.
        """
        path = Path(path)
        if path.suffix == ".npz":
            arrays = read_npz(path, ("vectors", label, "member"))
            vectors, columns = arrays["vectors"], {name: a for name, a in arrays.items() if name != "vectors"}
            names = None
        else:
            table = read_table(path)
            if missing := {label, "member"} - set(table.columns):
                raise ValueError(f"{path} has no column {some(sorted(missing))}; saved answers need label and member")
            others = [name for name in table.columns if name in (label, "member", "id", "shadow")]
            columns = {name: table[name].to_numpy() for name in others}
            vectors = _numbers(table.drop(columns=others), path)
            named = not pd.api.types.is_numeric_dtype(table[label])
            names = table.columns.drop(others).to_numpy(str) if named else None
        member = _membership(columns["member"], path)
        shadow = _membership(columns["shadow"], path) if "shadow" in columns else np.zeros(len(member), bool)
        if "id" in columns:
            own = ~shadow
            both = np.intersect1d(columns["id"][own & member], columns["id"][own & ~member])
            if len(both):
                raise ValueError(
                    f"{path} has {len(both)} ids both in and out, such as {both[0]}; a record can be one only"
                )
        return cls(vectors, columns[label], member, shadow, names)


def _membership(values, path):
    words = [str(value).strip().lower().removesuffix(".0") for value in values]
    if foreign := sorted(set(words) - set(MEMBER_WORDS)):
        raise ValueError(f"{path} says {foreign[0]!r} of membership; it must be 1 or 0, true or false, in or out")
    return np.array([MEMBER_WORDS[word] for word in words], bool)


def _numbers(table, path):
    try:
        return table.to_numpy(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} has a column of a prediction vector that is not numeric ({error})") from error
