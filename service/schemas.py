"""What the API sends and takes: pydantic models at the edge, made from the records. Times are ISO 8601 in UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self, get_args, get_origin

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from search.records import Job
from search.spec.fields import refuse_truth
from search.states import Arm, JobState, Stage, TrialState
from search.storage.stored import note_unreadable
from service import prefix
from trainers.registry import losses, optimizers
from trainers.spec import OptimizerName

JobId = Annotated[str, Path(description="a job's id", examples=["9f2c4e0b7a1d4c3e"])]
TrialNumber = Annotated[int, Path(ge=0, lt=2**31, description="a trial's number within its job")]
Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9A-Za-z_=.:+-]{1,500}$", description="`next_cursor` of the page before")
]


class Out(BaseModel):
    """Base of all that is sent."""

    model_config = ConfigDict(from_attributes=True)


class Readable(Out):
    """Base of what is made of stored rows: one that cannot be read whole is sent without what cannot be read."""

    unreadable: str | None = Field(None, description="what of it is stored and cannot be read, and is left out here")

    @classmethod
    def of(cls, record: Any) -> Self:
        """What is sent of a record; never an error for what happens to be stored in it."""
        try:
            return cls.model_validate(record)
        except ValidationError as error:
            record_name = (
                f"{cls.__name__.removesuffix('Out').lower()} {getattr(record, 'id', getattr(record, 'number', ''))}"
            )
            note_unreadable(record_name, error)
            fields_lost = sorted({str(detail["loc"][0]) for detail in error.errors()})
        values: dict[str, Any] = {name: getattr(record, name, None) for name in cls.model_fields}
        values |= {name: _blank(cls.model_fields[name].annotation) for name in fields_lost}
        sentences = [values["unreadable"]] if values["unreadable"] else []
        values["unreadable"] = "; ".join([*sentences, f"{', '.join(fields_lost)} cannot be read"])
        return cls.model_validate(values)


def _blank(annotation: Any) -> Any:
    """What stands for a value that cannot be read."""
    if type(None) in get_args(annotation):
        return None
    return [] if get_origin(annotation) is list else {}


class In(BaseModel):
    """Base of all that is taken: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """True is no number."""
        if info.field_name is not None:
            refuse_truth(cls, info.field_name, value)
        return value


class ReasonOut(Out):
    """Why something ended as it did."""

    type: str = Field(description="a stable slug", examples=["dataset-missing"])
    detail: str


class ProgressOut(Out):
    """How far a job is."""

    search_done: int = Field(description="search trials that have ended")
    search_budget: int
    trials_done: int = Field(description="trials of all stages that have ended")
    trials_running: int
    trials_planned: int = Field(description="trials that are certain to be trained, as known now")
    epochs_done: int
    epochs_per_second: float | None
    seconds_left: float | None = Field(description="an estimate")
    best_value: float | None = Field(description="best objective among completed search trials, at their last epoch")
    best_trial: int | None
    waits_for: str | None = Field(
        description="which worker it waits for, where none that is alive may train it; or what these wait for, such as "
        "room on the artifact store"
    )
    plan: str | None = Field(
        None,
        description="what it will train, until its search has ended",
        examples=["64 search + 12 of baselines + about 23 to confirm"],
    )


class LinksOut(BaseModel):
    """Where to go from a job."""

    self: str
    trials: str
    events: str
    result: str
    response: str
    importances: str
    artifacts: str
    report: str

    @classmethod
    def of(cls, job_id: str) -> Self:
        base = prefix.at(f"/v1/jobs/{job_id}")
        parts = ("trials", "events", "result", "response", "importances", "artifacts", "report")
        return cls(self=base, **{part: f"{base}/{part}" for part in parts})


class JobOut(Readable):
    """One submitted search."""

    id: str
    name: str
    labels: dict[str, str]
    owner: str = Field(description="id of the key that submitted it; `local` where the service is open")
    state: JobState
    problem: ReasonOut | None = Field(description="why it failed, or was paused by what happened to its workers")
    resumable: bool = Field(description="`resume` lets it go on: it is paused, or failed for what its machines did")
    budget_trials: int
    budget_epochs: int | None
    budget_seconds: float | None
    search_stopped: bool = Field(description="`stop` was asked for: no new search trials")
    priority: int = Field(description="its share of the workers' lanes, beside the others' priorities")
    parallel: int | None = Field(description="trials under way at once, at most")
    request_id: str | None = Field(description="what the request was called that submitted it: logs name it too")
    traceparent: str | None = Field(description="its trace, where tracing is on: the second field is the trace's id")
    progress: ProgressOut
    study: str | None = Field(description="the study whose cell it is, where it is one's")
    study_name: str = Field(description="its joint study in the dashboard")
    test_opened_at: datetime | None = Field(description="when the test part was first read")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    links: LinksOut

    @classmethod
    def of(cls, record: Job) -> Self:
        return super().of(_Linked(record))


class _Linked:
    """A job's record with its links, for reading by attribute."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self.links = LinksOut.of(job.id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobOut]
    next_cursor: str | None


class AdvisedOut(BaseModel):
    """Who advised a trial's configuration."""

    origin: Literal["literature", "history", "given", "space"] = Field(
        description="given: a guess of the spec; space: a random draw, so that advice never speaks alone"
    )
    source: str
    distance: float | None = Field(description="of the source's setting from this job's")


def _describe_settings() -> str:
    """Which settings count for which optimizers."""
    groups = optimizers.by_owners([name for name in optimizers.SETTINGS if name not in optimizers.COMMON])
    words = [f"{names} count{'' if ' and ' in names else 's'} for {owners} alone" for names, owners in groups]
    return f"torch.optim's settings; {', '.join(words)}."


class OptimizerOut(BaseModel):
    """An optimizer's settings under torch.optim's names."""

    model_config = ConfigDict(json_schema_extra={"description": _describe_settings()})

    name: OptimizerName
    learning_rate: float
    weight_decay: float
    momentum: float = 0.0
    nesterov: bool = False


class ConfigurationOut(BaseModel):
    """One point of the search space."""

    temperature: float
    student_temperature: float | None = Field(None, description="where it differs")
    final_temperature: float | None = Field(None, description="to which a scheduled T goes from `temperature`")
    method: str | None = Field(None, description=f"{losses.PLAIN}: a baseline's, where the job's method is another")
    kd_weight: float
    label_weight: float
    optimizer: OptimizerOut | None = Field(description="null: the training has one of its own")
    parameters: dict[str, bool | int | float | str] = Field(
        default_factory=dict, description="further settings of the training, by name"
    )


class FirstTrialOut(AdvisedOut):
    """A configuration that the search begins with."""

    configuration: ConfigurationOut


class JobAdviceOut(BaseModel):
    """What a job's search begins with, decided when it was submitted."""

    mode: Literal["none", "literature", "history", "both"]
    points: list[FirstTrialOut]


class Trouble(Out):
    """What could not be done for a job beside its training; it goes on by itself."""

    detail: str = Field(description="the error that it ended with")
    attempts: int
    at: datetime = Field(description="when it was last tried")
    again_at: datetime | None = Field(description="when it is tried again; null: not before the job changes")


class JobDetailOut(JobOut):
    """One submitted search, with all that was asked for."""

    spec: dict[str, Any] = Field(description="the spec with every default filled in")
    advice: JobAdviceOut | None = Field(description="its first trials and who advised them, where anybody did")
    fixed: dict[str, Any] | None = Field(description="views, precision and device, fixed at the first claim")
    teacher: dict[str, Any] | None = Field(description="the teacher's quality, once known")
    undrawn: Trouble | None = Field(description="why its plots and report are not drawn as it stands")
    untracked: Trouble | None = Field(description="why MLflow does not know it as it stands, where it should")


class TrialOut(Readable):
    """One configuration being trained, or trained."""

    number: int
    stage: Stage = Field(description="search, baseline, select (finalists) or estimate (fresh seeds)")
    arm: Arm
    variant: str | None
    round: int
    origin: int | None = Field(description="number of the trial whose configuration it repeats")
    state: TrialState
    configuration: ConfigurationOut | None
    advice: AdvisedOut | None = Field(description="who advised the configuration, where anybody did")
    seed: int
    attempt: int
    worker_id: str | None
    optuna_number: int | None
    value: float | None = Field(description="the objective at the last epoch, never at the best one")
    epoch: int
    metrics: dict[str, float | None] | None = Field(description="of the last epoch, on validation")
    test_metrics: dict[str, float | None] | None = Field(description="read once, after confirmation")
    reason: ReasonOut | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    train_seconds: float


class TrialPage(BaseModel):
    """Trials in the order that was asked for."""

    items: list[TrialOut]
    next_cursor: str | None


class ReportOut(Out):
    """One epoch of a learning curve; all but the training loss on validation."""

    epoch: int
    train_loss: float | None
    learning_rate: float
    accuracy: float
    nll: float | None
    ece: float | None
    teacher_agreement: float
    teacher_entropy: float
    seconds: float


class TrialDetailOut(TrialOut):
    """A trial with its learning curve."""

    curve: list[ReportOut]


class EventOut(Readable):
    """Something that happened to a job; numbers rise by one, without gaps."""

    number: int
    kind: str
    at: datetime
    payload: dict[str, Any]


class ArtifactOut(Out):
    """A file that a job left."""

    name: str
    media_type: str
    sha256: str
    size: int = Field(description="bytes")
    trial: int | None
    created_at: datetime


class ArtifactList(BaseModel):
    """All files that a job left."""

    items: list[ArtifactOut]


class ShareRequest(In):
    """A job's new share of the workers; what is left out stays as it is."""

    priority: int | None = Field(None, ge=1, le=100, description="20 gets twice the lanes that 10 gets")
    parallel: int | None = Field(None, ge=1, le=100_000, description="trials under way at once, at most; null: no cap")

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set or ("priority" in self.model_fields_set and self.priority is None):
            raise ValueError("name a priority, or parallel (null for no cap), or both")
        return self

    def changes(self) -> dict[str, int | None]:
        """What was named."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set)}


class ExtendRequest(In):
    """New totals of the budget; each above the old one."""

    trials: int | None = Field(None, ge=1, le=100_000)
    epochs: int | None = Field(None, ge=1, le=10**12)
    seconds: float | None = Field(None, gt=0, le=1e9)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.trials is None and self.epochs is None and self.seconds is None:
            raise ValueError("name at least one of trials, epochs, seconds")
        return self
