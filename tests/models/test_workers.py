"""Training on a Dask cluster, and training that is killed."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import psutil
import pytest

from mialib.base.seeding import children
from mialib.models import training
from mialib.models.cache import ModelCache
from mialib.models.stack import NN
from mialib.models.training import Recipe

RECIPE = Recipe(NN((16,)), epochs=40, batch_size=20)
LONGER = Recipe(NN((64,)), epochs=1500, batch_size=20)


def parameters(recipe, data, index):
    return recipe.train(data, index, children(5, len(index)), n_jobs=2).parameters.numpy()


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed", reason="pip install mialib[dask]")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def index(data):
    return rows(data)


def rows(data):
    rng = np.random.default_rng(2)
    return np.stack([rng.choice(len(data), 90, replace=False) for _ in range(12)])


def test_a_dask_cluster_gives_the_same_numbers(data, index, cluster):
    with joblib.parallel_config("dask"):
        on_cluster = parameters(RECIPE, data, index)
    ModelCache().clear()
    np.testing.assert_array_equal(on_cluster, parameters(RECIPE, data, index))


def test_a_worker_that_dies_changes_no_number(data, index, cluster):
    """The one that dies holds records, and is in the middle of a block."""
    died = []

    def kill():
        while not died:
            time.sleep(0.02)
            busy, holds = cluster.processing(), cluster.has_what()
            died.extend(worker for worker in busy if busy[worker] and holds[worker])
        time.sleep(0.3)
        os.kill(cluster.run(os.getpid)[died[0]], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with joblib.parallel_config("dask"):
        on_cluster = parameters(LONGER, data, index)
    killer.join()
    assert died[0] not in cluster.scheduler_info()["workers"]
    ModelCache().clear()
    np.testing.assert_array_equal(on_cluster, parameters(LONGER, data, index))


def test_a_worker_process_that_dies_changes_no_number(data, index, monkeypatch):
    """Without a cluster, by joblib's own processes."""
    monkeypatch.setattr(training, "MUCH", 0)
    whole = parameters(LONGER, data, index)
    ModelCache().clear()

    def kill():
        while not ModelCache().size()[0]:
            time.sleep(0.02)
        workers = [child for child in psutil.Process().children() if "popen_loky" in " ".join(child.cmdline())]
        workers[-1].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    np.testing.assert_array_equal(parameters(LONGER, data, index), whole)
    killer.join()


def test_a_killed_run_trains_only_what_is_missing(data, index, tmp_path, monkeypatch):
    monkeypatch.setenv("MIALIB_CACHE", str(tmp_path))
    script = """
        from conftest import toy_data
        from test_workers import LONGER, parameters, rows
        parameters(LONGER, toy_data(), rows(toy_data()))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, Path(__file__).parents[:2]), *sys.path])},
    )
    try:
        while not ModelCache().size()[0]:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    n_kept = ModelCache().size()[0]
    assert 0 < n_kept < len(index)

    again = []
    fit_blocks = training.fit_blocks
    monkeypatch.setattr(training, "fit_blocks", lambda *a: again.extend(a[4]) or fit_blocks(*a))
    resumed = parameters(LONGER, data, index)
    assert len(again) == len(index) - n_kept
    ModelCache().clear()
    np.testing.assert_array_equal(resumed, parameters(LONGER, data, index))
