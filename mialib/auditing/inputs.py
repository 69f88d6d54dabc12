"""What people bring to an audit: records, tables, and saved answers."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mialib.base.validate import check_vectors

TABLES = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
MEMBER_WORDS = {"1": True, "true": True, "in": True, "0": False, "false": False, "out": False}


@dataclass(frozen=True, eq=False)
class Records:
    """Records with labels as the user has them.

    Parameters
    ----------
    x : DataFrame or ndarray, shape (n, ...)
    labels : ndarray, shape (n,)
        Class numbers or names, one for each record; for a regressor, the values that it is to predict.
    ids : ndarray, shape (n,), optional
        What the user calls each record, for the report alone.
    groups : ndarray, shape (n,), optional
        Whose record it is: records of one person stand on one side.
    by : dict of str to ndarray of shape (n,)
        Subgroups, by the name of what divides them, whose leakage is looked at one by one.
    weights : ndarray of float, shape (n,), optional
        With which a model is fitted.
    """

    x: pd.DataFrame | np.ndarray
    labels: np.ndarray
    ids: np.ndarray | None = None
    groups: np.ndarray | None = None
    by: dict = field(default_factory=dict)
    weights: np.ndarray | None = None

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
        ids, groups, weights = (None if of is None else of[rows] for of in (self.ids, self.groups, self.weights))
        return Records(x, self.labels[rows], ids, groups, {name: of[rows] for name, of in self.by.items()}, weights)

    @classmethod
    def from_data(cls, data, rows):
        """Return some records of a `Dataset`."""
        return cls(data.x[rows], data.y[rows])

    @classmethod
    def from_file(cls, path, label="label"):
        """Read records from a file; a ValueError says if it has another form.

        A CSV or Parquet file has a column of labels, named `label`, and all others are features; an NPZ file has the
        arrays ``x`` and ``y``.
        """
        path = Path(path)
        if path.suffix == ".npz":
            arrays = _read_npz(path, ("x", "y"))
            return cls(arrays["x"], arrays["y"])
        table = _read_table(path)
        if label not in table:
            raise ValueError(f"{path} has no column {label!r}; name that of the labels, one of {_some(table.columns)}")
        return cls(table.drop(columns=label), table[label].to_numpy())


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
    def from_file(cls, path, label="label"):
        """Read saved answers; a ValueError says if the file has another form, or an id is both in and out.

        A CSV or Parquet file has the columns `label` and ``member`` (1 or 0, true or false, in or out), perhaps ``id``
        and ``shadow``, and one for each class; an NPZ file has the arrays ``vectors``, `label` and ``member``.
        """
        path = Path(path)
        if path.suffix == ".npz":
            columns, names = _read_npz(path, ("vectors", label, "member")), None
            vectors = columns.pop("vectors")
        else:
            table = _read_table(path)
            if missing := {label, "member"} - set(table.columns):
                raise ValueError(f"{path} has no column {_some(sorted(missing))}; saved answers need label and member")
            others = [name for name in table.columns if name in (label, "member", "id", "shadow")]
            columns = {name: table[name].to_numpy() for name in others}
            named = not pd.api.types.is_numeric_dtype(table[label])
            names = table.columns.drop(others).to_numpy(str) if named else None
            try:
                vectors = table.drop(columns=others).to_numpy(np.float64)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path} has a column of a prediction vector that is not numeric ({error})") from error
        member = _membership(columns["member"], path)
        shadow = _membership(columns["shadow"], path) if "shadow" in columns else np.zeros(len(member), bool)
        if "id" in columns:
            both = np.intersect1d(columns["id"][~shadow & member], columns["id"][~shadow & ~member])
            if len(both):
                raise ValueError(
                    f"{path} has {len(both)} ids both in and out, such as {both[0]}; a record can be one only"
                )
        return cls(vectors, columns[label], member, shadow, names)


def _read_npz(path, names):
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read as NPZ without pickles ({error})") from error
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"{path} has no array {_some(missing)}; it needs {', '.join(names)}, and has {_some(arrays)}")
    return arrays


def _read_table(path):
    if path.suffix not in TABLES:
        raise ValueError(f"{path} is none of .csv, .parquet and .npz; records and saved answers come as one of these")
    try:
        return TABLES[path.suffix](path)
    except (ValueError, ImportError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from error


def _membership(values, path):
    words = [str(value).strip().lower().removesuffix(".0") for value in values]
    if foreign := sorted(set(words) - set(MEMBER_WORDS)):
        raise ValueError(f"{path} says {foreign[0]!r} of membership; it must be 1 or 0, true or false, in or out")
    return np.array([MEMBER_WORDS[word] for word in words], bool)


def _some(names):
    names = list(map(repr, map(str, names)))
    return ", ".join(names[:6]) + (" and others" if len(names) > 6 else "")


def join_records(first, second):
    """Return `Records` of two parts as one; a ValueError if their features differ."""
    tables = [isinstance(part.x, pd.DataFrame) for part in (first, second)]
    if all(tables):
        if foreign := set(first.x.columns) ^ set(second.x.columns):
            raise ValueError(f"columns {_some(sorted(map(str, foreign)))} are in one part only; all need the same")
        x = pd.concat([first.x, second.x[first.x.columns]], ignore_index=True)
    elif any(tables) or first.x.shape[1:] != second.x.shape[1:]:
        raise ValueError(
            f"records have shapes {first.x.shape[1:]} and {second.x.shape[1:]}; all need the same features"
        )
    else:
        x = np.concatenate([first.x, second.x])
    return Records(x, np.concatenate([first.labels, second.labels]))


def apart(first, second, names, drop):
    """Return the second part without records that the first has too, and how many these are.

    Equal features make a record the same, whatever its label: no answer tells the two apart. A ValueError, by the
    `names` of the two parts, says if they overlap, unless `drop`, or if nothing is left.
    """
    hashes = _hashes(join_records(first, second).x)
    same = np.isin(hashes[len(first) :], hashes[: len(first)])
    n_same = int(np.count_nonzero(same))
    if n_same and not drop:
        raise ValueError(
            f"{n_same} records are both {names[0]} and {names[1]} (the first is record {same.argmax() + 1} of those "
            f"{names[1]}); a record can be one only: remove them, or say --drop-shared to leave them out of those "
            f"{names[1]}"
        )
    if same.all():
        raise ValueError(f"all records {names[1]} are {names[0]} as well; there is nothing to compare")
    return second.take(np.flatnonzero(~same)), n_same


def _hashes(x):
    """Return a number for each record that equal features have in common; pandas hashes wide arrays slowly."""
    if isinstance(x, pd.DataFrame):
        return pd.util.hash_pandas_object(x, index=False).to_numpy()
    rows = np.ascontiguousarray(x.reshape(len(x), -1)) + x.dtype.type(0)  # of a zero and a negative one, one zero
    return np.array([hash(row.tobytes()) for row in rows])


def class_numbers(labels, n_classes, classes=None):
    """Return labels as positions in a prediction vector, ndarray of int64.

    `classes` is what the model calls its classes; without it labels are positions already. A ValueError says if there
    are labels that the model does not know, or that count from 1.
    """
    if classes is not None:
        named = {str(c): i for i, c in enumerate(classes)}
        if foreign := sorted({str(label) for label in labels} - set(named)):
            raise ValueError(f"the model has no class {_some(foreign)}; it has {_some(named)}")
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


def checked_vectors(vectors, n, partial=False):
    """Return prediction vectors about n records as ndarray of float32, which sum to one unless `partial`.

    A ValueError says if they are no probabilities, or not as many as records.
    """
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or len(vectors) != n:
        raise ValueError(f"prediction vectors have shape {vectors.shape}; it must be ({n}, classes)")
    if vectors.shape[1] < 2:
        raise ValueError("prediction vectors have one entry; a classifier has at least 2 classes, an entry for each")
    return check_vectors(vectors, not partial, "; say --logits if they are logits, --partial if classes are left out")
