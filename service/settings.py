"""Where the service listens, how much it takes from a client and how long it holds on: read from THERMOWELL_*."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from search.records import Quota
from search.settings import Settings as SearchSettings
from service.prefix import parse_prefix
from service.proxies import Network


class Settings(SearchSettings):
    """The API's settings, on top of where the database and the files are. Built by the caller, never on import."""

    host: str = Field("127.0.0.1", description="address to listen on; any but loopback needs an API key first")
    port: int = Field(8000, ge=0, le=65535)
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (),
        description="addresses and networks, with commas between, of the proxies whose X-Forwarded-For, "
        "X-Forwarded-Proto and X-Forwarded-Prefix are believed; nobody's unless given",
    )
    root_path: str = Field(
        "",
        description="path below which a proxy serves the service, such as /thermowell, whether or not the proxy strips "
        "it; a trusted proxy's X-Forwarded-Prefix goes before it",
    )
    admin_key_file: Path | None = Field(None, description="`migrate` registers the key in this file as the first admin")
    body_limit: int = Field(1024 * 1024, ge=1024, description="bytes that a request may carry")
    artifact_limit: int = Field(
        256 * 1024 * 1024, ge=1024, description="bytes that a file of a trial may have, which a program of others sends"
    )
    weights_limit: int = Field(1024**3, ge=1024, description="bytes that a file of weights may have that is sent")
    requests_per_minute: int = Field(6000, ge=1, description="of one key; who asks more often is told to wait")
    failures_per_minute: int = Field(60, ge=1, description="wrong keys of one address; beyond it nothing is answered")
    requests_at_once: int = Field(256, ge=1, description="of one key, or of one address without a key")
    streams_per_key: int = Field(64, ge=1, description="event streams of one key at once, or of one address without")
    connections: int = Field(500, ge=16, description="at once; beyond it idle ones are closed for new ones")
    connections_per_address: int = Field(
        300, ge=8, description="at once, but for trusted proxies; beyond it the address's idle ones are closed"
    )
    header_seconds: float = Field(10.0, gt=0, description="a request's line and headers must have come within this")
    body_seconds: float = Field(60.0, gt=0, description="a request's body must have come within this")
    write_seconds: float = Field(60.0, gt=0, description="who reads nothing of an answer for this long is cut off")
    recheck_seconds: float = Field(
        10.0, gt=0, le=60, description="a long answer's key or session is looked at again this often"
    )
    heavy_threads: int = Field(2, ge=1, description="threads that parse documents, and as many that draw answers")
    key_jobs: int | None = Field(
        None, ge=1, lt=2**31, description="quota of a new key that is given none: jobs that have not ended, at most"
    )
    key_trials: int | None = Field(
        None, ge=1, lt=2**31, description="the same: search trials in the budgets of these jobs, at most"
    )
    key_parallel: int | None = Field(None, ge=1, lt=2**31, description="the same: trials under way at once, at most")
    reap_seconds: float = Field(15.0, gt=0, description="how often expired leases are looked for")
    show_seconds: float = Field(10.0, gt=0, description="a job's plots in the dashboard are renewed at most this often")
    mlflow_uri: str | None = Field(
        None,
        repr=False,
        description="MLflow to log jobs in (with a password perhaps); needs thermowell[mlflow]",
    )
    stream_seconds: float = Field(3600.0, gt=0, description="an event stream ends after this long; clients resume it")
    stream_poll_seconds: float = Field(0.5, gt=0, description="how often an event stream looks for news")
    session_seconds: float = Field(12 * 3600.0, gt=0, description="a browser that signed in is asked again after this")
    literature: Path | None = Field(
        None,
        description="YAML rows beside the packaged table of the literature, or in its place: search/analysis/priors",
    )
    advice_from: Literal["own", "all"] = Field(
        "own", description="whose finished jobs advise: those one may read, or everybody's (others' without a name)"
    )
    shutdown_seconds: int = Field(10, ge=1, description="what running requests are given to end")

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        try:
            return tuple(ipaddress.ip_network(word.strip()) for word in text.split(",") if word.strip())
        except ValueError as error:
            raise ValueError(
                f"trusted_proxies: {error}; write addresses or networks with commas between: 127.0.0.1,10.0.0.0/8"
            ) from None

    @field_validator("root_path")
    @classmethod
    def _root_path(cls, text: str) -> str:
        return parse_prefix(text)

    @property
    def key_quota(self) -> Quota:
        """What a new key may have at once, unless it is given a quota of its own."""
        return Quota(jobs=self.key_jobs, trials=self.key_trials, parallel=self.key_parallel)

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
