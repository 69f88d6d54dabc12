"""A model behind HTTP (Open Inference Protocol), and the gate that limits its clients."""

import hashlib
import hmac
import ipaddress
import json
import logging
import math
import socket
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from mialib.base.validate import check_integer
from mialib.service.protocol import NAMES, array_of, from_json, tensor, to_json

LARGEST = 32 * 2**20
"""Bytes that a request may have."""
QUERIES = logging.getLogger("mialib.queries")
"""One line per request, in JSON: time, client, model, records, status, milliseconds."""


class RefusedError(Exception):
    """A request that gets no answer."""

    def __init__(self, status, sentence, **headers):
        super().__init__(sentence)
        self.status, self.headers = status, headers


class Gate:
    """Lets requests through, or refuses them: by an API key, their bytes, and each client's records per minute."""

    def __init__(self, key=None, largest=LARGEST, rate=None):
        check_integer("largest", largest, 1)
        if rate is not None:
            check_integer("rate", rate, 1)
        if key is not None and not key.strip():
            raise ValueError("the API key is empty; give one, or none at all")
        self.key, self.largest, self.rate = key, largest, rate
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def check_key(self, request):
        """Refuse a request without the key; equal time for each wrong one."""
        if self.key is None:
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.key}".encode()):
            raise RefusedError(401, "the API key is missing or wrong; send it as Authorization: Bearer KEY")

    async def body(self, request):
        """Return a request's body; one that is too large is not read to its end."""
        refusal = RefusedError(413, f"the request has more than {self.largest} bytes; ask about fewer records at once")
        stated = request.headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self.largest:
            raise refusal
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self.largest:
                raise refusal
        return bytes(body)

    def count(self, client, n):
        """Count records against a client's rate."""
        if self.rate is None:
            return
        per_minute = RateLimitItemPerMinute(self.rate)
        if n > self.rate:
            raise RefusedError(413, f"{n} records in a request; the service answers {self.rate} per minute")
        if not self._window.hit(per_minute, client, cost=n):
            wait = max(1, math.ceil(self._window.get_window_stats(per_minute, client).reset_time - time.time()))
            raise RefusedError(
                429, f"more than {self.rate} records per minute; try again later", **{"Retry-After": str(wait)}
            )


@dataclass(frozen=True, eq=False)
class Served:
    """One model, from a platform, that is asked about records of a shape and type, and answers in full or filtered."""

    models: object
    shape: tuple[int, ...]
    dtype: np.dtype
    n_classes: int
    answers: object = None
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def from_data(cls, models, data, answers=None):
        """Return a model that is asked about records like those of a data set."""
        return cls(models, tuple(data.x.shape[1:]), np.dtype(data.x.dtype), data.n_classes, answers)

    @property
    def version(self):
        """What tells answers of this service from those of another under the same name (str)."""
        probe = np.random.default_rng(0).integers(0, 2, (4, *self.shape)).astype(self.dtype)
        return hashlib.sha256(self(probe).tobytes() + str(self.answers or "full").encode()).hexdigest()[:12]

    def __call__(self, x):
        """Return what is answered about records, ndarray of float32, shape (n, classes)."""
        with self._one_at_a_time:
            vectors = self.answers.answers(self.models, x) if self.answers else self.models.predict_proba(x)
            return np.asarray(vectors[0], np.float32)

    def records(self, content):
        """Return the records of a request; a ValueError if this model cannot be asked about them."""
        inputs = content.get("inputs")
        if not isinstance(inputs, list) or len(inputs) != 1:
            raise ValueError("a request must have one input, the records")
        x = array_of(inputs[0])
        if x.ndim != 1 + len(self.shape) or x.shape[1:] != self.shape or not len(x):
            raise ValueError(f"records have shape {list(x.shape)}; it must be {[-1, *self.shape]}, and not empty")
        if x.dtype != self.dtype:
            raise ValueError(f"records are {NAMES[x.dtype]}; they must be {NAMES[self.dtype]}")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ValueError("records hold values that are not finite; every feature must be a number")
        return x

    def metadata(self, name, version):
        """Return what the protocol says of a model, a dict."""
        return {
            "name": name,
            "versions": [version],
            "platform": "mialib",
            "inputs": [{"name": "records", "datatype": NAMES[self.dtype], "shape": [-1, *self.shape]}],
            "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, self.n_classes]}],
            "parameters": {"answers": str(self.answers or "full")},
        }


FIXED = {
    "/v2": {"name": "mia serve", "version": "2", "extensions": []},
    "/v2/health/live": {"live": True},
    "/v2/health/ready": {"ready": True},
}


def app(served, gate=None):
    """Return a service of models, a dict of str to `Served`, behind a `Gate`: a FastAPI without documentation pages."""
    gate = gate or Gate()
    service = FastAPI(title="mia serve", docs_url=None, redoc_url=None, openapi_url=None)
    versions = {name: model.version for name, model in served.items()}

    def found(name):
        if name not in served:
            raise RefusedError(404, f"there is no model {name!r}; there are {', '.join(served)}")
        return served[name]

    @service.exception_handler(RefusedError)
    async def refuse(request, refused):
        return _reply({"error": str(refused)}, refused.status, refused.headers)

    @service.get("/v2")
    @service.get("/v2/health/live")
    @service.get("/v2/health/ready")
    async def fixed(request: Request):
        return _reply(FIXED[request.url.path])

    @service.get("/v2/models/{name}")
    async def metadata(name: str, request: Request):
        gate.check_key(request)
        return _reply(found(name).metadata(name, versions[name]))

    @service.get("/v2/models/{name}/ready")
    async def model_ready(name: str, request: Request):
        gate.check_key(request)
        found(name)
        return _reply({"name": name, "ready": True})

    @service.post("/v2/models/{name}/infer")
    async def infer(name: str, request: Request):
        entry = {"time": time.time(), "client": request.client.host, "model": name, "records": 0, "status": 200}
        try:
            gate.check_key(request)
            model, body = found(name), await gate.body(request)
            content, x = await run_in_threadpool(_read, model, body)
            entry["records"] = len(x)
            gate.count(entry["client"], len(x))
            vectors = await run_in_threadpool(model, x)
            reply = {"model_name": name, "model_version": versions[name], "outputs": [tensor("probabilities", vectors)]}
            return _reply(reply | ({"id": content["id"]} if "id" in content else {}))
        except Exception as error:
            entry["status"] = error.status if isinstance(error, RefusedError) else 500
            raise
        finally:
            entry["milliseconds"] = round(1000 * (time.time() - entry["time"]), 1)
            QUERIES.info(json.dumps(entry))

    return service


def _read(model, body):
    try:
        content = from_json(body)
        return content, model.records(content)
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


def _reply(content, status=200, headers=None):
    return Response(to_json(content), status, headers, "application/json")


def listen(host, port, gate):
    """Return a socket for a service, on any free port for 0; a ValueError if others could reach it without a key."""
    if gate.key is None and not _is_loopback(host):
        raise ValueError(f"{host} can be reached from other machines; set an API key, or serve on 127.0.0.1")
    return socket.create_server((host, port))


def _is_loopback(host):
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen_until_stopped(service, bound):
    """Answer queries at a socket until interrupted."""
    settings = uvicorn.Config(service, log_level="warning", access_log=False, limit_concurrency=64)
    uvicorn.Server(settings).run(sockets=[bound])
