"""What the API takes and sends of trials that programs of others train: claims, leases, reports and ends."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from fastapi import Header
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from search.states import TrialState
from service.schemas import In
from thermowell.agent.commands import Argument
from thermowell.api.workers import Offer

MetricName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._/@-]{0,99}$")]
Token = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
LeaseToken = Annotated[
    str, Header(alias="Lease-Token", pattern=r"^[0-9a-f]{32}$", description="the claim's `token`, beside the key")
]
_NOT_FINITE = (
    "{name} is {value}, which nothing can be compared with: where the training has diverged, end the trial by fail "
    "with type diverged"
)


def _finite(metrics: dict[str, float]) -> dict[str, float]:
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ValueError(_NOT_FINITE.format(name=name, value=value))
    return metrics


# Numbers that are not finite are refused by name, with the way out.
Measured = Annotated[
    dict[MetricName, Annotated[float, Field(allow_inf_nan=True)]], Field(max_length=200), AfterValidator(_finite)
]


LogTail = Annotated[
    str, Field(max_length=100_000, description="the end of its log; the last 20,000 characters are kept")
]


class ClaimRequest(In):
    """Which trials to train, and how."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"queue": "bert-kd", "client": "n7-0", "wait_seconds": 20}]}
    )

    job: str | None = Field(None, max_length=32, description="this job's trials; or give queue, or study")
    queue: str | None = Field(None, max_length=100, description="trials of every job of this queue (trainer.external)")
    study: str | None = Field(None, max_length=32, description="trials of every job of this study")
    command: str | None = Field(
        None, max_length=100, description="for agents: trials of every job that names this command (trainer.command)"
    )
    owners: list[Annotated[str, Field(max_length=100)]] | None = Field(
        None, max_length=100, description="with command: whose jobs alone, by ids or names of keys"
    )
    code: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$",
        description="with command: the fingerprint of its code. A job's first claim fixes it for all of its trials",
    )  # fmt: skip
    client: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$",
        description="your own name, one for each process: who uses another's takes its trials up",
    )
    most: int = Field(1, ge=1, le=16, description="trials at once, at most")
    wait_seconds: float = Field(0.0, ge=0, le=30, description="how long to wait for one where there is none yet")
    lease_seconds: float = Field(
        120.0, ge=5, le=86_400, description="a trial is given to another after so long without a word from you"
    )
    take_up: bool = Field(
        False, description="first the trials that this client holds already, each with a new token: after a restart"
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(name is not None for name in (self.job, self.queue, self.study, self.command)) != 1:
            raise ValueError("give one of job, queue, study and command")
        if self.command is None and (self.owners is not None or self.code is not None):
            raise ValueError("owners and code belong to a command")
        return self


class ResumeOut(BaseModel):
    """From where an earlier attempt was left."""

    epoch: int = Field(description="so many epochs are behind it: go on with the next one")
    at: str = Field(description="what was said there: where your program finds the rest")


class ClaimOut(BaseModel):
    """A trial that is yours to train, as long as you renew its token."""

    job: str
    trial: int
    attempt: int
    token: str = Field(description="send it as Lease-Token with everything that you say of the trial")
    stage: Literal["search", "baseline", "select", "estimate"]
    arm: Literal["joint", "label_only", "t1", "t4"]
    seed: int = Field(description="of initial weights, order of the data and dropout")
    configuration: dict[str, Any] = Field(description="temperature, weights, optimizer and parameters to train with")
    objective: str = Field(description="the metric that is optimized: report it under this name")
    direction: Literal["maximize", "minimize"]
    epochs: int = Field(description="the most epochs that it is trained")
    rungs: list[int] = Field(description="epochs after which it may be stopped: the objective is needed there")
    resume: ResumeOut | None
    test: bool = Field(description="whether to evaluate the test part too, at the end; never where this is false")
    renew_every: float = Field(description="seconds")
    command: str | None = Field(description="the command that an agent runs, where the job names one")
    arguments: dict[str, Any]


class ClaimsOut(BaseModel):
    """Trials to train; or why there are none."""

    claims: list[ClaimOut]
    done: bool = Field(description="there will be none any more: every job that was asked for has ended")
    retry_after: float | None = Field(description="seconds after which to ask again; null where done")
    why: str | None = Field(description="why there are none")


class OfferIn(In):
    """A command that an agent runs, and what jobs may ask of it."""

    arguments: dict[Annotated[str, Field(max_length=64)], Argument] = Field(default_factory=dict, max_length=64)
    gpus: float = Field(0.0, ge=0, le=1024, description="of each trial")
    code: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="the fingerprint of its code")
    owners: list[Annotated[str, Field(max_length=100)]] | None = Field(
        None, max_length=100, description="whose jobs alone, by ids or names of keys"
    )


class AgentRequest(In):
    """What an agent offers, with each heartbeat."""

    host: str = Field("", max_length=255, pattern=r"^[^\x00]*$")
    slots: int = Field(1, ge=1, le=10_000, description="trials at once")
    commands: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")], OfferIn] = Field(max_length=100)


class OfferList(BaseModel):
    """What living agents offer to one's jobs."""

    items: list[Offer]


class RenewRequest(In):
    """The tokens of all that you train."""

    tokens: list[Token] = Field(min_length=1, max_length=1000)


class RenewOut(BaseModel):
    """How each token stands."""

    leases: dict[str, Literal["current", "ended", "lost"]] = Field(
        description="ended: the trial is over, for instance stopped by the pruner. lost: it was given to another, or "
        "cancelled. In both cases stop training it"
    )


class ReportIn(In):
    """What an epoch came to."""

    epoch: int = Field(ge=1, le=10_000, description="counted from 1")
    metrics: Measured = Field(default_factory=dict, description="by name, on validation")
    seconds: float = Field(0.0, ge=0, le=1e9)


class ResumeIn(In):
    """From where a later attempt may go on."""

    epoch: int = Field(ge=1, le=10_000, description="one that was reported")
    at: str = Field(max_length=500, pattern=r"^[^\x00]*$", description="for your program: a path, an address, a name")


class ReportRequest(In):
    """Epochs since the last time; saying one twice changes nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "reports": [{"epoch": 4, "metrics": {"accuracy": 0.81}, "seconds": 92}],
                    "resume": {"epoch": 4, "at": "s3://bucket/17"},
                }
            ]
        }
    )

    reports: list[ReportIn] = Field(min_length=1, max_length=1000)
    resume: ResumeIn | None = None


class ReportAnswer(BaseModel):
    """Whether to go on."""

    stop: TrialState | None = Field(
        description="null: go on. pruned: it has ended already, and nothing is left to tell"
    )


class CompleteRequest(In):
    """A trial's result."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"epoch": 6, "metrics": {"accuracy": 0.83}}]})

    epoch: int = Field(ge=1, le=10_000, description="the last one")
    metrics: Measured = Field(description="by name, on validation; the objective among them")
    test: Measured | None = Field(
        None, description="by name, on the test part, where the claim says test; sealed until the job is closed"
    )
    seconds: float = Field(0.0, ge=0, le=1e9, description="of the last epoch, where it was not reported")
    log_tail: LogTail = ""


class FailRequest(In):
    """Why a trial has no result."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "diverged", "detail": "the loss was nan at epoch 3"}]}
    )

    type: Literal["diverged", "infeasible", "crashed"] = Field(
        description="diverged, infeasible: the configuration is to blame, which the sampler learns from. crashed: the "
        "program is; after three in a row the job is paused"
    )
    detail: str = Field("", max_length=2000)
    log_tail: LogTail = ""

    @field_validator("detail")
    @classmethod
    def _printable(cls, text: str) -> str:
        return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


class EndOut(BaseModel):
    """How the trial stands now."""

    state: TrialState


class FileOut(BaseModel):
    """A file of a trial, as it is kept."""

    name: str = Field(description="among the job's artifacts")
    sha256: str
    size: int
