"""How the time and the memory of `mia audit` grow with the records: half of them in, half out, 16 shadow models.

    python benchmarks/audit_scaling.py [RECORDS...]   # by default 1,000, 10,000 and 100,000

Of two models of scikit-learn, one that is quick to train, so that most of the time is the audit's own, and one that is
not. Prints a row of a table for each: what one training takes, what the audit takes, and the memory at its peak.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import skops.io
from audit_calibration import people
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from watching import watched

from mialib.base.machine import processor

KINDS = {"logistic regression": LogisticRegression(), "forest of 50": RandomForestClassifier(50, random_state=0)}


def scaled(model, n):
    """Return the seconds of one training on n / 2 records, and seconds and MiB of an audit of it on n."""
    x, y = people(n, 0)
    rows = np.random.default_rng(0).permutation(n)
    halves = {"in": rows[: n // 2], "out": rows[n // 2 :]}
    started = time.perf_counter()
    model.fit(x[halves["in"]], y[halves["in"]])
    training = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        model_file = Path(folder, "model.skops")
        skops.io.dump(model, model_file)
        for side, of_side in halves.items():
            np.savez(Path(folder, f"{side}.npz"), x=x[of_side], label=y[of_side])
        mia = "import sys; from mialib.cli.main import main; sys.exit(main())"
        command = [sys.executable, "-c", mia, "audit", model_file, "--in", "in.npz", "--out", "out.npz"]
        command += ["--shadows", "16", "--seeds", "1"]
        command += ["--trust", "sklearn.tree._tree.Tree"]
        quiet = os.environ | {"MIALIB_PROGRESS": "0"}
        return training, *watched([str(word) for word in command], cwd=folder, env=quiet, stdout=subprocess.DEVNULL)


def main(sizes):
    print(f"{processor()}, {os.cpu_count()} cores\n")
    print("| model | records | one training, s | audit, s | ms a record | peak MiB |\n|---|---|---|---|---|---|")
    for name, model in KINDS.items():
        for n in sizes:
            training, seconds, mib = scaled(model, n)
            each = 1000 * seconds / n
            print(f"| {name} | {n:,} | {training:.2f} | {seconds:.1f} | {each:.2f} | {mib:,.0f} |", flush=True)


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or (1000, 10_000, 100_000))
