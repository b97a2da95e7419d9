"""Where the service listens, how much it takes from a client and how long it holds on: read from THERMOWELL_*."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field

from search.public import Settings as SearchSettings


class Settings(SearchSettings):
    """The API's settings, on top of where the database and the files are. Built by the caller, never on import."""

    host: str = Field("127.0.0.1", description="address to listen on; any but loopback needs an API key first")
    port: int = Field(8000, ge=0, le=65535)
    admin_key_file: Path | None = Field(None, description="`migrate` registers the key in this file as the first admin")
    body_limit: int = Field(1024 * 1024, ge=1024, description="bytes that a request may carry")
    reap_seconds: float = Field(15.0, gt=0, description="how often expired leases are looked for")
    stream_seconds: float = Field(3600.0, gt=0, description="an event stream ends after this long; clients resume it")
    stream_poll_seconds: float = Field(0.5, gt=0, description="how often an event stream looks for news")
    shutdown_seconds: int = Field(10, ge=1, description="what running requests are given to end")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host, as bound or as named in a Host header without its port, is this machine's own loopback."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
