"""What a user may ask for: the job spec, validated field by field, versioned, as JSON or YAML."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

from trainers import catalogue
from trainers import spec as trained

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,99}$")]
Label = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
RelativePath = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$")
]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0, le=1e6)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Part(BaseModel):
    """Base of all parts: unknown fields are refused, values are finite and nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(Part):
    """A searched number: from low to high, on a logarithmic scale where log is true."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low must be below high (got {self.low:g} and {self.high:g}); give a number to fix it")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range must be positive (low is {self.low:g})")
        return self


def _log_by_default(value: Any) -> Any:
    if isinstance(value, dict) and "log" not in value:
        return {**value, "log": True}
    return value


Searched = float | Range
LogSearched = Annotated[float | Range, BeforeValidator(_log_by_default)]


def _check_bounds(what: str, value: Searched | None, low: float, high: float, low_open: bool = False) -> None:
    if value is None:
        return
    ends = (value.low, value.high) if isinstance(value, Range) else (value,)
    for end in ends:
        if not (low <= end <= high) or (low_open and end == low):
            raise ValueError(f"{what} must be in {'(' if low_open else '['}{low:g}, {high:g}], got {end:g}")


class DatasetSpec(Part):
    """Which data, and how they are split."""

    name: str = "digits"
    path: RelativePath | None = Field(None, description="for npz and image_folder: below the data root")
    split_seed: Seed = 0
    validation_fraction: Fraction = 0.2
    test_fraction: Fraction = Field(0.2, description="counts only where the set has no test part of its own")
    train_size: int | None = Field(None, ge=2, description="keep a stratified subset of the training part")
    image_size: int | None = Field(None, ge=4, le=1024, description="resize photographs to this many pixels")
    augmentation: trained.AugmentationName = "none"

    @model_validator(mode="after")
    def _known(self) -> Self:
        problems = catalogue.check_dataset(self.name)
        if problems:
            raise ValueError("; ".join(problems))
        if (self.path is not None) != (self.name in ("npz", "image_folder")):
            raise ValueError("path is needed for npz and image_folder, and only there")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction must leave something to train on")
        return self


class ModelSpec(Part):
    """A model of the catalogue, with its arguments."""

    name: Label
    arguments: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known(self) -> Self:
        problems = catalogue.check_model(self.name, self.arguments)
        if problems:
            raise ValueError("; ".join(problems))
        return self


class ScheduleSpec(Part):
    """Learning rate along training: linear warm-up, then the named shape."""

    name: trained.ScheduleName = "cosine"
    warmup_epochs: int = Field(0, ge=0)
    step_epochs: tuple[Annotated[int, Field(ge=1)], ...] = ()
    step_factor: Fraction = 0.1

    @model_validator(mode="after")
    def _steps(self) -> Self:
        if bool(self.step_epochs) != (self.name == "step"):
            raise ValueError("step_epochs is needed for the step schedule, and only there")
        if list(self.step_epochs) != sorted(set(self.step_epochs)):
            raise ValueError("step_epochs must rise")
        return self


class TrainingSpec(Part):
    """How long each student is trained, and in which steps."""

    epochs: int = Field(20, ge=1, le=10_000)
    batch_size: int = Field(64, ge=1, le=65_536)
    schedule: ScheduleSpec = ScheduleSpec()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be below epochs")
        return self


class FixedOptimizer(Part):
    """One optimizer with its settings, for the teacher."""

    name: trained.OptimizerName = "sgd"
    learning_rate: Positive = 0.05
    weight_decay: float = Field(5e-4, ge=0, le=1)
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _momentum(self) -> Self:
        if self.name != "sgd" and (self.momentum or self.nesterov):
            raise ValueError("momentum and nesterov belong to sgd")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs momentum")
        return self


class TeacherSpec(Part):
    """Where the teacher's logits come from: trained by the job, given weights, or given logits."""

    source: trained.TeacherSource = "train"
    model: ModelSpec | None = None
    training: TrainingSpec | None = None
    optimizer: FixedOptimizer | None = None
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    seed: Seed = 0
    artifact: Digest | None = Field(None, description="sha256 of the safetensors file in the artifact store")
    views: int | None = Field(
        None, ge=1, le=1024, description="augmented views whose logits are kept; 4 unless given, 1 without augmentation"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "train": ("model", "training", "optimizer"),
            "weights": ("model", "artifact"),
            "logits": ("artifact",),
        }
        for part in ("model", "training", "optimizer", "artifact"):
            given, wanted = getattr(self, part) is not None, part in needed[self.source]
            if given != wanted:
                raise ValueError(f"{part} is {'needed' if wanted else 'not allowed'} where source is {self.source}")
        if self.label_smoothing and self.source != "train":
            raise ValueError("label_smoothing belongs to source: train")
        return self


class SgdSpace(Part):
    """Stochastic gradient descent's settings; each a number or a range."""

    learning_rate: LogSearched = Range(low=1e-3, high=1.0, log=True)
    momentum: Searched = 0.9
    nesterov: bool = False
    weight_decay: LogSearched = Range(low=1e-6, high=1e-2, log=True)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        _check_bounds("learning_rate", self.learning_rate, 0, 1e3, low_open=True)
        _check_bounds("momentum", self.momentum, 0, 0.9999)
        _check_bounds("weight_decay", self.weight_decay, 0, 1)
        lowest = self.momentum.low if isinstance(self.momentum, Range) else self.momentum
        if self.nesterov and lowest <= 0:
            raise ValueError("nesterov needs a positive momentum")
        return self


class AdamSpace(Part):
    """Adam's and AdamW's settings; each a number or a range."""

    learning_rate: LogSearched = Range(low=1e-4, high=1e-1, log=True)
    weight_decay: LogSearched = Range(low=1e-6, high=1e-1, log=True)

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        _check_bounds("learning_rate", self.learning_rate, 0, 1e3, low_open=True)
        _check_bounds("weight_decay", self.weight_decay, 0, 1)
        return self


class OptimizerSpace(Part):
    """The choice of optimizers: name one or more, each with settings of its own."""

    sgd: SgdSpace | None = None
    adam: AdamSpace | None = None
    adamw: AdamSpace | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.choices():
            raise ValueError("name at least one of sgd, adam, adamw")
        return self

    def choices(self) -> dict[trained.OptimizerName, SgdSpace | AdamSpace]:
        """The optimizers that were named, in a fixed order."""
        named: dict[trained.OptimizerName, SgdSpace | AdamSpace | None] = {
            "sgd": self.sgd,
            "adam": self.adam,
            "adamw": self.adamw,
        }
        return {name: space for name, space in named.items() if space is not None}


class SpaceSpec(Part):
    """What is searched. label_weight is 1 - kd_weight unless given."""

    temperature: LogSearched = Range(low=1.0, high=40.0, log=True)
    kd_weight: Searched = Range(low=0.1, high=1.0)
    label_weight: Searched | None = None
    optimizer: OptimizerSpace = OptimizerSpace(sgd=SgdSpace(), adamw=AdamSpace())

    @field_validator("optimizer", mode="before")
    @classmethod
    def _defaults(cls, value: Any) -> Any:
        """`sgd:` with nothing behind it, in YAML, means sgd with its default ranges."""
        if isinstance(value, dict):
            return {name: {} if settings is None else settings for name, settings in value.items()}
        return value

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        _check_bounds("temperature", self.temperature, 0, 1e4, low_open=True)
        _check_bounds("kd_weight", self.kd_weight, 0, 1e3)
        _check_bounds("label_weight", self.label_weight, 0, 1e3)
        highest = self.kd_weight.high if isinstance(self.kd_weight, Range) else self.kd_weight
        if self.label_weight is None and highest > 1:
            raise ValueError("kd_weight above 1 needs a label_weight of its own (1 - kd_weight would be negative)")
        return self


class ObjectiveSpec(Part):
    """What is optimised on the validation part, at a trial's last epoch."""

    metric: Literal["accuracy", "nll", "ece"] = "accuracy"

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Accuracy is maximised; negative log-likelihood and calibration error are minimised."""
        return "maximize" if self.metric == "accuracy" else "minimize"


class SamplerSpec(Part):
    """Which of Optuna's samplers proposes; startup trials are random."""

    name: Literal["tpe", "gp", "cmaes", "qmc", "random"] = "tpe"
    startup_trials: int = Field(10, ge=1, le=10_000)


class PrunerSpec(Part):
    """Which trials are stopped early, at rungs: epochs min_epochs, min_epochs * reduction_factor, ..."""

    name: Literal["none", "median", "successive_halving", "hyperband"] = "none"
    min_epochs: int = Field(4, ge=1)
    reduction_factor: int = Field(3, ge=2, le=10)
    startup_trials: int = Field(5, ge=0, le=10_000, description="median only: trials that must have ended before")


class BudgetSpec(Part):
    """When the joint search ends: at the first of these to be reached. Never overshot by trials or epochs."""

    trials: int = Field(64, ge=1, le=100_000)
    epochs: int | None = Field(None, ge=1, le=10**12, description="summed over the trials of the search")
    seconds: float | None = Field(None, gt=0, description="wall-clock since the first trial, pauses left out")


class BaselineSpec(Part):
    """label-only, T=1 and T=4, each searched with this share of the search's trials on top of them."""

    share: float = Field(0.25, ge=0, le=1)


class ConfirmationSpec(Part):
    """Fresh seeds: the finalists of every arm on select_seeds, then the winners on estimate_seeds."""

    finalists: int = Field(3, ge=1, le=50)
    select_seeds: int = Field(3, ge=1, le=100)
    estimate_seeds: int = Field(5, ge=2, le=1000)
    confidence: float = Field(0.9, gt=0.5, lt=1)
    delta: float = Field(0.002, gt=0, lt=1, description="differences of the objective below this do not matter")


class JobSpec(Part):
    """A distillation job: which student, which teacher, which data, what to search and how much to spend."""

    schema_version: Literal[1] = 1
    name: Name
    labels: dict[Name, Label] = Field(default_factory=dict, max_length=32)
    dataset: DatasetSpec
    teacher: TeacherSpec
    student: ModelSpec
    training: TrainingSpec = TrainingSpec()
    space: SpaceSpec = SpaceSpec()
    objective: ObjectiveSpec = ObjectiveSpec()
    sampler: SamplerSpec = SamplerSpec()
    pruner: PrunerSpec = PrunerSpec()
    budget: BudgetSpec = BudgetSpec()
    baselines: BaselineSpec = BaselineSpec()
    confirmation: ConfirmationSpec = ConfirmationSpec()
    seed: Seed = Field(0, description="every seed of the job is derived from it")
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.budget.epochs is not None and self.budget.epochs < self.training.epochs:
            raise ValueError("budget.epochs must pay for at least one trial of training.epochs")
        if self.pruner.name != "none" and self.pruner.min_epochs >= self.training.epochs:
            raise ValueError("pruner.min_epochs must be below training.epochs, or the pruner none")
        return self

    def problem(self, views: int, precision: trained.Precision) -> trained.Problem:
        """What all students of this job have in common, in the trainers' words."""
        teacher = self.teacher
        return trained.Problem(
            data=trained.Data(**self.dataset.model_dump()),
            teacher=trained.Teacher(
                source=teacher.source,
                model=_model(teacher.model) if teacher.model else None,
                training=_training(teacher.training) if teacher.training else None,
                optimizer=trained.Optimizer(**teacher.optimizer.model_dump()) if teacher.optimizer else None,
                label_smoothing=teacher.label_smoothing,
                seed=teacher.seed,
                artifact=teacher.artifact,
            ),
            student=_model(self.student),
            training=_training(self.training),
            views=views,
            precision=precision,
        )

    def views(self) -> int:
        """How many augmented views of the training part the teacher looks at: one where nothing is augmented."""
        if self.dataset.augmentation == "none":
            return 1
        return self.teacher.views or 4


def _model(spec: ModelSpec) -> trained.Model:
    return trained.Model(spec.name, dict(spec.arguments))


def _training(spec: TrainingSpec) -> trained.Training:
    return trained.Training(spec.epochs, spec.batch_size, trained.Schedule(**spec.schedule.model_dump()))
