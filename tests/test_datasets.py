import hashlib
import io
import re
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from mialib import datasets, files
from mialib.datasets import Dataset, load, read_location
from mialib.files import DataError
from mialib.paths import cache_dir, shipped
from mialib.provenance import Provenance


def official_location(rows):
    """Bytes of an archive in the official format: one file, bangkok, of "class",0,1,... lines."""
    text = "".join('"{}",{}\n'.format(row[0], ",".join(map(str, row[1:]))) for row in rows).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        member = tarfile.TarInfo("bangkok")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


ARCHIVE = official_location([(1, 0, 1, 1), (30, 1, 0, 0), (2, 0, 0, 1)])


@pytest.fixture
def serve(monkeypatch):
    """Put a loopback server in the place of the official address; return a function that sets what it answers."""
    answer = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(answer["status"])
            self.send_header("Content-Length", str(answer["length"]))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.delenv("MIALIB_DATA", raising=False)

    def set_answer(body=ARCHIVE, status=200, length=None, expected=ARCHIVE):
        answer.update(body=body, status=status, length=len(body) if length is None else length)
        url = f"http://127.0.0.1:{server.server_port}/dataset_location.tgz"
        location = replace(datasets.DATASETS["location"], url=url, sha256=hashlib.sha256(expected).hexdigest())
        monkeypatch.setitem(datasets.DATASETS, "location", location)

    yield set_answer
    server.shutdown()
    thread.join()
    server.server_close()


def left_in_cache():
    return [path for path in cache_dir().rglob("*") if path.is_file()]


def test_download_then_cache(serve):
    serve()
    first = load("location")
    np.testing.assert_array_equal(first.x, [[0, 1, 1], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(first.y, [0, 29, 1])
    assert first.x.dtype == np.uint8
    assert first.provenance.kind == "real"
    assert first.provenance.sha256 == hashlib.sha256(ARCHIVE).hexdigest()
    serve(status=500, body=b"")
    np.testing.assert_array_equal(load("location").x, first.x)  # from the cache


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"body": ARCHIVE[:-20], "length": len(ARCHIVE)}, "could not be downloaded"),
        ({"body": ARCHIVE[:-20]}, "does not have sha256"),
        ({"body": b"another file"}, "does not have sha256"),
        ({"status": 404, "body": b"gone"}, "could not be downloaded"),
        ({"status": 500, "body": b"down"}, "could not be downloaded"),
    ],
    ids=["cut off", "truncated", "wrong checksum", "404", "500"],
)
def test_a_bad_download_is_one_sentence_and_leaves_the_cache_clean(serve, answer, message):
    serve(**answer)
    with pytest.raises(DataError, match=message) as caught:
        load("location")
    assert "MIALIB_DATA" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert left_in_cache() == []


def test_no_network_names_the_ways_out(monkeypatch):
    monkeypatch.delenv("MIALIB_DATA", raising=False)
    location = replace(datasets.DATASETS["location"], url="http://127.0.0.1:9/dataset_location.tgz")
    monkeypatch.setitem(datasets.DATASETS, "location", location)
    with pytest.raises(DataError, match=r'set MIALIB_DATA to it, or take source="stand-in"'):
        load("location")
    assert left_in_cache() == []


def test_a_damaged_cache_entry_is_fetched_again(serve):
    serve()
    load("location")
    (entry,) = left_in_cache()
    entry.write_bytes(b"damaged")
    assert len(load("location")) == 3


def test_a_folder_of_ones_own_comes_first(serve, tmp_path, monkeypatch):
    serve(status=500, body=b"")
    (tmp_path / "dataset_location.tgz").write_bytes(ARCHIVE)
    monkeypatch.setenv("MIALIB_DATA", str(tmp_path))
    assert len(load("location")) == 3
    (tmp_path / "dataset_location.tgz").write_bytes(b"another")
    with pytest.raises(DataError, match="damaged, or another file"):
        load("location")


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        ARCHIVE[:40],
        official_location([(1, 0, 2, 0)]),
        official_location([(0, 0, 1, 0)]),
        official_location([(1, 0, 1), (2, 1)]),
        official_location([("x", 0, 1)]),
    ],
    ids=["no archive", "truncated", "feature 2", "class 0", "ragged", "no number"],
)
def test_what_is_not_the_official_format_is_refused(tmp_path, content):
    path = tmp_path / "dataset_location.tgz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not the official Location archive"):
        read_location(path)


def test_the_official_location_file(real_data):
    data = load("location")
    assert data.x.shape == (5010, 446)
    assert set(np.unique(data.x)) == {0, 1}
    counts = np.bincount(data.y)
    assert (len(counts), counts.min(), counts.max()) == (30, 97, 308)


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
    assert data.x.shape == (5000, 28, 28)
    np.testing.assert_array_equal(np.bincount(data.y), [500] * 10)
    assert (data.x.min(), data.x.max()) == (0, 1)


def test_shipped_files_are_small_and_their_checksums_are_in_the_readme():
    readme = shipped("data", "README.md").read_text(encoding="utf-8")
    samples = sorted(shipped("data").glob("*.npz"))
    assert len(samples) == 3
    for path in samples:
        assert path.stat().st_size < 2 * 2**20
        assert re.search(rf"`{path.name}`.*`{files.file_sha256(path)}`", readme)


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
        (("locations",), {}, "there is no data set 'locations'; there are location, purchase, adult, mnist"),
        (("location", "sample"), {}, "location has no source 'sample'; it has real, stand-in"),
        (("purchase", "sample"), {"n_classes": 7}, "n_classes is 7; purchase has 2, 10, 20, 50, 100"),
        (("mnist", "sample"), {"n_classes": 7}, r"mnist \(sample\) does not take n_classes; it takes no options"),
    ],
)
def test_bad_requests_get_one_clear_sentence(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        load(*arguments, **options)


def test_a_data_set_must_fit_together():
    provenance = Provenance("toy", "stand-in", "here", "none", "")
    with pytest.raises(ValueError, match="2 records but 3 classes"):
        Dataset(np.zeros((2, 1)), np.array([0, 1, 1]), 2, provenance)
    with pytest.raises(ValueError, match="classes run from 1 to 2; they must run from 0 to 1"):
        Dataset(np.zeros((2, 1)), np.array([1, 2]), 2, provenance)
    with pytest.raises(ValueError, match="kind is 'fake'"):
        replace(provenance, kind="fake")
