"""A model behind HTTP (Open Inference Protocol), and the log of who asked it."""

import asyncio
import hashlib
import json
import logging
import socket
import threading
import time
from dataclasses import dataclass, field

import numpy as np
from fastapi import Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from mialib.service.connections import server_of
from mialib.service.gate import Gate, RefusedError, address_of, busy, drain, is_loopback
from mialib.service.protocol import NAMES, array_of, from_json, tensor, to_json

LONGEST_SENTENCE = 300
"""Characters of an error; what a client has sent may be in it."""
CHUNK = 4096  # records that are looked at together

QUERIES = logging.getLogger("mialib.queries")
"""One line per request, in JSON: time, client, model, records, status, milliseconds."""


@dataclass(frozen=True, eq=False)
class Served:
    """One model, from a platform, that is asked about records of a shape and type, and answers in full or filtered."""

    models: object
    shape: tuple[int, ...]
    dtype: np.dtype
    n_classes: int
    answers: object = None
    binary: bool = False
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def from_data(cls, models, data, answers=None):
        """Return a model that is asked about records like those of a data set."""
        binary = data.x.dtype == np.uint8 and all(
            data.x[start : start + CHUNK].max() <= 1 for start in range(0, len(data.x), CHUNK)
        )
        return cls(models, tuple(data.x.shape[1:]), np.dtype(data.x.dtype), data.n_classes, answers, binary)

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
        if self.binary and x.max() > 1:
            raise ValueError(f"records hold a {x.max()}; every feature must be 0 or 1")
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
    # Without redirects: one would lead to whatever host a request names.
    service = FastAPI(openapi_url=None, redirect_slashes=False, dependencies=[Depends(gate.check_page)])
    versions = {name: model.version for name, model in served.items()}

    def found(request):
        """Return the model that a path names, and the version if it does, with its name."""
        name, version = request.path_params["name"], request.path_params.get("version")
        if name not in served:
            raise RefusedError(404, f"there is no model {name[:100]!r}; there are {', '.join(served)}")
        if version not in (None, versions[name]):
            raise RefusedError(404, f"there is no version {version[:100]!r} of {name}; there is {versions[name]}")
        return name, served[name]

    @service.exception_handler(RefusedError)
    async def refuse(request, refused):
        return _error(refused, refused.status, refused.headers)

    @service.exception_handler(HTTPException)
    async def no_such_thing(request, error):
        return _error(f"{error.detail}: {request.method} {request.scope['path']}", error.status_code, error.headers)

    @service.exception_handler(Exception)
    async def failed(request, error):
        return _error("the service failed at this request; what it logs says why", 500)

    @service.get("/v2")
    @service.get("/v2/health/live")
    @service.get("/v2/health/ready")
    async def fixed(request: Request):
        return _reply(FIXED[request.scope["path"]])

    @service.get("/v2/models/{name}")
    @service.get("/v2/models/{name}/versions/{version}")
    async def metadata(request: Request):
        gate.check_key(request)
        name, model = found(request)
        return _reply(model.metadata(name, versions[name]))

    @service.get("/v2/models/{name}/ready")
    @service.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(request: Request):
        gate.check_key(request)
        return _reply({"name": found(request)[0], "ready": True})

    @service.post("/v2/models/{name}/infer")
    @service.post("/v2/models/{name}/versions/{version}/infer")
    async def infer(request: Request):
        name = request.path_params["name"]
        entry = {"time": time.time(), "client": address_of(request), "model": name, "records": 0, "status": 200}
        try:
            return await answer(request, entry)
        except asyncio.CancelledError as error:
            entry["status"] = 503
            raise busy("is being stopped") from error
        except RefusedError as refused:
            entry["status"] = refused.status
            if refused.status != 408:  # whose client had its time
                await drain(request)
            raise
        except Exception:
            entry["status"] = 500
            raise
        finally:
            entry["milliseconds"] = round(1000 * (time.time() - entry["time"]), 1)
            QUERIES.info(json.dumps(entry))

    async def answer(request, entry):
        gate.check_key(request)
        gate.check_type(request)
        gate.count(request)
        name, model = found(request)
        async with gate.turn(request) as body:
            about, x = await run_in_threadpool(_read, model, body)
            entry["records"] = len(x)
            gate.count(request, len(x))
            vectors = await run_in_threadpool(model, x)
            outputs = [tensor("probabilities", vectors)]
            return _reply({"model_name": name, "model_version": versions[name], "outputs": outputs, **about})

    return service


def _read(model, body):
    """Return what the answer to a request repeats, a dict, and its records."""
    try:
        content = from_json(body)
        body.clear()  # a parsed one has many times its bytes
        about = {key: content[key] for key in ("id",) if key in content}
        if not isinstance(about.get("id", ""), str):
            raise ValueError("the id of a request must be text")
        return about, model.records(content)
    except ValueError as error:
        raise RefusedError(400, str(error)) from error


def _error(sentence, status, headers=None):
    """Return the answer that says why there is no other."""
    return _reply({"error": str(sentence)[:LONGEST_SENTENCE]}, status, headers)


def _reply(content, status=200, headers=None):
    return Response(to_json(content), status, headers, "application/json")


def listen(host, port, gate):
    """Return a socket for a service, on any free port for 0.

    A ValueError says that others could reach it without a key, or that there is no such host or port here.
    """
    if gate.key is None and not is_loopback(host):
        raise ValueError(f"{host} can be reached from other machines; set an API key, or serve on 127.0.0.1")
    if not 0 <= port < 2**16:
        raise ValueError(f"port is {port}; it must be a whole number from 0, for any that is free, to 65535")
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"cannot listen at {host}, port {port}: {getattr(error, 'strerror', error)}") from error


def listen_until_stopped(service, bound, proxies=()):
    """Answer queries at a socket until interrupted or terminated; `proxies` may say for whom they ask."""
    server_of(service, proxies).run(sockets=[bound])
