"""What a service lets through: whose requests, from which pages, how many at once, of what size, in what time."""

import asyncio
import hmac
import ipaddress
import math
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from urllib.parse import urlsplit

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.requests import ClientDisconnect, Request

from mialib.base.validate import check_integer

LARGEST = 32 * 2**20
"""Bytes that a request may have."""
SMALL = 2**19
"""Bytes of a body that any request in the queue may hold; one with more is among `LARGE_AT_ONCE`."""
LARGE_AT_ONCE = 4
AT_ONCE = 2
"""Requests that are parsed and answered at the same time: parsed, a body takes about ten times its bytes."""
QUEUE = 256
"""Requests that are under way, most of them waiting for their turn."""
WAIT, BODY = 30, 30
"""Seconds for which a request waits for its turn, and in which its body must have come."""
RETRY = 2
"""Seconds after which a client that was shed may try again."""


class RefusedError(Exception):
    """A request that gets no answer."""

    def __init__(self, status, sentence, **headers):
        super().__init__(sentence)
        self.status, self.headers = status, headers


def busy(why):
    """Return the refusal of a request that may come again soon."""
    return RefusedError(503, f"the service {why}; try again in {RETRY} seconds", **{"Retry-After": str(RETRY)})


def is_loopback(host):
    """Return whether a name or an address is that of this machine for itself."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def client_of(host):
    """Return whom an address belongs to, for limits: all of loopback is one client, and so is an IPv6 network (/64)."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # what a proxy may say
        return host
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "loopback"
    return str(address if address.version == 4 else ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def address_of(request):
    """Return the address that a request comes from (str), empty if the client is gone already."""
    return request.client.host if request.client else ""


class Gate:
    """Lets requests to one service through, or refuses them.

    Parameters
    ----------
    key : str, optional
        That a client must send. All who do are one client for the rate.
    largest : int
        Bytes of a request.
    rate : int, optional
        Records per minute for each client.
    hosts : sequence of str
        Names that a request may be for, besides those of loopback. Without any, a service with a key takes
        every name: a web page that gives its own name to this machine does not know the key.

    Raises
    ------
    ValueError
        If a limit is out of range, or the key is empty.
    """

    def __init__(self, key=None, largest=LARGEST, rate=None, hosts=()):
        check_integer("largest", largest, 1)
        if rate is not None:
            check_integer("rate", rate, 1)
        if key is not None and not key.strip():
            raise ValueError("the API key is empty; give one, or none at all")
        self.key, self.largest, self.rate = key, largest, rate
        self.hosts = frozenset(host.lower() for host in hosts)
        self._window = MovingWindowRateLimiter(MemoryStorage())
        self._large, self._turns = asyncio.Semaphore(LARGE_AT_ONCE), asyncio.Semaphore(AT_ONCE)
        self._under_way = 0

    async def check_page(self, request: Request):  # FastAPI reads the annotation
        """Refuse what a browser sends for a page of somebody else: it is for another host, or names its origin."""
        host = request.headers.get("host", "").lower()
        if self.hosts or self.key is None:
            try:
                name = urlsplit(f"//{host}").hostname
            except ValueError:
                name = None
            if name not in self.hosts and not is_loopback(name):
                raise RefusedError(403, f"this service is not {host!r}; a name that is its own is an --allowed-host")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            raise RefusedError(403, f"a page of {origin!r} may not ask this service")

    def check_key(self, request):
        """Refuse a request without the key; equal time for each wrong one."""
        if self.key is None:
            return
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.key}".encode()):
            raise RefusedError(401, "the API key is missing or wrong; send it as Authorization: Bearer KEY")

    def check_type(self, request):
        """Refuse a body that is not said to be JSON; the form of a web page can say nothing else unasked."""
        stated = request.headers.get("content-type", "")
        if stated.partition(";")[0].strip().lower() != "application/json":
            raise RefusedError(415, f"the content type is {stated!r}; it must be application/json")

    def count(self, request, n=None):
        """Count records against a client's rate; without `n`, refuse a client that has none left."""
        if self.rate is None:
            return
        client = client_of(address_of(request)) if self.key is None else "key"
        per_minute = RateLimitItemPerMinute(self.rate)
        if n is not None and n > self.rate:
            raise RefusedError(413, f"{n} records in a request; the service answers {self.rate} per minute")
        if not (self._window.hit(per_minute, client, cost=n) if n else self._window.test(per_minute, client)):
            wait = max(1, math.ceil(self._window.get_window_stats(per_minute, client).reset_time - time.time()))
            raise RefusedError(
                429, f"more than {self.rate} records per minute; try again later", **{"Retry-After": str(wait)}
            )

    @asynccontextmanager
    async def turn(self, request):
        """Yield a request's body, a bytearray, when it is its turn to be parsed and answered."""
        if self._under_way >= QUEUE:
            raise busy("has too many requests")
        self._under_way += 1
        try:
            async with AsyncExitStack() as places:
                body = await self._body(request, places)
                await places.enter_async_context(_place(self._turns))
                yield body
        finally:
            self._under_way -= 1

    async def _body(self, request, places):
        """Read a body; one that is too large is not read to its end, and a large one waits for a place."""
        refusal = RefusedError(413, f"the request has more than {self.largest} bytes; ask about fewer records at once")
        stated = request.headers.get("content-length", "0")
        if stated.isdigit() and int(stated) > self.largest:
            raise refusal
        body, parts = bytearray(), request.stream()
        await _read(parts, body, min(SMALL, self.largest))
        if SMALL < len(body) <= self.largest:
            await places.enter_async_context(_place(self._large))
            await _read(parts, body, self.largest)
        if len(body) > self.largest:
            raise refusal
        return body


async def drain(request):
    """Drop what still comes of a body, in its time: who is still writing does not read why it is refused."""
    if "expect" in request.headers:  # such a client sends nothing before it is asked to
        return
    with suppress(TimeoutError, ClientDisconnect, RuntimeError):  # the last if all of it has come
        async with asyncio.timeout(BODY):
            async for _ in request.stream():
                pass


async def _read(parts, body, most):
    """Add to a body the parts that come, until it ends or has more than so many bytes."""
    try:
        async with asyncio.timeout(BODY):
            async for part in parts:
                body += part
                if len(body) > most:
                    return
    except TimeoutError as error:
        raise RefusedError(408, f"the body did not come within {BODY} seconds") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "the connection broke before the end of the body") from error


@asynccontextmanager
async def _place(places):
    """Hold one of some places; a client does not wait for it for ever."""
    try:
        async with asyncio.timeout(WAIT):
            await places.acquire()
    except TimeoutError as error:
        raise busy("is busy") from error
    try:
        yield
    finally:
        places.release()
