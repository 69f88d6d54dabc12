import threading
from contextlib import ExitStack

import httpx
import numpy as np
import pytest

from mialib.service import connections, server

JSON = {"Content-Type": "application/json"}
INFER = "/v2/models/target/infer"


class Even:
    """A model of two classes that knows nothing; it answers once `go` is set."""

    def __init__(self):
        self.go = threading.Event()
        self.go.set()

    def predict_proba(self, x):
        assert self.go.wait(30)
        return np.full((1, len(x), 2), 0.5, np.float32)


@pytest.fixture
def even():
    model = Even()
    yield model
    model.go.set()


@pytest.fixture
def service(even):
    """Return a function that makes a service of the model, whose records are three bits; it takes limits of a gate."""
    return lambda **limits: server.app(
        {"target": server.Served(even, (3,), np.dtype(np.uint8), 2, binary=True)}, server.Gate(**limits)
    )


@pytest.fixture
def start():
    """Return a function that runs a service in a thread and returns a client of it."""
    with ExitStack() as stack:

        def started(service, proxies=()):
            bound = server.listen("127.0.0.1", 0, server.Gate())
            running = connections.server_of(service, proxies)
            thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
            thread.start()
            stack.callback(thread.join)
            stack.callback(setattr, running, "should_exit", True)
            return stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}"))

        yield started
