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


@pytest.fixture(scope="session")
def data():
    """600 binary records of 40 features in 4 classes."""
    x, y = binary_records(600, 40, 4, rate=-1.0, spread=0.5, separation=0.7, seed=3)
    return Dataset(x, y, 4, Provenance("toy", "stand-in", "generated", "none", array_sha256(x, y)))


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


@pytest.fixture(scope="session")
def squares():
    """300 images of 8 x 8 in three classes: a bright square in one of three corners, over noise."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 300)
    x = rng.integers(0, 80, (300, 8, 8))
    for c, (row, column) in enumerate(((0, 0), (0, 4), (4, 0))):
        x[y == c, row : row + 4, column : column + 4] += 150
    return x.astype(np.uint8), y
