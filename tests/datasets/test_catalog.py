import re
from pathlib import Path

import numpy as np
import pytest
from pooch import file_hash

from mialib.base.machine import shipped
from mialib.datasets import catalog, files
from mialib.datasets.catalog import load
from mialib.datasets.dataset import KINDS
from mialib.datasets.files import DataError, read_sample
from mialib.datasets.images import resized, thresholded
from mialib.datasets.people import encode
from mialib.datasets.splits import split


def test_the_official_location_file(real_data):
    data = load("location")
    assert data.x.shape == (5010, 446)
    assert set(np.unique(data.x)) == {0, 1}
    counts = np.bincount(data.y)
    assert (len(counts), counts.min(), counts.max()) == (30, 97, 308)


def test_the_sources_are_what_the_readers_have():
    assert list(catalog.SOURCES) == list(catalog.readers())
    for name, reader in catalog.readers().items():
        assert catalog.sources(name) == tuple(kind for kind in KINDS if hasattr(reader, kind.replace("-", "_")))


def test_location_stand_in():
    data = load("location", "stand-in")
    assert data.x.shape == (5010, 446)
    assert np.bincount(data.y, minlength=30).min() > 20
    assert data.provenance.kind == "stand-in"
    assert data.fingerprint == load("location", "stand-in").fingerprint == data.provenance.sha256
    assert data.fingerprint != load("location", "stand-in", seed=1).fingerprint


def test_purchase_sample():
    data = load("purchase", "sample", n_classes=20)
    assert data.x.shape == (51536, 600)
    assert data.x.sum(axis=1).min() == 5
    assert data.x.sum(axis=1).mean() == pytest.approx(19.44, abs=0.01)
    for n in (2, 10, 50, 100):
        other = load("purchase", "sample", n_classes=n)
        assert np.bincount(other.y, minlength=n).min() >= 30
        np.testing.assert_array_equal(other.x[::500], data.x[::500])


def test_adult_sample():
    data = load("adult", "sample")
    assert data.x.shape == (48842, 6 + 9 + 16 + 7 + 15 + 6 + 5 + 2 + 42)
    assert (data.x.min(), data.n_classes) == (0, 2)
    assert data.x.max() <= 1
    assert data.y.mean() == pytest.approx(0.239, abs=0.001)
    one_hot = data.x[:, (data.x == np.round(data.x)).all(axis=0)]
    assert (one_hot.sum(axis=1) == 8).all()


def test_adult_sample_is_the_uci_file(real_data):
    lines = (Path(real_data) / "adult.data").read_text().splitlines()[:300]
    data = load("adult", "sample")
    fields = [line.split(", ") for line in lines]
    np.testing.assert_allclose(data.x[:300, 0], np.array([int(f[0]) for f in fields]) / 90, rtol=1e-6)
    np.testing.assert_array_equal(data.y[:300], [f[-1] == ">50K" for f in fields])


def test_mnist_sample():
    data = load("mnist", "sample")
    assert (data.x.shape, data.x.dtype) == ((5000, 32, 32), np.uint8)
    np.testing.assert_array_equal(np.bincount(data.y), [500] * 10)
    assert (data.x.min(), data.x.max()) == (0, 255)


def test_digits_are_resized_as_pixels_are():
    flat = np.full((2, 28, 28), 77, np.uint8)
    assert (resized(flat) == 77).all()
    ramp = np.broadcast_to(np.arange(28, dtype=np.uint8) * 8, (1, 28, 28))
    across = resized(ramp)[0, 5].astype(float)
    np.testing.assert_allclose(across[2:-2], (8 * ((np.arange(32) + 0.5) * 28 / 32 - 0.5))[2:-2], atol=0.51)
    np.testing.assert_array_equal(resized(ramp.transpose(0, 2, 1))[0], resized(ramp)[0].T)


def test_real_mnist_holds_the_sample(real_data):
    data, sample = load("mnist"), load("mnist", "sample")
    assert (data.x.shape, data.provenance.kind) == ((70_000, 32, 32), "real")
    zeros = data.x[:60_000][data.y[:60_000] == 0][:500]
    np.testing.assert_array_equal(np.unique(zeros, axis=0), np.unique(sample.x[sample.y == 0], axis=0))


def test_real_adult_is_the_sample(real_data):
    assert load("adult").fingerprint == load("adult", "sample").fingerprint


def test_adult_by_kind_of_column():
    kinds = ("all", "numeric", "categorical")
    whole, numeric, categories = (load("adult", "sample", columns=kind) for kind in kinds)
    assert (numeric.x.shape, numeric.x.dtype) == ((48842, 6), np.float32)
    assert (categories.x.shape, categories.x.dtype) == ((48842, 102), np.uint8)
    assert numeric.x.shape[1] + categories.x.shape[1] == whole.x.shape[1]


def test_adult_categories_do_not_depend_on_which_records_are_there():
    """No leak: a held-out record changes neither the scale nor the columns of another."""
    arrays = read_sample("adult.npz", catalog.readers()["adult"].sample_sha256)
    fewer = {name: a if name.endswith(" values") else a[:100] for name, a in arrays.items()}
    np.testing.assert_array_equal(encode(fewer)[0], encode(arrays)[0][:100])


def test_digits_and_their_binary_twin():
    data = load("digits", "sample")
    assert (data.x.shape, data.x.dtype, data.x.max()) == ((1797, 64), np.float32, 1)
    twin = thresholded(data)
    assert (twin.x.dtype, set(np.unique(twin.x))) == (np.uint8, {0, 1})
    np.testing.assert_array_equal(twin.x[3], data.x[3] > 0.5)


def test_hospital_stays(real_data):
    data = load("hospital", "sample")
    assert (data.x.shape, data.provenance.kind) == ((86_234, 1743), "sample")
    assert data.x.n_ones == 47 * len(data)  # one value a column
    assert np.bincount(data.y, minlength=100).min() == 161
    assert len(np.unique(data.groups)) == 62_005
    parts = split(len(data), 10_000, 0, data.groups)
    patients = [set(data.groups[rows]) for rows in (parts.target_in, parts.target_out, parts.pool)]
    assert sum(map(len, patients)) == len(set.union(*patients))


def test_texas_stand_in_is_packed():
    data = load("texas", "stand-in", n_records=3000)
    assert (data.x.shape, data.n_classes) == ((3000, 6170), 100)
    assert data.x.bits.nbytes == 3000 * 772
    assert 20 < data.x.n_ones / 3000 < 60


def test_shipped_files_are_small_and_their_checksums_are_in_the_readme():
    readme = shipped("data", "README.md").read_text(encoding="utf-8")
    samples = sorted(shipped("data").glob("*.npz"))
    assert len(samples) == 3
    for path in samples:
        assert path.stat().st_size < 2 * 2**20
        assert re.search(rf"`{path.name}`.*`{file_hash(path)}`", readme)


def test_a_damaged_sample_is_refused(tmp_path, monkeypatch):
    (tmp_path / "mnist.npz").write_bytes(b"damaged")
    monkeypatch.setattr(files, "shipped", lambda *parts: tmp_path / parts[-1])
    with pytest.raises(DataError, match=r"restore it with python data/build\.py"):
        load("mnist", "sample")
    with pytest.raises(DataError, match=r"adult\.npz is missing"):
        load("adult", "sample")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("locations",), {}, "there is no data set 'locations'; there are location, purchase, texas, hospital"),
        (("location", "sample"), {}, "location has no source 'sample'; it has real, stand-in"),
        (("purchase", "sample"), {"n_classes": 7}, "n_classes is 7; purchase has 2, 10, 20, 50, 100"),
        (("adult", "sample"), {"columns": "some"}, "columns is 'some'; it must be one of all, numeric, categorical"),
        (("mnist", "sample"), {"n_classes": 7}, r"mnist \(sample\) does not take n_classes; it takes no options"),
    ],
)
def test_bad_requests_get_one_clear_sentence(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        load(*arguments, **options)


@pytest.mark.parametrize("n_classes", [10, 100])
def test_generated_photographs(n_classes):
    name = f"cifar{n_classes}"
    data = load(name, "stand-in", n_records=3000)
    assert (data.x.dtype, data.x.shape, data.provenance.kind) == (np.uint8, (3000, 32, 32, 3), "stand-in")
    assert np.bincount(data.y, minlength=n_classes).min() > 10
    fewer = load(name, "stand-in", n_records=700)
    np.testing.assert_array_equal(fewer.x, data.x[:700])
    np.testing.assert_array_equal(fewer.y, data.y[:700])
    assert fewer.fingerprint == fewer.provenance.sha256
    assert not np.array_equal(load(name, "stand-in", n_records=700, seed=1).x, fewer.x)


@pytest.mark.parametrize("n_classes", [10, 100])
def test_real_photographs(real_data, n_classes):
    data = load(f"cifar{n_classes}")
    assert data.x.shape in ((24000, 32, 32, 3), (60000, 32, 32, 3))
    np.testing.assert_array_equal(np.bincount(data.y), [len(data) // n_classes] * n_classes)
    assert data.provenance.kind == "real"
    assert f"{len(data):,} " in data.provenance.source
