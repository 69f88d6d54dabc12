"""Shadow training and attack models against what a user would pick instead, as ratios in one run.

pip install -e ".[benchmark]"
python benchmarks/shadow_training.py                # all, a table
python benchmarks/shadow_training.py --json dense   # one group, as JSON

Each round times every contender once, one after the other, each in a process of its own (contenders.py); a ratio is
taken within a round. Shown are the median and the range over rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from contenders import CONTENDERS
from sklearn.neural_network import MLPClassifier
from watching import watched

from mialib.attack.answers import query
from mialib.attack.shadow import ATTACK_RECIPE, ClassAttack
from mialib.base.machine import processor
from mialib.base.seeding import children
from mialib.datasets.catalog import load
from mialib.datasets.splits import shadow_sets, split
from mialib.metrics import roc_auc
from mialib.models import blas
from mialib.models.training import Recipe

CORES = os.cpu_count()


def seconds(work):
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


SHAPES = ((100, 600, 128), (600, 100, 128), (100, 128, 100), (128, 100, 100), (100, 100, 128))
"""Products of a step of the Purchase NN: forward and gradient of the first layer, then of the second, and its delta."""


def fastest_products():
    """Return the milliseconds that the products of a model-epoch take alone, on one thread, and who is fastest in each.

    Contenders are torch's product of matrices and of stacks of five, which are MKL's on most machines, and oneDNN's.
    """
    torch.set_num_threads(1)
    total, winners = 0.0, []
    for n, k, m in SHAPES:
        a, b = torch.randn(5, n, k), torch.randn(5, k, m)
        ways = {
            "bmm": lambda a=a, b=b: torch.bmm(a, b),
            "mm": lambda a=a, b=b: [torch.mm(*pair) for pair in zip(a, b, strict=True)],
            "oneDNN": lambda a=a, b=b: [blas.onednn(*pair) for pair in zip(a, b, strict=True)],
        }
        for of in ways.values():
            of()
        times = {name: min(seconds(of) for _ in range(100)) for name, of in ways.items()}
        winner = min(times, key=times.get)
        total += times[winner] / 5 * 100 * 1000
        winners.append(f"{n} x {k} x {m} {winner} {2 * n * k * m * 5 / times[winner] / 1e9:.0f} GFLOP/s")
    return total, ", ".join(winners)


def on(cores):
    """Return how names of numbers on so many cores end (str)."""
    return f", {cores} core" + "s" * (cores > 1)


def contest(group, both):
    """Return milliseconds a model-epoch of all contenders of a group, their losses, and ratios to stacks.

    On one core and on all; of those named in `both`, also how many times as long it takes on one.
    """
    found = {}
    for cores in sorted({1, CORES}):
        for name in CONTENDERS[group]:
            command = [sys.executable, str(Path(__file__).parent / "contenders.py"), group, name, "--cores", str(cores)]
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode:
                print(f"{name}: {ended.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                continue
            of = json.loads(ended.stdout.splitlines()[-1])
            found |= {f"{name}{on(cores)}": of["ms"], f"loss: {name}{on(cores)}": of["loss"]}
            if name != "stacks":
                found[f"ratio of {name} to stacks{on(cores)}"] = of["ms"] / found[f"stacks{on(cores)}"]
    for name in both if CORES > 1 else ():
        found[f"{name}: ratio of {CORES} cores to one"] = found[f"{name}{on(1)}"] / found[f"{name}{on(CORES)}"]
    return found


def dense():
    """Purchase NN, 600-128-100, batch 100, 10,000 records a model: milliseconds a model-epoch.

    Records are taken as dense but where a name says otherwise.
    """
    found = contest("dense", ("stacks", "stacks, by their ones"))
    needed, who = fastest_products()
    found |= {f"the products alone{on(1)}": needed, "by whom": who}
    found[f"share of the products in stacks{on(1)}"] = needed / found[f"stacks{on(1)}"]
    return found


def images():
    """CIFAR CNN, batch 100, 2,500 images a model: milliseconds a model-epoch."""
    return contest("images", ("stacks", "stacks, bfloat16"))


def attack():
    """Attack models of 100 classes with ragged sizes, learned from 10 shadows of 2,500: seconds, AUC on a target."""
    data, recipe, size = load("purchase", "sample"), Recipe(epochs=60), 2500
    parts = split(len(data), size, 0)
    sets = shadow_sets(parts.pool, 10, size, 1)
    stack = recipe.train(data, np.concatenate([parts.target_in[None], sets.in_]), children(2, 11))
    target = query(stack.models(slice(0, 1)), data, parts.target_in[None], parts.target_out[None])
    shadows = query(stack.models(slice(1, None)), data, sets.in_, sets.out)
    probability = {}

    def together(name, recipe):
        model = ClassAttack(recipe).fit(shadows)
        probability[name] = model.predict_proba(target.labels, target.vectors)

    def one_by_one():
        probability["MLPClassifier loop"] = np.empty(len(target.labels))
        for c in range(data.n_classes):
            of_class, asked = shadows.labels == c, target.labels == c
            model = MLPClassifier((64,), random_state=c).fit(shadows.vectors[of_class], shadows.member[of_class])
            if asked.any():
                probability["MLPClassifier loop"][asked] = model.predict_proba(target.vectors[asked])[:, 1]

    shorter = replace(ATTACK_RECIPE, steps=300)
    found = {
        "stacks, 600 steps (default)": seconds(lambda: together("stacks, 600 steps (default)", ATTACK_RECIPE)),
        "stacks, 300 steps": seconds(lambda: together("stacks, 300 steps", shorter)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found["MLPClassifier loop"] = seconds(one_by_one)
    for name in list(found)[:2]:
        found[f"ratio to MLPClassifier loop: {name}"] = found["MLPClassifier loop"] / found[name]
    for name, value in probability.items():
        found[f"AUC: {name}"] = roc_auc(target.member, value)
    return found


def paper_run():
    """The paper's Purchase run and a CIFAR-10 run, each from an empty cache: seconds, peak MiB of all processes."""
    runs = {
        "Purchase, 20 shadows of 10,000, 200 epochs": "load('purchase', 'sample'), Experiment(10_000, 20)",
        "CIFAR-10 stand-in, target of 15,000 and a shadow, one epoch": (
            "load('cifar10', 'stand-in', n_records=60_000), Experiment(15_000, 1, Recipe(CNN(), epochs=1))"
        ),
    }
    found = {}
    for name, arguments in runs.items():
        script = f"""if True:
            import tempfile
            from mialib.models.cache import ModelCache
            from mialib.models.cnn import CNN
            from mialib.datasets.catalog import load
            from mialib.attack.experiment import Experiment, run
            from mialib.models.training import Recipe
            data, experiment = {arguments}
            with tempfile.TemporaryDirectory() as folder:
                run(experiment, data, ModelCache(folder))
        """
        found[f"{name}: seconds"], found[f"{name}: MiB"] = watched([sys.executable, "-c", script])
    return found


GROUPS = {function.__name__: function for function in (dense, images, attack, paper_run)}


def summary(rounds):
    """Return median and range of each number over rounds; text as it is."""
    found = {}
    for name, value in rounds[0].items():
        values = [one[name] for one in rounds]
        if isinstance(value, str):
            found[name] = value
        else:
            found[name] = {"median": float(np.median(values)), "low": min(values), "high": max(values)}
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", nargs="*", default=list(GROUPS), help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = {}
    for name in arguments.group:
        found[name] = summary([GROUPS[name]() for _ in range(arguments.rounds)])
        if not arguments.json:
            print(f"\n{GROUPS[name].__doc__}\n{processor()}, {CORES} cores, torch {torch.__version__}\n")
            for what, value in found[name].items():
                text = value if isinstance(value, str) else "{median:10.3f}   {low:.3f} to {high:.3f}".format(**value)
                print(f"{what:70} {text}")
    if arguments.json:
        machine = {
            "processor": processor(),
            "cores": CORES,
            "torch": torch.__version__,
            "cpu": torch.backends.cpu.get_cpu_capability(),
        }
        print(json.dumps({"machine": machine, **found}, indent=1))


if __name__ == "__main__":
    main()
