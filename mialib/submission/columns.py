"""The columns of records: just those that a model takes, by name, in one type everywhere."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from mialib.submission.tables import some


def align(parts, names=None, n_features=None, kinds=None):
    """Return parts of the records with just the features that a model takes, in one form, and remarks.

    Parameters
    ----------
    parts : dict of str to Records
        By what they are called in a sentence, such as ``in``.
    names : sequence of str, optional
        The columns that the model was fitted on, in its order.
    n_features : int, optional
        How many it was fitted on.
    kinds : dict of str to {"number", "text", "category"}, optional
        What it takes in a column; a dtype of pandas for categories equals "category".

    Returns
    -------
    parts : dict of str to Records
    remarks : list of str

    Raises
    ------
    ValueError
        That lists the columns which are missing, or says in which a part differs.
    """
    remarks = list(dict.fromkeys(said for part in parts.values() for said in part.remarks))
    left_out, found = {}, {}
    for name, part in parts.items():
        x, gone = _columns_of(part, name, names, n_features)
        found[name] = replace(part, x=x, remarks=())
        left_out |= gone
    for why in dict.fromkeys(left_out.values()):
        columns = [column for column, of in left_out.items() if of == why]
        remarks.append(f"Columns {some(columns)}, {why}, are left out.")
    if any(isinstance(part.x, pd.DataFrame) for part in found.values()):
        found = one_form(found, kinds or {})
    return found, remarks


def _columns_of(part, where, names, n_features):
    """Return the features of a part that a model takes, and why it does not take other columns, a dict by name."""
    x = part.x
    if not isinstance(x, pd.DataFrame):
        width = int(np.prod(x.shape[1:]))
        expected = len(names) if names is not None else n_features
        if x.ndim == 2 and expected is not None and width != expected:
            raise ValueError(f"records {where} have {width} features; the model was fitted on {expected}")
        return (pd.DataFrame(x.reshape(len(x), -1), columns=list(names)) if names is not None else x), {}
    x = x.set_axis([str(name) for name in x.columns], axis=1)
    if names is not None:
        place = {_plain(name): name for name in x.columns} | {name: name for name in x.columns}
        took = [place.get(str(name), place.get(_plain(str(name)))) for name in names]
        if missing := [name for name, of in zip(names, took, strict=True) if of is None]:
            rest = [name for name in x.columns if name not in took]
            more = f"; besides what it knows they have {some(rest)}" if rest else ""
            raise ValueError(f"records {where} have no columns {some(missing)}, which the model was fitted on{more}")
        unknown = dict.fromkeys((name for name in x.columns if name not in took), "which the model does not know")
        return x[took].set_axis(list(names), axis=1), unknown
    gone = {name: "which number the records" for name in x.columns if _numbers_records(x[name], name)}
    if n_features is not None and x.shape[1] == n_features:
        gone = {}
    if n_features is not None and x.shape[1] - len(gone) > n_features:
        why = f"for which the model, which takes {n_features}, has no place"
        gone = dict.fromkeys((name for name in part.by if name in x), why) | gone
    if n_features is not None and x.shape[1] - len(gone) != n_features:
        raise ValueError(
            f"records {where} have {x.shape[1]} features, {some(x.columns)}; the model was fitted on {n_features}, and "
            "does not know their names: leave out the others with --drop"
        )
    return x.drop(columns=list(gone)), gone


def _numbers_records(column, name):
    """Return whether a column is what pandas writes in front of a table: the number of each record."""
    if not re.fullmatch(r"|Unnamed: \d+|level_0|__index_level_0__", name):
        return False
    return bool(pd.api.types.is_integer_dtype(column)) and column.is_unique


def _plain(name):
    """Return a name as LightGBM and skl2onnx write it, without blanks and signs."""
    return re.sub(r"\W", "_", str(name))


def one_form(parts, kinds):
    """Return parts whose columns have the same types, which are those that the model takes."""
    names = {name: list(part.x.columns) if isinstance(part.x, pd.DataFrame) else None for name, part in parts.items()}
    first, columns = next(iter(names.items()))
    for name, of in names.items():
        if of is None or columns is None or set(of) != set(columns):
            differ = some(sorted(set(of or ()) ^ set(columns or ()))) if of and columns else "all"
            raise ValueError(f"records {first} and {name} have other columns ({differ}); all parts need the same")
    tables = {name: part.x[columns].copy() for name, part in parts.items()}
    for column in columns:
        series = _same_type([table[column] for table in tables.values()], column, kinds.get(column))
        for table, of in zip(tables.values(), series, strict=True):
            table[column] = of
    return {name: replace(part, x=tables[name]) for name, part in parts.items()}


def _same_type(series, name, kind):
    """Return the same column of several parts in one type; a ValueError names a column that cannot have one."""
    if kind == "number" and any(map(is_text, series)):
        try:
            return [pd.to_numeric(of.astype(object)) for of in series]
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {name!r} is text; the model takes numbers there ({error})") from error
    if kind == "category" and isinstance(kind, pd.CategoricalDtype):
        return [_of_known(of, kind.categories).astype(kind) for of in series]
    if kind == "category":
        series = [of if isinstance(of.dtype, pd.CategoricalDtype) else _of_known(of, None) for of in series]
    categories = [isinstance(of.dtype, pd.CategoricalDtype) for of in series]
    if any(categories):
        values = [of.dropna().unique() for of in (each.astype(object) for each in series)]
        values = list(dict.fromkeys(value for of in values for value in of))
        ordered = sorted(values, key=lambda value: (str(type(value)), value))
        if len({isinstance(value, str) for value in values}) > 1:
            ordered = [str(value) for value in ordered]
            series = [each.astype(object).map(str, na_action="ignore") for each in series]
        return [of.astype(pd.CategoricalDtype(list(dict.fromkeys(ordered)))) for of in series]
    if kind == "text" or (any(map(is_text, series)) and not all(map(is_text, series))):
        return [of if is_text(of) else _as_text(of, name) for of in series]
    if len({of.dtype for of in series}) > 1 and all(map(_is_number, series)):
        return [of.astype(np.float64) for of in series]
    return series


def _of_known(column, categories):
    """Return a column without values that are no categories, taken as missing; a ValueError if it has no others."""
    known = column if categories is None else column.where(column.isin(categories))
    if categories is None or (known.isna().all() and not column.isna().all()):
        such = "" if categories is None else f", such as {some(categories)}"
        raise ValueError(
            f"column {column.name!r} is {column.dtype} here, and the model takes its own categories there{such}; give "
            "the records as Parquet, which keeps categories"
        )
    return known


def _as_text(column, name):
    """Return whole numbers as text; a ValueError for other numbers, which text can write in many ways."""
    if pd.api.types.is_integer_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column.astype(str)
    if column.isna().all():
        return column.astype(object)
    raise ValueError(f"column {name!r} is text in one place and numbers in another; it must be one of them everywhere")


def is_text(column):
    """Return whether a column holds text, and not numbers, booleans or categories."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype) or (pd.api.types.is_object_dtype(kind) and _is_number(column)):
        return False
    return pd.api.types.is_object_dtype(kind) or isinstance(kind, pd.StringDtype)


def _is_number(column):
    if column.dtype == object:  # booleans with some missing
        return column.dropna().map(lambda value: isinstance(value, bool | np.bool_)).all()
    return pd.api.types.is_numeric_dtype(column)
