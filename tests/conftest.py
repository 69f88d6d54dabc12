import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mialib.datasets.dataset import Dataset, Provenance, array_sha256
from mialib.datasets.generated import binary_records

LONGEST = (
    "test_sphinx_ext.py",
    "overfitting.ipynb",
    "purchases.ipynb",
    "model_inversion.ipynb",
    "test_build.py",
    "cifar.ipynb",
    "attacks.ipynb",
    "mitigations.ipynb",
    "test_audit.py",
    "test_execution.py",
    "test_workers.py",
    "remember_too_much.ipynb",
    "shadow_training.ipynb",
    "synthesis.ipynb",
    "noise.ipynb",
    "texas.ipynb",
    "test_side_by_side.py",
    "test_chaos.py",
    "differential_privacy.ipynb",
    "location.ipynb",
    "test_refits.py",
    "failures.ipynb",
    "test_verdict.py",
    "test_cli.py",
    "audit.ipynb",
    "test_remote.py",
    "threat_model.ipynb",
    "test_cli_audit.py",
)
"""Files of tests that take longest, in the order of `make test`: half a minute to two of a core, to ten seconds."""


def pytest_collection_modifyitems(items):
    """Put the longest files first: two workers share files, and none shall be left to one of them at the end."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


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


@pytest.fixture
def serve(monkeypatch):
    """Start a loopback server; return a function that sets what it answers for a file, and returns the address.

    Its arguments: name, body, and optionally the status, the length that the header claims, and a
    pause in seconds after each of five parts of the body.
    """
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body, status, length, pause = answers[self.path.rsplit("/", 1)[-1]]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            part = -(-len(body) // 5)
            for start in range(0, len(body), part or 1):
                try:
                    self.wfile.write(body[start : start + part])
                except OSError:
                    return
                time.sleep(pause)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.delenv("MIALIB_DATA", raising=False)

    def answer(name, body, status=200, length=None, pause=0.0):
        answers[name] = body, status, length, pause
        return f"http://127.0.0.1:{server.server_port}/{name}"

    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def squares():
    """300 images of 8 x 8 in three classes: a bright square in one of three corners, over noise."""
    rng = np.random.default_rng(2)
    y = rng.integers(0, 3, 300)
    x = rng.integers(0, 80, (300, 8, 8))
    for c, (row, column) in enumerate(((0, 0), (0, 4), (4, 0))):
        x[y == c, row : row + 4, column : column + 4] += 150
    return x.astype(np.uint8), y


class Endpoint:
    """A prediction service that does as it is told: `replies` holds what the next requests get, the model after that.

    A reply is a dict (sent as JSON), bytes, a status (int), or a function of the handler. `asked` counts the records of
    each request.
    """

    def __init__(self, n_features=3, n_classes=2):
        self.metadata = {
            "name": "target",
            "versions": ["1"],
            "inputs": [{"name": "records", "datatype": "FP32", "shape": [-1, n_features]}],
            "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, n_classes]}],
        }
        self.n_classes, self.replies, self.asked, self.headers = n_classes, [], [], []

    def vectors(self, x):
        """Return the model's prediction vectors: the softmax of the first features, to five digits."""
        e = np.exp(np.asarray(x, np.float64).reshape(len(x), -1)[:, : self.n_classes])
        return np.round(e / e.sum(axis=1, keepdims=True), 5).astype(np.float32)

    def reply(self, content):
        (records,) = content["inputs"]
        vectors = self.vectors(np.reshape(records["data"], records["shape"]))
        output = {"name": "probabilities", "datatype": "FP32", "shape": list(vectors.shape)}
        return {"outputs": [output | {"data": [float(value) for value in vectors.flat]}]}


@pytest.fixture
def endpoint():
    """Start an `Endpoint` on loopback; it has the address as `url`."""
    told = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(told.metadata)

        def do_POST(self):
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.asked.append(content["inputs"][0]["shape"][0])
            told.headers.append(self.headers)
            self.answer(told.replies.pop(0) if told.replies else told.reply(content))

        def answer(self, reply, status=200):
            if callable(reply):
                return reply(self)
            if isinstance(reply, int):
                reply, status = {"error": "told so"}, reply
            body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()
