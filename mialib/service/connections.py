"""Connections to a service: none is held open by a client that is silent, slow, or many.

What waits for its client is closed, the longest silent first, when there are too many; what is being answered is not.
"""

import json

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from mialib.service.gate import client_of

HEADERS = 10
"""Seconds in which the headers of a request must have come, from the connection or the last answer on."""
ANSWER = 300
"""Seconds in which any request must be answered, and its answer taken."""
CONNECTIONS, PER_CLIENT = 400, 128
"""Connections that may be open, in all and for each client; more close one that waits for its client."""
STOP = 2
"""Seconds that requests get to be answered when the service is told to stop."""


class Connection(H11Protocol):
    """A connection of uvicorn that does not wait for ever."""

    _timer = None

    @property
    def idle(self):
        """Whether no request is under way."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def waits(self):
        """Whether the client is to go on: with a request, or with its body."""
        return not self.transport.is_closing() and (self.idle or self.cycle.more_body)

    def connection_made(self, transport):
        """Take a client, and close another connection if there are too many."""
        super().connection_made(transport)
        # Who is gone before it is looked at has no address.
        self.owner, self.heard = client_of(self.client[0] if self.client else ""), self.loop.time()
        self._limit()
        own = [other for other in self.connections if other.owner == self.owner]
        for some, most in ((own, PER_CLIENT), (self.connections, CONNECTIONS)):
            others = [other for other in some if other.waits and other is not self]
            if len(some) > most and others:
                min(others, key=lambda other: other.heard).transport.abort()

    def _limit(self):
        """Set the time until this connection ends, for the state that it is in now."""
        if self._timer:
            self._timer.cancel()
        self._was_idle = self.idle
        unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(HEADERS if self.idle and not unsent else ANSWER, self.transport.abort)

    def data_received(self, data):
        """Go on with what a client sends."""
        self.heard = self.loop.time()
        super().data_received(data)
        if self._was_idle and not self.idle:
            self._limit()

    def on_response_complete(self):
        """Wait for the next request."""
        super().on_response_complete()
        self._limit()

    def connection_lost(self, exc):
        """Forget a client."""
        self._timer.cancel()
        super().connection_lost(exc)

    def shutdown(self):
        """End when the request under way is answered; at once if the client is still to send it."""
        if self.waits:
            self.transport.close()
        else:
            super().shutdown()

    def send_400_response(self, msg):
        """Say in JSON, as all else, that this is no HTTP; nothing if the answer has begun."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            content = json.dumps({"error": msg}).encode()
            headers = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
            for event in (h11.Response(status_code=400, headers=headers), h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event))
        self.transport.close()


class Server(uvicorn.Server):
    """A server that has ended well when a signal has stopped it: exit code 0, and no traceback."""

    def handle_exit(self, sig, frame):
        """Stop; at once when told twice."""
        self.force_exit, self.should_exit = self.should_exit, True


def server_of(service, proxies=()):
    """Return a server of an ASGI application, not yet running.

    `proxies` are the addresses of those who may say for which client they ask (``X-Forwarded-For``); nobody else is
    believed.
    """
    return Server(
        uvicorn.Config(
            service,
            http=Connection,
            ws="none",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            timeout_keep_alive=HEADERS,
            timeout_graceful_shutdown=STOP,
        )
    )
