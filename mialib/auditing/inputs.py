"""What people bring to an audit: records, tables, and saved answers."""

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


def join_records(first, second):
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
    hashes = row_hashes(join_records(first, second).x)
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
