"""The trainer part of a spec: who trains a job's trials, where that is not this project's own workers.

Without it, workers train catalogue models on built-in data. With it, any program does that claims trials over HTTP:
an `external` one that asks for its queue's, or an agent that runs a `command` which its operator allows.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from search.spec.fields import Label, Name, Part, Sensible

QueueName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
TrainerKind = Literal["external", "command"]
STALL_SECONDS = 3600.0
_Argument = bool | int | float | Label


class ExternalTrainer(Part):
    """Trials are claimed over HTTP by any program that trains for this queue."""

    queue: QueueName | None = Field(None, description="which programs train it: those that ask for this queue's trials")
    about: str = Field("", max_length=2000, description="what is trained on what, in your own words")
    stall_seconds: Annotated[float, Sensible(1.0, 1e7)] = Field(
        STALL_SECONDS, gt=0, description="a trial that reports no epoch for so long is given to another, though renewed"
    )


class TrainerSpec(Part):
    """Who trains the trials: give `external`, or `command` with its `arguments`; left out, the service's own workers.

    A command is a name in an agent's own file, where its operator says what it runs; a spec never holds code.
    """

    external: ExternalTrainer | None = None
    command: QueueName | None = Field(None, description="a command that an agent offers")
    arguments: dict[Name, _Argument] = Field(
        default_factory=dict, max_length=64, description="of the command, as its operator allows them"
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.external is None) == (self.command is None):
            raise ValueError("give external or command, one of the two")
        if self.external is not None and self.arguments:
            raise ValueError("arguments belong to a command: an external trainer reads its own")
        return self

    @property
    def kind(self) -> TrainerKind:
        """Which of the two trains."""
        return "external" if self.external is not None else "command"

    @property
    def queue(self) -> str | None:
        """By which name programs ask for the trials: the queue's, or the command's."""
        return self.external.queue if self.external is not None else self.command

    @property
    def stall(self) -> float:
        """Seconds without a report after which a trial is given to another."""
        return self.external.stall_seconds if self.external is not None else STALL_SECONDS
