"""Shadow training on a Dask cluster of this machine: how it scales, how many bytes move, and a worker killed midway.

    pip install -e ".[benchmark,dask]"
    python benchmarks/cluster_scaling.py [EPOCHS]   # by default 40

20 of the paper's Purchase networks on 10,000 records each, in blocks of 5, by workers of one thread in processes of
their own. Bytes are what passes through the loopback device while they train, as the kernel counts it.
"""

import hashlib
import os
import sys
import tempfile
import threading
import time

import numpy as np
import psutil
from distributed import Client, LocalCluster

from mialib import NN, ModelCache, Recipe, load
from mialib.base.machine import CLUSTER, processor
from mialib.base.seeding import children

N_MODELS = 20


def moved():
    """Return the bytes that have passed through the loopback device so far."""
    return psutil.net_io_counters(pernic=True)["lo"].bytes_sent


def trained(recipe, data, index, folder):
    """Return the parameters of models trained anew, as a sha256."""
    stack = recipe.train(data, index, children(1, len(index)), ModelCache(folder))
    return hashlib.sha256(stack.parameters.numpy().tobytes()).hexdigest()


def on_cluster(n_workers, train, kill_after=None):
    """Return what is trained, in how many seconds, and the bytes that moved; a worker may be killed meanwhile."""
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.run(lambda: __import__("mialib.models.training") and None)
        os.environ[CLUSTER] = cluster.scheduler_address
        if kill_after:
            victim = next(iter(client.run(os.getpid).values()))
            threading.Timer(kill_after, os.kill, (victim, 9)).start()
        before, started = moved(), time.perf_counter()
        found = train()
        took = time.perf_counter() - started
        del os.environ[CLUSTER]
        return found, took, moved() - before


def main(epochs):
    recipe, data = Recipe(NN(), epochs), load("purchase", "sample")
    rng = np.random.default_rng(0)
    index = [rng.choice(len(data.x), 10_000, replace=False) for _ in range(N_MODELS)]

    def train():
        with tempfile.TemporaryDirectory() as folder:
            return trained(recipe, data, index, folder)

    print(
        f"{processor()}, {os.cpu_count()} cores; {N_MODELS} models, {epochs} epochs, records of {data.x.nbytes:,} bytes"
    )
    started = time.perf_counter()
    alone = train()
    print(f"without a cluster: {time.perf_counter() - started:.1f} s")
    first = None
    for n_workers, kill_after in ((1, None), (2, None), (4, None), (2, 0.4)):
        after = kill_after and kill_after * first / 2
        found, took, n_bytes = on_cluster(n_workers, train, after)
        first = first or took
        killed = f", one killed after {after:.1f} s" if after else ""
        same = "the same numbers" if found == alone else "OTHER NUMBERS"
        print(f"{n_workers} workers{killed}: {took:.1f} s, {first / took:.2f} x, {n_bytes:,} bytes, {same}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
