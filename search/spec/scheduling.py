"""The fleet part of a spec: priority, trials at once, and the workers that a job asks for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import Field, StringConstraints, field_validator

from search.spec.fields import Part

WorkerLabel = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,49}$")]
PRIORITY = 10
MOST_PRIORITY = 100
MOST_PARALLEL = 100_000


class FleetSpec(Part):
    """A job's share of the workers, and what those must have that train it.

    A free lane goes to the job with the fewest trials under way for its priority; of those that are equal, as those
    are which have none, to the one for which priority times the time since its last claim is greatest.
    """

    priority: int = Field(PRIORITY, ge=1, le=MOST_PRIORITY, description="20 gets twice the lanes that 10 gets")
    parallel: int | None = Field(None, ge=1, le=MOST_PARALLEL, description="trials under way at once, at most")
    labels: tuple[WorkerLabel, ...] = Field((), max_length=16, description="a worker must have all of them, e.g. gpu")
    memory_gb: float | None = Field(None, gt=0, le=1e6, description="of the device that trains: a worker's, at least")

    @field_validator("labels")
    @classmethod
    def _distinct(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(labels))

    def lacking(self, labels: Collection[str], memory_gb: float | None) -> list[str]:
        """What a worker with these labels and so much memory lacks for such a job; nothing where it may train it."""
        missing: list[str] = [label for label in self.labels if label not in labels]
        if self.memory_gb is not None and (memory_gb is None or memory_gb < self.memory_gb):
            missing.append(f"{self.memory_gb:g} GB of memory")
        return missing
