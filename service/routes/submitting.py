"""What submitting jobs and studies has in common: documents as JSON or YAML, and requests that may be sent twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Header, Request, Response

from search.claims import workers
from search.storage.db import Database
from service import prefix
from service.errors import MediaTypeUnsupported, problems
from trainers.registry import plugins

Media = Literal["json", "yaml"]
Parsed = TypeVar("Parsed")

MEDIA_TYPES: dict[str, Media] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
}
REFUSALS = {
    **problems("media-type-unsupported", "too-large", "spec-invalid", "idempotency-mismatch", "request-invalid"),
    **problems("quota-exceeded"),
}
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=r"^[\x21-\x7e]{1,255}$",
        description="makes sending twice safe: the second request answers with what the first one made. It is kept as "
        "long as that: once a job is deleted, the same request makes a new one",
    ),
]


def schema_of(document: str) -> dict[str, str]:
    """A document's schema, for OpenAPI."""
    return {"$ref": f"#/components/schemas/{document}"}


def body_of(document: str, description: str) -> dict[str, Any]:
    """A request's body for OpenAPI: this document in either notation."""
    content = {media: {"schema": schema_of(document)} for media in ("application/json", "application/yaml")}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def location_of(description: str) -> dict[str, Any]:
    """The header that says where what was made is, for OpenAPI."""
    return {"Location": {"description": description, "schema": {"type": "string"}}}


def media_of(request: Request) -> Media:
    """How a document in the body is written. Raises MediaTypeUnsupported."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise MediaTypeUnsupported(
            f"a spec comes as one of {', '.join(MEDIA_TYPES)}; got {media_type or 'no content type'}"
        )
    return MEDIA_TYPES[media_type]


def beside_plugins(database: Database, parse: Callable[[bytes, Media], Parsed], body: bytes, media: Media) -> Parsed:
    """What a parser makes of a document, which may name the plugins of living workers."""
    with plugins.publishing(workers.published_plugins(database)):
        return parse(body, media)


def replay_of(key: str | None, body: bytes) -> tuple[str, str] | None:
    """By what a second sending is known: its key, and the digest of its body."""
    return (key, hashlib.sha256(body).hexdigest()) if key else None


def say_where(response: Response, location: str, created: bool) -> None:
    """Names what was made, or was made before by the same request."""
    response.headers["Location"] = prefix.at(location)
    if not created:
        response.status_code = 200
        response.headers["Idempotency-Replayed"] = "true"
