"""A model behind HTTP as a target: asked in batches, within a budget, and never twice for the same answer.

Anything that speaks the Open Inference Protocol (KServe v2 REST) can be attacked: `mia serve`, MLServer, Triton,
KServe. What an endpoint says of itself and what it answers is checked before it is believed.
"""

import hashlib
import os
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import tenacity

from mialib.checks import whole
from mialib.endpoint import Metadata, ServiceError, read_answers, said
from mialib.ledger import Ledger
from mialib.paths import cache_dir
from mialib.protocol import tensor, to_json

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

    It takes the place of a target's models everywhere: `mialib.attack.query`, `mialib.experiment.attack_model`.

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
        whole("batch", batch, 1)
        whole("tries", tries, 1)
        if budget is not None:
            whole("budget", budget, 0)
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
            self._ledger = Ledger((self._folder or cache_dir() / "answers") / f"{name}.sqlite")
        return self._ledger

    @property
    def spent(self):
        """Queries sent so far, in this run and earlier ones (int)."""
        return self.ledger.spent

    def predict_proba(self, x, index=None):
        """Return prediction vectors; see `mialib.platforms.Models.predict_proba`.

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
