import numpy as np
import pytest

from mialib.base.seeding import children
from mialib.datasets.dataset import Dataset, array_sha256
from mialib.datasets.features import PackedRecords, as_features, is_binary, unit
from mialib.models.batches import is_sparse
from mialib.models.stack import NN
from mialib.models.training import Recipe, fit_stack
from mialib.platforms.closed import AMAZON_DEFAULT


def pack(x):
    return PackedRecords.from_chunks([x])


@pytest.fixture
def x(rng):
    return (rng.random((5000, 37)) < 0.1).astype(np.uint8)


@pytest.fixture
def packed(x):
    return PackedRecords.from_chunks([x[:1000], x[1000:]])


@pytest.mark.parametrize(
    "rows", [slice(3, 9), np.array([4, 4, 0]), np.array([[1, 2], [3, 4]]), 7], ids=["slice", "rows", "table", "one"]
)
def test_what_is_indexed_is_what_was_packed(x, packed, rows):
    np.testing.assert_array_equal(packed[rows], x[rows])


def test_packed_records_are_an_eighth_and_look_the_same(x, packed):
    assert (packed.shape, packed.dtype, packed.ndim, len(packed)) == (x.shape, x.dtype, 2, 5000)
    assert packed.bits.nbytes == 5000 * 5
    assert packed.n_ones == x.sum()
    np.testing.assert_array_equal(np.asarray(packed), x)
    np.testing.assert_array_equal(packed.csr().toarray(), x)
    assert is_binary(packed)
    assert is_sparse(packed)
    assert unit(packed) == 1
    assert not is_sparse(pack(np.ones((4, 9), np.uint8)))
    assert as_features(packed) is packed
    changed = x.copy()
    changed[17, 5] ^= 1
    assert array_sha256(packed) != array_sha256(pack(changed))


@pytest.mark.parametrize("share", [0.1, 0.5], ids=["sparse", "dense"])
def test_models_of_packed_records_are_those_of_the_records(rng, data, share):
    x = (rng.random((300, 37)) < share).astype(np.uint8)
    y, index, seeds = rng.integers(0, 3, 300), np.arange(200).reshape(2, 100), children(0, 2)
    recipe = Recipe(NN((8,)), epochs=3, batch_size=20)
    plain, packed = (fit_stack(recipe, records, y, 3, index, seeds) for records in (x, pack(x)))
    np.testing.assert_array_equal(plain.parameters.numpy(), packed.parameters.numpy())
    np.testing.assert_array_equal(plain.predict_proba(x, index), packed.predict_proba(pack(x), index))
    amazon = [
        AMAZON_DEFAULT.train(Dataset(records, y, 3, data.provenance), index, seeds).predict_proba(x)
        for records in (x, pack(x))
    ]
    np.testing.assert_array_equal(*amazon)
