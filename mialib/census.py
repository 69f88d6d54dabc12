"""UCI Adult (Census Income): the paper's smallest set, and one on which its attack fails (§VI-A)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mialib.files import DataError, read_fetched, read_sample
from mialib.provenance import Provenance
from mialib.records import Dataset

COLUMNS = ["age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation"]
COLUMNS += ["relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"]

# Documented ranges, not those of the records: nothing about a held-out record leaks into scaling.
LARGEST = {
    "age": 90,
    "fnlwgt": 1_500_000,
    "education-num": 16,
    "capital-gain": 100_000,
    "capital-loss": 5_000,
    "hours-per-week": 99,
}


@dataclass(frozen=True)
class AllColumns:
    """Every column: numbers scaled, the others one-hot."""

    def take(self, name):
        """Return whether a column is used."""
        return True


@dataclass(frozen=True)
class NumericColumns:
    """The six columns of numbers, scaled: records of real values."""

    def take(self, name):
        """Return whether a column is used."""
        return name in LARGEST


@dataclass(frozen=True)
class CategoryColumns:
    """The eight columns of categories, one-hot: binary records."""

    def take(self, name):
        """Return whether a column is used."""
        return name not in LARGEST


@dataclass(frozen=True)
class Adult:
    """UCI Adult: 48,842 people x 14 columns; the class is whether a person earns more than $50,000 a year."""

    url: str = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult"
    sha256: tuple[tuple[str, str], ...] = (
        ("adult.data", "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
        ("adult.test", "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
    )
    sample_sha256: str = "6a419ca1b6b22586a6b7fbdab8763983a059e22cbbb21aa57f45489ef12f75d3"

    def real(self, columns=AllColumns()):
        """Return the records of UCI's files, ``adult.data`` then ``adult.test``; from OpenML if UCI has them not.

        Parameters
        ----------
        columns : AllColumns, NumericColumns or CategoryColumns
        """
        try:
            parts = [read_fetched(f"{self.url}/{name}", sha256, read_uci) for name, sha256 in self.sha256]
            table, sha256 = pd.concat([table for table, _ in parts], ignore_index=True), parts[0][1]
            source = "UCI Adult (Census Income), adult.data and adult.test"
        except DataError as unreachable:
            table, sha256 = openml(unreachable)
            source = "UCI Adult (Census Income), from OpenML"
        provenance = Provenance("adult", "real", source, "CC BY 4.0", sha256)
        return Dataset(*encode(codes(table), columns), 2, provenance)

    def sample(self, columns=AllColumns()):
        """Return all records, as they ship with the project.

        Parameters
        ----------
        columns : AllColumns, NumericColumns or CategoryColumns
        """
        arrays, path_sha256 = read_sample("adult.npz", self.sample_sha256)
        provenance = Provenance("adult", "sample", "UCI Adult (Census Income), all records", "CC BY 4.0", path_sha256)
        return Dataset(*encode(arrays, columns), 2, provenance)


def read_uci(path):
    """Read ``adult.data`` or ``adult.test`` as UCI serves them.

    Returns
    -------
    DataFrame
        With the columns `COLUMNS`; a missing value is "?".

    Raises
    ------
    DataError
        If the file is none of them.
    """
    try:
        table = pd.read_csv(path, names=COLUMNS, skipinitialspace=True, comment="|", keep_default_na=False)
        table["income"] = table["income"].str.rstrip(".")
        if not len(table) or set(table["income"]) - {"<=50K", ">50K"}:
            raise ValueError("the last column must be <=50K or >50K")
        if foreign := [name for name in LARGEST if not pd.api.types.is_integer_dtype(table[name])]:
            raise ValueError(f"{', '.join(foreign)} must be whole numbers")
    except (ValueError, AttributeError, OSError) as error:
        raise DataError(f"{path} is not a file of UCI Adult ({error}); download it again") from error
    return table


def openml(unreachable):
    """Return the records from OpenML, and the checksum that it names for them.

    Parameters
    ----------
    unreachable : DataError
        Why UCI's files cannot be had; raised if OpenML cannot be reached either.
    """
    from sklearn.datasets import fetch_openml

    from mialib.paths import cache_dir

    try:
        found = fetch_openml("adult", version=2, as_frame=True, data_home=cache_dir() / "data")
    except (OSError, ValueError) as error:
        raise unreachable from error
    table = found.frame.rename(columns={"class": "income"})[COLUMNS]
    table = table.apply(lambda column: column if column.name in LARGEST else column.astype(object).fillna("?"))
    return table, f"md5 {found.details['md5_checksum']}"


def codes(table):
    """Return a table's columns as arrays, categories as codes beside their ``values``."""
    arrays = {}
    for name in COLUMNS:
        if name in LARGEST:
            arrays[name] = table[name].to_numpy(np.int32)
        else:
            values, arrays[name] = np.unique(table[name].to_numpy(str), return_inverse=True)
            arrays[f"{name} values"] = values
    return arrays


def encode(arrays, columns=AllColumns()):
    """Return records and classes: numbers scaled to about 0..1, categories one-hot, "?" a value of its own.

    Returns
    -------
    x : ndarray, shape (48842, features)
        float32, or uint8 if no column of numbers is used.
    y : ndarray of int64
        1 for more than $50,000.
    """
    taken = [name for name in arrays if name in COLUMNS[:-1] and columns.take(name)]
    parts = [
        arrays[name][:, None] / np.float32(LARGEST[name])
        if name in LARGEST
        else np.eye(len(arrays[f"{name} values"]), dtype=np.uint8)[arrays[name]]
        for name in taken
    ]
    x = np.concatenate(parts, axis=1)
    return x if x.dtype == np.uint8 else x.astype(np.float32), arrays["income"].astype(np.int64)
