"""The warm start part of a spec: first trials from earlier evidence, or as the spec names them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from search.spec.fields import Label, Part, Positive
from search.spec.parameters import MOST_PARAMETERS, ParameterName, Word
from trainers.registry.optimizers import NUMBERS
from trainers.spec import OptimizerName

WarmStartMode = Literal["none", "literature", "history", "both"]


class FirstGuess(Part):
    """A configuration to begin with; what is left out is drawn at random, and parameters have their defaults."""

    temperature: Positive
    kd_weight: Annotated[float, Field(ge=0, le=1e3)] | None = None
    label_weight: Annotated[float, Field(ge=0, le=1e3)] | None = None
    optimizer: OptimizerName | None = None
    learning_rate: Positive | None = None
    weight_decay: Annotated[float, Field(ge=0, le=1)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    parameters: dict[ParameterName, bool | int | float | Word] = Field(
        {}, max_length=MOST_PARAMETERS, description="of space.parameters, by name"
    )
    source: Label = Field("the spec", description="whose guess it is: the trial carries it")

    def of_optimizer(self) -> Iterator[tuple[str, float]]:
        """The settings that belong to an optimizer, as far as they are given."""
        for name in NUMBERS:
            value = getattr(self, name)
            if value is not None:
                yield name, value


class WarmStartSpec(Part):
    """The first trials of the joint search, from the literature's table, from finished jobs, or as named here."""

    mode: WarmStartMode = Field(
        "none",
        description="history: of finished jobs that you may read; of a program's own: its queue's",
    )
    share: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.125, description="of budget.trials at most, and never more than sampler.startup_trials or 8; one is a draw"
    )
    points: tuple[FirstGuess, ...] = Field((), max_length=32, description="tried first, in this order")
