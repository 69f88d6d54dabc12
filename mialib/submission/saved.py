"""Answers that a model gave, saved in a file: the columns say whose they are by name, never by place."""

from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from mialib.submission.doors import named
from mialib.submission.inputs import Roles
from mialib.submission.labels import label_key, plain_labels
from mialib.submission.tables import read_arrays, read_header, read_numbers, read_table, some

MEMBER_WORDS = {"1": True, "true": True, "in": True, "0": False, "false": False, "out": False}
ROLES = Roles()
VECTORS = ("vectors", "probabilities", "answers", "logits")


@dataclass(frozen=True, eq=False)
class SavedAnswers:
    """Prediction vectors that a model gave, with labels and membership.

    Parameters
    ----------
    vectors : ndarray, shape (n, classes)
    labels : ndarray, shape (n,), (n, 1), or one-hot (n, classes)
    member : ndarray of bool, shape (n,)
    shadow : ndarray of bool, shape (n,)
        Answers of shadow models, from which an attack may learn; the others are the target's.
    classes : ndarray, optional
        Names of the classes, in the order of the vectors.
    ids, groups : ndarray, shape (n,), optional
        What the user calls each record, and whose it is.
    by : dict of str to ndarray of shape (n,)
        Subgroups, by the name of what divides them.
    remarks : tuple of str
        How they were read.
    """

    vectors: np.ndarray
    labels: np.ndarray
    member: np.ndarray
    shadow: np.ndarray
    classes: np.ndarray | None = None
    ids: np.ndarray | None = None
    groups: np.ndarray | None = None
    by: dict = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def __post_init__(self):
        n = len(self.vectors)
        labels, said = plain_labels(self.labels, "labels", n)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "remarks", (*self.remarks, *said))
        for name in ("member", "shadow", "ids", "groups"):
            of = getattr(self, name)
            if of is not None and np.shape(of) != (n,):
                raise ValueError(
                    f"there are {n} prediction vectors, but {name} has shape {np.shape(of)}; it needs ({n},)"
                )
        for name, of in {"ids": self.ids, "groups": self.groups}.items():
            if of is None:
                continue
            mine, member = np.array([str(value) for value in of[~self.shadow]]), self.member[~self.shadow]
            both = np.intersect1d(mine[member], mine[~member])
            if len(both):
                raise ValueError(f"{len(both)} {name} are both in and out, such as {both[0]}; a record can be one only")

    @classmethod
    def from_file(cls, path, roles=ROLES, classes=None):
        """Read saved answers; a ValueError says if the file has another form, or an id is both in and out.

        A CSV or Parquet file has the columns of `roles` and ``member`` (1 or 0, true or false, in or out), perhaps
        ``id`` and ``shadow``, and one for each class, which is named by the class; or one alone, the probability of
        the second of two classes. An NPZ file has the arrays ``vectors``, ``label`` and ``member``. `classes` names
        the classes in the order of the columns, where these have other names.
        """
        with named(path):
            read = cls._from_arrays if Path(path).suffix == ".npz" else cls._from_one
            return read(Path(path), roles, classes)

    @classmethod
    def _from_one(cls, path, roles, classes):
        """Read a CSV or Parquet file."""
        table, remarks = read_table(path, [*roles.named, "id", "member", "shadow"])
        if missing := [name for name in dict.fromkeys((*roles.named, "member", *roles.drop)) if name not in table]:
            needed = "" if missing[0] in roles.drop else "saved answers need label and member, "
            raise ValueError(f"{path} has no column {some(missing)}; {needed}it has {some(table.columns)}")
        return cls._from_table(table.drop(columns=list(roles.drop)), roles, classes, path, remarks)

    @classmethod
    def from_files(cls, in_, out, roles=ROLES, classes=None):
        """Read answers about records in from one file, and about records out from another.

        They have columns as `from_file` describes, without ``member``; or no line of names: then the first column is
        the label, a class number, and the others are the prediction vector.
        """
        tables, remarks = [], []
        for path in map(Path, (in_, out)):
            with named(path):
                table, said = _half(path, roles)
            tables.append(table)
            remarks += said
        if differ := set(tables[0].columns) ^ set(tables[1].columns):
            raise ValueError(f"{in_} and {out} have other columns ({some(sorted(differ))}); both need the same")
        with named(both := f"{in_} with {out}"):
            table = pd.concat(tables, ignore_index=True)
            table["member"] = np.repeat(["in", "out"], [len(of) for of in tables])
            return cls._from_table(table, roles, classes, both, remarks)

    @classmethod
    def _from_table(cls, table, roles, classes, path, remarks):
        aside = {*roles.named, "member", "shadow", "id"} & set(table.columns)
        answers = table.drop(columns=list(aside))
        labels = table[roles.label].to_numpy()
        if pd.isna(labels).any() or (labels == "").any():
            raise ValueError(f"{path}: {int((pd.isna(labels) | (labels == '')).sum())} labels are missing")
        answers, names, said = _by_class(answers, labels, path, classes)
        try:
            vectors = answers.to_numpy(np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} has a column of a prediction vector that is not numeric ({error})") from error
        member = _membership(table["member"], path)
        shadow = _membership(table["shadow"], path) if "shadow" in table else np.zeros(len(member), bool)
        ids, groups = (
            None if name is None or name not in table else table[name].to_numpy()
            for name in (roles.id or "id", roles.group)
        )
        by = {name: table[name].to_numpy() for name in roles.by}
        return cls(vectors, labels, member, shadow, names, ids, groups, by, (*remarks, *said))

    @classmethod
    def _from_arrays(cls, path, roles, classes):
        (vectors, labels, member), arrays = read_arrays(path, VECTORS, (roles.label, "labels", "y"), ("member",))
        if vectors.ndim != 2:
            raise ValueError(f"{path}: vectors have shape {vectors.shape}; it must be (n, classes)")
        n, optional = len(vectors), {"shadow": arrays.get("shadow"), "member": member}
        for name, of in optional.items():
            if of is not None and of.shape != (n,):
                raise ValueError(f"{path} has {n} vectors but {len(of)} entries of {name}; each vector needs one")
        flags = {name: None if of is None else _membership(of, path) for name, of in optional.items()}
        shadow = np.zeros(n, bool) if flags["shadow"] is None else flags["shadow"]
        names = None if classes is None else np.array(classes)
        ids, groups = (None if name is None else arrays.get(name) for name in (roles.id or "id", roles.group))
        return cls(vectors, labels, flags["member"], shadow, names, ids, groups)


def _half(path, roles):
    """Return the table of a file of answers that are all in, or all out, and remarks."""
    if path.suffix == ".csv" and path.is_file() and read_header(path) is None:
        numbers = read_numbers(path)
        names = [roles.label, *map(str, range(numbers.shape[1] - 1))]
        table = pd.DataFrame(numbers, columns=names)
        said = [f"{path.name} has no names of columns: they are read as label and classes {some(names[1:])}."]
    else:
        table, said = read_table(path, [*roles.named, "id"])
    if roles.label not in table:
        raise ValueError(f"{path} has no column {roles.label!r}; it has {some(table.columns)}")
    return table.drop(columns=[name for name in roles.drop if name in table]), said


def _by_class(answers, labels, path, classes):
    """Return the columns of prediction vectors in the order of their classes, these, and remarks."""
    remarks = []
    numbers = [name for name in answers if not str(name) or str(name).startswith("Unnamed: ")]
    if numbers:
        answers, remarks = (
            answers.drop(columns=numbers),
            [f"Columns {some(numbers)}, which number the records, are left out."],
        )
    columns, found = list(map(str, answers.columns)), sorted({str(label) for label in labels})
    if not columns:
        raise ValueError(f"{path} has no column of a prediction vector; name each by its class")
    if classes is not None:
        if len(classes) != len(columns):
            raise ValueError(
                f"{len(classes)} classes are named, but {path} has {len(columns)} columns: {some(columns)}"
            )
        return answers, np.array(classes), remarks
    keys = {label_key(label) for label in found}
    if len(columns) == 1:
        return answers, *_of_one(columns[0], found, remarks)
    named = [label_key(name) for name in columns]
    if not keys <= set(named):
        start = sum(1 for _ in takewhile(lambda of: len(set(of)) == 1, zip(*columns, strict=False)))
        while start and columns[0][start - 1].isdigit():
            start -= 1
        shorter = [label_key(name[start:]) for name in columns]
        named = shorter if keys <= set(shorter) else named
    if not keys <= set(named) and _are_places(keys, columns):
        first = min(int(key) for key in keys)
        said = (
            f"Labels are numbers: columns {some(columns)} are taken as classes {first} to {len(columns) - 1 + first}."
        )
        return answers, np.arange(first, len(columns) + first), [*remarks, said]
    if missing := sorted(keys - set(named)):
        raise ValueError(
            f"{path} has no column for class {some(missing)}; its columns are {some(columns)}: name each by its class, "
            "as the labels do, or name the classes in the order of the columns with --classes"
        )
    if len(set(named)) < len(named):
        raise ValueError(f"{path} has several columns for one class, among {some(columns)}; each class needs one")
    foreign = [column for column, key in zip(columns, named, strict=True) if key not in keys]
    whole = all(key.lstrip("-").isdigit() for key in named)
    if foreign and not whole and not _sums_to_one(answers):
        raise ValueError(f"column {some(foreign)} of {path} fits no label; leave it out with --drop if it is no class")
    order = sorted(range(len(named)), key=lambda i: int(named[i])) if whole else range(len(named))
    answers = answers.iloc[:, list(order)]
    spelled = {} if whole else {label_key(label): label for label in found}
    return answers, np.array([spelled.get(named[i], named[i]) for i in order]), remarks


def _are_places(keys, columns):
    """Return whether labels number all the columns, from 0 or from 1, and none of these has a number in its name."""
    if any(letter.isdigit() for name in columns for letter in name) or not all(key.isdigit() for key in keys):
        return False
    numbers = {int(key) for key in keys}
    return (min(numbers), max(numbers)) in ((0, len(columns) - 1), (1, len(columns)))


def _of_one(column, found, remarks):
    """Return the two classes of a single probability, the other first, and remarks."""
    if len(found) != 2:
        raise ValueError(
            f"there is one column of a prediction vector, {column!r}, but {len(found)} classes; each class needs one"
        )
    keys = list(map(label_key, found))
    of = found[keys.index(label_key(column))] if label_key(column) in keys else None
    if of is None and set(keys) not in ({"0", "1"}, {"1", "2"}, {"-1", "1"}):
        raise ValueError(f"column {column!r} is one probability; name it by its class, {some(found)}, or add the other")
    of = of if of is not None else max(found, key=lambda label: float(label_key(label)))
    other = next(label for label in found if label != of)
    said = (
        f"There is one column, {column!r}: it is read as the probability of class {of!r}, and {other!r} has the rest."
    )
    return np.array([other, of]), [*remarks, said]


def _sums_to_one(answers):
    try:
        return bool((np.abs(answers.to_numpy(np.float64).sum(axis=1) - 1) < 0.01).all())
    except (TypeError, ValueError):
        return False


def _membership(values, path):
    words = [str(value).strip().lower().removesuffix(".0") for value in values]
    if foreign := sorted(set(words) - set(MEMBER_WORDS)):
        raise ValueError(f"{path} says {foreign[0]!r} of membership; it must be 1 or 0, true or false, in or out")
    return np.array([MEMBER_WORDS[word] for word in words], bool)
