"""An audit's findings record by record: the score of every attack, and how unusual the strongest one's is."""

import re

import numpy as np
import pandas as pd

from mialib.base.text import readable

EXPOSED = 0.01
"""Members are exposed whose p-value is at most this."""

HOW = (
    "A p-value is one-sided and conformal: (1 + the number of records out that score at least as high by the "
    "strongest attack) / (1 + the number of records out), the record itself never counted. Where the attack learned "
    "from one half of the records to judge the other, each half is compared with itself. If nothing leaks, about 1 % "
    "of the records in have at most 0.01."
)
"""How p-values are made, for whoever reads the report."""

_FORMULA = re.compile(r"[=+\-@\t\r]")


def p_values(said):
    """Return how unusually high each record's score is among those out (ndarray of float64, shape (n,)); see `HOW`.

    NaN for a record that is not judged. `said` is a `mialib.auditing.panel.Said`.
    """
    member, score, found = said.inference.member, said.inference.score, np.full(len(said.inference.score), np.nan)
    half = np.zeros(len(score), int) if said.half is None else said.half
    for of in np.unique(half):
        judged = (half == of) & said.inference.judged
        outside = np.sort(score[judged & ~member])
        itself = ~member[judged]
        as_high = len(outside) - np.searchsorted(outside, score[judged]) - itself
        found[judged] = (1 + as_high) / (1 + len(outside) - itself)
    return found


def exposed(findings):
    """Return `Findings.exposed`, a list of dict, each with the record's id first where there are ids."""
    ids = None if findings.ids is None else findings.ids[findings.target.member]
    return [({} if ids is None else {"id": ids[row["record"] - 1]}) | row for row in findings.exposed()]


def table(findings):
    """Return a row for each record of `Findings` (DataFrame): its id, set, label, answer and scores.

    A record without an id has its number among those in, or those out, from 1.
    """
    member, (shown, values) = findings.target.member, findings.spread()
    number = np.where(member, np.cumsum(member), np.cumsum(~member))
    p = p_values(findings.by_record[findings.strongest])
    return pd.DataFrame(
        {
            "id": number if findings.ids is None else _whole(findings.ids),
            "set": np.where(member, "in", "out"),
            "label": [readable(findings.class_name(label)) for label in findings.target.labels],
            shown: values,
            **{f"score: {name}": said.inference.score for name, said in findings.by_record.items()},
            "p-value": p,
            "flag": np.where(member & (p <= EXPOSED), "exposed", ""),
        }
    )


def _whole(ids):
    """Return ids of which no digit is rounded away, and no letter is one that pandas does not take."""
    if ids.dtype.kind == "f":
        return ids.astype(str)
    return ids if ids.dtype.kind in "iub" else [readable(of) if isinstance(of, str) else of for of in ids]


def as_csv(findings):
    """Return the `table` as CSV (str), in which no cell is a formula to a spreadsheet."""
    rows = table(findings)
    text = [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]
    rows[text] = rows[text].map(_harmless)
    return readable(rows.rename(columns=_harmless).to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def _harmless(cell):
    """Return a cell that is no formula: a spreadsheet takes for one what starts with any of ``=+-@``."""
    text = str(cell)
    return f"'{text}" if _FORMULA.match(text) and pd.isna(pd.to_numeric(text, errors="coerce")) else cell
