import joblib
import numpy as np
import pytest

from mialib.base import machine
from mialib.base.seeding import children
from mialib.models.training import Recipe, fit_blocks

distributed = pytest.importorskip("distributed", reason="pip install mialib[dask]")


def trained(data):
    index, seeds = np.arange(200).reshape(4, 50), children(3, 4)
    blocks = fit_blocks(Recipe(epochs=5), data.x, data.y, data.n_classes, index, seeds, 2, n_jobs=2)
    return np.concatenate([parameters for _, parameters in sorted(blocks, key=lambda block: block[0][0])])


def test_models_are_trained_on_the_cluster_that_is_named(data, monkeypatch):
    here = trained(data)
    with distributed.LocalCluster(n_workers=2, processes=False, protocol="tcp", dashboard_address=None) as cluster:
        monkeypatch.setenv(machine.CLUSTER, cluster.scheduler_address)
        there = trained(data)
        client = machine._client(cluster.scheduler_address)
        done = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
        client.close()
        machine._client.cache_clear()
    np.testing.assert_array_equal(there, here)
    assert done >= 2


def test_without_a_cluster_nothing_is_changed(monkeypatch):
    monkeypatch.delenv(machine.CLUSTER, raising=False)
    with machine.workers():
        assert "Dask" not in type(joblib.parallel.get_active_backend()[0]).__name__


def test_a_cluster_that_does_not_answer_is_one_sentence(monkeypatch):
    monkeypatch.setenv(machine.CLUSTER, "tcp://127.0.0.1:9")
    monkeypatch.setattr(machine, "PATIENCE", 0.5)
    with pytest.raises(OSError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9; start one"):
        machine.workers()
