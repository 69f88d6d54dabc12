"""A model that answers over HTTP: asked within a budget, its answers kept."""

import hashlib
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

import httpx
import numpy as np
import tenacity

from mialib.base.machine import cache_dir
from mialib.base.validate import check_integer, check_vectors
from mialib.service.address import Address, redacted
from mialib.service.protocol import DATATYPES, NAMES, array_of, from_json, tensor, to_json
from mialib.service.store import AnswerStore, BudgetError
from mialib.service.store import ServiceError as ServiceError
from mialib.service.transport import LONGEST_WAIT, Connection, seconds

NOT_SERVED = (401, 403, 404, 413, 429, 503)
"""Statuses of requests that the endpoint did not answer, and so cannot have charged for; so are all of 3xx."""
AGAIN = (429, 500, 502, 503, 504)
"""Statuses after which asking again may help."""
POLL = 0.2
"""Seconds between two looks whether another process has got an answer."""


class _TooLargeError(Exception):
    """A request is larger than the endpoint takes."""


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
    def from_reply(cls, content):
        """Return what the reply to a metadata request says; a ValueError if that is too little for a query."""
        try:
            (records,), vectors = content["inputs"], content["outputs"][0]
            shape, dtype = tuple(map(int, records["shape"][1:])), DATATYPES[records["datatype"]]
            _, n_classes = map(int, vectors["shape"])
            version = str((content.get("versions") or [""])[-1])
            answers = (content.get("parameters") or {}).get("answers", "full")
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise ValueError(
                f"does not say what the model takes and gives ({type(error).__name__}: {str(error)[:80]}); its "
                "metadata must name one input and one output, [records, ...] and [records, classes]"
            ) from error
        if n_classes < 2:
            raise ValueError(f"says that the model has {n_classes} classes; it must have at least 2")
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


class Remote(AbstractContextManager):
    """A model that answers over HTTP: a target for `mialib.run` and `mialib.audit`.

    Parameters
    ----------
    url : str
        Of the service, such as ``http://127.0.0.1:8000``. A user and password, or a query, in it are sent with every
        request and shown nowhere; the attribute `url` has none of them. A secret in its path is shown, unless it stands
        after such as ``token=``. All spellings of an address share a budget.
    model : str
        Its name there.
    key : str, optional
        Sent as ``Authorization: Bearer KEY``; by default what ``MIALIB_API_KEY`` holds, unless `url` names a user.
    budget : int, optional
        Queries, one per record, that may ever be sent to this model from this machine's `folder`, each
        try counted unless the endpoint says that it did not serve it.
    batch : int
        Records in a request, halved where the endpoint takes no request so large (status 413).
    timeout : float
        Seconds for an answer, and as many to connect.
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
        If a setting is out of range, or what identifies a user would travel unencrypted to another machine.

    Notes
    -----
    Answers are shared by processes with the same `folder`: while one asks about a record, others wait for its answer,
    and ask themselves if none comes. What goes to this machine goes through no proxy that the environment names.
    """

    def __init__(
        self, url, model="target", key=None, budget=None, batch=256, timeout=30.0, tries=5, complete=None, folder=None
    ):
        check_integer("batch", batch, 1)
        check_integer("tries", tries, 1)
        check_integer("budget", budget or 0, 0)
        if not model.strip("."):
            raise ValueError(f"model is {model!r}; it must be the name of a model at the service")
        self._address = Address.from_text(url)
        self._connection = Connection(self._address, key, timeout)
        self.url, self.model = self._address.url, model
        self.budget, self.batch, self.timeout, self.tries = budget, batch, timeout, tries
        self._complete, self._folder = complete, Path(folder) if folder else cache_dir() / "answers"

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the connection and the file of answers."""
        self._connection.close()
        if "store" in vars(self):
            self.store.close()

    def models(self, which):
        """Return this model; there is one."""
        return self

    @cached_property
    def metadata(self):
        """What the endpoint says of the model, its record shape and type, number of classes, version (`Metadata`)."""
        content = self._ask("GET", self._path)
        try:
            return Metadata.from_reply(content)
        except ValueError as error:
            raise self._connection.failure(error) from error

    @property
    def _path(self):
        return f"/v2/models/{quote(self.model, safe='')}"

    @cached_property
    def store(self):
        """Answers that are kept, and queries spent (`AnswerStore`)."""
        n_classes = self.metadata.n_classes
        identity = f"{self._address.identity} {self.model} {self.metadata.version} {n_classes}"
        name = hashlib.sha256(identity.encode()).hexdigest()[:32]
        return AnswerStore(self._folder / f"{name}.sqlite", n_classes)

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
            If the endpoint fails for good, or answers what cannot be, or the file of answers cannot be read or written.
            Answers that came before are kept.
        ValueError
            If the endpoint takes other records than these.
        """
        if index is not None and len(index) != 1:
            raise ValueError(f"{len(index)} models are asked for; behind {self.url} there is one")
        x = self.metadata.records(x if index is None else x[index[0]])
        keys = [hashlib.sha256(self._address.selection.encode() + record.tobytes()).digest() for record in x]
        rows, found = {key: row for row, key in enumerate(keys)}, {}
        while missing := self._missing(rows, found):
            mine = self.store.claim(missing, self.budget, self._lease)
            if not mine:  # another process is asking about all of them
                time.sleep(POLL)
                continue
            try:
                self._answer(mine, x, rows)
            finally:
                self.store.release()
        return np.stack([found[key] for key in keys])[None]

    def _missing(self, keys, found):
        """Return the keys that nothing is found for; what is kept is found."""
        kept = {key: self.store.get(key) for key in keys if key not in found}
        found.update({key: vector for key, vector in kept.items() if vector is not None})
        return [key for key, vector in kept.items() if vector is None]

    def _answer(self, keys, x, rows):
        """Ask about records in batches, smaller ones where the endpoint takes no larger, and keep the answers."""
        while keys:
            batch = keys[: self.batch]
            try:
                vectors = self._answers(x[[rows[key] for key in batch]])
            except _TooLargeError as error:
                if len(batch) == 1:
                    raise self._connection.failure(f"takes not even one record in a request: {error}") from error
                self.batch = len(batch) // 2
                continue
            self.store.put(batch, vectors)
            keys = keys[len(batch) :]

    @property
    def _lease(self):
        """For how long records are claimed: no try takes longer."""
        return 3 * self.timeout

    def _answers(self, x):
        """Return the prediction vectors for records, once they can be believed."""
        content = self._ask("POST", f"{self._path}/infer", {"inputs": [tensor("records", x)]}, len(x))
        n_classes = self.metadata.n_classes
        complete = self.metadata.complete if self._complete is None else self._complete
        try:
            vectors = array_of(content["outputs"][0])
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise self._connection.failure(f"answers what is no prediction ({error})") from error
        if vectors.shape != (len(x), n_classes):
            raise self._connection.failure(
                f"answers {vectors.shape} to {len(x)} records; it said that it has {n_classes} classes"
            )
        try:
            return check_vectors(vectors, complete, "; if it leaves classes out or rounds, say complete=False")
        except ValueError as error:
            raise self._connection.failure(f"answers what cannot be: {error}") from error

    def _ask(self, method, path, content=None, n=0):
        """Return what the endpoint replies, a dict; `n` queries are counted for each try."""
        again, stop = tenacity.retry_if_exception_type(_TryAgainError), tenacity.stop_after_attempt(self.tries)

        def keep(state):
            if n:
                self.store.keep(state.upcoming_sleep + self._lease)

        retrying = tenacity.Retrying(retry=again, stop=stop, wait=_wait, before_sleep=keep, reraise=True)
        try:
            status, text = retrying(self._try, method, path, None if content is None else to_json(content), n)
        except _TryAgainError as failure:
            raise self._connection.failure(
                f"gave no answer in {self.tries} tries; the last: {failure.args[0]}"
            ) from failure
        if not text.strip():
            raise self._connection.failure(
                f"answers {method} {path} with status {status} and nothing else; that is no answer"
            )
        try:
            return from_json(text)
        except ValueError as error:
            raise self._connection.failure(f"answers what is no JSON object ({error})") from error

    def _try(self, method, path, body, n):
        if n and not self.store.spend(n, self.budget, self._lease):
            raise BudgetError(
                f"asking about {n} records would pass the budget of {self.budget} queries, of which "
                f"{self.spent} are spent"
            )
        try:
            status, headers, text = self._connection.exchange(method, path, body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            self._refund(n)
            raise _TryAgainError(f"no connection ({error})", 0) from error
        except httpx.TimeoutException as error:
            raise _TryAgainError(f"nothing within {self.timeout:g} seconds", 0) from error
        except httpx.RequestError as error:
            raise _TryAgainError(f"the connection broke ({type(error).__name__}: {error})", 0) from error
        if 200 <= status < 300:
            return status, text
        if status in NOT_SERVED or 300 <= status < 400:
            self._refund(n)
        reason = f"status {status}, {self._connection.said(text)}"
        if status in AGAIN:
            raise _TryAgainError(reason, seconds(headers.get("retry-after", "")))
        if status == 413 and n:
            raise _TooLargeError(reason)
        if 300 <= status < 400 and "location" in headers:
            reason = f"status {status}, it sends on to {redacted(headers['location'])}; ask there, if you trust that"
        raise self._connection.failure(f"refuses {method} {path}: {reason}")

    def _refund(self, n):
        if n:  # a request for metadata costs nothing, and comes before there is a store
            self.store.refund(n)


_back_off = tenacity.wait_exponential(multiplier=0.1, max=LONGEST_WAIT)


def _wait(state):
    return max(_back_off(state), min(LONGEST_WAIT, state.outcome.exception().args[1]))
