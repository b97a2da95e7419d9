"""Documents that the API sends, made of the records, and models of what it takes. Times are ISO 8601 in UTC."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from search.records import Quota, Scope
from search.spec.fields import refuse_truth
from search.storage.stored import note_unreadable
from service import prefix
from service.errors import FieldError
from thermowell.api.document import read_document
from thermowell.api.jobs import Artifact, Job, JobDetail, Preflight
from thermowell.api.keys import Key
from thermowell.api.studies import Study
from thermowell.api.trials import Trial
from thermowell.api.workers import Worker

Kind = TypeVar("Kind")
JobId = Annotated[str, Path(description="a job's id", examples=["9f2c4e0b7a1d4c3e"])]
StudyId = Annotated[str, Path(description="a study's id", examples=["4e1d0c9b8a7f6e5d"])]
TrialNumber = Annotated[int, Path(ge=0, lt=2**31, description="a trial's number within its job")]
Cursor = Annotated[
    str | None, Query(pattern=r"^[0-9A-Za-z_=.:+-]{1,500}$", description="`next_cursor` of the page before")
]


def sent(kind: type[Kind], record: Any, **more: Any) -> Kind:
    """The document that is sent of a record, with these fields besides.

    Never an error for what happens to be stored in it: a document that can say so (`unreadable`) is sent without what
    cannot be read.
    """
    fields = cast(Any, kind).__dataclass_fields__
    values: dict[str, Any] = {name: getattr(record, name, None) for name in fields} | more
    try:
        return read_document(kind, values)
    except ValidationError as error:
        if "unreadable" not in fields:
            raise
        note_unreadable(f"{kind.__name__.lower()} {values.get('id', values.get('number', ''))}", error)
        lost = sorted({str(detail["loc"][0]) for detail in error.errors()})
    annotations = get_type_hints(kind)
    sentences = [values["unreadable"]] if values["unreadable"] else []
    blanks = {name: _blank(annotations[name]) for name in lost}
    return read_document(
        kind, values | blanks | {"unreadable": "; ".join([*sentences, f"{', '.join(lost)} cannot be read"])}
    )


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


@dataclass(frozen=True, kw_only=True)
class JobOut(Job):
    """One submitted search."""

    links: LinksOut

    @classmethod
    def of(cls, record: Job) -> Self:
        """What is sent of a job, with where to go from it."""
        return sent(cls, record, links=LinksOut.of(record.id))


@dataclass(frozen=True, kw_only=True)
class JobDetailOut(JobDetail, JobOut):
    """One submitted search, with all that was asked for."""


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobOut]
    next_cursor: str | None


class StudyPage(BaseModel):
    """Studies, newest first."""

    items: list[Study]
    next_cursor: str | None


class TrialPage(BaseModel):
    """Trials in the order that was asked for."""

    items: list[Trial]
    next_cursor: str | None


class ArtifactList(BaseModel):
    """All files that a job left."""

    items: list[Artifact]


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


class WorkerList(BaseModel):
    """All workers that were ever seen here, alive ones first."""

    items: list[Worker]


class SpecVerdict(BaseModel):
    """What a spec would become, or why it is refused."""

    valid: bool
    spec: dict[str, Any] | None = Field(description="with every default filled in")
    errors: list[FieldError]
    preflight: Preflight | None = Field(None, description="of a valid one: what its job would lack, how long it takes")


class ProblemKind(BaseModel):
    """What a kind of problem means."""

    type: str
    title: str
    status: int
    meaning: str


class Status(BaseModel):
    """How the service is."""

    status: Literal["ok", "ready"]


class KeyList(BaseModel):
    """All keys, revoked ones too."""

    items: list[Key]


class QuotaRequest(In):
    """How much a key may have at once; what is left out, or null, has no limit."""

    jobs: int | None = Field(None, ge=1, lt=2**31, description="jobs that have not ended")
    trials: int | None = Field(None, ge=1, lt=2**31, description="search trials in the budgets of these jobs")
    parallel: int | None = Field(None, ge=1, lt=2**31, description="trials under way")

    def quota(self) -> Quota:
        """The quota as the search knows it."""
        return Quota(jobs=self.jobs, trials=self.trials, parallel=self.parallel)


class KeyRequest(In):
    """A key to be made."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")
    trains_for: str | None = Field(
        None,
        pattern=r"^([0-9a-f]{1,16}|local)$",
        description="the id of the key whose trials this one may train; its scopes are train alone then",
    )
    scopes: list[Scope] = Field(
        min_length=1, max_length=5, description="submit and dashboard include read, submit includes train"
    )
    quota: QuotaRequest = Field(
        QuotaRequest(), description="what is left out here is as the operator has decided for new keys; null: no limit"
    )

    @model_validator(mode="after")
    def _trains_alone(self) -> Self:
        if self.trains_for is not None and self.scopes != ["train"]:
            raise ValueError("a key that trains for another owner has the scope train alone")
        return self

    def quota_over(self, usual: Quota) -> Quota:
        """The key's quota: what was named, and what is usual for the rest."""
        return replace(usual, **{name: getattr(self.quota, name) for name in sorted(self.quota.model_fields_set)})
