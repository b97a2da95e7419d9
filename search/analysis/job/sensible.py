"""The spec that an analysis computes with: what is stored, brought within the bounds of what comes in today.

What was taken before those bounds is read and answered all the same; the answer says what was brought within them.
"""

from __future__ import annotations

from pydantic import ValidationError

from search.spec import validation_errors
from search.spec.fields import DOOR
from search.spec.job import MOST_CONFIDENCE, JobSpec
from search.spec.markup import LocatedDocument


def clamped(spec: JobSpec) -> JobSpec:
    """The spec with a confidence at which intervals have ends; itself where it has one."""
    confirmation = spec.confirmation
    if confirmation.confidence <= MOST_CONFIDENCE:
        return spec
    return spec.model_copy(
        update={"confirmation": confirmation.model_copy(update={"confidence": MOST_CONFIDENCE})},
    )


def beyond_bounds(spec: JobSpec) -> list[str]:
    """What of a stored spec would be refused today, one sentence for each field."""
    document = spec.model_dump(mode="json", exclude_none=True)
    try:
        JobSpec.model_validate(document, context=DOOR)
    except ValidationError as error:
        problems = validation_errors.explain(error, LocatedDocument(document, {}))
        return [
            f"The spec is older than a bound that new ones have: {problem.path}: {problem.message}."
            for problem in problems
        ]
    return []
