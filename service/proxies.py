"""Where a request really comes from: the peer's own address, or what a proxy that is trusted says of whom it serves.

uvicorn believes every program of this machine by default, so its own reading of these headers is off.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

FORWARDING_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")
_TRUSTED = "thermowell.trusted_peer"


def parse_address(text: str) -> Address | None:
    """The IP address that a text writes, perhaps with a port; IPv4 inside of IPv6 as IPv4. None where it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def counted_address(text: str) -> str:
    """What limits count an address by: itself, or its /64 where it is IPv6, of which one machine may have all."""
    address = parse_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return text if address is None else str(address)


def is_trusted(peer: str | None, trusted: Iterable[Network]) -> bool:
    """Whether a peer is one of the proxies that are trusted."""
    address = parse_address(peer or "")
    return address is not None and any(address in network for network in trusted)


def has_trusted_peer(scope: Scope) -> bool:
    """Whether the peer that sent a request is a trusted proxy, so that its X-Forwarded-* may be believed."""
    return bool(scope.get(_TRUSTED, False))


def came_through_stranger(scope: Scope) -> bool:
    """Whether a proxy that is not trusted has passed a request on, by what it adds to say for whom."""
    headers = Headers(scope=scope)
    return not has_trusted_peer(scope) and any(name in headers for name in FORWARDING_HEADERS)


def client_of(chain: str, peer: str, trusted: Sequence[Network]) -> str:
    """Whom a trusted peer serves, by X-Forwarded-For: the rightmost address that is no trusted proxy.

    Each proxy appends whom it serves, so what stands further left was written by somebody who is not trusted. A word
    that is no address ends the reading: the proxy before it is answered.
    """
    nearest = peer
    for word in reversed(chain.split(",")):
        address = parse_address(word)
        if address is None:
            break
        nearest = str(address)
        if not is_trusted(nearest, trusted):
            break
    return nearest


class Forwarded:
    """Replaces a request's client and scheme by what a trusted proxy says of them; nobody else is believed."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self.app, self.trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        peer = scope["client"] if scope["type"] == "http" and scope.get("client") else None
        if peer is not None and is_trusted(peer[0], self.trusted):
            scope[_TRUSTED] = True  # in place: the server's log of requests then names the client too
            headers = Headers(scope=scope)
            chain = ",".join(headers.getlist("x-forwarded-for"))
            if chain:
                scope["client"] = (client_of(chain, peer[0], self.trusted), 0)
            proto = ",".join(headers.getlist("x-forwarded-proto")).rpartition(",")[2].strip().lower()
            if proto in ("http", "https"):
                scope["scheme"] = proto
        await self.app(scope, receive, send)
