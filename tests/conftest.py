import os

import numpy as np
import pytest

from mialib.datasets import Dataset, array_sha256
from mialib.provenance import Provenance
from mialib.standins import binary_records


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """No test reads what an earlier one, or the user, has trained."""
    monkeypatch.setenv("MIALIB_CACHE", str(tmp_path_factory.mktemp("cache")))


def toy_data():
    """Return 600 binary records of 40 features in 4 classes."""
    x, y = binary_records(600, 40, 4, rate=-1.0, spread=0.5, separation=0.7, seed=3)
    return Dataset(x, y, 4, Provenance("toy", "stand-in", "generated", "none", array_sha256(x, y)))


@pytest.fixture(scope="session")
def data():
    return toy_data()


@pytest.fixture
def real_data():
    """Skip where the real files are not at hand; name the folder in MIALIB_DATA."""
    folder = os.environ.get("MIALIB_DATA")
    if not folder:
        pytest.skip("MIALIB_DATA is not set: no real data here")
    return folder


@pytest.fixture
def rng():
    return np.random.default_rng(11)
