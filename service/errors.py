"""What goes wrong, as RFC 9457 problems: the one table from exceptions to what a client reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from search.errors import FieldProblem, SpecInvalid, StoreUnavailable, ThermowellError
from service import prefix

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger(__name__)


class Unauthenticated(ThermowellError):
    """No valid API key came with the request."""

    slug = "unauthenticated"


class Forbidden(ThermowellError):
    """The key is valid, but lacks the scope that this needs."""

    slug = "forbidden"


class HostRefused(ThermowellError):
    """An open service answers only to loopback names, so that no web page can reach it by a name of its own."""

    slug = "host-refused"


class CrossOrigin(ThermowellError):
    """Another site's page tried to change something here with the browser's credentials."""

    slug = "cross-origin"


class MediaTypeUnsupported(ThermowellError):
    """The body is of a type that this route does not read."""

    slug = "media-type-unsupported"


class RateLimited(ThermowellError):
    """More requests, wrong keys or event streams than are allowed; `Retry-After` says for how long to wait."""

    slug = "too-often"

    def __init__(self, detail: str, seconds: int = 1) -> None:
        super().__init__(detail)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem: its status, its title and what it means."""

    status: int
    title: str
    meaning: str
    headers: tuple[tuple[str, str], ...] = ()


KINDS: Mapping[str, Kind] = {
    "spec-invalid": Kind(422, "The spec was refused", "`errors` names each field, what is wrong and what is allowed."),
    "request-invalid": Kind(422, "The request was refused", "`errors` names each parameter or field that is wrong."),
    "not-found": Kind(
        404, "Not found", "There is no such thing, or it is another key's: look at the list that should have it."
    ),
    "illegal-move": Kind(409, "Not in this state", "The job's state does not allow this; `detail` says what it does."),
    "not-ready": Kind(409, "Not ready", "The answer does not exist yet; ask again when the job has gone further."),
    "unreadable": Kind(
        409, "Stored, and not readable", "What is stored is not what this version reads; `detail` names it."
    ),
    "idempotency-mismatch": Kind(
        422, "Idempotency-Key was used before", "The same key came with another body; use a new key for a new job."
    ),
    "cursor-invalid": Kind(422, "Unknown cursor", "Only a `next_cursor` of this very list can be given back."),
    "unauthenticated": Kind(
        401,
        "No valid API key",
        "Send `Authorization: Bearer <key>`, or HTTP Basic with the key as password.",
        (
            # Basic by itself and first: browsers do not look for it behind another scheme
            ("WWW-Authenticate", 'Basic realm="thermowell", charset="UTF-8"'),
            ("WWW-Authenticate", 'Bearer realm="thermowell"'),
        ),
    ),
    "forbidden": Kind(403, "Not with this key", "`detail` names the scope that is needed."),
    "quota-exceeded": Kind(
        403, "More than this key's quota", "`detail` says what the quota allows, what there is, and the ways out."
    ),
    "host-refused": Kind(421, "Not under this name", "Without keys the service answers on loopback names alone."),
    "cross-origin": Kind(
        403,
        "Not from another site",
        "A page of another origin may not change anything here: use a page of this service, or a key.",
    ),
    "method-not-allowed": Kind(405, "Method not allowed", "The `Allow` header names those that are."),
    "too-large": Kind(413, "Too large", "The body is larger than the service takes: send less."),
    "media-type-unsupported": Kind(415, "Unsupported media type", "`detail` names the types that are read."),
    "too-often": Kind(429, "Too often", "`Retry-After` says after how many seconds to ask again."),
    "too-busy": Kind(503, "Too busy", "All connections are in use; `Retry-After` says when to ask again."),
    "schema-missing": Kind(503, "Database not prepared", "Run `thermowell migrate`.", (("Retry-After", "30"),)),
    "proposer-missing": Kind(
        503, "No program that proposes", "The service lacks its `analysis` extra; `detail` says how to add it."
    ),
    "lease-lost": Kind(
        409, "Not yours any more", "Another has claimed the trial, or it was cancelled: drop the work and claim again."
    ),
    "trial-ended": Kind(409, "Ended already", "The trial has ended in another way: claim the next one."),
    "report-refused": Kind(422, "What was said is refused", "`detail` names what is wrong and what is allowed."),
    "weights-refused": Kind(422, "Such weights are not taken", "`detail` says what is wrong with the file."),
    "converter-missing": Kind(
        503, "No program that converts", "The service lacks torch; `detail` says what it takes without."
    ),
    "import-refused": Kind(422, "Such rows are not taken", "`detail` says why, and what the job takes."),
    "database-unavailable": Kind(503, "Database unavailable", "Ask again shortly.", (("Retry-After", "5"),)),
    "artifact-corrupt": Kind(
        500, "Artifact damaged", "The file in the store is not the one that was stored: put that one back."
    ),
    "store-unavailable": Kind(503, "Artifact store unavailable", "Ask again shortly.", (("Retry-After", "5"),)),
    "internal": Kind(500, "Internal error", "A fault of the service: see its log, and try again."),
}
_OF_STATUS = {404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "media-type-unsupported"}


class FieldError(BaseModel):
    """One field that was refused."""

    model_config = ConfigDict(from_attributes=True)

    path: str = Field(description="dotted path of the field", examples=["space.temperature.low"])
    message: str = Field(description="what is wrong and what is allowed")
    line: int | None = Field(None, description="line of a YAML document, from 1")


class Problem(BaseModel):
    """An RFC 9457 problem. `type` is stable: decide by it, show `detail` to people."""

    type: str = Field(
        description="/problems/<slug>, after the prefix that a proxy serves this below",
        examples=["/problems/not-found"],
    )
    title: str
    status: int
    detail: str
    instance: str = Field(description="the path that was asked for")
    errors: list[FieldError] | None = None


def problem_response(
    slug: str,
    detail: str,
    instance: str,
    fields: Sequence[FieldProblem] = (),
    headers: Mapping[str, str] | None = None,
    title: str | None = None,
) -> JSONResponse:
    """The response that says so; `title` where the kind's own would not fit."""
    kind = KINDS[slug]
    problem = Problem(
        type=prefix.at(f"/problems/{slug}"),
        title=title or kind.title,
        status=kind.status,
        detail=detail,
        instance=instance,
        errors=[FieldError.model_validate(field) for field in fields] or None,
    )
    document = problem.model_dump(mode="json", exclude_none=True)
    response = JSONResponse(document, kind.status, headers=headers, media_type=MEDIA_TYPE)
    for name, value in kind.headers:
        response.headers.append(name, value)
    return response


def respond(error: Exception, instance: str) -> JSONResponse:
    """The problem that an exception is to a client; nothing of an unknown one leaks."""
    if isinstance(error, StoreUnavailable):
        _log.warning("artifact store cannot be used", path=instance, detail=str(error))
        return problem_response(error.slug, _store_detail(error), instance)
    if isinstance(error, ThermowellError) and error.slug in KINDS:
        fields = error.problems if isinstance(error, SpecInvalid) else ()
        detail = str(error) or (type(error).__doc__ or "").strip()
        headers = {"Retry-After": str(error.seconds)} if isinstance(error, RateLimited) else None
        title = error.title if isinstance(error, SpecInvalid) else None
        return problem_response(error.slug, detail, instance, fields, headers, title)
    if isinstance(error, RequestValidationError):
        fields = tuple(FieldProblem(_dotted_path(problem["loc"]), problem["msg"]) for problem in error.errors())
        detail = "; ".join(f"{field.path}: {field.message}" for field in fields)
        return problem_response("request-invalid", detail, instance, fields)
    if isinstance(error, HTTPException):
        return _http(error, instance)
    return problem_response("internal", "something went wrong here; the service's log has it", instance)


def _store_detail(error: StoreUnavailable) -> str:
    """What is amiss and the way out, without the paths and addresses that the log has."""
    if error.waits_for == StoreUnavailable.waits_for:
        return "the artifact store does not answer; the service's log says why. Nothing was changed: ask again shortly"
    return (
        f"there is no {error.waits_for}: whoever operates the service must free some or enlarge it, and deleting jobs "
        "that have ended frees what they keep. Nothing was changed: ask again then"
    )


def _http(error: HTTPException, instance: str) -> JSONResponse:
    slug = _OF_STATUS.get(error.status_code)
    if slug is not None:
        detail = KINDS[slug].meaning if slug != "not-found" else f"nothing is served at {instance}"
        return problem_response(slug, detail, instance, headers=error.headers)
    if error.status_code < 500:  # what the framework itself refuses to read
        return problem_response("request-invalid", str(error.detail), instance)
    return problem_response("internal", "something went wrong here; the service's log has it", instance)


def _dotted_path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


async def _handle(request: Request, error: Exception) -> JSONResponse:
    return respond(error, request.url.path)


def install(app: FastAPI) -> None:
    """Teaches an application to answer every exception with a problem."""
    for kind in (ThermowellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, _handle)  # what is unknown is raised again afterwards, for the server's log


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can answer with these problems, for OpenAPI."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        kind = KINDS[slug]
        example = Problem(
            type=f"/problems/{slug}", title=kind.title, status=kind.status, detail=kind.meaning, instance="/v1/..."
        )
        content: dict[str, Any] = by_status.setdefault(
            kind.status,
            {
                "description": kind.title,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )["content"][MEDIA_TYPE]
        content["examples"][slug] = {"summary": kind.title, "value": example.model_dump(exclude_none=True)}
    return by_status
