"""Model-based synthesis against the Adversarial Robustness Toolbox (ART), which asks one record at a time.

Same target, same parameters of Algorithm 1, in turns in one process. Needs ART in an environment of
its own beside mialib (pip install adversarial-robustness-toolbox); writes a table, and JSON with --json.
"""

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from art.attacks.inference.membership_inference import ShadowModels
from art.estimators.classification import PyTorchClassifier

from mialib.attack.experiment import Experiment, train_target
from mialib.datasets.catalog import load
from mialib.models.training import Recipe
from mialib.synthesis.formats import Format
from mialib.synthesis.model_based import synthesize
from mialib.synthesis.search import Queries, Search

FORMAT, SEARCH = Format((600,)), Search()


def torch_model(stack):
    """Return the one model of a stack as a torch module."""
    ((w1, b1), (w2, b2)) = stack.layers(stack.parameters)
    model = torch.nn.Sequential(
        torch.nn.Linear(*w1.shape[1:]), torch.nn.Tanh(), torch.nn.Linear(*w2.shape[1:]), torch.nn.Softmax(dim=1)
    )
    with torch.no_grad():
        for layer, weights, biases in ((model[0], w1, b1), (model[2], w2, b2)):
            layer.weight.copy_(weights[0].T)
            layer.bias.copy_(biases[0, 0])
    return model


class Counted:
    """A target that counts the records it is asked about."""

    def __init__(self, predict):
        self.predict, self.n_asked = predict, 0

    def __call__(self, x):
        self.n_asked += len(x)
        return self.predict(x)


def with_art(classifier, classes, seed):
    """Run ART's search for each class; return what was found, and the queries."""
    rng = np.random.default_rng(seed)
    shadows = ShadowModels(classifier, num_shadow_models=1, random_state=seed)
    predict = classifier.predict
    classifier.predict = Counted(predict)

    def changed(record, k):
        new = record.copy()
        chosen = rng.choice(600, k, replace=False)
        new[chosen] = 1 - new[chosen]
        return new

    found = []
    for c in classes:
        try:
            shadows._hill_climbing_synthesis(
                classifier,
                c,
                SEARCH.conf_min,
                SEARCH.k_max,
                SEARCH.iter_max,
                SEARCH.rej_max,
                SEARCH.k_min,
                random_record_fn=lambda: rng.integers(0, 2, 600).astype(np.float32),
                randomize_features_fn=changed,
            )
            found.append(True)
        except RuntimeError:
            found.append(False)
    n_asked, classifier.predict = classifier.predict.n_asked, predict
    return np.array(found), n_asked


def with_mialib(ask, classes, seed, queries):
    made = synthesize(ask, classes, FORMAT, SEARCH, queries, seed)
    return made.found, made.n_asked


def measure(run, *arguments):
    started, cpu = time.perf_counter(), time.process_time()
    found, n_asked = run(*arguments)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {
        "searches": len(found),
        "records": int(found.sum()),
        "success rate": float(found.mean()),
        "queries a search": n_asked / len(found),
        "seconds": seconds,
        "records a second": float(found.sum() / seconds),
        "microseconds a query": 1e6 * seconds / n_asked,
        "CPU microseconds a query": 1e6 * cpu / n_asked,
    }


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=2500, help="training records of the target")
    options.add_argument("--searches", type=int, default=30000, help="of mialib; the paper's number of records")
    options.add_argument("--one-by-one", type=int, default=200, help="searches of ART; a multiple of 100")
    options.add_argument("--repetitions", type=int, default=3)
    options.add_argument("--json", type=Path)
    options = options.parse_args()

    data = load("purchase", "sample", n_classes=100)
    _, stack = train_target(Experiment(options.size, recipe=Recipe(epochs=60)), data)
    model = torch_model(stack)
    optimizer = torch.optim.Adam(model.parameters())
    classifier = PyTorchClassifier(model, torch.nn.NLLnegative_loss, (600,), 100, optimizer, clip_values=(0, 1))
    x = data.x[:500].astype(np.float32)

    def ask(x):
        return stack.predict_proba(x)[0]

    assert np.allclose(classifier.predict(x), ask(x), atol=1e-5)
    many, few = np.arange(options.searches) % 100, np.arange(options.one_by_one) % 100
    threads = torch.get_num_threads()
    load_before = os.getloadavg()[0]
    runs = {"mialib": [], "mialib, one at a time": [], "ART": []}
    for seed in range(options.repetitions):
        runs["mialib"].append(measure(with_mialib, ask, many, seed, Queries(n_jobs=-1)))
        torch.set_num_threads(1)  # one record gives two threads nothing to do: this is the faster
        runs["mialib, one at a time"].append(measure(with_mialib, ask, few, seed, Queries(1, tolerance=0)))
        runs["ART"].append(measure(with_art, classifier, few, seed))
        torch.set_num_threads(threads)

    names = list(runs["ART"][0])
    median = {run: {name: float(np.median([r[name] for r in rows])) for name in names} for run, rows in runs.items()}
    ratios = [a["records a second"] / b["records a second"] for a, b in zip(runs["mialib"], runs["ART"], strict=True)]
    totals = {run: [sum(r[n] for r in rows) for n in ("records", "searches")] for run, rows in runs.items()}
    shares = {run: found / n for run, (found, n) in totals.items()}
    error = sum(shares[run] * (1 - shares[run]) / totals[run][1] for run in ("mialib", "ART")) ** 0.5
    content = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load before and after": [load_before, os.getloadavg()[0]],
        "versions": {name: version(name) for name in ("torch", "numpy", "adversarial-robustness-toolbox")},
        "target": f"NN 600-128-100, {options.size} grocery purchases, 60 epochs",
        "search": vars(SEARCH),
        "runs": runs,
        "ratio of records a second, mialib over ART": ratios,
        "success rate, mialib minus ART": [shares["mialib"] - shares["ART"], 1.96 * error],
    }
    print("| | " + " | ".join(names) + " |\n|---" * 1 + "|---" * len(names) + "|")
    for run, row in median.items():
        print(f"| {run} | " + " | ".join(f"{row[name]:,.3g}" for name in names) + " |")
    print(
        f"\nratio of records a second, mialib over ART: median {np.median(ratios):.0f} ({min(ratios):.0f} to ", end=""
    )
    print(f"{max(ratios):.0f}); success rate {shares['mialib']:.3f} against {shares['ART']:.3f}, difference ", end="")
    print(f"{shares['mialib'] - shares['ART']:+.3f} ± {1.96 * error:.3f}")
    if options.json:
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
