"""Signing in and out with a browser: a key once, then a session cookie."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from search.errors import ThermowellError
from search.records import LOCAL_OWNER, Principal
from search.requests.sessions import begin_session, end_session
from service import prefix
from service.auth import SAFE_METHODS, SESSION_COOKIE, authenticate, check_form, form_token
from service.errors import Problem, Unauthenticated, respond
from service.pages.templating import Visitor, page
from service.routes.jobs import database

_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,1000}")
router = APIRouter(include_in_schema=False)


def visitor_of(request: Request, principal: Principal) -> Visitor:
    """Who looks at a page, with what its forms must carry."""
    signed_in = SESSION_COOKIE in request.cookies and "authorization" not in request.headers
    return Visitor(principal, form_token(request), signed_in and principal.id != LOCAL_OWNER)


@router.get("/signin")
def show_signin(request: Request, next: str = "") -> Response:
    """The form, but for who needs none."""
    try:
        authenticate(request, database(request), request.app.state.settings)
    except Unauthenticated:
        return page("signin.html", Visitor(None), next=_own_path(next), refused=None)
    return RedirectResponse(_own_path(next), 303)


@router.post("/signin")
def sign_in(request: Request, key: Annotated[str, Form()] = "", next: Annotated[str, Form()] = "") -> Response:
    """Begins a session for who presents a key. The cookie lives as long as the browser; the session ends by itself."""
    db, seconds = database(request), request.app.state.settings.session_seconds
    token = begin_session(db, key.strip(), seconds)
    if token is None:
        refused = "This key is unknown, or was revoked."
        return page("signin.html", Visitor(None), 401, next=_own_path(next), refused=refused)
    end_session(db, request.cookies.get(SESSION_COOKIE, ""))
    answer = RedirectResponse(_own_path(next), 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(SESSION_COOKIE, token, path=prefix.current() or "/", httponly=True, samesite="lax", secure=secure)
    return answer


@router.post("/signout")
def sign_out(request: Request, form_token: Annotated[str, Form()] = "") -> Response:
    """Ends the session here and in the database."""
    check_form(request, form_token)
    end_session(database(request), request.cookies.get(SESSION_COOKIE, ""))
    answer = RedirectResponse(prefix.at("/signin"), 303)
    path, secure = prefix.current() or "/", request.url.scheme == "https"
    answer.delete_cookie(SESSION_COOKIE, path=path, httponly=True, samesite="lax", secure=secure)
    return answer


def _own_path(path: str) -> str:
    """Where to go after signing in: a path of this service, whatever a link has asked for."""
    climbs = any(part in (".", "..") for part in unquote(path.partition("?")[0]).split("/"))  # as browsers read it
    inside = path.startswith(prefix.at("/")) and not climbs
    return path if inside and _OWN_PATH.fullmatch(path) else prefix.at("/jobs")


async def _handle(request: Request, error: Exception) -> Response:
    """A problem as a page for who asks for one; who must sign in first is led there and back."""
    answer = respond(error, request.url.path)
    shows_key = "authorization" in request.headers
    if isinstance(error, Unauthenticated) and not shows_key and _asked_by_a_page(request):
        _drop_dialog(answer)
    if "text/html" not in request.headers.get("accept", "") or (answer.status_code == 401 and shows_key):
        return answer
    if answer.status_code == 401 and request.method in SAFE_METHODS:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(prefix.at(f"/signin?next={quote(target, safe='/')}"), 303)
    problem = Problem.model_validate(json.loads(bytes(answer.body)))
    visitor = await run_in_threadpool(known_visitor, request)
    problem_page = page("problem.html", visitor, answer.status_code, problem=problem)
    for name, value in answer.headers.items():
        if name not in ("content-length", "content-type", "www-authenticate"):  # of those, a page has its own
            problem_page.headers[name] = value
    return problem_page


def known_visitor(request: Request) -> Visitor:
    """Who asks, where that is known: the problem that a page tells of may be just that it is not."""
    try:
        return visitor_of(request, authenticate(request, database(request), request.app.state.settings))
    except ThermowellError:
        return Visitor(None)


def _asked_by_a_page(request: Request) -> bool:
    """Whether a page's script asks, as far as the browser says."""
    return SESSION_COOKIE in request.cookies or request.headers.get("sec-fetch-mode", "navigate") != "navigate"


def _drop_dialog(answer: Response) -> None:
    """Without Basic among the challenges the browser does not interrupt its user with a dialog of its own."""
    raw = [(name, value) for name, value in answer.raw_headers if not value.startswith(b"Basic ")]
    answer.raw_headers[:] = raw


def install(app: FastAPI) -> None:
    """Teaches an application to tell browsers of problems in pages; anybody else is told as before."""
    kinds: tuple[Any, ...] = (ThermowellError, RequestValidationError, HTTPException, Exception)
    for kind in kinds:
        app.add_exception_handler(kind, _handle)
