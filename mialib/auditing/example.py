"""A small model and its tables, to see an audit from end to end."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mialib.base.files import check_writable, write_files

N = 400
"""People in each table."""


def people(n, seed):
    """Return a table of made-up people, whose income hangs on the rest and on chance, DataFrame of n rows."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "hours": rng.normal(38, 9, n).round(2),
            "town": rng.choice(["Ashby", "Brook", "Colne"], n),
            "married": rng.random(n) < 0.5,
        }
    )
    sure = (table["age"] - 45) / 15 + (table["hours"] - 38) / 9 + table["married"] + rng.normal(0, 2, n)
    table.insert(0, "person", np.arange(n) + 1)
    return table.assign(income=np.where(sure > 0.5, "high", "low"))


def write(folder, seed=0):
    """Write a forest, and the people whom it knows, others, and a pool; return the words of ``mia`` that audit it."""
    from skops import io

    folder, everyone = Path(folder), people(4 * N, seed)
    check_writable(folder / "forest.skops")
    sides = (("in", 0, N), ("out", N, 2 * N), ("pool", 2 * N, 4 * N))
    written = {folder / f"{name}.csv": everyone[start:stop].to_csv(index=False) for name, start, stop in sides}
    x, y = everyone[:N].drop(columns=["person", "income"]), everyone["income"][:N]
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    forest = make_pipeline(columns, RandomForestClassifier(50, random_state=seed)).fit(x, y)
    write_files(written | {folder / "forest.skops": io.dumps(forest)})
    words = ["audit", str(folder / "forest.skops"), "--trust", "sklearn.tree._tree.Tree", "--label", "income"]
    words += [word for name in ("in", "out", "pool") for word in (f"--{name}", str(folder / f"{name}.csv"))]
    return [*words, "--id", "person", "--by", "town", "-o", str(folder / "audit.html")]
