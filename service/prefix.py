"""The path below which a proxy serves this service on a host that it shares with others, and addresses below it."""

from __future__ import annotations

import re
from contextvars import ContextVar

from starlette.types import Scope

HEADER = "X-Forwarded-Prefix"
# A prefix that begins like one of these could not be told from a path of the service's own.
OWN_PATHS = frozenset(
    {
        "api",
        "artifacts",
        "assets",
        "csv",
        "dashboard",
        "docs",
        "favicon.ico",
        "healthz",
        "jobs",
        "metrics",
        "openapi.json",
    }
    | {"problems", "readyz", "signin", "signout", "static", "v1"}
)
_PREFIX = re.compile(r"(/(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+){1,8}")
_current: ContextVar[str] = ContextVar("prefix", default="")


def parse_prefix(text: str) -> str:
    """A prefix as it stands before a path: empty, or with a slash at its beginning alone. ValueError for any other."""
    prefix = text.strip().rstrip("/")
    if prefix and (len(prefix) > 200 or not _PREFIX.fullmatch(prefix)):
        raise ValueError(
            f"{text[:80]!r} is no path prefix: write it as /thermowell or /tools/thermowell, "
            "of letters, digits and . _ ~ -"
        )
    first = prefix.split("/")[1] if prefix else ""
    if first in OWN_PATHS:
        raise ValueError(
            f"{text!r} cannot be the prefix: /{first} is a path of the service itself. Take another one, such as "
            f"/thermowell{prefix}"
        )
    return prefix


def current() -> str:
    """The prefix of the request that is being answered; empty where there is none."""
    return _current.get()


def at(path: str) -> str:
    """A path of the service as whoever asks reaches it: what every link, redirect and form has to name."""
    return current() + path


def enter(scope: Scope, prefix: str) -> None:
    """Makes `prefix` that of a request. Its path begins with it from then on, left by the proxy or not."""
    _current.set(prefix)  # for what answers this request: each runs in a context of its own
    if not prefix:
        return
    path: str = scope["path"]
    prefixed = path == prefix or path.startswith(f"{prefix}/")
    scope["path"] = prefix + ((path[len(prefix) :] or "/") if prefixed else path)
    scope["root_path"] = prefix


def inner_path(scope: Scope) -> str:
    """A request's path without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
