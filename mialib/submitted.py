"""Records that a user hands in for an audit: read, and checked, with one sentence for whatever is wrong."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

TABLES = {".csv": pd.read_csv, ".parquet": pd.read_parquet}


@dataclass(frozen=True, eq=False)
class Records:
    """Records with labels as the user has them.

    Parameters
    ----------
    x : DataFrame or ndarray, shape (n, ...)
    labels : ndarray, shape (n,)
        Class numbers or names.
    """

    x: pd.DataFrame | np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        if len(self.x) != len(self.labels):
            raise ValueError(f"{len(self.x)} records but {len(self.labels)} labels; each record needs one label")
        if not len(self.labels):
            raise ValueError("there are no records; an audit needs at least one in and one out")
        if pd.isna(self.labels).any():
            raise ValueError(f"{pd.isna(self.labels).sum()} labels are missing; each record needs one")

    def __len__(self):
        return len(self.labels)

    def take(self, rows):
        """Return some of the records."""
        x = self.x.iloc[rows] if isinstance(self.x, pd.DataFrame) else self.x[rows]
        return Records(x, self.labels[rows])

    @classmethod
    def of(cls, data, rows):
        """Return some records of a `Dataset`."""
        return cls(data.x[rows], data.y[rows])

    @classmethod
    def read(cls, path, label="label"):
        """Read records from a file.

        Parameters
        ----------
        path : path
            CSV or Parquet with a column of labels, all others features; or NPZ with ``x`` and ``y``.
        label : str
            That column's name.

        Raises
        ------
        ValueError
            If the file has another form.
        """
        path = Path(path)
        if path.suffix == ".npz":
            arrays = read_npz(path, ("x", "y"))
            return cls(arrays["x"], arrays["y"])
        table = read_table(path)
        if label not in table:
            raise ValueError(f"{path} has no column {label!r}; name that of the labels, one of {some(table.columns)}")
        return cls(table.drop(columns=label), table[label].to_numpy())


def joined(first, second):
    """Return records of two parts as one.

    Raises
    ------
    ValueError
        If their features differ.
    """
    tables = [isinstance(part.x, pd.DataFrame) for part in (first, second)]
    if all(tables):
        if set(first.x.columns) != set(second.x.columns):
            foreign = set(first.x.columns) ^ set(second.x.columns)
            raise ValueError(f"columns {some(sorted(map(str, foreign)))} are in one part only; all need the same")
        x = pd.concat([first.x, second.x[first.x.columns]], ignore_index=True)
    elif any(tables) or first.x.shape[1:] != second.x.shape[1:]:
        raise ValueError(
            f"records have shapes {first.x.shape[1:]} and {second.x.shape[1:]}; all need the same features"
        )
    else:
        x = np.concatenate([first.x, second.x])
    return Records(x, np.concatenate([first.labels, second.labels]))


def row_hashes(x):
    """Return a hash of each record, by which equal ones are found; ndarray of object (bytes), shape (n,)."""
    if isinstance(x, pd.DataFrame):
        hashes = pd.util.hash_pandas_object(x, index=False).to_numpy()
        return np.array([value.tobytes() for value in hashes], object)
    rows = np.ascontiguousarray(np.asarray(x).reshape(len(x), -1))
    return np.array([hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows], object)


def shared(first, second):
    """Return which records of the second part are in the first as well, ndarray of bool.

    Equal features make a record the same, whatever its label: no answer tells the two apart.
    """
    hashes = row_hashes(joined(first, second).x)
    known = set(hashes[: len(first)])
    return np.array([value in known for value in hashes[len(first) :]])


def apart(first, second, names, drop):
    """Return the second part without records that the first has too.

    Parameters
    ----------
    first, second : Records
    names : (str, str)
        What the two parts are called.
    drop : bool
        Leave such records out of the second part; otherwise they are an error.

    Returns
    -------
    Records
    n_dropped : int

    Raises
    ------
    ValueError
        If the parts overlap, unless `drop`; or nothing is left.
    """
    same = shared(first, second)
    if same.any() and not drop:
        raise ValueError(
            f"{np.count_nonzero(same)} records are both {names[0]} and {names[1]} (the first is record "
            f"{np.flatnonzero(same)[0] + 1} of those {names[1]}); a record can be one only: remove them, or say "
            f"--drop-shared to leave them out of those {names[1]}"
        )
    if same.all():
        raise ValueError(f"all records {names[1]} are {names[0]} as well; there is nothing to compare")
    return (second.take(np.flatnonzero(~same)), int(np.count_nonzero(same))) if same.any() else (second, 0)


def codes(labels, n_classes, classes=None):
    """Return labels as positions in a prediction vector.

    Parameters
    ----------
    labels : ndarray, shape (n,)
    n_classes : int
        Entries of a prediction vector.
    classes : ndarray, shape (n_classes,), optional
        What the model calls its classes; otherwise labels are positions already.

    Returns
    -------
    ndarray of int64, shape (n,)

    Raises
    ------
    ValueError
        If there are labels that the model does not know; or that count from 1.
    """
    if classes is not None:
        named = {str(c): i for i, c in enumerate(classes)}
        foreign = sorted({str(label) for label in labels} - set(named))
        if foreign:
            raise ValueError(f"the model has no class {some(foreign)}; it has {some(named)}")
        return np.array([named[str(label)] for label in labels], np.int64)
    try:
        found = np.asarray(labels, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"labels are names such as {labels[0]!r}; they must be numbers from 0 to {n_classes - 1}"
        ) from error
    if (found != np.floor(found)).any():
        raise ValueError(f"labels are not whole numbers; they must run from 0 to {n_classes - 1}")
    low, high = int(found.min()), int(found.max())
    if low == 1 and high == n_classes:
        raise ValueError(f"labels run from 1 to {n_classes}; count them from 0 to {n_classes - 1}: subtract 1")
    if low < 0 or high >= n_classes:
        raise ValueError(
            f"labels run from {low} to {high}, but prediction vectors have {n_classes} entries; labels must run from 0 "
            f"to {n_classes - 1}"
        )
    return found.astype(np.int64)


def read_npz(path, names):
    """Return the arrays of an NPZ file, a dict; a `ValueError` if some are missing, or are pickles."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as NPZ without pickles ({error})") from error
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{path} has no array {some(missing)}; it needs {', '.join(names)}, and has {some(arrays)}")
    return arrays


def read_table(path):
    """Return the table of a CSV or Parquet file; a `ValueError` if it is none."""
    if path.suffix not in TABLES:
        raise ValueError(f"{path} is none of .csv, .parquet and .npz; records and saved answers come as one of these")
    try:
        return TABLES[path.suffix](path)
    except (ValueError, ImportError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error


def some(names):
    """Return names for a sentence, the first six of many."""
    names = list(map(repr, map(str, names)))
    return ", ".join(names[:6]) + (" and others" if len(names) > 6 else "")
