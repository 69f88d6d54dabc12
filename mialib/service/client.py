"""A model that answers over HTTP: asked within a budget, its answers kept."""

import hashlib
import os
import sqlite3
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import tenacity

from mialib.base.machine import cache_dir
from mialib.base.validate import check_integer, check_vectors
from mialib.service.protocol import DATATYPES, NAMES, array_of, from_json, tensor, to_json

NOT_SERVED = (401, 403, 404, 413, 429, 503)
"""Statuses of requests that the endpoint did not answer, and so cannot have charged for."""
AGAIN = (429, 500, 502, 503, 504)
"""Statuses after which asking again may help."""
LONGEST_WAIT = 60
"""Seconds between two tries, whatever the endpoint asks for."""
LARGEST_ANSWER = 256 * 2**20
"""Bytes."""


class ServiceError(RuntimeError):
    """An endpoint that cannot be asked, or whose answers cannot be believed."""


class BudgetError(ServiceError):
    """Asking would pass the budget; nothing was sent."""


class _TryAgainError(Exception):
    """Arguments: the reason, and for how many seconds the endpoint asks to wait."""


@dataclass(frozen=True)
class Metadata:
    """What an endpoint says of a model: -1 in its shape of a record is any length, `complete` leaves no classes out."""

    shape: tuple[int, ...]
    dtype: np.dtype
    n_classes: int
    version: str
    complete: bool

    @classmethod
    def from_reply(cls, content, url):
        """Return what the reply to a metadata request says; a `ServiceError` if that is too little for a query."""
        try:
            (records,), vectors = content["inputs"], content["outputs"][0]
            shape, dtype = tuple(map(int, records["shape"][1:])), DATATYPES[records["datatype"]]
            _, n_classes = map(int, vectors["shape"])
            version = str((content.get("versions") or [""])[-1])
            answers = (content.get("parameters") or {}).get("answers", "full")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ServiceError(
                f"{url} does not say what the model takes and gives ({type(error).__name__}: {error}); its metadata "
                "must name one input and one output, [records, ...] and [records, classes]"
            ) from error
        if n_classes < 2:
            raise ServiceError(f"{url} says that the model has {n_classes} classes; it must have at least 2")
        return cls(shape, dtype, n_classes, version, answers == "full")

    def records(self, x):
        """Return records as the endpoint takes them; a ValueError if its shape or type cannot hold them."""
        x = np.asarray(x)
        alike = (theirs in (-1, ours) for theirs, ours in zip(self.shape, x.shape[1:], strict=False))
        if len(self.shape) != x.ndim - 1 or not all(alike):
            raise ValueError(f"records have shape {x.shape[1:]}; the endpoint takes {self.shape}")
        cast = x.astype(self.dtype)
        both_float = x.dtype.kind == cast.dtype.kind == "f"
        if not both_float and not np.array_equal(cast.astype(x.dtype), x):
            raise ValueError(
                f"records are {x.dtype}; the endpoint takes {NAMES[self.dtype]}, which cannot hold them all"
            )
        return np.ascontiguousarray(cast)


class AnswerStore:
    """A SQLite file of answers, and of how many queries they cost; a killed run keeps both."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.execute("CREATE TABLE IF NOT EXISTS answers (record BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        self._base.execute("CREATE TABLE IF NOT EXISTS spent (n INTEGER NOT NULL)")
        self._base.execute("INSERT INTO spent SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM spent)")
        self.close = self._base.close

    @property
    def spent(self):
        """Queries that were sent, each try counted (int)."""
        return self._base.execute("SELECT n FROM spent").fetchone()[0]

    def spend(self, n, budget):
        """Count queries before they are sent; return False, and count nothing, if the budget has no room."""
        room = "" if budget is None else "WHERE n + :n <= :budget"
        return self._base.execute(f"UPDATE spent SET n = n + :n {room}", {"n": n, "budget": budget}).rowcount == 1

    def refund(self, n):
        """Take back queries that were not served."""
        self._base.execute("UPDATE spent SET n = n - ?", (n,))

    def get(self, record):
        """Return the answer to a record, ndarray of float32, or None."""
        row = self._base.execute("SELECT vector FROM answers WHERE record = ?", (record,)).fetchone()
        return row and np.frombuffer(row[0], np.float32)

    def put(self, records, vectors):
        """Keep answers, all of them or none."""
        rows = [(record, vector.tobytes()) for record, vector in zip(records, vectors, strict=True)]
        with self._base:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)


class Remote(AbstractContextManager):
    """A model that answers over HTTP: a target for `mialib.run` and `mialib.audit`.

    Parameters
    ----------
    url : str
        Of the service, such as ``http://127.0.0.1:8000``.
    model : str
        Its name there.
    key : str, optional
        Sent as ``Authorization: Bearer KEY``; by default what ``MIALIB_API_KEY`` holds.
    budget : int, optional
        Queries, one per record, that may ever be sent to this model from this machine's `folder`, each
        try counted unless the endpoint says that it did not serve it.
    batch : int
        Records in a request.
    timeout : float
        Seconds for a request and its answer.
    tries : int
        How often a request is sent before it is given up.
    complete : bool, optional
        Whether prediction vectors must sum to one; by default unless the endpoint says that it leaves
        classes out.
    folder : path, optional
        Where answers are kept; by default ``answers`` in the cache.

    Raises
    ------
    ValueError
        If a setting is out of range, or a key would travel unencrypted to another machine.
    """

    def __init__(
        self, url, model="target", key=None, budget=None, batch=256, timeout=30.0, tries=5, complete=None, folder=None
    ):
        check_integer("batch", batch, 1)
        check_integer("tries", tries, 1)
        check_integer("budget", budget or 0, 0)
        key = key or os.environ.get("MIALIB_API_KEY")
        self.url, self.model = _checked_url(url, key), model
        self.budget, self.batch, self.timeout, self.tries = budget, batch, timeout, tries
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)
        self._complete, self._folder = complete, Path(folder) if folder else cache_dir() / "answers"

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the connection and the file of answers."""
        self._client.close()
        if "store" in vars(self):
            self.store.close()

    def models(self, which):
        """Return this model; there is one."""
        return self

    @cached_property
    def metadata(self):
        """What the endpoint says of the model, its record shape and type, number of classes, version (`Metadata`)."""
        return Metadata.from_reply(self._ask("GET", f"/v2/models/{self.model}"), self.url)

    @cached_property
    def store(self):
        """Answers that are kept, and queries spent (`AnswerStore`)."""
        identity = f"{self.url} {self.model} {self.metadata.version} {self.metadata.n_classes}"
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        return AnswerStore(self._folder / f"{name}.sqlite")

    @property
    def spent(self):
        """Queries sent so far, in this run and earlier ones (int)."""
        return self.store.spent

    def predict_proba(self, x, index=None):
        """Return prediction vectors; a record that was answered before, also in an earlier run, is not asked again.

        Parameters
        ----------
        x : array_like, shape (n, ...)
        index : ndarray of int, shape (1, k), optional
            Rows of `x` to ask about; by default all.

        Returns
        -------
        ndarray of float32, shape (1, k or n, classes)

        Raises
        ------
        BudgetError
            If the budget has no room for the records that were not answered yet.
        ServiceError
            If the endpoint fails for good, or answers what cannot be. Answers that came before are kept.
        ValueError
            If the endpoint takes other records than these.
        """
        if index is not None and len(index) != 1:
            raise ValueError(f"{len(index)} models are asked for; behind {self.url} there is one")
        x = self.metadata.records(x if index is None else x[index[0]])
        keys = [hashlib.sha256(record.tobytes()).digest() for record in x]
        rows = {key: row for row, key in enumerate(keys)}
        found = {key: self.store.get(key) for key in rows}
        missing = [key for key, vector in found.items() if vector is None]
        if self.budget is not None and self.spent + len(missing) > self.budget:
            raise BudgetError(
                f"{len(missing)} records are not answered yet, and of a budget of {self.budget} queries "
                f"{self.spent} are spent; ask about fewer records, or raise the budget"
            )
        for start in range(0, len(missing), self.batch):
            batch = missing[start : start + self.batch]
            vectors = self._answers(x[[rows[key] for key in batch]])
            self.store.put(batch, vectors)
            found.update(zip(batch, vectors, strict=True))
        return np.stack([found[key] for key in keys])[None]

    def _answers(self, x):
        """Return the prediction vectors for records, once they can be believed."""
        content = self._ask("POST", f"/v2/models/{self.model}/infer", {"inputs": [tensor("records", x)]}, len(x))
        n_classes = self.metadata.n_classes
        complete = self.metadata.complete if self._complete is None else self._complete
        try:
            vectors = array_of(content["outputs"][0])
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise ServiceError(f"{self.url} answers what is no prediction ({error})") from error
        if vectors.shape != (len(x), n_classes):
            raise ServiceError(
                f"{self.url} answers {vectors.shape} to {len(x)} records; it said that it has {n_classes} classes"
            )
        try:
            return check_vectors(vectors, complete, "; if it leaves classes out or rounds, say complete=False")
        except ValueError as error:
            raise ServiceError(f"{self.url} answers what cannot be: {error}") from error

    def _ask(self, method, path, content=None, n=0):
        """Return what the endpoint replies, a dict; `n` queries are counted for each try."""
        again, stop = tenacity.retry_if_exception_type(_TryAgainError), tenacity.stop_after_attempt(self.tries)
        retrying = tenacity.Retrying(retry=again, stop=stop, wait=_wait, reraise=True)
        try:
            text = retrying(self._try, method, path, None if content is None else to_json(content), n)
        except _TryAgainError as failure:
            raise ServiceError(
                f"{self.url} gave no answer in {self.tries} tries; the last: {failure.args[0]}"
            ) from failure
        try:
            return from_json(text)
        except ValueError as error:
            raise ServiceError(f"{self.url} answers what is no JSON object ({error})") from error

    def _try(self, method, path, body, n):
        if n and not self.store.spend(n, self.budget):
            raise BudgetError(
                f"asking again about {n} records would pass the budget of {self.budget} queries, of which "
                f"{self.spent} are spent"
            )
        try:
            status, headers, text = self._exchange(method, path, body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._refund(n)
            raise _TryAgainError(f"no connection ({error})", 0) from error
        except httpx.TimeoutException as error:
            raise _TryAgainError(f"nothing within {self.timeout:g} seconds", 0) from error
        except httpx.TransportError as error:
            raise _TryAgainError(f"the connection broke ({type(error).__name__}: {error})", 0) from error
        if status == 200:
            return text
        if status in NOT_SERVED:
            self._refund(n)
        reason = f"status {status}, {text[:200].decode(errors='replace')}"
        if status in AGAIN:
            asked = headers.get("retry-after", "")
            raise _TryAgainError(reason, float(asked) if asked.replace(".", "", 1).isdigit() else 0)
        raise ServiceError(f"{self.url} refuses {method} {path}: {reason}")

    def _refund(self, n):
        if n:  # a request for metadata costs nothing, and comes before there is a store
            self.store.refund(n)

    def _exchange(self, method, path, body):
        # httpx's own timeout is one of each read: bytes that keep dripping in would hold it off for ever.
        deadline, content = time.monotonic() + self.timeout, bytearray()
        with self._client.stream(method, path, content=body, headers={"Content-Type": "application/json"}) as reply:
            for part in reply.iter_bytes():
                content += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow")
                if len(content) > LARGEST_ANSWER:
                    raise ServiceError(f"{self.url} answers with more than {LARGEST_ANSWER} bytes; that is no answer")
        return reply.status_code, reply.headers, bytes(content)


_back_off = tenacity.wait_exponential(multiplier=0.1, max=LONGEST_WAIT)


def _wait(state):
    return max(_back_off(state), min(LONGEST_WAIT, state.outcome.exception().args[1]))


def _checked_url(url, key):
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url is {url!r}; it must be that of a service, such as http://127.0.0.1:8000")
    if key and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"the API key would travel unencrypted to {parts.hostname}; take https")
    return url.rstrip("/")
