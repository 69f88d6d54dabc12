"""Ways to train shadow models, each in a process of its own: ``python benchmarks/contenders.py dense jax --cores 1``.

Prints one line of JSON: milliseconds a model-epoch, and the mean cross-entropy on the training records after that,
which must be about the same for all. A shorter training goes before the one that is timed, for compilers and caches.
"""

import argparse
import json
import os
import time

import numpy as np

MODELS = 5


def subsets(data, n_models, size):
    """Return the training records of each model, shape (n_models, size)."""
    return np.stack([np.random.default_rng(m).choice(len(data), size, replace=False) for m in range(n_models)])


def dense_network():
    """Return the paper's NN for Purchase-100, as a torch module."""
    from torch import nn

    return nn.Sequential(nn.Linear(600, 128), nn.Tanh(), nn.Linear(128, 100))


def image_network():
    """Return the CNN of `mialib.models.cnn`, as a torch module that takes images of shape (32, 32, 3)."""
    from torch import nn

    class ChannelsFirst(nn.Module):
        def forward(self, x):
            return x.view(-1, 32, 32, 3).permute(0, 3, 1, 2)

    return nn.Sequential(
        *(ChannelsFirst(), nn.Conv2d(3, 32, 5), nn.Tanh(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3), nn.Tanh(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(1152, 128), nn.Tanh(), nn.Linear(128, 10)),
    )


NETWORKS = {"dense": dense_network, "images": image_network}


def stacks(group, data, index, epochs, cores, sparse=False, products=None):
    """Train with `mialib`; return the logits of all models for their own records."""
    import torch

    from mialib.base.seeding import children
    from mialib.models import batches, training
    from mialib.models.cnn import CNN
    from mialib.models.kernels import Float32
    from mialib.models.stack import NN

    batches.SPARSE = batches.SPARSE if sparse else -1
    training.MUCH = 0 if cores > 1 else float("inf")
    architecture = {"dense": NN, "images": CNN}[group](products=products or Float32())
    recipe = training.Recipe(architecture, epochs)
    size = -(-len(index) // cores) if group == "dense" else architecture.models_a_block
    seeds, rows = children(0, len(index)), [None] * len(index)
    for of, parameters in training.fit_blocks(
        recipe, data.x, data.y, data.n_classes, index, seeds, min(size, architecture.models_a_block), cores
    ):
        for m, row in zip(of, parameters, strict=True):
            rows[m] = torch.from_numpy(row)
    stack = architecture.stack(0, data.x.shape[1:], data.n_classes).with_parameters(torch.stack(rows))
    return lambda: stack.predict_logits(data.x, index)


def sparse_stacks(*arguments):
    """Train with `mialib`, which makes use of that most features are 0."""
    return stacks(*arguments, sparse=True)


def rounded_stacks(*arguments):
    """Train with `mialib`, products of numbers rounded to bfloat16."""
    from mialib.models.kernels import BFloat16

    return stacks(*arguments, products=BFloat16())


def jax_scan(group, data, index, epochs, cores):
    """Train by JAX: vmap over models, scan over batches, one compiled epoch."""
    import jax
    import jax.numpy as jnp

    def start(key):
        keys = jax.random.split(key, 4)
        bounds = ((600, 128), 600), ((128,), 600), ((128, 100), 128), ((100,), 128)
        return [jax.random.uniform(k, s, minval=-1, maxval=1) / f**0.5 for k, (s, f) in zip(keys, bounds, strict=True)]

    def logits(p, x):
        return jnp.tanh(x @ p[0] + p[1]) @ p[2] + p[3]

    def loss(p, x, y):
        return -jnp.take_along_axis(jax.nn.log_softmax(logits(p, x)), y[:, None], 1).mean()

    def step(carry, batch):
        p, m, v, t = carry
        t, g = t + 1, jax.grad(loss)(p, *batch)
        m = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, m, g)
        v = jax.tree.map(lambda a, b: 0.999 * a + 0.001 * b * b, v, g)
        size = 1e-3 / (1 - 0.9**t)
        correct = 1 / jnp.sqrt(1 - 0.999**t)
        p = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) * correct + 1e-8), p, m, v)
        return (p, m, v, t), None

    x, y = jnp.asarray(data.x, jnp.float32), jnp.asarray(data.y)
    global _epoch
    if _epoch is None:
        _epoch = jax.jit(
            jax.vmap(
                lambda carry, rows, x, y: jax.lax.scan(lambda c, r: step(c, (x[r], y[r])), carry, rows)[0],
                (0, 0, None, None),
            )
        )
    p = jax.vmap(start)(jax.random.split(jax.random.PRNGKey(0), len(index)))
    zeros = jax.tree.map(jnp.zeros_like, p)
    carry, rng = (p, zeros, zeros, jnp.zeros(len(index))), np.random.default_rng(0)
    for _ in range(epochs):
        rows = jnp.asarray(rng.permuted(index, axis=1).reshape(len(index), -1, 100))
        carry = _epoch(carry, rows, x, y)
    p = jax.block_until_ready(carry[0])
    return lambda: np.stack([logits([of[m] for of in p], x[index[m]]) for m in range(len(index))])


_epoch = None
"""What JAX has compiled, which the second call uses again."""


def torch_func(group, data, index, epochs, cores):
    """Train by torch.func: vmap over the gradients of models, one fused Adam."""
    import torch
    from torch.func import functional_call, grad, stack_module_state, vmap

    torch.manual_seed(0)
    networks = [dense_network() for _ in index]
    parameters, _ = stack_module_state(networks)

    def loss(p, x, y):
        return torch.nn.functional.cross_entropy(functional_call(networks[0], p, (x,)), y)

    gradient = vmap(grad(loss))
    optimiser = torch.optim.Adam(parameters.values(), fused=True)
    x, y, rng = torch.from_numpy(data.x).float(), torch.from_numpy(data.y), np.random.default_rng(0)
    for _ in range(epochs):
        for rows in torch.from_numpy(rng.permuted(index, axis=1).reshape(len(index), -1, 100)).unbind(1):
            for name, of in gradient(parameters, x[rows], y[rows]).items():
                parameters[name].grad = of
            optimiser.step()
    return lambda: vmap(lambda p, x: functional_call(networks[0], p, (x,)))(parameters, x[index]).detach().numpy()


def loop(batches_of):
    """Return a contender that trains one model after the other, each in a loop over batches."""

    def train(group, data, index, epochs, cores):
        import torch

        torch.manual_seed(0)
        scale = 255 if data.x.dtype == np.uint8 and data.x.max() > 1 else 1
        x, y, networks = torch.from_numpy(data.x).float().div(scale), torch.from_numpy(data.y), []
        for rows in index:
            network = NETWORKS[group]()
            optimiser = torch.optim.Adam(network.parameters())
            for batch, classes in batches_of(x[rows], y[rows], epochs):
                optimiser.zero_grad()
                torch.nn.functional.cross_entropy(network(batch), classes).backward()
                optimiser.step()
            networks.append(network)
        with torch.no_grad():
            return lambda: np.stack([f(x[r]).detach().numpy() for f, r in zip(networks, index, strict=True)])

    return train


def by_index(x, y, epochs):
    """Yield batches that are taken by their rows."""
    import torch

    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(100):
            yield x[rows], y[rows]


def by_loader(x, y, epochs):
    """Yield batches as most code does."""
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(x, y), batch_size=100, shuffle=True)
    for _ in range(epochs):
        yield from loader


def art(group, data, index, epochs, cores):
    """Train ART's shadow models, of which each takes half of what it gets."""
    import torch
    from art.attacks.inference.membership_inference import ShadowModels
    from art.estimators.classification import PyTorchClassifier

    class Classifier(PyTorchClassifier):
        def fit(self, x, y, **_):
            self.records = x, y
            super().fit(x, y, batch_size=100, nb_epochs=epochs)

    torch.manual_seed(0)
    both = np.concatenate([index[0], np.setdiff1d(np.arange(len(data)), index[0])[: len(index[0])]])
    x, y = data.x[both].astype(np.float32), np.eye(data.n_classes, dtype=np.float32)[data.y[both]]
    network = dense_network()
    optimiser = torch.optim.Adam(network.parameters())
    template = Classifier(network, torch.nn.CrossEntropyLoss(), (600,), 100, optimizer=optimiser)
    shadows = ShadowModels(template, len(index), random_state=0)
    shadows.generate_shadow_dataset(x, y)
    models = shadows.get_shadow_models()
    return lambda: [(f.predict(f.records[0]), f.records[1].argmax(1)) for f in models]


CONTENDERS = {
    "dense": {
        "stacks": stacks,
        "stacks, by their ones": sparse_stacks,
        "stacks, bfloat16": rounded_stacks,
        "JAX": jax_scan,
        "torch.func": torch_func,
        "index loop": loop(by_index),
        "DataLoader loop": loop(by_loader),
        "ART": art,
    },
    "images": {
        "stacks": stacks,
        "stacks, bfloat16": rounded_stacks,
        "index loop": loop(by_index),
        "DataLoader loop": loop(by_loader),
    },
}
"""Trained by JAX on a CPU, a model-epoch of 2,500 images takes half a minute; it is left out."""

EPOCHS = {"dense": 4, "images": 2}


def cross_entropy(logits, classes):
    """Return the mean cross-entropy of logits of shape (n, classes)."""
    from scipy.special import log_softmax

    return float(-log_softmax(logits, axis=1)[np.arange(len(classes)), classes].mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", choices=CONTENDERS)
    parser.add_argument("name")
    parser.add_argument("--cores", type=int, default=1)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.cores])
    os.environ["OMP_NUM_THREADS"] = str(arguments.cores)
    if arguments.cores == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"

    from mialib.datasets.catalog import load

    if arguments.group == "dense":
        data, size = load("purchase", "sample"), 10_000
    else:
        data, size = load("cifar10", "stand-in", n_records=10_000), 2500
    index, train = subsets(data, MODELS, size), CONTENDERS[arguments.group][arguments.name]
    train(arguments.group, data, index, 1, arguments.cores)
    epochs, started = EPOCHS[arguments.group], time.perf_counter()
    answers = train(arguments.group, data, index, epochs, arguments.cores)
    taken = time.perf_counter() - started
    logits = answers()
    pairs = zip(logits, data.y[index], strict=True) if isinstance(logits, np.ndarray) else logits
    loss = np.mean([cross_entropy(*pair) for pair in pairs])
    print(json.dumps({"ms": 1000 * taken / MODELS / epochs, "loss": float(loss)}))


if __name__ == "__main__":
    main()
