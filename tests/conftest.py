import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
