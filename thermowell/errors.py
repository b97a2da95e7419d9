"""Exceptions of the client: refusals by kind, each with its problem as the service said it, and lost services."""

from __future__ import annotations

from typing import Any

Problem = dict[str, Any]


class ThermowellError(Exception):
    """Base of all exceptions of the client.

    `problem` is the RFC 9457 document that the service answered, empty where it answered none; `status` that of HTTP.
    """

    def __init__(self, message: str, problem: Problem | None = None, status: int | None = None) -> None:
        self.problem: Problem = problem or {}
        self.status = status
        super().__init__(message)


class Unreachable(ThermowellError):
    """The service does not answer, or fails: asking again may help."""


class Refused(ThermowellError):
    """The service refused; asking again changes nothing. Kinds that are handled apart are subclasses."""

    def __init__(self, problem: Problem) -> None:
        status = problem.get("status")
        detail = str(problem.get("detail") or problem.get("title") or "refused")
        super().__init__(detail, problem, status if isinstance(status, int) else None)

    @property
    def slug(self) -> str:
        """The stable last part of the problem's type."""
        return slug_of(self.problem)


class AgentError(ThermowellError):
    """An agent cannot do what it is asked: its file, a job's arguments or a script's words are wrong."""


class Unauthenticated(Refused):
    """There is no key, or it is unknown or revoked."""


class Forbidden(Refused):
    """The key may not do this."""


class NotFound(Refused):
    """There is no such job, study, trial or file, or it is another key's."""


class NotReady(Refused):
    """The answer does not exist yet: ask again when the job has gone further."""


class Invalid(Refused):
    """The spec or the request is wrong: `errors` names each field, what is wrong and what is allowed."""

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What is wrong, field by field: path, message and, of a YAML document, the line."""
        return list(self.problem.get("errors") or [])


class IllegalMove(Refused):
    """The job's state does not allow this."""


class QuotaExceeded(Refused):
    """The key has as much at once as it may."""


class TooOften(Refused):
    """The service is asked too often, also after it was waited for as long as it said."""


KINDS: dict[str, type[Refused]] = {
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "not-found": NotFound,
    "not-ready": NotReady,
    "spec-invalid": Invalid,
    "request-invalid": Invalid,
    "cursor-invalid": Invalid,
    "illegal-move": IllegalMove,
    "quota-exceeded": QuotaExceeded,
    "too-often": TooOften,
}
"""By the last part of a problem's type; every other refusal is a plain Refused."""


def slug_of(problem: Problem) -> str:
    """The stable last part of a problem's type."""
    return str(problem.get("type", "")).rpartition("/")[2]


def refusal(problem: Problem) -> Refused:
    """The exception of a problem's kind."""
    return KINDS.get(slug_of(problem), Refused)(problem)
