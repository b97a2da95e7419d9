"""The frame that all pages share: navigation, the signed-in key, and the content security policy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any

import jinja2
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from search import units
from search.records import Principal
from service import prefix

ASSETS = "/assets"
# Nothing but what this service serves itself; neither styles nor scripts within a page.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",  # with none at all, a form's Origin would be null
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who looks at a page: nobody yet, a key by its session, or this machine where the service is open."""

    principal: Principal | None
    form_token: str = ""
    session: bool = False  # there is something to sign out of

    def may(self, scope: Any) -> bool:
        """Whether the visitor has a scope."""
        return self.principal is not None and self.principal.may(scope)


def page(name: str, visitor: Visitor, status: int = 200, **context: Any) -> HTMLResponse:
    """A page from its template."""
    text = _environment().get_template(name).render(visitor=visitor, root=prefix.current(), **context)
    return HTMLResponse(text, status, headers=HEADERS)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: _file("templates", name).decode()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["moment"] = moment
    environment.filters["duration"] = units.duration
    environment.globals["asset"] = asset
    return environment


@cache
def asset(name: str) -> str:
    """The address of a static file; another one when its content is another, so that no browser keeps an old one."""
    return f"{ASSETS}/{name}?v={hashlib.sha256(_file('static', name)).hexdigest()[:12]}"


def _file(folder: str, name: str) -> bytes:
    return resources.files("service.pages").joinpath(folder, name).read_bytes()


def assets() -> StaticFiles:
    """What is served below ASSETS, to anybody: it is the same for all."""
    return StaticFiles(packages=[("service.pages", "static")])


def moment(time: datetime) -> str:
    """A time as people read it: 24 Nov 2026, 11:35 UTC."""
    time = time.astimezone(UTC)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"
