"""Records with true classes, and where they come from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mialib.datasets.features import PackedRecords

KINDS = ("real", "sample", "stand-in")


@dataclass(frozen=True)
class Provenance:
    """Origin of a data set.

    Parameters
    ----------
    name : str
        The data set's name in `mialib.datasets.catalog`.
    kind : {"real", "sample", "stand-in"}
        ``real``: the data that the paper used. ``sample``: real records instead of the paper's; most ship with
        the project. ``stand-in``: generated records, which never confirm a claim of the paper.
    source : str
        Who collected the records, or how they were generated.
    licence : str
        Under which terms they may be used.
    sha256 : str
        Checksum of the file that was read; of the arrays themselves for a stand-in, or for images in many files.
    """

    name: str
    kind: str
    source: str
    licence: str
    sha256: str

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; it must be one of {', '.join(KINDS)}")

    def __str__(self):
        return f"{self.name}: {self.kind} data, {self.source}; {self.licence}; sha256 {self.sha256}"


def join_provenances(*provenances):
    """Return the provenance of numbers that several data sets led to; its kind is the weakest of theirs."""
    fields = ("name", "source", "licence", "sha256")
    texts = {field: " and ".join(dict.fromkeys(getattr(p, field) for p in provenances)) for field in fields}
    return Provenance(kind=max((p.kind for p in provenances), key=KINDS.index), **texts)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Records with their true classes.

    Parameters
    ----------
    x : ndarray or PackedRecords, shape (n, ...)
        Records: uint8 for binary features, and for pixels if there are more than two axes (models see 0 to 255 as 0
        to 1); float32 otherwise.
    y : ndarray of int64, shape (n,)
        True classes, 0 to ``n_classes - 1``.
    n_classes : int
    provenance : Provenance
    groups : ndarray of int64, shape (n,), optional
        Whom each record is of, where one person has several; a split then keeps a person's records on one side.
    """

    x: np.ndarray | PackedRecords
    y: np.ndarray
    n_classes: int
    provenance: Provenance
    groups: np.ndarray | None = None

    def __post_init__(self):
        if len(self.x) != len(self.y):
            raise ValueError(f"{len(self.x)} records but {len(self.y)} classes; each record needs one class")
        if self.groups is not None and len(self.groups) != len(self.y):
            raise ValueError(f"{len(self.y)} records but {len(self.groups)} groups; each record needs one group")
        if self.y.min() < 0 or self.y.max() >= self.n_classes:
            raise ValueError(
                f"classes run from {self.y.min()} to {self.y.max()}; they must run from 0 to {self.n_classes - 1}"
            )

    def __len__(self):
        return len(self.y)

    @cached_property
    def fingerprint(self):
        """sha256 of the records and classes themselves, the data's part in a cache key (str)."""
        return array_sha256(self.x, self.y)


def array_sha256(*arrays):
    """Return the sha256 of arrays: their dtypes, shapes and content."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.bits if isinstance(array, PackedRecords) else np.ascontiguousarray(array))
    return digest.hexdigest()
