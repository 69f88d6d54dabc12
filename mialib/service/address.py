"""The address of a service: one for all its spellings, and apart from it what identifies a user there."""

import ipaddress
import re
import socket
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus, unquote_to_bytes, urlencode

import httpx

HIDDEN = "***"
_WHO = re.compile(r"(?<=://)[^/?#]*@")
_ASKED = re.compile(r"(?<=://)([^?#\s]*)[?#].*", re.DOTALL)
_SECRET = re.compile(r"([\w-]*(?:key|token|secret|passw(?:or)?d|pwd|pw|sig|signature)=)([^&#\s]*)", re.IGNORECASE)

NO_ADDRESS = (
    "url is no address of a service; it must be such as http://127.0.0.1:8000, with %2F, %3F and %40 for /, ? and @ in "
    "a password"
)
DEFAULT_PORTS = {"http": 80, "https": 443}


def redacted(text):
    """Return a text without what identifies a user: of an address ``user:password@`` and query, and values of keys."""
    return _SECRET.sub(rf"\1{HIDDEN}", _ASKED.sub(rf"\1?{HIDDEN}", _WHO.sub(f"{HIDDEN}@", text)))


def is_address(text):
    """Return whether a text is meant as the address of a service (bool)."""
    return str(text).lower().startswith(("http://", "https://"))


@dataclass(frozen=True)
class Address:
    """Where a service is.

    Parameters
    ----------
    url : str
        To be shown: without user, password, query and fragment, and without values of keys in its path.
    host : str
    identity : str
        The same for every spelling of the address.
    is_local : bool
        It is on this machine.
    base : str
        What is asked.
    auth : tuple of str, optional
        User and password.
    params : tuple of (str, str)
        The query.
    """

    url: str
    host: str
    identity: str = field(repr=False)
    is_local: bool
    base: str = field(repr=False)
    auth: tuple[str, str] | None = field(repr=False)
    params: tuple[tuple[str, str], ...] = field(repr=False)

    @classmethod
    def from_text(cls, text):
        """Return the address that a text holds; a ValueError, which does not show it, if it holds none."""
        try:
            parts = httpx.URL("" if re.search(r"\s", text) else text)
        except httpx.InvalidURL:
            raise ValueError(NO_ADDRESS) from None  # its words may hold a part of the password
        host, port = parts.raw_host.decode().lower(), parts.port
        labels = host.rstrip(".").split(".")
        good = re.fullmatch(r"[\w.-]+|[\da-f:.]+", host, re.ASCII) and all(0 < len(label) < 64 for label in labels)
        if parts.scheme not in DEFAULT_PORTS or not good or not 0 < (port or 1) < 2**16:
            raise ValueError(NO_ADDRESS)
        shown, is_local = _one_name(host)
        path = _one_path(parts.raw_path.partition(b"?")[0].decode())
        port = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
        base, identity = (f"{parts.scheme}://{_bracketed(name)}{port}{path}" for name in (host, shown))
        auth = (parts.username, parts.password) if parts.username or parts.password else None
        params = tuple(parts.params.multi_items())
        return cls(redacted(base), host, identity, is_local, base, auth, params)

    @property
    def secrets(self):
        """What must not be shown (set of str)."""
        values = {part for _, value in _SECRET.findall(self.base) for part in (value, value.partition("/")[0])}
        values |= {value for _, value in self.params}
        if self.auth:
            values |= {*self.auth, b64encode(":".join(self.auth).encode()).decode()}
        return values | {form(value) for value in values for form in (quote, quote_plus, lambda of: quote(of, safe=""))}

    @property
    def selection(self):
        """The part of the query that may say which model is asked, rather than who asks (str)."""
        return urlencode(sorted((name, value) for name, value in self.params if not _SECRET.fullmatch(f"{name}=")))


def _one_name(host):
    """Return one name for all of a host's, and whether it is this machine: 127.1 and ::ffff:7f00:1 are 127.0.0.1."""
    host = host.rstrip(".")
    if host == "localhost":
        return "127.0.0.1", True
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        try:
            ip = ipaddress.ip_address(socket.inet_aton(host))
        except OSError:
            return host, False
    ip = getattr(ip, "ipv4_mapped", None) or ip
    here = ip.is_unspecified or str(ip) == "::1"
    return "127.0.0.1" if here else str(ip), here or ip.is_loopback


def _bracketed(host):
    return f"[{host}]" if ":" in host else host


def _one_path(path):
    """Return one spelling of a path, without a slash at its end."""
    found = []
    for part in path.split("/"):
        part = quote(unquote_to_bytes(part), safe="!$&'()*+,;=:@")
        if part == "..":
            del found[-1:]
        elif part not in ("", "."):
            found.append(part)
    return "".join(f"/{part}" for part in found)
