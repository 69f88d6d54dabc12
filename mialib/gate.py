"""Who may ask a service, and how much: an API key, the size of a request, a rate."""

import hmac
import math
import time
from dataclasses import dataclass, field

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from mialib.checks import whole

LARGEST = 32 * 2**20
"""Bytes that a request may have."""


@dataclass(frozen=True)
class Limits:
    """What a client must bring, and how much it may ask.

    Parameters
    ----------
    key : str, optional
        Asked for as ``Authorization: Bearer KEY``.
    largest : int
        Bytes of a request.
    rate : int, optional
        Records a minute for each client.
    """

    key: str | None = field(default=None, repr=False)
    largest: int = LARGEST
    rate: int | None = None

    def __post_init__(self):
        whole("largest", self.largest, 1)
        if self.rate is not None:
            whole("rate", self.rate, 1)
        if self.key is not None and not self.key.strip():
            raise ValueError("the API key is empty; give one, or none at all")


class RefusedError(Exception):
    """A request that gets no answer."""

    def __init__(self, status, sentence, **headers):
        super().__init__(sentence)
        self.status, self.headers = status, headers


class Gate:
    """Lets requests through, or refuses them.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits):
        self.limits = limits
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._rate = RateLimitItemPerMinute(limits.rate) if limits.rate else None

    def check_key(self, request):
        """Refuse a request without the key; equal time for each wrong one."""
        if self.limits.key is None:
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.limits.key}".encode()):
            raise RefusedError(401, "the API key is missing or wrong; send it as Authorization: Bearer KEY")

    async def body(self, request):
        """Return a request's body; one that is too large is not read to its end."""
        sentence = f"the request has more than {self.limits.largest} bytes; ask about fewer records at once"
        stated = request.headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self.limits.largest:
            raise RefusedError(413, sentence)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > self.limits.largest:
                raise RefusedError(413, sentence)
        return bytes(body)

    def count(self, client, n):
        """Count records against a client's rate."""
        if self._rate is None:
            return
        if n > self.limits.rate:
            raise RefusedError(413, f"{n} records in a request; the service answers {self.limits.rate} a minute")
        if not self._window.hit(self._rate, client, cost=n):
            wait = max(1, math.ceil(self._window.get_window_stats(self._rate, client).reset_time - time.time()))
            raise RefusedError(
                429, f"more than {self.limits.rate} records a minute; try again later", **{"Retry-After": str(wait)}
            )
