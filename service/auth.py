"""Authentication and authorisation: API keys by Bearer or HTTP Basic, browser sessions, and, without any key, loopback
alone.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from search import records
from search.errors import ThermowellError
from search.records import LOCAL_OWNER, SCOPES, Principal
from search.requests.keys import any_keys, verify_key
from search.requests.sessions import session_principal
from search.storage.db import Database
from service.errors import CrossOrigin, Forbidden, HostRefused, Unauthenticated, respond
from service.proxies import came_through_stranger
from service.settings import Settings, is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
SESSION_COOKIE = "thermowell_session"


class OpenRefused(ThermowellError):
    """The service would be open to others: create a key first with `thermowell keys create NAME --scope admin`."""

    slug = "open-refused"


def refuse_open(db: Database, settings: Settings) -> None:
    """Raises OpenRefused where the service would listen beyond this machine and no key guards it."""
    if not settings.loopback and not any_keys(db):
        raise OpenRefused(
            f"refusing to listen on {settings.host} without any API key: anybody could use this service. "
            "Create one with `thermowell keys create NAME --scope admin`, or listen on 127.0.0.1."
        )


def authenticate(connection: HTTPConnection, db: Database, settings: Settings) -> Principal:
    """The principal behind a request. Raises Unauthenticated, or HostRefused where the service is open.

    Open means: bound to loopback, no key was ever made, and the request comes from this machine under a loopback
    name. The name is checked because a web page can point its own name at 127.0.0.1 (DNS rebinding).
    """
    principal = _authenticate(connection, db, settings)
    connection.scope.setdefault("state", {})["principal"] = principal  # whom the request counts for
    return principal


def _authenticate(connection: HTTPConnection, db: Database, settings: Settings) -> Principal:
    secret = presented_key(connection.headers)
    if secret is not None:
        principal = verify_key(db, secret)
        if principal is None:
            raise Unauthenticated("this key is unknown, or was revoked: make one with `thermowell keys create`")
        return principal
    principal = _signed_in(connection, db)
    if principal is not None:
        return principal
    if not settings.loopback or any_keys(db):  # revoked ones count: revoking the last opens nothing
        raise Unauthenticated("an API key is needed: `Authorization: Bearer <key>`, or HTTP Basic with it as password")
    return local_principal(connection)


def local_principal(connection: HTTPConnection) -> Principal:
    """Whoever asks on this machine a service that is open: without keys, as its caller knows. Unauthenticated;
    HostRefused.
    """
    if connection.client is None or not is_loopback(connection.client.host):
        raise Unauthenticated("an API key is needed: without one only this machine is answered")
    if came_through_stranger(connection.scope):
        raise Unauthenticated(
            "an API key is needed: the request came through a proxy, so that anybody may be behind it. "
            "Create a key with `thermowell keys create NAME --scope admin`, or name the proxy in "
            "THERMOWELL_TRUSTED_PROXIES"
        )
    if not is_loopback(_host_name(connection.headers.get("host", ""))):
        raise HostRefused("without keys the service answers to localhost, 127.0.0.1 and [::1] alone")
    return Principal(LOCAL_OWNER, "local", frozenset(SCOPES))


def presented_key(headers: Headers) -> str | None:
    """The secret that a request carries, if it carries credentials at all, however they are spelled.

    Raises Unauthenticated.
    """
    headers_given = headers.getlist("authorization")
    if not headers_given:
        return None
    if len(headers_given) > 1:
        raise Unauthenticated("Authorization stands more than once; send one key")
    scheme, _, credentials = headers_given[0].strip().partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2].strip()
        except (binascii.Error, UnicodeDecodeError):
            pass
    raise Unauthenticated("Authorization must be `Bearer <key>`, or HTTP Basic with the key as password")


def _signed_in(connection: HTTPConnection, db: Database) -> Principal | None:
    """The principal of a browser's session, if it has one. Raises CrossOrigin.

    A browser adds the cookie by itself, whoever made it ask: what changes something must come with its word that a page
    of this origin did. (Everything that sends cookies by itself also sends one of these headers.)
    """
    token = connection.cookies.get(SESSION_COOKIE)
    principal = session_principal(db, token) if token else None
    if principal is not None and connection.scope["method"] not in SAFE_METHODS and not _is_own(connection.headers):
        raise CrossOrigin(
            "a session may change something from a page of this service alone: send a key with the request"
        )
    return principal


def form_token(connection: HTTPConnection) -> str:
    """What the forms of a session's pages carry: nobody can know it who does not know the session's own token."""
    token = connection.cookies.get(SESSION_COOKIE, "")
    return hashlib.sha256(f"form {token}".encode("utf-8", "surrogatepass")).hexdigest() if token else ""


def check_form(connection: HTTPConnection, presented: str) -> None:
    """Raises CrossOrigin unless a form comes from a page of this session; who has none sends no cookie to be abused."""
    if not hmac.compare_digest(form_token(connection).encode(), presented.encode("utf-8", "surrogatepass")):
        raise CrossOrigin("this form was not made for your session: open the page again")


def _host_name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def check_scope(principal: Principal, scope: records.Scope) -> None:
    """Raises Forbidden unless the principal has the scope."""
    if not principal.may(scope):
        raise Forbidden(f"this key lacks the scope {scope!r}; it has: {', '.join(sorted(principal.scopes))}")


def requires(scope: records.Scope) -> Callable[..., Principal]:
    """A dependency that answers with the principal, if it may do what `scope` stands for."""

    def dependency(request: Request) -> Principal:
        principal = authenticate(request, request.app.state.db, request.app.state.settings)
        check_scope(principal, scope)
        return principal

    return dependency


Reader = Annotated[Principal, Depends(requires("read"))]
Submitter = Annotated[Principal, Depends(requires("submit"))]
Trainer = Annotated[Principal, Depends(requires("train"))]
Admin = Annotated[Principal, Depends(requires("admin"))]


class SameOrigin:
    """Lets no page of another origin change anything, whatever credentials its visitor's browser adds by itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and _is_foreign(Headers(scope=scope)):
            answer = respond(CrossOrigin("the request comes from a page of another origin"), scope["path"])
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_foreign(headers: Headers) -> bool:
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host")


def _is_own(headers: Headers) -> bool:
    """Whether the browser says that a page of this origin asks. `_is_foreign` has been answered with no."""
    return "origin" in headers or headers.get("sec-fetch-site") == "same-origin"


class Guarded:
    """Another application behind the same keys: `scope` to look, admin to change anything."""

    def __init__(self, app: ASGIApp, scope: records.Scope, db: Database, settings: Settings) -> None:
        self.app, self.needed, self.db, self.settings = app, scope, db, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        needed: records.Scope = self.needed if scope["method"] in ("GET", "HEAD") else "admin"
        principal = await run_in_threadpool(authenticate, connection, self.db, self.settings)
        check_scope(principal, needed)
        await self.app(scope, receive, send)
