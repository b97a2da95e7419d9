"""Advice over HTTP: what the literature and the finished jobs say of a setting, before anything is trained in it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Request
from pydantic import Field, model_validator

from search.analysis.priors.context import Context
from search.requests import advice as advice_requests
from search.requests.advice import Priors
from service.auth import Reader
from service.errors import problems
from service.routes.jobs import database
from service.routes.turns import in_turn
from service.schemas import In
from thermowell.api.advice import Advice
from trainers.registry import optimizers
from trainers.spec import OptimizerName

Count = Annotated[int, Field(ge=1, le=10**12)]
router = APIRouter(prefix="/v1", tags=["spec"])


class AdviceQuery(In):
    """A setting, as far as it is known; what is left out is neither near nor far."""

    data: str | None = Field(
        None, pattern=r"^[^\x00-\x1f\x7f]{1,200}$", description="name of the data set", examples=["CIFAR100"]
    )
    classes: int | None = Field(None, ge=2, le=10**6)
    train_images: Count | None = Field(None, description="images that students are trained on")
    optimizer: list[OptimizerName] = Field(
        [], max_length=len(optimizers.OPTIMIZERS), description="those that are searched"
    )
    epochs: Count | None = None
    batch_size: Count | None = None
    label_smoothing: float | None = Field(None, ge=0, lt=1, description="of the teacher")
    teacher_entropy: float | None = Field(
        None, ge=0, le=20, description="how sharp the teacher is: mean entropy of its softmax at T = 1, in nats"
    )
    student: Literal["dense", "convolutional", "transformer"] | None = None
    student_init: Literal["random", "pretrained"] | None = None
    metric: Literal["accuracy", "nll", "ece"] | None = None
    queue: str | None = Field(
        None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="of a training of your own: its queue, or its command; own history only",
    )  # fmt: skip
    mode: Literal["literature", "history", "both"] = Field("both", description="history: jobs that you may read")
    most_sources: int = Field(20, ge=0, le=200, description="how many sources are told in full")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        entropy, classes = self.teacher_entropy, self.classes
        if entropy is not None and classes is not None and entropy > math.log(classes) + 1e-9:
            most = f"{math.log(classes):.3g} nats, that of {classes:,} classes"
            raise ValueError(f"teacher_entropy is at most {most}; got {entropy:g}")
        return self

    def context(self) -> Context:
        """The setting as the search knows it."""
        fields: dict[str, Any] = self.model_dump(exclude={"optimizer", "mode", "most_sources", "queue"})
        return Context(optimizers=tuple(dict.fromkeys(self.optimizer)), program=self.queue, **fields)


@router.get(
    "/advice",
    operation_id="getAdvice",
    response_model=Advice,
    summary="What is known beforehand",
    responses=problems("request-invalid"),
)
@in_turn
def get_advice(request: Request, principal: Reader, query: Annotated[AdviceQuery, Query()]) -> Advice:
    """A distribution over T and settings for a setting like yours: from the literature, and from finished jobs.

    Each source comes with its distance, feature by feature, and its weight; `gaps` says what they do not cover.
    A job's `warm_start` begins with points of this distribution.
    """
    priors: Priors = request.app.state.priors
    return advice_requests.get_advice(
        database(request), query.context(), principal, priors, query.mode, most_sources=query.most_sources
    )
