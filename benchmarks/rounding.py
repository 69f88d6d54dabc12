"""What training in bfloat16 does to the paper's CNN and to the attack on it, against what another seed does.

    python benchmarks/rounding.py [SHADOWS [SEEDS]]   # by default 4 and 5; real CIFAR-10, in MIALIB_DATA or downloaded

Targets of 2,500 images, 100 epochs, as in Fig. 4. Prints a line for each run, then a table: means over seeds, how far
seeds lie from each other, and the mean difference of the two with its 95 % interval, seed by seed.
"""

import sys

import numpy as np

from mialib import CNN, Experiment, Recipe, load, metrics, run
from mialib.attack import comparisons
from mialib.models.kernels import BFloat16, Float32

QUANTITIES = ("test accuracy", "precision", "recall", "median precision", "AUC")


def measured(data, products, n_shadow, seed):
    """Return the numbers of one target and of the attack on it, a dict of float."""
    experiment = Experiment(2500, n_shadow, Recipe(CNN(products=products), 100), seed=seed)
    (found,) = comparisons.summary({"": run(experiment, data)}).values()
    return {name: float(found[name]) for name in QUANTITIES}


def main(n_shadow=4, n_seeds=5):
    data, found = load("cifar10", "real"), {"float32": [], "bfloat16": []}
    for seed in range(n_seeds):
        for name, products in (("float32", Float32()), ("bfloat16", BFloat16())):
            found[name].append(measured(data, products, n_shadow, seed))
            print(seed, name, found[name][-1], flush=True)
    print("\n| | float32 | bfloat16 | SD between seeds | bfloat16 minus float32 |\n|---|---|---|---|---|")
    for name in QUANTITIES:
        of, rounded = (np.array([one[name] for one in found[kind]]) for kind in found)
        by = metrics.mean(rounded - of)
        means = f"{of.mean():.4f} | {rounded.mean():.4f} | {of.std(ddof=1):.4f}"
        print(f"| {name} | {means} | {float(by):+.4f} [{by.low:+.4f}, {by.high:+.4f}] |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
