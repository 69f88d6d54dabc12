"""One request and its reply: limited in time and size, and without secrets in what is said of them."""

import logging
import math
import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from mialib.service.address import HIDDEN
from mialib.service.store import ServiceError

LONGEST_WAIT = 60
"""Seconds between two tries, whatever the endpoint asks for."""
LARGEST_ANSWER = 256 * 2**20
"""Bytes."""
LONGEST_SAID = 500
"""Letters of an endpoint's own words in an error."""
ENCODINGS = ("", "identity", "gzip", "deflate")
"""In which an answer may come: each piece of it is at most a thousand times as large as what was sent."""


class Connection:
    """A way to ask at an address.

    Parameters
    ----------
    address : Address
    key : str, optional
        By default what ``MIALIB_API_KEY`` holds, unless the address names a user.
    timeout : float
        Seconds for an answer, and as many to connect.

    Raises
    ------
    ValueError
        If the key cannot be sent, or it, a user or a query would travel unencrypted to another machine.
    """

    def __init__(self, address, key, timeout):
        key = _checked_key(key, address)
        self.url, self.timeout = address.url, timeout
        self._secrets = sorted(filter(_is_telling, address.secrets | {key or ""}), key=len, reverse=True)
        self._client = _client(address, key, timeout)
        self._hiding = _Hiding(self._hidden)
        logging.getLogger("httpx").addFilter(self._hiding)  # it logs addresses with their query

    def close(self):
        """Close it."""
        self._client.close()
        logging.getLogger("httpx").removeFilter(self._hiding)

    def exchange(self, method, path, body):
        """Return status, headers and content of a reply, in another thread: httpx limits each read, not their sum."""
        reply = Future()

        def receive():
            try:
                reply.set_result(self._receive(method, path, body))
            except BaseException as error:
                reply.set_exception(error)

        threading.Thread(target=receive, daemon=True).start()
        try:
            return reply.result(2 * self.timeout)  # to connect, and to answer
        except TimeoutError:
            raise httpx.ReadTimeout("too slow") from None

    def _receive(self, method, path, body):
        deadline, content = time.monotonic() + self.timeout, bytearray()
        with self._client.stream(method, path, content=body) as reply:
            if reply.headers.get("content-encoding", "") not in ENCODINGS:
                raise self.failure("compresses its answers otherwise than it was asked to; a few bytes may be many")
            for part in reply.iter_bytes():
                content += part
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("too slow")
                if len(content) > LARGEST_ANSWER:
                    raise self.failure(f"answers with more than {LARGEST_ANSWER} bytes; that is no answer")
        return reply.status_code, reply.headers, bytes(content)

    def failure(self, said):
        """Return the error that says so of the endpoint, in one line and without secrets."""
        return ServiceError(f"{self.url} {self.said(str(said))}")

    def said(self, text):
        """Return words, str or bytes, that somebody else may have written: one line, not long, without secrets."""
        text = text[: 4 * LONGEST_SAID].decode(errors="replace") if isinstance(text, bytes) else text
        text = "".join(letter if letter.isprintable() else " " for letter in self._hidden(text))
        text = " ".join(text.split())
        return text if len(text) <= LONGEST_SAID else f"{text[:LONGEST_SAID]}…"

    def _hidden(self, text):
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text


class _Hiding(logging.Filter):
    """Hides secrets in what is logged."""

    def __init__(self, hidden):
        super().__init__()
        self._hidden = hidden

    def filter(self, record):
        record.msg, record.args = self._hidden(record.getMessage()), None
        return True


def _is_telling(secret):
    """Return whether a secret is long enough to be told from other words."""
    return len(secret) > 3


def _checked_key(key, address):
    """Return the API key to be sent, or None; a ValueError if that must not be."""
    if key and address.auth:
        raise ValueError("the service is given both an API key and a user in its address; give one of them")
    key = (key or (not address.auth and os.environ.get("MIALIB_API_KEY")) or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the API key holds characters that cannot be sent; it must be of printable ASCII")
    what = "API key" if key else "user in the address" if address.auth else "query of the address"
    if (key or address.auth or address.params) and not (address.is_local or address.base.startswith("https:")):
        raise ValueError(f"the {what} would travel unencrypted to {address.host}; take https")
    return key or None


def _client(address, key, timeout):
    """Return the HTTP client of a service; what goes to this machine goes through no proxy."""
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}
    headers |= {"Authorization": f"Bearer {key}"} if key else {}
    try:
        return httpx.Client(
            auth=address.auth,
            params=address.params,
            headers=headers,
            timeout=timeout,
            base_url=address.base,
            follow_redirects=False,
            trust_env=not address.is_local,
        )
    except ImportError as error:
        raise ValueError(f"the proxy that the environment names cannot be used: {error}") from error


def seconds(asked):
    """Return the seconds for which a ``Retry-After`` asks to wait: a number, or a date; 0 for what is neither."""
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, float(asked)) if math.isfinite(float(asked)) else 0.0
    with suppress(ValueError, TypeError, OverflowError):
        date = parsedate_to_datetime(asked)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    return 0.0
