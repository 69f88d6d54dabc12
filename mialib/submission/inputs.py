"""Records as people bring them: labels, features and whose they are, in one form that a model and its shadows share."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from mialib.submission.columns import is_text, one_form
from mialib.submission.doors import named
from mialib.submission.labels import plain_labels
from mialib.submission.tables import read_arrays, read_table, some

FEATURES = ("x", "X", "features", "data")
LABELS = ("y", "Y", "labels", "label", "target")


@dataclass(frozen=True)
class Roles:
    """Which columns of a table are no features.

    Parameters
    ----------
    label : str
        The classes, or a regressor's values.
    id : str, optional
        What a record is called, kept for the report.
    group : str, optional
        Whose record it is.
    by : tuple of str
        Subgroups whose leakage is looked at one by one; these may be features as well.
    weights : str, optional
        With which a model is fitted.
    drop : tuple of str
        Left out altogether.
    """

    label: str = "label"
    id: str | None = None
    group: str | None = None
    by: tuple[str, ...] = ()
    weights: str | None = None
    drop: tuple[str, ...] = ()

    @property
    def named(self):
        """All columns that are named but those that are dropped (list of str)."""
        return [name for name in (self.label, self.id, self.group, self.weights, *self.by) if name is not None]


@dataclass(frozen=True, eq=False)
class Records:
    """Records with labels as the user has them.

    Parameters
    ----------
    x : DataFrame or ndarray, shape (n, ...)
    labels : ndarray, shape (n,), (n, 1), or one-hot (n, classes)
        Class numbers or names, one for each record; for a regressor, the values that it is to predict.
    ids : ndarray, shape (n,), optional
        What the user calls each record, for the report alone.
    groups : ndarray, shape (n,), optional
        Whose record it is: records of one person stand on one side.
    by : dict of str to ndarray of shape (n,)
        Subgroups, by the name of what divides them, whose leakage is looked at one by one.
    weights : ndarray of float, shape (n,), optional
        With which a model is fitted.
    remarks : tuple of str
        How they were read.

    Raises
    ------
    ValueError
        If there are no records, not as many labels (ids, groups, weights) as records, or labels are missing.
    """

    x: pd.DataFrame | np.ndarray
    labels: np.ndarray
    ids: np.ndarray | None = None
    groups: np.ndarray | None = None
    by: dict = field(default_factory=dict)
    weights: np.ndarray | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self):
        if not isinstance(self.x, pd.DataFrame):
            object.__setattr__(self, "x", _plain_array("records", self.x, "biufOUS"))
        n, shape = len(self.x), np.shape(self.labels)
        if not shape or shape[0] != n:
            raise ValueError(f"{n} records but {shape[0] if shape else 1} labels; each record needs one label")
        if not n:
            raise ValueError("there are no records; an audit needs at least one in and one out")
        labels, said = plain_labels(_plain_array("labels", self.labels, "biufOUSMm"), "labels", n)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "remarks", (*self.remarks, *said))
        others = {"ids": self.ids, "groups": self.groups, "weights": self.weights, **self.by}
        for name, of in {"labels": labels, **others}.items():
            if of is not None and len(of) != n:
                raise ValueError(f"{n} records but {len(of)} {name}; each record needs one")
            if of is not None and (missing := np.count_nonzero(_missing(of))):
                raise ValueError(f"{missing} {name} are missing; each record needs one")
        if labels.dtype.kind == "f" and (n_infinite := np.count_nonzero(np.isinf(labels))):
            raise ValueError(f"{n_infinite} labels are infinite; each must be a class, or a number to be predicted")
        if self.weights is not None and not (np.asarray(self.weights, np.float64) >= 0).all():
            raise ValueError("weights are negative or not finite; each must be a number of at least 0")

    def __len__(self):
        return len(self.labels)

    def take(self, rows):
        """Return some of the records."""
        x = self.x.iloc[rows] if isinstance(self.x, pd.DataFrame) else self.x[rows]
        ids, groups, weights = (None if of is None else of[rows] for of in (self.ids, self.groups, self.weights))
        by = {name: of[rows] for name, of in self.by.items()}
        return Records(x, self.labels[rows], ids, groups, by, weights, self.remarks)

    @classmethod
    def from_data(cls, data, rows):
        """Return some records of a `Dataset`."""
        return cls(data.x[rows], data.y[rows])

    @classmethod
    def from_file(cls, path, roles=Roles(), names=None, kinds=None):
        """Read records from a file; a ValueError says if it has another form.

        Parameters
        ----------
        path : path
            A CSV or Parquet file, where all columns are features but those that `roles` names; or an NPZ file with
            arrays ``x`` and ``y`` (or ``features`` and ``labels``, or as `roles` calls them).
        roles : Roles
        names : sequence of str, optional
            The columns that the model was fitted on, which stay features whatever else they are.
        kinds : dict of str to str, optional
            What the model takes in a column; codes that it takes as ``text`` are not read as numbers.
        """
        with named(path):
            read = cls._from_arrays if Path(path).suffix == ".npz" else cls._from_table
            return read(Path(path), roles, names, kinds)

    @classmethod
    def _from_table(cls, path, roles, names, kinds):
        """Read a CSV or Parquet file."""
        codes = [name for name, kind in (kinds or {}).items() if kind == "text"]
        text = [
            name for name in roles.named if name != roles.weights and name not in (names if names is not None else ())
        ]
        table, remarks = read_table(path, text, codes)
        if absent := [name for name in (*roles.named, *roles.drop) if name not in table]:
            what = "name that of the labels" if absent[0] == roles.label else "it must be"
            raise ValueError(f"{path} has no column {absent[0]!r}; {what}, one of {some(table.columns)}")
        column = {name: table[name].to_numpy(object if is_text(table[name]) else None) for name in roles.named}
        gone = {roles.label, roles.id, roles.group, roles.weights, *roles.drop} - set(
            names if names is not None else ()
        )
        features = table.drop(columns=[name for name in table.columns if name in gone])
        rest = (column.get(of) for of in (roles.label, roles.id, roles.group))
        weights = None if roles.weights is None else column[roles.weights].astype(np.float64)
        return cls(features, *rest, {name: column[name] for name in roles.by}, weights, tuple(remarks))

    @classmethod
    def _from_arrays(cls, path, roles, *_):
        """Read an NPZ file."""
        labels = LABELS if roles.label == "label" else (roles.label,)
        (x, y), arrays = read_arrays(path, FEATURES, labels)
        if absent := [name for name in roles.named[1:] if name not in arrays]:
            raise ValueError(f"{path} has no array {absent[0]!r}; it has {some(arrays)}")
        rest = (None if of is None else arrays[of] for of in (roles.id, roles.group))
        weights = None if roles.weights is None else arrays[roles.weights]
        return cls(x, y, *rest, {name: arrays[name] for name in roles.by}, weights)


def _plain_array(name, values, kinds):
    """Return an array of at least one axis whose dtype is of one of these kinds; a ValueError says if it is none."""
    array = np.asarray(values)
    if not array.ndim or array.dtype.kind not in kinds:
        raise ValueError(f"{name} are an array of {array.dtype} and shape {array.shape}; it must be numbers or text")
    return array


def _missing(values):
    """Return which entries of an array are missing: an empty text too, but not ``None`` in letters."""
    values = np.asarray(values)
    return pd.isna(values) | (values == "" if values.dtype.kind in "OUT" else False)


def join_records(first, second):
    """Return `Records` of two parts as one; a ValueError if their features differ."""
    tables = [isinstance(part.x, pd.DataFrame) for part in (first, second)]
    if all(tables):
        parts = one_form({"in one part": first, "in another": second}, {})
        x = pd.concat([part.x for part in parts.values()], ignore_index=True)
    elif any(tables) or first.x.shape[1:] != second.x.shape[1:]:
        raise ValueError(
            f"records have shapes {first.x.shape[1:]} and {second.x.shape[1:]}; all need the same features"
        )
    else:
        x = np.concatenate([first.x, second.x])
    by = {name: _chained(of, second.by.get(name)) for name, of in first.by.items()}
    by = {name: of for name, of in by.items() if of is not None}
    pairs = ((getattr(part, name) for part in (first, second)) for name in ("labels", "ids", "groups", "weights"))
    labels, ids, groups, weights = (_chained(*pair) for pair in pairs)
    return Records(x, labels, ids, groups, by, weights, first.remarks)


def _chained(first, second):
    """Return two arrays as one, of objects where their types differ; None where one is missing."""
    if first is None or second is None:
        return None
    same = first.dtype.kind == second.dtype.kind
    return np.concatenate([first, second] if same else [first.astype(object), second.astype(object)])


def apart(first, second, names, drop):
    """Return the second part without records, or persons, that the first has too, and how many these are.

    Equal features make a record the same, whatever its label: no answer tells the two apart. A ValueError, by the
    `names` of the two parts, says if they overlap, unless `drop`, or if nothing is left.
    """
    hashes = _hashes(join_records(first, second).x)
    same, what, advice = np.isin(hashes[len(first) :], hashes[: len(first)]), "records", "a record"
    if not same.any() and first.groups is not None and second.groups is not None:
        same, what, advice = (
            np.isin(second.groups.astype(str), first.groups.astype(str)),
            "records of persons",
            "a person",
        )
    n_same = int(np.count_nonzero(same))
    if n_same and not drop:
        raise ValueError(
            f"{n_same} {what} are both {names[0]} and {names[1]} (the first is record {same.argmax() + 1} of those "
            f"{names[1]}); {advice} can be one only: remove them, or say --drop-shared to leave them out of those "
            f"{names[1]}"
        )
    if same.all():
        raise ValueError(f"all records {names[1]} are {names[0]} as well; there is nothing to compare")
    left, more = second.take(np.flatnonzero(~same)), 0
    if n_same and what == "records" and first.groups is not None:
        left, more = apart(first, left, names, drop)
    return left, n_same + more


def _hashes(x):
    """Return a number for each record that equal features have in common; pandas hashes wide arrays slowly."""
    if isinstance(x, pd.DataFrame):
        return pd.util.hash_pandas_object(x, index=False).to_numpy()
    rows = np.ascontiguousarray(x.reshape(len(x), -1))
    if rows.dtype.kind in "OUT":
        return np.array([hash(tuple(row)) for row in rows])
    rows = rows + rows.dtype.type(0)  # of a zero and a negative one, one zero
    return np.array([hash(row.tobytes()) for row in rows])
