"""What a user may ask for: the job spec, validated field by field, versioned, as JSON or YAML."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from search.spec.classes import classes_known
from search.spec.distillation import DistillationSpec, check_distillation, check_labels, with_temperature
from search.spec.fields import LEAST, Label, Name, Seed, Sensible, at_door
from search.spec.fields import Choices as Choices
from search.spec.fields import Part as Part
from search.spec.fields import Range as Range
from search.spec.fields import Ranged as Ranged
from search.spec.fields import Searched as Searched
from search.spec.grid import GridSpec
from search.spec.objective import OF_SEVERAL, ObjectiveSpec, check_measured
from search.spec.parameters import check_built_in, check_values
from search.spec.scheduling import FleetSpec
from search.spec.space import COLDEST as COLDEST
from search.spec.space import SpaceSpec as SpaceSpec
from search.spec.teacher import StudentSpec, TeacherSpec, check_origins
from search.spec.trainer import TrainerSpec
from search.spec.training import DatasetSpec, TrainingSpec
from search.spec.warm_start import FirstGuess, WarmStartSpec
from trainers import plugin_codes
from trainers import spec as trained
from trainers.registry import augmentations
from trainers.registry.plugins import is_plugin

MOST_CONFIDENCE = 0.999
"""Beyond it, intervals from a few seeds are as wide as anything: at 1 they have no ends."""
LEAST_TRAININGS = 4
"""One to search or of the winner, one of each baseline, at the least."""
SEARCH_SHARE = 0.75
"""Of a job's trainings, what its joint search gets; of few LEAST_SHARE, so that each contestant has a fresh seed."""
LEAST_SHARE = 0.6
QUICK = {"finalists": 2, "select_seeds": 1, "estimate_seeds": 3}
"""Of a quick confirmation."""
VIEWS = 16  # enough not to be shown worse than fresh augmentation: see benchmarks/engines/README.md


def _or_level(schema: dict[str, Any]) -> None:
    reference = schema.pop("$ref", None)
    levels = {"enum": ["none", "quick", "full"]}
    schema["anyOf"] = [*([{"$ref": reference}] if reference else schema.pop("allOf", [])), levels]


class SamplerSpec(Part):
    """Which sampler proposes, gp of ours or another of Optuna's; startup trials are random, gp's spread evenly."""

    name: Literal["gp", "tpe", "cmaes", "qmc", "random"] = "gp"
    startup_trials: int = Field(10, ge=1, le=10_000)


class PrunerSpec(Part):
    """Which trials are stopped early, at rungs: epochs min_epochs, min_epochs * reduction_factor, ...

    auto has rungs and numbers of its own: after 30, 50 and 70 % of training.
    """

    name: Literal["none", "auto", "median", "successive_halving", "hyperband", "stratified", "curve"] = "none"
    min_epochs: Annotated[int, Sensible(high=10_000)] = Field(4, ge=1)
    reduction_factor: int = Field(3, ge=2, le=10)
    startup_trials: int = Field(5, ge=0, le=10_000, description="median and curve: trials that must have ended before")
    chance: Annotated[float, Sensible(1e-6)] = Field(
        0.05, gt=0, lt=0.5, description="curve: stop below this chance to end among as many as there are finalists"
    )


class BudgetSpec(Part):
    """When the joint search ends: at the first of these to be reached. Never overshot by trials or epochs."""

    trials: int = Field(64, ge=1, le=100_000)
    trainings: int | None = Field(
        None,
        ge=LEAST_TRAININGS,
        le=100_000,
        description="of everything together; of 16 or more three quarters search, unless trials is given",
    )
    epochs: int | None = Field(None, ge=1, le=10**12, description="summed over the trials of the search")
    seconds: Annotated[float, Sensible(high=1e9)] | None = Field(
        None, gt=0, description="wall-clock since the first trial, pauses left out"
    )

    hours: Annotated[float, Sensible(high=1e5)] | None = Field(
        None, gt=0, description="the same as 3600 times as many seconds: then the search ends and is confirmed"
    )

    @model_validator(mode="before")
    @classmethod
    def _split(cls, document: Any) -> Any:
        """What the search gets of a number of trainings for everything, and seconds of hours."""
        if isinstance(document, dict) and isinstance(hours := document.get("hours"), int | float):
            document = {"seconds": 3600.0 * hours, **document}
        if isinstance(document, dict) and isinstance(total := document.get("trainings"), int) and total > 0:
            least, most = round(LEAST_SHARE * total), round(SEARCH_SHARE * total)
            return {"trials": max(1, least, min(most, total - LEAST_TRAININGS)), **document}
        return document

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.trainings is not None and self.trials >= self.trainings:
            raise ValueError("trials must be fewer than trainings: some of them confirm what the search finds")
        if self.hours is not None and self.seconds is not None and not math.isclose(self.seconds, 3600 * self.hours):
            raise ValueError("seconds and hours name one deadline: leave one of them out")
        return self


class BaselineSpec(Part):
    """label-only, T=1 and T=4, each searched with this share of the search's trials on top of them."""

    share: float = Field(0.0625, ge=0, le=1)
    by: Literal["surface", "arm"] = Field(
        "surface",
        description="surface: one surface over all trials proposes them, and the finalists of all arms run in one "
        "race; arm: each is searched and raced by itself",
    )
    default_temperature: Annotated[float, Sensible(COLDEST)] | None = Field(
        None,
        gt=0,
        le=1e4,
        description="what the verdict keeps where T makes no difference that matters; 4 unless given",
    )


class ConfirmationSpec(Part):
    """Fresh seeds: the finalists of every arm on up to select_seeds, then the winners on estimate_seeds."""

    level: Literal["none", "quick", "full"] | None = Field(
        None,
        description="none trains the winner once more and nothing else; quick takes fewer seeds; full unless given",
    )
    finalists: int = Field(3, ge=1, le=50, description="of each arm, at most: those that may be truly best")
    select_seeds: int = Field(
        3, ge=1, le=100, description="at most; a finalist drops out once it is shown to be worse than another"
    )
    estimate_seeds: int = Field(5, ge=2, le=1000)
    confidence: Annotated[float, Sensible(high=MOST_CONFIDENCE)] = Field(0.9, gt=0.5, lt=1)
    delta: Annotated[float, Sensible(LEAST)] = Field(
        0.002, gt=0, description="differences of the objective below this do not matter; needed of a metric of your own"
    )

    @model_validator(mode="before")
    @classmethod
    def _by_level(cls, document: Any) -> Any:
        """A level in place of all fields, and the numbers that it stands for where they are not given."""
        if isinstance(document, str):
            document = {"level": document}
        if isinstance(document, dict) and document.get("level") in ("none", "quick"):
            return {**QUICK, **document}
        return document


@dataclass(frozen=True, slots=True)
class BuiltInParts:
    """The data and models of a job that the service's own workers train."""

    dataset: DatasetSpec
    teacher: TeacherSpec
    student: StudentSpec


class JobSpec(Part):
    """A distillation job: which student, which teacher, which data, what to search and how much to spend."""

    schema_version: Literal[1] = 1
    name: Name
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=32)
    trainer: TrainerSpec | None = Field(
        None,
        exclude_if=lambda trainer: trainer is None,
        description="who trains the trials, where that is not the service's own workers",
    )
    dataset: DatasetSpec | None = Field(None, validate_default=True, description="needed where trainer is left out")
    teacher: TeacherSpec | None = Field(None, validate_default=True, description="needed where trainer is left out")
    student: StudentSpec | None = Field(None, validate_default=True, description="needed where trainer is left out")
    training: TrainingSpec = TrainingSpec()
    distillation: DistillationSpec = DistillationSpec()
    space: SpaceSpec = SpaceSpec()
    objective: ObjectiveSpec = ObjectiveSpec()
    sampler: SamplerSpec = SamplerSpec()
    grid: GridSpec | None = Field(
        None,
        exclude_if=lambda grid: grid is None,
        description="in the place of the sampler: all temperatures with the same settings and seeds, for a study",
    )
    warm_start: WarmStartSpec = WarmStartSpec()
    pruner: PrunerSpec = PrunerSpec()
    budget: BudgetSpec = BudgetSpec()
    baselines: BaselineSpec = BaselineSpec()
    confirmation: ConfirmationSpec = Field(ConfirmationSpec(), json_schema_extra=_or_level)
    fleet: FleetSpec = FleetSpec()
    seed: Seed = Field(0, description="every seed of the job is derived from it")
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @field_validator("dataset", "teacher", "student", mode="after")
    @classmethod
    def _for_workers(cls, value: Any, info: ValidationInfo) -> Any:
        """Workers of the service need them; other programs know by themselves what they train."""
        if value is None and info.data.get("trainer", "refused") is None:
            raise PydanticCustomError("missing", "Field required")
        return value

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.budget.epochs is not None and self.budget.epochs < self.training.epochs:
            raise ValueError("budget.epochs must pay for at least one trial of training.epochs")
        if self.pruner.name not in ("none", "auto") and self.pruner.min_epochs >= self.training.epochs:
            raise ValueError("pruner.min_epochs must be below training.epochs, or the pruner none")
        return self

    @model_validator(mode="after")
    def _grid_fits(self) -> Self:
        if self.grid is None:
            return self
        size = self.grid.round_size(self.space)
        if self.budget.trials < size:
            temperatures = len(self.grid.along(self.space))
            raise ValueError(
                f"budget.trials must pay for one round of the grid at least: {temperatures} temperatures x "
                f"{size // temperatures} settings = {size} trials, got {self.budget.trials}"
            )
        if self.pruner.name != "none":
            raise ValueError("pruner.name must be none where there is a grid: its trials are compared as pairs")
        if self.warm_start.points or self.warm_start.mode != "none":
            raise ValueError("warm_start must be left out where there is a grid, which says what is tried")
        return self

    @property
    def built_in(self) -> bool:
        """Whether the project's own engines train it; recorded runs may be of any training."""
        return self.trainer is None and (self.dataset is None or self.dataset.name != "replay")

    @model_validator(mode="after")
    def _training_has(self, info: ValidationInfo) -> Self:
        """What is searched and optimized is of the training: of the built-in one what it has, of one's own anything."""
        space = self.space
        if self.built_in:
            if space.optimizer is None:
                raise ValueError(
                    "space.optimizer must name one or more optimizers: null is for a training of your own (trainer)"
                )
            check_measured(self.objective, None if self.dataset is None else self.dataset.known_targets)
            check_built_in(space.parameters, self.distillation.method, self.training.schedule.name)
        elif at_door(info) and not space.searches():
            raise ValueError("space must have something to search: give temperature, or a parameter, a range or a list")
        return self

    @model_validator(mode="after")
    def _metric_fits(self) -> Self:
        objective, confirmation = self.objective, self.confirmation
        is_own = not objective.built_in and not (self.built_in and objective.metric in OF_SEVERAL)
        if is_own and "delta" not in confirmation.model_fields_set:
            raise ValueError(
                f"confirmation.delta is needed: say which differences of {objective.metric}, in its own unit, do not "
                "matter"
            )
        low, high = objective.bounds
        most = min(high - low, 1.0) if objective.built_in else high - low
        if not confirmation.delta < most:
            raise ValueError(f"confirmation.delta must be less than {most:g}, got {confirmation.delta:g}")
        if self.pruner.name == "curve" and not math.isfinite(objective.best):
            end = "high" if objective.direction == "maximize" else "low"
            raise ValueError(
                f"pruner.name must be another one than curve, which extrapolates errors: {objective.metric} has no "
                f"best end (objective.{end})"
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _temperatures_suit(cls, document: Any) -> Any:
        return with_temperature(document)

    @model_validator(mode="after")
    def _method_fits(self, info: ValidationInfo) -> Self:
        space = self.space
        check_distillation(self.distillation, space.temperature, space.final_temperature, space.student_temperature)
        if at_door(info) and self.dataset is not None:
            classes = classes_known(self.dataset.name, self.dataset.classes)
            check_labels(self.distillation.method, classes, self.dataset.known_targets)
        return self

    @model_validator(mode="after")
    def _origins_fit(self) -> Self:
        if self.dataset is not None and self.teacher is not None and self.student is not None:
            check_origins(self.dataset, self.teacher, self.student)
        return self

    @model_validator(mode="after")
    def _guesses_fit(self) -> Self:
        if len(self.warm_start.points) > self.budget.trials:
            raise ValueError("warm_start.points must not be more than budget.trials")
        for number, guess in enumerate(self.warm_start.points):
            for name, searched, value in _check_guess(self.space, guess):
                low, high = (searched.low, searched.high) if isinstance(searched, Ranged) else (searched, searched)
                if not low <= value <= high:
                    allowed = f"from {low:g} to {high:g}" if low < high else f"{low:g}, which is fixed"
                    raise ValueError(
                        f"warm_start.points.{number}.{name} must be in the space: {allowed}, got {value:g}"
                    )
                if isinstance(searched, Choices) and value not in searched.values:
                    allowed = ", ".join(f"{choice:g}" for choice in searched.values)
                    raise ValueError(f"warm_start.points.{number}.{name} must be one of {allowed}, got {value:g}")
            check_values(self.space.parameters, guess.parameters, f"warm_start.points.{number}.parameters")
        return self

    @property
    def built_in_parts(self) -> BuiltInParts:
        """What the service's own workers train with. ValueError where others train and it was left out."""
        if self.dataset is None or self.teacher is None or self.student is None:
            raise ValueError(
                "this job is trained by a program of its own: it needs a spec without a trainer to have data and models"
            )
        return BuiltInParts(self.dataset, self.teacher, self.student)

    def problem(
        self, views: int, precision: trained.Precision, *, revision: int = 1, measured: bool = False
    ) -> trained.Problem:
        """What all students of this job have in common, in the trainers' words. ValueError as `built_in_parts`.

        `revision` is that of the distillation method's record when the job began; `measured` says whether a given
        teacher's preprocessing is taken from its file, or measured, where the spec says nothing of it.
        """
        parts = self.built_in_parts
        return trained.Problem(
            data=parts.dataset.to_trained(),
            teacher=parts.teacher.to_trained(measured),
            student=parts.student.to_trained(),
            training=self.training.to_trained(),
            views=views,
            precision=precision,
            distillation=self.distillation.to_trained(revision),
            initial=parts.student.initial.to_trained() if parts.student.initial else trained.Initial(),
            optimizers=tuple((name, None) for name in sorted(self.space.optimizers()) if is_plugin(name)),
        )

    def plugins(self) -> tuple[tuple[str, str], ...]:
        """The plugins and the weights of packages that this job names, by kind; none where others train."""
        if self.dataset is None or self.teacher is None or self.student is None:
            return ()
        return tuple(dict.fromkeys(plugin_codes.names(self.problem(1, "fp32"))))

    def views(self) -> int:
        """How many augmented views of the training part the teacher looks at: one where nothing is augmented."""
        parts = self.built_in_parts
        if parts.dataset.augmentation == augmentations.UNCHANGED:
            return 1
        return parts.teacher.views or min(VIEWS, self.training.epochs)


def _check_guess(space: SpaceSpec, guess: FirstGuess) -> Iterator[tuple[str, Searched, float]]:
    """Each number of a guess beside what the space allows for it."""
    yield "temperature", space.temperature, guess.temperature
    if guess.kd_weight is not None:
        yield "kd_weight", space.kd_weight, guess.kd_weight
    if guess.label_weight is not None:
        if space.label_weight is None:
            raise ValueError("warm_start.points: label_weight is 1 - kd_weight in this space: leave it out")
        yield "label_weight", space.label_weight, guess.label_weight
    optimizer_space = dict(guess.of_optimizer())
    if guess.optimizer is None:
        if optimizer_space:
            raise ValueError(f"warm_start.points: {', '.join(optimizer_space)} need an optimizer beside them")
        return
    settings = space.optimizers().get(guess.optimizer)
    if settings is None or space.optimizer is None:
        raise ValueError(
            f"warm_start.points: {guess.optimizer} is not among the space's optimizers: add it to space.optimizer"
        )
    for name, value in optimizer_space.items():
        if name not in type(settings).model_fields:
            raise ValueError(f"warm_start.points: {guess.optimizer} has no {name}")
        yield name, getattr(settings, name), value
