"""Problems as RFC 9457 has them, of the kind that a test expects."""

from __future__ import annotations

from typing import Any

import httpx

from service.errors import KINDS


def refused(answer: httpx.Response, status: int, slug: str, title: str | None = None) -> dict[str, Any]:
    """The problem document, once all that every problem must have was checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"] == (title or KINDS[slug].title)
    assert problem["detail"]
    assert problem["instance"].startswith("/")
    return problem
