"""Each official format, on a small file in exactly that format, through the real download path."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets
import torchvision

from mialib.base.machine import cache_dir
from mialib.datasets import catalog, files, people
from mialib.datasets.catalog import load
from mialib.datasets.files import DataError
from mialib.datasets.images import resized


def sha256(body):
    return hashlib.sha256(body).hexdigest()


def tar(**members):
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in members.items():
            content = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


BITS = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 1]], np.uint8)
LABELS = [100, 1, 7]
PURCHASE = tar(
    dataset_purchase="".join(f"{c},{','.join(map(str, r))}\n" for c, r in zip(LABELS, BITS.tolist(), strict=True))
)
TEXAS = tar(
    **{
        "texas/100/feats": "".join(f"{','.join(map(str, r))}\n" for r in BITS.tolist()),
        "texas/100/labels": "".join(f"{c}\n" for c in LABELS),
    }
)
LOCATION = tar(bangkok='"30",0,1,1\n"1",1,0,0\n"2",0,0,1\n')


def diabetes():
    """Three stays of two patients, in UCI's columns."""
    names = ["encounter_id", "patient_nbr", "race", "gender", "age", "weight", "admission_type_id"]
    names += ["discharge_disposition_id", "admission_source_id", "time_in_hospital", "payer_code", "medical_specialty"]
    names += ["num_lab_procedures", "num_procedures", "num_medications", "number_outpatient", "number_emergency"]
    names += ["number_inpatient", "diag_1", "diag_2", "diag_3", "number_diagnoses", "max_glu_serum", "A1Cresult"]
    names += [*(f"drug{i}" for i in range(23)), "change", "diabetesMed", "readmitted"]
    rows = [["1", "5"], ["2", "5"], ["3", "9"]]
    table = pd.DataFrame({name: ["0", "1", "1"] for name in names})
    table[["encounter_id", "patient_nbr"]] = rows
    table["diag_1"], table["race"] = ["428", "414", "428"], ["?", "Asian", "?"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dataset_diabetes/diabetic_data.csv", table.to_csv(index=False))
    return buffer.getvalue()


DIABETES = diabetes()
PERSON = "{}, State-gov, 77516, Bachelors, 13, Never-married, Sales, Not-in-family, White, Male, 2174, 0, 40, {}, {}"
ADULT = (f"{PERSON.format(45, 'Peru', '<=50K')}\n{PERSON.format(90, '?', '>50K')}\n\n").encode()
ADULT_TEST = (f"|1x3 Cross validator\n{PERSON.format(18, 'Cuba', '>50K.')}\n").encode()


def idx(array):
    """Bytes of MNIST's own format, compressed."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


IMAGES = np.arange(2 * 28 * 28, dtype=np.int64).reshape(2, 28, 28).astype(np.uint8)
MNIST = {
    "train-images-idx3-ubyte.gz": idx(IMAGES),
    "train-labels-idx1-ubyte.gz": idx(np.array([3, 9], np.uint8)),
    "t10k-images-idx3-ubyte.gz": idx(255 - IMAGES),
    "t10k-labels-idx1-ubyte.gz": idx(np.array([0, 1], np.uint8)),
}


@dataclass(frozen=True)
class Official:
    """A set: the files it is read from, the first of which goes wrong, and how addresses are replaced."""

    name: str
    files: dict
    place: object
    source: str = "real"
    pinned: bool = True


@cache
def cifar(n_classes):
    """Bytes of an archive in the official format, one image a file; what torchvision must know of it beside."""
    folder, labels, *parts = {
        10: ("cifar-10-batches-py", "labels", [f"data_batch_{i}" for i in range(1, 6)], ["test_batch"], "batches.meta"),
        100: ("cifar-100-python", "fine_labels", ["train"], ["test"], "meta"),
    }[n_classes]
    train, test, meta = parts
    key = "label_names" if n_classes == 10 else "fine_label_names"
    members = {meta: pickle.dumps({key: [str(i) for i in range(n_classes)]})}
    for i, name in enumerate([*train, *test]):
        pixels = np.arange(3072, dtype=np.uint16).astype(np.uint8)[None] + np.uint8(i)
        members[name] = pickle.dumps({"data": pixels, labels: [n_classes - 1 - i]})
    md5 = {name: hashlib.md5(content).hexdigest() for name, content in members.items()}
    body = tar(**{f"{folder}/{name}": content for name, content in members.items()})
    return body, {
        "tgz_md5": hashlib.md5(body).hexdigest(),
        "train_list": [[name, md5[name]] for name in train],
        "test_list": [[name, md5[name]] for name in test],
        "meta": {"filename": meta, "key": key, "md5": md5[meta]},
    }


def place_cifar(n_classes):
    def place(url, body, monkeypatch):
        for name, value in {"url": url, **cifar(n_classes)[1]}.items():
            monkeypatch.setattr(getattr(torchvision.datasets, f"CIFAR{n_classes}"), name, value)

    return place


def place_archive(url, body, monkeypatch, name, **changed):
    found = replace(catalog.readers()[name], url=url, **changed)
    monkeypatch.setitem(catalog.readers(), name, found)


def place_mnist(url, body, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [url.rsplit("/", 1)[0] + "/"])
    md5 = [(name, hashlib.md5(content).hexdigest()) for name, content in MNIST.items()]
    monkeypatch.setattr(torchvision.datasets.MNIST, "resources", md5)


def place_adult(url, body, monkeypatch):
    sums = (("adult.data", sha256(ADULT)), ("adult.test", sha256(ADULT_TEST)))
    place_archive(url.rsplit("/", 1)[0], body, monkeypatch, "adult", sha256=sums)

    def unreachable(*_, **__):
        raise OSError("no OpenML here")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", unreachable)


def placed(name, **changed):
    return lambda url, body, monkeypatch: place_archive(url, body, monkeypatch, name, **changed)


OFFICIAL = [
    Official(
        "location", {"dataset_location.tgz": LOCATION}, placed("location", shapes=((3, 3),), sha256=sha256(LOCATION))
    ),
    Official("purchase", {"dataset_purchase.tgz": PURCHASE}, placed("purchase", shapes=((3, 3),)), pinned=False),
    Official("texas", {"dataset_texas.tgz": TEXAS}, placed("texas", shapes=((3, 3),)), pinned=False),
    Official("hospital", {"dataset_diabetes.zip": DIABETES}, placed("hospital", sha256=sha256(DIABETES)), "sample"),
    Official("adult", {"adult.data": ADULT, "adult.test": ADULT_TEST}, place_adult),
    Official("mnist", MNIST, place_mnist),
    Official("cifar10", {"cifar-10-python.tar.gz": cifar(10)[0]}, place_cifar(10)),
    Official("cifar100", {"cifar-100-python.tar.gz": cifar(100)[0]}, place_cifar(100)),
]
BY_TORCHVISION = ("mnist", "cifar10", "cifar100")
OPTIONS = {"hospital": {"n_classes": 2}}
each_set = pytest.mark.parametrize("official", OFFICIAL, ids=lambda official: official.name)


@pytest.fixture
def download(serve, monkeypatch):
    """Return a function that serves a set's files, the first as said, and loads the set."""

    def served_and_loaded(official, body=None, **answer):
        (first, good), *others = official.files.items()
        url = serve(first, good if body is None else body, **answer)
        for name, content in others:
            serve(name, content)
        official.place(url, good, monkeypatch)
        return load(official.name, official.source, **OPTIONS.get(official.name, {}))

    return served_and_loaded


def directory(name):
    """Return an archive whose one member is a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.type = tarfile.DIRTYPE
        archive.addfile(member)
    return buffer.getvalue()


WRONG_INSIDE = {
    "a folder": directory("dataset_purchase"),
    "a class of 10^20": tar(dataset_purchase=f"{10**20},0,1,1\n"),
    "no text": tar(dataset_purchase=b"\xff\xfe,0,1\n"),
    "no class": tar(dataset_purchase=b",,,\n\n"),
    "lines within a message": tar(dataset_purchase=b"a\rb" * 400 + b",0,1\n"),
}


@pytest.mark.parametrize("inside", WRONG_INSIDE)
def test_a_download_that_is_wrong_inside_is_removed_and_that_is_said(download, inside):
    official = OFFICIAL[1]
    with pytest.raises(DataError, match=r"dataset_purchase\.tgz .*; the download was removed$") as caught:
        download(official, body=WRONG_INSIDE[inside])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert left_in_cache() == []
    assert len(download(official)) == 3


@pytest.mark.parametrize("error", [MemoryError(), TypeError("two\nlines"), UnicodeDecodeError("utf-8", b"x", 0, 1, "")])
def test_whatever_reading_raises_removes_a_download_and_no_file_of_the_user(serve, tmp_path, monkeypatch, error):
    def read(path):
        raise error

    url = serve("records.tgz", b"body")
    with pytest.raises(DataError, match=r"records\.tgz cannot be read \([^\n]+\).*the download was removed$"):
        files.read_fetched(url, None, read)
    assert left_in_cache() == []
    (tmp_path / "records.tgz").write_bytes(b"body")
    monkeypatch.setenv("MIALIB_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"records\.tgz cannot be read \([^\n]+\); get it again$"):
        files.read_fetched(url, None, read)
    assert (tmp_path / "records.tgz").read_bytes() == b"body"


def test_images_in_the_cache_that_are_damaged_are_downloaded_again(download, monkeypatch):
    data = download(OFFICIAL[5])
    (raw,) = (path for path in left_in_cache() if path.name == "train-images-idx3-ubyte")
    raw.write_bytes(raw.read_bytes()[:9])
    assert download(OFFICIAL[5]).fingerprint == data.fingerprint
    raw.write_bytes(raw.read_bytes()[:9])
    monkeypatch.setenv("MIALIB_DATA", str(raw.parents[2]))
    with pytest.raises(DataError, match=r"MNIST in .* cannot be read \([^\n]+\): damaged, or another file"):
        load("mnist")
    assert raw.exists()


def left_in_cache():
    return [path for path in cache_dir().rglob("*") if path.is_file()]


@each_set
@pytest.mark.parametrize("pause", [0, 0.03], ids=["good", "slow"])
def test_a_download_is_read_and_kept(download, official, pause):
    data = download(official, pause=pause)
    assert data.provenance.name == official.name
    assert len(data.provenance.sha256) == 64
    again = download(official, body=b"", status=500)  # from the cache
    assert again.fingerprint == data.fingerprint


@each_set
@pytest.mark.parametrize("wrong", ["cut off", "truncated", "another file", "stalled", "404", "500"])
def test_a_bad_download_is_one_sentence_and_leaves_the_cache_clean(download, official, wrong, monkeypatch):
    good = next(iter(official.files.values()))
    answer = {
        "cut off": {"body": good[:-20], "length": len(good)},
        "truncated": {"body": good[:-20]},
        "another file": {"body": tar(other="1,0,1\n")},
        "stalled": {"pause": 0.5},
        "404": {"body": b"gone", "status": 404},
        "500": {"body": b"down", "status": 500},
    }[wrong]
    if wrong == "stalled":
        monkeypatch.setattr(files, "TIMEOUT", 0.1)
    with pytest.raises(DataError) as caught:
        download(official, **answer)
    message = str(caught.value)
    if wrong in ("truncated", "another file") and official.name not in BY_TORCHVISION:
        assert ("does not have sha256" if official.pinned else "get it again") in message
    else:
        assert "could not be downloaded" in message
    assert "\n" not in message
    assert [path for path in left_in_cache() if path.name != "adult.test"] == []


@pytest.mark.parametrize("official", OFFICIAL[1:3], ids=lambda official: official.name)
def test_a_set_without_a_published_checksum_can_be_pinned(download, official):
    (body,) = official.files.values()
    download(official)
    assert len(load(official.name, sha256=sha256(body))) == 3
    with pytest.raises(DataError, match="does not have sha256"):
        load(official.name, sha256="0" * 64)


def test_location(download):
    data = download(OFFICIAL[0])
    np.testing.assert_array_equal(data.x, BITS)
    np.testing.assert_array_equal(data.y, [29, 0, 1])
    assert (data.x.dtype, data.provenance.kind) == (np.uint8, "real")
    assert data.provenance.sha256 == sha256(LOCATION)
    with pytest.raises(ValueError, match="n_classes is 7; location has 30"):
        load("location", n_classes=7)


def test_no_network_names_the_ways_out(monkeypatch):
    monkeypatch.delenv("MIALIB_DATA", raising=False)
    place_archive("http://127.0.0.1:9/dataset_location.tgz", b"", monkeypatch, "location")
    with pytest.raises(DataError, match=r'set MIALIB_DATA to it, or take source="stand-in"'):
        load("location")
    assert left_in_cache() == []


def test_a_damaged_cache_entry_is_fetched_again(download):
    download(OFFICIAL[0])
    (entry,) = left_in_cache()
    entry.write_bytes(b"damaged")
    assert len(load("location")) == 3


def test_a_folder_of_ones_own_comes_first(download, tmp_path, monkeypatch):
    with pytest.raises(DataError):
        download(OFFICIAL[0], status=500, body=b"")
    (tmp_path / "dataset_location.tgz").write_bytes(LOCATION)
    monkeypatch.setenv("MIALIB_DATA", str(tmp_path))
    assert len(load("location")) == 3
    (tmp_path / "dataset_location.tgz").write_bytes(b"another")
    with pytest.raises(DataError, match="damaged, or another file"):
        load("location")


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        LOCATION[:40],
        tar(bangkok='"1",0,2,0\n'),
        tar(bangkok='"0",0,1,0\n'),
        tar(bangkok='"1",0,1\n"2",1\n'),
        tar(bangkok='"x",0,1\n'),
    ],
    ids=["no archive", "truncated", "feature 2", "class 0", "ragged", "no number"],
)
def test_what_is_not_the_official_format_is_refused(tmp_path, content):
    path = tmp_path / "dataset_location.tgz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="does not hold the official Location records"):
        catalog.readers()["location"].read(path)


def test_purchase(download):
    data = download(OFFICIAL[1])
    np.testing.assert_array_equal(data.x, BITS)
    np.testing.assert_array_equal(data.y, [99, 0, 6])
    assert (data.n_classes, data.provenance.kind) == (100, "real")
    two = load("purchase", n_classes=2)
    assert (two.n_classes, sorted(set(two.y))) == (2, [0, 1])
    assert "k-means" in two.provenance.source


def test_texas(download):
    data = download(OFFICIAL[2])
    np.testing.assert_array_equal(np.asarray(data.x), BITS)
    np.testing.assert_array_equal(data.y, [99, 0, 6])


def feats(text, labels="100\n1\n7\n"):
    return tar(**{"texas/100/feats": text, "texas/100/labels": labels})


@pytest.mark.parametrize(
    ("index", "body", "message"),
    [
        (1, tar(dataset_purchase="1,0,1\n2,1,0\n"), r"2 records x 2 features in 2 classes, not 3 x 3 in 100"),
        (1, tar(dataset_purchase="1,0,1,2\n2,1,0,1\n3,1,1,1\n"), "features must be 0 or 1"),
        (1, tar(dataset_purchase="1,0,1,1\n2,1,0\n100,1,1,1\n"), "does not have 3 features"),
        (1, tar(dataset_purchase="0,0,1,1\n2,1,0,1\n3,1,1,1\n"), "classes, counted from 1"),
        (1, tar(dataset_purchase="x,0,1,1\n"), "invalid literal"),
        (1, tar(dataset_purchase=""), "not hold the official Purchase records"),
        (2, feats("0,1,1\n1,0,0\n"), "2 records but 3 classes"),
        (2, feats("0,1,1\n1;0,0\n0,0,1\n"), "features must be 0 or 1"),
        (2, feats("0,1,1\n1,0,0\n0,0,1\n", "3\n1\n7\n"), "in 7 classes, not 3 x 3 in 100"),
        (2, tar(**{"texas/100/feats": "0,1\n"}), "texas/100/labels"),
    ],
)
def test_what_is_not_the_official_archive_is_refused(download, index, body, message):
    with pytest.raises(DataError, match=message) as caught:
        download(OFFICIAL[index], body=body)
    assert "official" in str(caught.value)
    assert left_in_cache() == []


def test_hospital_stays_keep_their_patients(download):
    data = download(OFFICIAL[3])
    np.testing.assert_array_equal(data.groups, [5, 5, 9])
    np.testing.assert_array_equal(data.y, [1, 0, 1])  # 414, 428
    np.testing.assert_array_equal(np.asarray(data.x)[:, :2], [[1, 0], [0, 1], [1, 0]])  # race: "?" is a value
    n_columns = len(people.BY_VALUE) + 23 + len(people.DIAGNOSES) + len(people.BY_BIN)
    assert data.x.n_ones == 3 * n_columns
    with pytest.raises(ValueError, match="n_classes is 3; it must be 2 to 2"):
        load("hospital", "sample", n_classes=3)


def test_adult(download):
    data = download(OFFICIAL[4])
    np.testing.assert_allclose(data.x[:, 0], np.array([45, 90, 18]) / 90, rtol=1e-6)
    np.testing.assert_array_equal(data.x[:, -3:], [[0, 0, 1], [1, 0, 0], [0, 1, 0]])  # "?", Cuba, Peru
    np.testing.assert_array_equal(data.y, [0, 1, 1])


@pytest.mark.parametrize("text", [b"1,2,3\n", ADULT.replace(b">50K", b"50"), ADULT.replace(b"90", b"old"), b"\x00\xff"])
def test_what_is_not_uci_adult_is_refused(tmp_path, text):
    (tmp_path / "adult.data").write_bytes(text)
    with pytest.raises(DataError, match="is not a file of UCI Adult"):
        people.read_uci(tmp_path / "adult.data")


def test_adult_from_openml_where_uci_cannot_be_reached(download, monkeypatch):
    """OpenML's frame: the same records, categories as such, missing values missing."""
    whole = download(OFFICIAL[4])
    parts = [people.read_uci(cache_dir() / "data" / name) for name in ("adult.data", "adult.test")]
    frame = pd.concat(parts, ignore_index=True).replace("?", np.nan).rename(columns={"income": "class"})
    frame["native-country"] = frame["native-country"].astype("category")
    found = SimpleNamespace(frame=frame, details={"md5_checksum": "ab"})
    for path in left_in_cache():
        path.unlink()
    with pytest.raises(DataError, match="could not be downloaded"):
        download(OFFICIAL[4], body=b"", status=500)
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *_, **__: found)
    data = load("adult")
    np.testing.assert_array_equal(data.x, whole.x)
    assert data.provenance.source.endswith("from OpenML")


def test_mnist(download):
    data = download(OFFICIAL[5])
    np.testing.assert_array_equal(data.y, [3, 9, 0, 1])
    np.testing.assert_array_equal(data.x, resized(np.concatenate([IMAGES, 255 - IMAGES])))


@pytest.mark.parametrize(("official", "n_classes", "n_images"), [(OFFICIAL[6], 10, 6), (OFFICIAL[7], 100, 2)])
def test_cifar(download, official, n_classes, n_images):
    data = download(official)
    assert (data.x.dtype, data.x.shape) == (np.uint8, (n_images, 32, 32, 3))
    np.testing.assert_array_equal(data.y, n_classes - 1 - np.arange(n_images))
    red_then_green = np.arange(2048, dtype=np.uint16).astype(np.uint8).reshape(2, 32, 32)
    np.testing.assert_array_equal(data.x[0, :, :, :2], red_then_green.transpose(1, 2, 0))
    assert data.provenance.source.endswith(f"all {n_images} official images, training then test")
