"""Trials as they are sent, and their learning curves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from thermowell.api.configurations import Configuration
from thermowell.api.document import Readable, Record
from thermowell.api.jobs import Advised, Reason
from thermowell.api.states import Arm, Stage, TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial(Readable):
    """One configuration being trained, or trained."""

    number: int
    stage: Annotated[Stage, Field(description="search, baseline, select (finalists) or estimate (fresh seeds)")]
    arm: Arm
    variant: str | None
    round: int
    origin: Annotated[int | None, Field(description="number of the trial whose configuration it repeats")]
    state: TrialState
    configuration: Configuration | None
    advice: Annotated[Advised | None, Field(description="who advised the configuration, where anybody did")]
    seed: int
    attempt: int
    worker_id: str | None
    optuna_number: int | None
    value: Annotated[float | None, Field(description="the objective at the last epoch, never at the best one")]
    epoch: int
    metrics: Annotated[dict[str, float | None] | None, Field(description="of the last epoch, on validation")]
    test_metrics: Annotated[dict[str, float | None] | None, Field(description="read once, after confirmation")]
    reason: Reason | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    train_seconds: float
    imported: Annotated[
        str | None,
        Field(
            description="from where a finished trial was brought, which was not trained for this job: its seed is "
            "unknown, it cost no budget, and it wins through fresh seeds alone"
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class EpochReport(Record):
    """One epoch of a learning curve; all but the training loss on validation; null is what was not measured."""

    epoch: int
    train_loss: float | None
    learning_rate: float | None
    accuracy: float | None
    nll: float | None
    ece: float | None
    teacher_agreement: float | None
    teacher_entropy: float | None
    seconds: float
    metrics: Annotated[
        dict[str, float] | None, Field(description="of a program of your own: all that it measured, whatever its name")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDetail(Trial):
    """A trial with its learning curve."""

    curve: list[EpochReport]
    log_tail: Annotated[
        str | None, Field(description="the end of its log, where a program of your own has sent it")
    ] = None
