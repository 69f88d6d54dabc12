"""A model that answers over HTTP: asked within a budget, its answers kept."""

import hashlib
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import tenacity

from mialib.base.machine import cache_dir
from mialib.base.validate import check_integer
from mialib.service.protocol import DATATYPES, NAMES, array_of, from_json, tensor, to_json

SUM_TOLERANCE = 1e-3


class ServiceError(RuntimeError):
    """An endpoint that cannot be asked, or whose answers cannot be believed."""


class Metadata:
    """What an endpoint says of a model.

    Parameters
    ----------
    shape : tuple of int
        Of a record; -1 where any length is allowed.
    dtype : dtype
    n_classes : int
    version : str
    complete : bool
        Whether it answers with all classes.
    """

    def __init__(self, shape, dtype, n_classes, version, complete):
        self.shape, self.dtype, self.n_classes, self.version, self.complete = shape, dtype, n_classes, version, complete

    @classmethod
    def read(cls, content, url):
        """Return what the reply to a metadata request says.

        Raises
        ------
        ServiceError
            If it does not say what a query needs.
        """
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
        """Return records as the endpoint takes them.

        Raises
        ------
        ValueError
            If they have another shape, or values that its type cannot hold.
        """
        x = np.asarray(x)
        wanted = len(self.shape) == x.ndim - 1 and all(
            theirs in (-1, ours) for theirs, ours in zip(self.shape, x.shape[1:], strict=True)
        )
        if not wanted:
            raise ValueError(f"records have shape {x.shape[1:]}; the endpoint takes {self.shape}")
        cast = x.astype(self.dtype)
        both_float = x.dtype.kind == cast.dtype.kind == "f"
        if not both_float and not np.array_equal(cast.astype(x.dtype), x):
            raise ValueError(
                f"records are {x.dtype}; the endpoint takes {NAMES[self.dtype]}, which cannot hold them all"
            )
        return np.ascontiguousarray(cast)


def read_answers(content, n, n_classes, complete, url):
    """Return the prediction vectors of a reply, once they can be believed.

    Parameters
    ----------
    content : dict
        From JSON.
    n, n_classes : int
        Records asked about, and classes that the endpoint said it has.
    complete : bool
        Whether each vector must sum to one.
    url : str

    Returns
    -------
    ndarray of float32, shape (n, n_classes)

    Raises
    ------
    ServiceError
        If there are not as many, or they are no probabilities.
    """
    try:
        vectors = array_of(content["outputs"][0])
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ServiceError(f"{url} answers what is no prediction ({error})") from error
    if vectors.shape != (n, n_classes):
        raise ServiceError(f"{url} answers {vectors.shape} to {n} records; it said that it has {n_classes} classes")
    vectors = vectors.astype(np.float32)
    if not np.isfinite(vectors).all():
        raise ServiceError(f"{url} answers {np.count_nonzero(~np.isfinite(vectors))} values that are no numbers (NaN)")
    if vectors.min() < 0 or vectors.max() > 1 + SUM_TOLERANCE:
        raise ServiceError(
            f"{url} answers values of {vectors.min():.3g} to {vectors.max():.3g}, not probabilities of 0 to 1"
        )
    worst = np.abs(vectors.sum(axis=1) - 1).max()
    if complete and worst > SUM_TOLERANCE:
        raise ServiceError(
            f"{url} answers vectors that do not sum to one (off by up to {worst:.3g}); if it leaves classes out "
            "or rounds, say complete=False"
        )
    return vectors


def said(text, url):
    """Return what a reply says, a dict; a `ServiceError` if it is no JSON object."""
    try:
        return from_json(text)
    except ValueError as error:
        raise ServiceError(f"{url} answers what is no JSON object ({error})") from error


class AnswerStore:
    """Answers on disk, and how many queries they cost; a killed run keeps both.

    Parameters
    ----------
    path : path
        Of a SQLite file.
    """

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._base = sqlite3.connect(path, timeout=30, isolation_level=None)
        self._base.execute("PRAGMA synchronous = FULL")
        self._base.execute("CREATE TABLE IF NOT EXISTS answers (record BLOB PRIMARY KEY, vector BLOB NOT NULL)")
        self._base.execute("CREATE TABLE IF NOT EXISTS spent (n INTEGER NOT NULL)")
        self._base.execute("INSERT INTO spent SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM spent)")

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
        with closing(self._base.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
            cursor.execute("COMMIT")

    def close(self):
        """Close the file."""
        self._base.close()


NOT_SERVED = (401, 403, 404, 413, 429, 503)
"""Statuses of requests that the endpoint did not answer, and so cannot have charged for."""
AGAIN = (429, 500, 502, 503, 504)
"""Statuses after which asking again may help."""
LONGEST_WAIT = 60
LARGEST_ANSWER = 256 * 2**20


class BudgetError(ServiceError):
    """Asking would pass the budget; nothing was sent."""


class _TryAgainError(Exception):
    def __init__(self, reason, wait=0.0):
        super().__init__(reason)
        self.wait = wait


class Remote:
    """A model that answers over HTTP.

    It takes the place of a target's models everywhere: `mialib.attack.answers.query`, `mialib.attack.experiment.attack_model`.

    Parameters
    ----------
    url : str
        Of the service, such as ``http://127.0.0.1:8000``.
    model : str
        Its name there.
    key : str, optional
        Sent as ``Authorization: Bearer KEY``; by default what ``MIALIB_API_KEY`` holds.
    budget : int, optional
        Queries, one a record, that may ever be sent to this model from this machine's `folder`, each
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

    n_models = 1

    def __init__(
        self, url, model="target", key=None, budget=None, batch=256, timeout=30.0, tries=5, complete=None, folder=None
    ):
        check_integer("batch", batch, 1)
        check_integer("tries", tries, 1)
        if budget is not None:
            check_integer("budget", budget, 0)
        key = key or os.environ.get("MIALIB_API_KEY")
        self.url, self.model = _checked_url(url, key), model
        self.budget, self.batch, self.timeout, self.tries = budget, batch, timeout, tries
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=timeout)
        self._complete, self._folder = complete, folder and Path(folder)
        self._metadata = self._ledger = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the connection and the file of answers."""
        self._client.close()
        if self._ledger:
            self._ledger.close()

    def models(self, which):
        """Return this model; there is one."""
        return self

    @property
    def metadata(self):
        """What the endpoint says of the model: record shape and type, number of classes, version (`Metadata`)."""
        if self._metadata is None:
            content = self._ask("GET", f"/v2/models/{self.model}")
            self._metadata = Metadata.read(content, self.url)
        return self._metadata

    @property
    def ledger(self):
        """Answers that are kept, and queries spent (`Ledger`)."""
        if self._ledger is None:
            identity = f"{self.url} {self.model} {self.metadata.version} {self.metadata.n_classes}"
            name = hashlib.sha256(identity.encode()).hexdigest()[:32]
            self._ledger = AnswerStore((self._folder or cache_dir() / "answers") / f"{name}.sqlite")
        return self._ledger

    @property
    def spent(self):
        """Queries sent so far, in this run and earlier ones (int)."""
        return self.ledger.spent

    def predict_proba(self, x, index=None):
        """Return prediction vectors; see `mialib.platforms.closed.Models.predict_proba`.

        A record that was answered before, also in an earlier run, is not asked about again.

        Parameters
        ----------
        x : array_like, shape (n, ...)
        index : ndarray of int, shape (1, k), optional

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
        found = {key: self.ledger.get(key) for key in dict.fromkeys(keys)}
        missing = [key for key, vector in found.items() if vector is None]
        if self.budget is not None and self.spent + len(missing) > self.budget:
            raise BudgetError(
                f"{len(missing)} records are not answered yet, and of a budget of {self.budget} queries "
                f"{self.spent} are spent; ask about fewer records, or raise the budget"
            )
        first = {key: i for i, key in reversed(list(enumerate(keys)))}
        for start in range(0, len(missing), self.batch):
            batch = missing[start : start + self.batch]
            vectors = self._answers(x[[first[key] for key in batch]])
            self.ledger.put(batch, vectors)
            found.update(zip(batch, vectors, strict=True))
        return np.stack([found[key] for key in keys])[None]

    def _answers(self, x):
        content = self._ask("POST", f"/v2/models/{self.model}/infer", {"inputs": [tensor("records", x)]}, len(x))
        complete = self.metadata.complete if self._complete is None else self._complete
        return read_answers(content, len(x), self.metadata.n_classes, complete, self.url)

    def _ask(self, method, path, content=None, n=0):
        """Return what the endpoint replies, a dict; `n` queries are counted for each try."""
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TryAgainError),
            stop=tenacity.stop_after_attempt(self.tries),
            wait=_wait,
            reraise=True,
        )
        try:
            return retrying(self._try, method, path, None if content is None else to_json(content), n)
        except _TryAgainError as failure:
            raise ServiceError(f"{self.url} gave no answer in {self.tries} tries; the last: {failure}") from failure

    def _try(self, method, path, body, n):
        if n and not self.ledger.spend(n, self.budget):
            raise BudgetError(
                f"asking again about {n} records would pass the budget of {self.budget} queries, of which "
                f"{self.spent} are spent"
            )
        try:
            status, headers, text = self._exchange(method, path, body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._refund(n)
            raise _TryAgainError(f"no connection ({error})") from error
        except httpx.TimeoutException as error:
            raise _TryAgainError(f"nothing within {self.timeout:g} seconds") from error
        except httpx.TransportError as error:
            raise _TryAgainError(f"the connection broke ({type(error).__name__}: {error})") from error
        if status == 200:
            return said(text, self.url)
        if status in NOT_SERVED:
            self._refund(n)
        reason = f"status {status}, {text[:200].decode(errors='replace')}"
        if status in AGAIN:
            raise _TryAgainError(reason, _seconds(headers.get("retry-after")))
        raise ServiceError(f"{self.url} refuses {method} {path}: {reason}")

    def _refund(self, n):
        if n:
            self.ledger.refund(n)

    def _exchange(self, method, path, body):
        """Return status, headers and content; no longer than `timeout`, even if bytes keep dripping in."""
        deadline, content = time.monotonic() + self.timeout, bytearray()
        with self._client.stream(method, path, content=body, headers={"Content-Type": "application/json"}) as reply:
            for part in reply.iter_bytes():
                content += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow")
                if len(content) > LARGEST_ANSWER:
                    raise ServiceError(f"{self.url} answers with more than {LARGEST_ANSWER} bytes; that is no answer")
        return reply.status_code, reply.headers, bytes(content)


def _seconds(header):
    return min(LONGEST_WAIT, float(header)) if header and header.replace(".", "", 1).isdigit() else 0.0


_back_off = tenacity.wait_exponential(multiplier=0.1, max=LONGEST_WAIT)


def _wait(state):
    return max(_back_off(state), state.outcome.exception().wait)


def _checked_url(url, key):
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url is {url!r}; it must be that of a service, such as http://127.0.0.1:8000")
    if key and parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError(f"the API key would travel unencrypted to {parts.hostname}; take https")
    return url.rstrip("/")
