"""Files of records and answers as people export them, read into one form."""

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd

from mialib.base.archives import check_sizes
from mialib.submission.doors import named

TABLES = (".csv", ".parquet")
DELIMITERS = ",;\t|"
SAMPLE = 1 << 16
"""Bytes of a CSV file from which its form is told."""

MISSING = ["", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
"""What a feature that is missing looks like in a CSV file; a label may be called so."""

LEADING_ZERO = re.compile(rb'(?:^|[,;\t|])"?[+-]?0[0-9]', re.MULTILINE)


def some(names):
    """Return a few of some names, quoted, for a sentence."""
    names = list(map(repr, map(str, names)))
    return ", ".join(names[:6]) + (f" and {len(names) - 6} others" if len(names) > 6 else "")


def read_table(path, text=(), codes=()):
    """Read a CSV or Parquet file.

    Parameters
    ----------
    path : path
        A CSV file may be separated by commas, semicolons, tabs or bars, have decimal commas with the latter three, and
        start with a byte order mark.
    text : sequence of str
        Columns whose entries stay as they are written: labels, where ``None`` and ``NA`` are names and only an empty
        entry is missing.
    codes : sequence of str
        Columns of text, such as ``02``, where what pandas holds for missing is missing.

    Returns
    -------
    table : DataFrame
    remarks : list of str
        How it was read, where that was not plain.

    Raises
    ------
    ValueError
        If the file is missing, or is no such table.
    """
    path = Path(path)
    if path.suffix not in TABLES:
        raise ValueError(f"{path} is none of .csv, .parquet and .npz; records and saved answers come as one of these")
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    with named(path, "cannot be read"):
        if path.suffix == ".csv":
            return _read_csv(path, text, codes)
        try:
            return _spread(pd.read_parquet(path), path), []
        except ImportError as error:
            raise ValueError(f'{path} needs {error.name}; install it with pip install "mialib[audit]"') from error


def read_header(path):
    """Return the names of a CSV file's columns, or None if its first line has numbers in place of names."""
    form, _ = _form(path)
    with open(path, encoding=form["encoding"], newline="") as lines:
        names = next(csv.reader(lines, delimiter=form["sep"]), [])
    return None if names and all(_is_number(name.replace(",", ".")) for name in names) else names


def read_numbers(path):
    """Return a table of numbers without names, ndarray of float64 and shape (n, columns)."""
    form, _ = _form(path)
    with named(path, "is no table of numbers"):
        return pd.read_csv(path, header=None, dtype=np.float64, **form).to_numpy()


def read_arrays(path, *choices):
    """Return arrays of an NPZ file, one for each of `choices`, of which each lists the names that it may have."""
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    with named(path, "cannot be read as NPZ without pickles"):
        check_sizes(path)
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    found = [next((name for name in names if name in arrays), None) for names in choices]
    if None in found:
        missing = choices[found.index(None)]
        raise ValueError(f"{path} has no array {' or '.join(map(repr, missing))}; it has {some(arrays)}")
    return [arrays[name] for name in found], arrays


def _read_csv(path, text, codes):
    form, remarks = _form(path)
    header = read_header(path)
    if header is None:
        raise ValueError("its first line has numbers and no names; name the columns in the first line")
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise ValueError(f"it has more than one column {some(twice)}; each needs a name of its own")
    named = [name or f"Unnamed: {i}" for i, name in enumerate(header)]
    missing = {"keep_default_na": False, "na_values": {name: [""] if name in text else MISSING for name in named}}
    dtypes = {name: str for name in named if name in text or name in codes}
    table = pd.read_csv(path, dtype=dtypes, low_memory=False, **missing, **form)
    numbers = [name for name in table.columns if pd.api.types.is_integer_dtype(table[name])]
    if numbers and _has_leading_zeros(path):
        written = pd.read_csv(path, usecols=numbers, dtype=str, **form)
        for name in numbers:
            if written[name].str.match(r"[+-]?0\d").any():
                table[name] = written[name]
    return table, remarks


def _form(path):
    """Return how a CSV file is written, as keywords of pandas, and a remark where that is not plain."""
    with open(path, "rb") as file:
        start = file.read(SAMPLE)
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    if encoding != "utf-16":
        try:
            Path(path).read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            encoding = "cp1252"
    lines = start.decode(encoding, errors="ignore").splitlines()[:50]
    lines = lines[:-1] if len(lines) > 1 and len(start) == SAMPLE else lines
    rows = {sep: [row for row in csv.reader(lines, delimiter=sep) if row] for sep in DELIMITERS}
    even = {sep: len({len(row) for row in of}) == 1 and len(of[0]) > 1 for sep, of in rows.items()}
    sep = max(DELIMITERS, key=lambda sep: (even[sep], len(rows[sep][0]) if rows[sep] else 0))
    entries = [entry for row in rows[sep][1:] for entry in row]
    comma = sep != "," and any(re.fullmatch(r"-?\d+,\d+", e) for e in entries)
    comma = comma and not any(re.fullmatch(r"-?\d+\.\d+", e) for e in entries)
    form = {"encoding": encoding, "sep": sep} | ({"decimal": ","} if comma else {})
    said = [] if sep == "," else [f"is separated by {sep!r}"]
    said += ["has decimal commas"] if comma else []
    said += [f"is read as {encoding}"] if encoding != "utf-8-sig" else []
    return form, [f"{Path(path).name} {' and '.join(said)}."] if said else []


def _has_leading_zeros(path):
    with open(path, "rb") as file:
        return bool(LEADING_ZERO.search(file.read()))


def _spread(table, path):
    """Return a table whose columns of lists are spread into a column for each entry."""
    parts = []
    for name in table.columns:
        column = table[name]
        if column.dtype == object and len(column) and isinstance(column.iloc[0], list | np.ndarray):
            lengths = {len(entry) if isinstance(entry, list | np.ndarray) else -1 for entry in column}
            if len(lengths) > 1:
                raise ValueError(f"column {name!r} has lists of different lengths; each record needs as many numbers")
            column = pd.DataFrame(np.stack(column.to_list()), index=table.index)
            column.columns = [f"{name}[{i}]" for i in range(column.shape[1])]
        parts.append(column)
    return pd.concat(parts, axis=1) if parts else table


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True
