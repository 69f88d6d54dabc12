"""Shadow training and attack models against what a user would pick instead, as ratios in one run.

pip install -e ".[benchmark]"
python benchmarks/shadow_training.py                # all, a table
python benchmarks/shadow_training.py --json dense   # one group, as JSON

Each round times every contender once, one after the other, on all cores unless its name says
otherwise; a ratio is taken within a round. Shown are the median and the range over rounds.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import numpy as np
import torch
from sklearn.neural_network import MLPClassifier
from torch.utils.data import DataLoader, TensorDataset

from mialib.attack.answers import query
from mialib.attack.experiment import Experiment, run
from mialib.attack.shadow import ATTACK_RECIPE, ClassAttack
from mialib.base.seeding import children
from mialib.datasets.catalog import load
from mialib.datasets.splits import shadow_sets, split
from mialib.metrics import roc_auc
from mialib.models import batches, kernels, training
from mialib.models.cnn import CNN
from mialib.models.kernels import BFloat16
from mialib.models.stack import NN
from mialib.models.training import Recipe, fit_blocks

CORES = os.cpu_count()


def seconds(work):
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def sgemm(n_threads, n=2048):
    """Return the multiplications and additions a second of a large product of float32."""
    torch.set_num_threads(n_threads)
    a, b, c = (torch.randn(n, n) for _ in range(3))
    return 2 * n**3 / min(seconds(lambda: torch.mm(a, b, out=c)) for _ in range(10))


def usual_loop(model, x, y, n_epochs):
    """Train one model as most code does."""
    torch.set_num_threads(CORES)
    optimiser = torch.optim.Adam(model.parameters())
    loader = DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True)
    for _ in range(n_epochs):
        for batch, classes in loader:
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(batch), classes).backward()
            optimiser.step()


def ours(recipe, data, index, n_jobs=CORES):
    """Train models in blocks, nothing from a cache."""
    seeds, block_size = children(0, len(index)), recipe.architecture.models_a_block
    for _ in fit_blocks(recipe, data.x, data.y, data.n_classes, index, seeds, block_size, n_jobs):
        pass


def art(x, y, n_models, n_epochs):
    """Train ART's shadow models; half of the records are members of each."""
    from art.attacks.inference.membership_inference import ShadowModels
    from art.estimators.classification import PyTorchClassifier

    class Classifier(PyTorchClassifier):
        def fit(self, x, y):
            super().fit(x, y, batch_size=100, nb_epochs=n_epochs)

    torch.set_num_threads(CORES)
    model = purchase_network()
    template = Classifier(
        model, torch.nn.CrossEntropynegative_loss, (x.shape[1],), 100, optimizer=torch.optim.Adam(model.parameters())
    )
    ShadowModels(template, n_models, random_state=0).generate_shadow_dataset(x, np.eye(100, dtype=np.float32)[y])


def purchase_network():
    """Return the paper's NN for Purchase-100, as a torch module."""
    return torch.nn.Sequential(torch.nn.Linear(600, 128), torch.nn.Tanh(), torch.nn.Linear(128, 100))


def cifar_network():
    """Return the CNN of `mialib.models.cnn`, as a torch module."""
    nn = torch.nn
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5), nn.Tanh(), nn.MaxPool2d(2), nn.Conv2d(32, 32, 3), nn.Tanh(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1152, 128), nn.Tanh(), nn.Linear(128, 10)),
    )


def subsets(data, n_models, size):
    """Return the training records of each model, shape (n_models, size)."""
    return np.stack([np.random.default_rng(m).choice(len(data), size, replace=False) for m in range(n_models)])


class Patched:
    """Set a module's constant for a while."""

    def __init__(self, module, name, value):
        self.module, self.name, self.value, self.before = module, name, value, getattr(module, name)

    def __enter__(self):
        setattr(self.module, self.name, self.value)

    def __exit__(self, *_):
        setattr(self.module, self.name, self.before)


def dense():
    """Purchase NN, 600-128-100, batch 100, 10,000 records a model: milliseconds a model-epoch."""
    data, recipe, size = load("purchase", "sample"), Recipe(epochs=10), 10_000
    index = subsets(data, 20, size)
    x, y = torch.from_numpy(data.x[index[0]]).float(), torch.from_numpy(data.y[index[0]])
    per = 1000 / len(index) / recipe.epochs
    found = {
        "DataLoader loop": 1000 * seconds(lambda: usual_loop(purchase_network(), x, y, 1)),
        "stacks, one worker": per * seconds(lambda: ours(recipe, data, index, 1)),
    }
    with Patched(training, "MUCH", float("inf")):
        found["stacks, workers as threads"] = per * seconds(lambda: ours(recipe, data, index))
    with Patched(training, "MUCH", 0):  # as in a run of the paper's length, whose processes have started
        ours(replace(recipe, epochs=0), data, index)
        found["stacks"] = per * seconds(lambda: ours(recipe, data, index))
    with Patched(batches, "SPARSE", -1), Patched(training, "MUCH", float("inf")):
        found["stacks, dense products"] = per * seconds(lambda: ours(recipe, data, index))
        found["stacks, dense products, one worker"] = per * seconds(lambda: ours(recipe, data, index, 1))
        with Patched(kernels, "LARGE", float("inf")):
            found["stacks, dense products by torch.bmm, one worker"] = per * seconds(
                lambda: ours(recipe, data, index, 1)
            )
        rounded = replace(recipe, architecture=NN(products=BFloat16()))
        found["stacks, dense products of bfloat16"] = per * seconds(lambda: ours(rounded, data, index))
    both = np.concatenate([index[0], np.setdiff1d(np.arange(len(data)), index[0])[:size]])
    features = data.x[both].astype(np.float32)
    found["ART ShadowModels"] = 1000 / 2 / 4 * seconds(lambda: art(features, data.y[both], 2, 4))
    needed = size * (4 * 600 * 128 + 6 * 128 * 100)
    for name, n_threads, of in (("sgemm, one thread", 1, "stacks, one worker"), ("sgemm", CORES, "stacks")):
        rate = sgemm(n_threads)
        found[name] = 1000 * needed / rate
        dense_name = of.replace("stacks", "stacks, dense products")
        found[f"share of {name}: {of}"] = found[name] / found[of]
        found[f"share of {name}: {dense_name}"] = found[name] / found[dense_name]
    for other in ("DataLoader loop", "ART ShadowModels"):
        found[f"ratio to {other}"] = found[other] / found["stacks"]
        found[f"ratio to {other}, dense products"] = found[other] / found["stacks, dense products"]
    found["ratio of two workers to one"] = found["stacks, one worker"] / found["stacks"]
    return found


def images():
    """CIFAR CNN, batch 100, 2,500 images a model: milliseconds a model-epoch."""
    data, recipe = load("cifar10", "stand-in", n_records=10_000), Recipe(CNN(), epochs=4)
    index = subsets(data, 4, 2500)
    x = torch.from_numpy(data.x[index[0]]).permute(0, 3, 1, 2).float().div(255).contiguous()
    y = torch.from_numpy(data.y[index[0]])
    per = 1000 / len(index) / recipe.epochs
    found = {
        "DataLoader loop": 500 * seconds(lambda: usual_loop(cifar_network(), x, y, 2)),
        "stacks": per * seconds(lambda: ours(recipe, data, index)),
        "stacks, one worker": per * seconds(lambda: ours(recipe, data, index, 1)),
    }
    rounded = replace(recipe, architecture=CNN(products=BFloat16()))
    found["stacks, bfloat16"] = per * seconds(lambda: ours(rounded, data, index))
    found["ratio to DataLoader loop"] = found["DataLoader loop"] / found["stacks"]
    found["ratio to DataLoader loop, bfloat16"] = found["DataLoader loop"] / found["stacks, bfloat16"]
    found["ratio of two workers to one"] = found["stacks, one worker"] / found["stacks"]
    return found


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


def rounding():
    """What products of bfloat16 do to models and attack: Purchase NN on 10,000 records, 10 shadows, 60 epochs."""
    data, found = load("purchase", "sample"), {}
    for name, architecture in (("float32", NN()), ("bfloat16", NN(products=BFloat16()))):
        with Patched(batches, "SPARSE", -1):
            numbers = run(Experiment(10_000, 10, Recipe(architecture, epochs=60)), data).numbers()
        for quantity in ("target test accuracy", "precision", "recall", "AUC"):
            found[f"{quantity}, {name}"] = str(numbers[quantity])
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
        started = time.perf_counter()
        process = subprocess.Popen([sys.executable, "-c", script])
        peak = 0
        while process.poll() is None:
            peak = max(peak, _memory(process.pid))
            time.sleep(0.1)
        found[f"{name}: seconds"] = time.perf_counter() - started
        found[f"{name}: MiB"] = peak / 2**20
    return found


def _memory(pid):
    """Return the bytes that a process and its children have to themselves, shared pages counted by share."""
    import psutil

    total = 0
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


GROUPS = {function.__name__: function for function in (dense, images, attack, rounding, paper_run)}


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
            print(f"\n{GROUPS[name].__doc__}\n")
            for what, value in found[name].items():
                text = value if isinstance(value, str) else "{median:10.3f}   {low:.3f} to {high:.3f}".format(**value)
                print(f"{what:70} {text}")
    if arguments.json:
        machine = {"cores": CORES, "torch": torch.__version__, "cpu": torch.backends.cpu.get_cpu_capability()}
        print(json.dumps({"machine": machine, **found}, indent=1))


if __name__ == "__main__":
    main()
