"""Files that people have in the folder MIALIB_DATA, in each form that they go round in, made small."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pooch import file_hash

from mialib.datasets import catalog
from mialib.datasets.catalog import load
from mialib.datasets.features import PackedRecords
from mialib.datasets.files import DataError

X = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]], np.uint8)
Y = np.array([99, 0, 6])
ONE_HOT = np.eye(100)[Y]
FEATS, LABELS = b"0,1,1\n1,0,0\n0,0,1\n", b"100\n1\n7\n"
LINES = b"100,0,1,1\n1,1,0,0\n7,0,0,1\n"


def tar(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


ARRAYS = npz(features=X, labels=ONE_HOT)
PURCHASE = tar({"dataset_purchase": LINES})
TEXAS = tar({"texas/100/feats": FEATS, "texas/100/labels": LABELS})
LOCATION = tar({"bangkok": b'"30",0,1,1\n'})


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that writes files into MIALIB_DATA and changes what a data set's reader takes for official."""
    monkeypatch.setenv("MIALIB_DATA", str(tmp_path))

    def place(name, files, **changed):
        changed = changed or {"shapes": ((3, 3),), "url": "http://127.0.0.1:9/dataset_" + name + ".tgz"}
        monkeypatch.setitem(catalog.readers(), name, replace(catalog.readers()[name], **changed))
        for file, content in files.items():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_bytes(content)
        return tmp_path

    return place


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("purchase", {"dataset_purchase.tgz": gzip.compress(PURCHASE)}),
        ("purchase", {"dataset_purchase.tgz": PURCHASE}),
        ("purchase", {"dataset_purchase.tgz": LINES}),
        ("purchase", {"dataset_purchase.tar": PURCHASE}),
        ("purchase", {"dataset_purchase": LINES}),
        ("purchase", {"dataset_purchase": gzip.compress(PURCHASE)}),
        ("purchase", {"purchase100.npz": ARRAYS}),
        ("purchase", {"purchase.npz": ARRAYS}),
        ("purchase", {"dataset_purchase.npz": ARRAYS}),
        ("texas", {"dataset_texas.tgz": gzip.compress(TEXAS)}),
        ("texas", {"dataset_texas.tgz": TEXAS}),
        ("texas", {"dataset_texas.tar": TEXAS}),
        ("texas", {"texas/100/feats": FEATS, "texas/100/labels": LABELS}),
        ("texas", {"texas100.npz": ARRAYS}),
        ("texas", {"texas.npz": ARRAYS}),
        ("texas", {"dataset_texas.npz": ARRAYS}),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_each_form_gives_the_same_records(own, name, files):
    folder = own(name, files)
    data = load(name)
    np.testing.assert_array_equal(np.asarray(data.x), X)
    np.testing.assert_array_equal(data.y, Y)
    assert isinstance(data.x, PackedRecords if name == "texas" else np.ndarray)
    assert (data.x.dtype, data.y.dtype, data.n_classes, data.provenance.kind) == (np.uint8, np.int64, 100, "real")
    assert data.provenance.source.endswith(", " + " and ".join(file.rsplit("/")[-1] for file in files))
    assert data.provenance.sha256 == " and ".join(file_hash(folder / file) for file in files)
    assert len(load(name, sha256=data.provenance.sha256)) == 3
    with pytest.raises(DataError, match="damaged, or another file"):
        load(name, sha256="0" * 64)


@pytest.mark.parametrize("kind", [bool, np.int64, np.float32, np.float64])
@pytest.mark.parametrize("labels", [ONE_HOT, Y, Y + 1, Y[:, None]], ids=["one-hot", "from 0", "from 1", "column"])
def test_arrays_of_any_type(own, kind, labels):
    labels = labels.astype(np.int64 if kind is bool and labels.max() > 1 else kind)
    own("purchase", {"purchase100.npz": npz(features=X.astype(kind), labels=labels)})
    data = load("purchase")
    np.testing.assert_array_equal(data.x, X)
    np.testing.assert_array_equal(data.y, Y)
    two = load("purchase", n_classes=2)
    assert set(two.y) == {0, 1}
    assert two.provenance.source.endswith("purchase100.npz, classes by k-means")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"nothing", "no npz file, or a damaged one"),
        (ARRAYS[:-30], "no npz file, or a damaged one"),
        (ARRAYS[:80] + b"damaged" + ARRAYS[87:], "damaged: "),
        (npz(x=X, y=Y), "it has the arrays x, y, not features and labels"),
        (npz(features=X[:, :2], labels=Y), "3 records x 2 features in 100 classes, not 3 x 3 in 100"),
        (npz(features=X * 2, labels=Y), "features must be 0 or 1"),
        (npz(features=np.where(X, np.nan, 0), labels=Y), "features must be 0 or 1"),
        (npz(features=X.astype(str), labels=Y), "features must be 0 or 1"),
        (npz(features=X.astype(object), labels=Y), "allow_pickle=False"),
        (npz(features=X[0], labels=Y), r"features \(3,\) and labels \(3,\) are not a row for each record"),
        (npz(features=X, labels=Y[:2]), r"features \(3, 3\) and labels \(2,\) are not a row for each record"),
        (npz(features=X, labels=99), r"labels \(\) are not a row for each record"),
        (npz(features=X[:0], labels=Y[:0]), "does not hold the official"),
        (npz(features=X, labels=ONE_HOT[:, :50]), "labels must be one-hot in 100 columns, or whole numbers"),
        (npz(features=X, labels=ONE_HOT * 0.5), "one-hot labels must have a single 1"),
        (npz(features=X, labels=np.maximum(ONE_HOT, np.eye(100)[5])), "one-hot labels must have a single 1"),
        (npz(features=X, labels=np.eye(100)[[1, 0, 6]]), "in 7 classes, not 3 x 3 in 100"),
        (npz(features=X, labels=[0, 3, 100]), "or whole numbers from 0 or from 1"),
        (npz(features=X, labels=[0, 3.5, 99]), "or whole numbers from 0 or from 1"),
        (npz(features=X, labels=[0, np.nan, 99]), "or whole numbers from 0 or from 1"),
        (npz(features=X, labels=["0", "3", "99"]), "or whole numbers from 0 or from 1"),
    ],
)
@pytest.mark.parametrize("name", ["purchase", "texas"])
def test_other_arrays_are_refused_in_one_sentence(own, name, content, message):
    path = own(name, {f"{name}100.npz": content}) / f"{name}100.npz"
    with pytest.raises(DataError, match=message) as caught:
        load(name)
    assert str(caught.value).startswith(f"{path} does not hold the official {name.capitalize()} records (")
    assert "\n" not in str(caught.value)
    assert path.exists()


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        (
            "purchase",
            {"dataset_purchase.tgz": tar({"dataset_purchase": LINES[:-8]})},
            r"purchase.tgz .*\(2 records",
        ),
        ("purchase", {"dataset_purchase": b"<!DOCTYPE html>\n"}, "dataset_purchase .*invalid literal"),
        ("texas", {"texas/100/feats": FEATS, "texas/100/labels": LABELS[:-2]}, "feats .*3 records but 2 classes"),
        ("texas", {"texas/100/feats": FEATS}, "labels is missing; it belongs to texas/100/feats and texas/100/labels"),
    ],
)
def test_unpacked_files_that_are_others_are_refused(own, name, files, message):
    own(name, files)
    with pytest.raises(DataError, match=message):
        load(name)


@pytest.mark.parametrize(
    ("file", "content"),
    [("dataset_location.tgz", LOCATION), ("dataset_location.tar", LOCATION), ("bangkok", b'"30",0,1,1\n')],
)
def test_location_unpacked_is_held_against_its_own_checksum(own, file, content):
    sums = tuple(hashlib.sha256(body).hexdigest() for body in (LOCATION, b'"30",0,1,1\n'))
    own("location", {file: content}, shapes=((1, 3),), unpacked=sums)
    data = load("location")
    assert data.provenance.source.endswith(f"privacytrustlab/datasets, {file}")
    own("location", {file: content.replace(b"0,1", b"1,1")})
    with pytest.raises(DataError, match="damaged, or another file"):
        load("location")


def photographs(n):
    x = np.random.default_rng(n).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    y = np.arange(n) % 10
    return SimpleNamespace(file=npz(x=x, y=y), sha256=hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest(), x=x, y=y)


SUBSET, WHOLE = photographs(20), photographs(50)
PINNED = {"subset_sha256": hashlib.sha256(SUBSET.file).hexdigest(), "whole_sha256": WHOLE.sha256}


@pytest.mark.parametrize(
    ("files", "n", "part"),
    [
        ({"cifar10.npz": SUBSET.file}, 20, "20 of the official training images"),
        ({"cifar10.npz": WHOLE.file}, 50, "all 50 official images"),
        ({"cifar10.npz": npz(y=WHOLE.y.astype(np.uint8), x=WHOLE.x, train=WHOLE.y > 0)}, 50, "all 50 official images"),
        ({"cifar10-full.npz": WHOLE.file}, 50, "all 50 official images"),
        ({"cifar10-full.npz": WHOLE.file, "cifar10.npz": SUBSET.file}, 50, "all 50 official images"),
        ({"cifar10.npz": WHOLE.file, "cifar10-full.npz": SUBSET.file}, 50, "all 50 official images"),
    ],
)
def test_photographs_are_told_apart_by_content(own, files, n, part):
    own("cifar10", files, **PINNED)
    data = load("cifar10")
    assert (len(data), data.provenance.kind) == (n, "real")
    np.testing.assert_array_equal(data.x, (WHOLE if n == 50 else SUBSET).x)
    assert part in data.provenance.source
    assert data.provenance.sha256 in PINNED.values()


@pytest.mark.parametrize(
    "content",
    [
        b"nothing",
        WHOLE.file[:-30],
        npz(x=WHOLE.x, y=WHOLE.y[::-1]),
        npz(x=WHOLE.x[:40], y=WHOLE.y[:40]),
        npz(x=WHOLE.x),
    ],
    ids=["no npz", "cut off", "other classes", "fewer", "no y"],
)
def test_other_photographs_are_refused_in_one_sentence(own, content):
    own("cifar10", {"cifar10.npz": content}, **PINNED)
    message = r"cifar10\.npz has sha256 \w+, not \w+, nor does it hold all images: damaged, or another file; [^\n]+$"
    with pytest.raises(DataError, match=message):
        load("cifar10")
