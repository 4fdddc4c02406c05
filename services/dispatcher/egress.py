"""Connects to the outside, and to nowhere else: the address is judged at the moment of connecting.

The guard sits where sockets are made, after names are looked up, so neither a name that points
elsewhere by now (DNS rebinding) nor a literal address gets past it.
"""

import socket
from collections.abc import Callable

import aiohttp
from yarl import URL

from services.domain.egress import Networks, exempt, refusal

#: Below the 5 s after which common servers hang up, or a request may meet a connection just closed.
_KEEPALIVE_SECONDS = 4.0
_DNS_SECONDS = 30


class BlockedAddress(OSError):
    """The name leads to an address that must not be connected to.

    Its text is always the same: only then is it raised as it is when all addresses of a name are blocked.
    """

    def __init__(self) -> None:
        super().__init__("address not allowed")


def guard(allowed: Networks, *, plain: bool = False) -> Callable[[aiohttp.AddrInfoType], socket.socket]:
    """Return what makes a socket for an address, or raises `BlockedAddress`.

    `plain` is for http, which reaches `allowed` networks only.
    """

    def make(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = info
        address = str(place[0])
        fine = exempt(address, allowed) if plain else refusal(address, allowed) is None
        if not fine:
            raise BlockedAddress
        return socket.socket(family, kind, protocol)

    return make


def connector(allowed: Networks, *, limit: int, plain: bool = False) -> aiohttp.TCPConnector:
    """Open a connector that is guarded; aiohttp wraps what `guard` raises, as `os_error`.

    `limit` is how many connections at most. Needs a running loop.
    """
    return aiohttp.TCPConnector(
        limit=limit,
        socket_factory=guard(allowed, plain=plain),
        use_dns_cache=True,
        ttl_dns_cache=_DNS_SECONDS,
        keepalive_timeout=_KEEPALIVE_SECONDS,
    )


def session(
    allowed: Networks, *, limit: int, timeout_seconds: float, plain: bool = False
) -> aiohttp.ClientSession:
    """Open a session that remembers no cookies, heeds no proxy of the environment and unpacks nothing.

    `timeout_seconds` counts from connecting to the last byte of the answer. Needs a running loop.
    """
    return aiohttp.ClientSession(
        connector=connector(allowed, limit=limit, plain=plain),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
    )


class Sessions:
    """Guarded sessions, opened when they are needed: one for https, one for http."""

    def __init__(self, allowed: Networks, *, limit: int, timeout_seconds: float) -> None:
        self._allowed, self._limit, self._timeout_seconds = allowed, limit, timeout_seconds
        self._opened: dict[bool, aiohttp.ClientSession] = {}

    def to(self, url: URL) -> aiohttp.ClientSession:
        """Give the session that reaches a URL. Needs a running loop."""
        plain = url.scheme == "http"
        if plain not in self._opened:
            self._opened[plain] = session(
                self._allowed, limit=self._limit, timeout_seconds=self._timeout_seconds, plain=plain
            )
        return self._opened[plain]

    async def close(self) -> None:
        """Give back connections; a later call opens new ones."""
        while self._opened:
            _, opened = self._opened.popitem()
            await opened.close()
