"""Records of people: UCI Adult, and stays in 130 US hospitals."""

import zipfile
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mialib.base.machine import cache_dir
from mialib.datasets.dataset import Dataset, Provenance
from mialib.datasets.features import PackedRecords
from mialib.datasets.files import DataError, read_fetched, read_sample

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
KINDS_OF_COLUMNS = {
    "all": COLUMNS[:-1],
    "numeric": list(LARGEST),
    "categorical": [name for name in COLUMNS[:-1] if name not in LARGEST],
}


@dataclass(frozen=True)
class Adult:
    """UCI Adult: 48,842 people x 14 columns; the class is whether a person earns more than $50,000 a year."""

    url: str = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult"
    sha256: tuple[tuple[str, str], ...] = (
        ("adult.data", "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d"),
        ("adult.test", "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05"),
    )
    sample_sha256: str = "6a419ca1b6b22586a6b7fbdab8763983a059e22cbbb21aa57f45489ef12f75d3"

    def real(self, columns="all"):
        """Return the records of UCI's files, ``adult.data`` then ``adult.test``; from OpenML if UCI has them not."""
        try:
            parts = [read_fetched(f"{self.url}/{name}", sha256, read_uci) for name, sha256 in self.sha256]
            table, sha256 = pd.concat([table for table, _ in parts], ignore_index=True), parts[0][1]
            source = "adult.data and adult.test"
        except DataError as unreachable:
            table, sha256 = openml(unreachable)
            source = "from OpenML"
        return self._dataset("real", source, encode(column_codes(table), columns), sha256)

    def sample(self, columns="all"):
        """Return all records, as they ship with the project."""
        arrays = read_sample("adult.npz", self.sample_sha256)
        return self._dataset("sample", "all records", encode(arrays, columns), self.sample_sha256)

    def _dataset(self, kind, part, records, sha256):
        source = f"UCI Adult (Census Income), {part}"
        return Dataset(*records, 2, Provenance("adult", kind, source, "CC BY 4.0", sha256))


def read_uci(path):
    """Read UCI's ``adult.data`` or ``adult.test``, a DataFrame of `COLUMNS`, a missing value "?", or a `DataError`."""
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
    """Return the records from OpenML, as `read_uci` does, and the checksum that it names for them.

    `unreachable`, why UCI's files cannot be had, is raised if OpenML cannot be reached either.
    """
    from sklearn.datasets import fetch_openml

    try:
        found = fetch_openml("adult", version=2, as_frame=True, data_home=cache_dir() / "data")
    except (OSError, ValueError) as error:
        raise unreachable from error
    table = found.frame.rename(columns={"class": "income"})[COLUMNS]
    table = table.apply(lambda column: column if column.name in LARGEST else column.astype(object).fillna("?"))
    return table, f"md5 {found.details['md5_checksum']}"


def column_codes(table):
    """Return a table's columns as arrays, categories as codes beside their ``values``."""
    arrays = {}
    for name in COLUMNS:
        if name in LARGEST:
            arrays[name] = table[name].to_numpy(np.int32)
        else:
            arrays[f"{name} values"], arrays[name] = np.unique(table[name].to_numpy(str), return_inverse=True)
    return arrays


def encode(arrays, columns="all"):
    """Return records and classes: numbers scaled to about 0..1, categories one-hot, "?" a value of its own.

    Records are float32 of shape (48842, features), uint8 if no column of numbers is used; the class is 1 for more
    than $50,000.
    """
    if columns not in KINDS_OF_COLUMNS:
        raise ValueError(f"columns is {columns!r}; it must be one of {', '.join(KINDS_OF_COLUMNS)}")
    parts = [
        arrays[name][:, None] / np.float32(LARGEST[name])
        if name in LARGEST
        else np.eye(len(arrays[f"{name} values"]), dtype=np.uint8)[arrays[name]]
        for name in KINDS_OF_COLUMNS[columns]
    ]
    x = np.concatenate(parts, axis=1)
    return x if x.dtype == np.uint8 else x.astype(np.float32), arrays["income"].astype(np.int64)


# Whole columns, one-hot by value; and numbers, one-hot by bins that are fixed before any record is seen.
BY_VALUE = ("race", "gender", "age", "weight", "admission_type_id", "discharge_disposition_id", "admission_source_id")
BY_VALUE += ("time_in_hospital", "payer_code", "medical_specialty", "num_procedures", "number_diagnoses")
BY_VALUE += ("max_glu_serum", "A1Cresult", "change", "diabetesMed", "readmitted")
BY_BIN = {
    "num_lab_procedures": np.arange(5, 100, 5),
    "num_medications": np.arange(2, 50, 2),
    **dict.fromkeys(("number_outpatient", "number_emergency", "number_inpatient"), np.arange(1, 10)),
}
DIAGNOSES = ("diag_2", "diag_3")


@dataclass(frozen=True)
class Hospital:
    """Stays of diabetic patients in 130 US hospitals, instead of the Texas set.

    The class is one of the 100 most frequent primary diagnoses; everything else that is known of a stay is one-hot, a
    missing value ("?") a value of its own. Patients come again: they are the `groups`.
    """

    url: str = "https://archive.ics.uci.edu/ml/machine-learning-databases/00296/dataset_diabetes.zip"
    sha256: str = "2cc570fc34b09ba1169d94b68c27ce3802dce7dc4ab6082bed833a6c195507a5"

    def sample(self, n_classes=100):
        """Return the stays whose primary diagnosis is one of the `n_classes` most frequent."""
        table, sha256 = read_fetched(self.url, self.sha256, read_diabetes)
        frequent = table["diag_1"].value_counts().drop("?", errors="ignore")
        if not 2 <= n_classes <= len(frequent):
            raise ValueError(f"n_classes is {n_classes}; it must be 2 to {len(frequent)}, the diagnoses there are")
        classes = sorted(frequent.sort_index().sort_values(ascending=False, kind="stable").index[:n_classes])
        table = table[table["diag_1"].isin(classes)]
        y = np.searchsorted(classes, table["diag_1"].to_numpy(str)).astype(np.int64)
        x = PackedRecords.from_chunks([np.concatenate(list(_one_hot(table)), axis=1)])
        source = "UCI Diabetes 130-US hospitals (Strack et al. 2014), used instead of the Texas stays"
        provenance = Provenance("hospital", "sample", source, "CC BY 4.0", sha256)
        return Dataset(x, y, n_classes, provenance, table["patient_nbr"].to_numpy(np.int64))


def _one_hot(table):
    drugs = list(table.columns[24:47])
    for name in (*BY_VALUE, *drugs, *DIAGNOSES):
        values, codes = np.unique(table[name].to_numpy(str), return_inverse=True)
        yield np.eye(len(values), dtype=np.uint8)[codes]
    for name, edges in BY_BIN.items():
        yield np.eye(len(edges) + 1, dtype=np.uint8)[np.digitize(table[name].astype(int), edges)]


def read_diabetes(path):
    """Read UCI's ``dataset_diabetes.zip``, 50 columns of strings; a `DataError` if the file is no such archive."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("dataset_diabetes/diabetic_data.csv") as file:
            table = pd.read_csv(file, dtype=str, keep_default_na=False)
        table[["patient_nbr", *BY_BIN]].astype(int)
        missing = [name for name in (*BY_VALUE, *DIAGNOSES, "diag_1") if name not in table]
        if missing or len(table.columns) != 50:
            raise ValueError(f"{len(table.columns)} columns, without {', '.join(missing) or 'none'}")
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        raise DataError(f"{path} is not the UCI diabetes archive ({error}); download it again") from error
    return table
