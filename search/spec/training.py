"""The data, model, training and optimizer parts of a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self, TypeAlias

from pydantic import Field, ValidationInfo, field_validator, model_validator

from search.spec.classes import ClassesSpec, check_classes, classes_of
from search.spec.fields import Fraction, Label, Part, Positive, RelativePath, Seed, Sensible, name_or_plugin
from thermowell.plugin import Targets
from trainers import catalogue
from trainers import spec as trained
from trainers.registry import augmentations, datasets, optimizers

if TYPE_CHECKING:
    AugmentationName: TypeAlias = str
else:
    AugmentationName = name_or_plugin("augmentation", tuple(augmentations.AUGMENTATIONS))


class DatasetSpec(Part):
    """Which data, and how they are split."""

    name: str = "digits"
    path: RelativePath | None = Field(None, description="for npz, image_folder and replay: below the data root")
    split_seed: Seed = 0
    validation_fraction: Fraction = 0.2
    test_fraction: Fraction = Field(0.2, description="counts only where the set has no test part of its own")
    train_size: Annotated[int, Sensible(high=10**9)] | None = Field(
        None, ge=2, description="keep a stratified subset of the training part"
    )
    image_size: int | None = Field(None, ge=4, le=1024, description="resize photographs to this many pixels")
    augmentation: AugmentationName = augmentations.UNCHANGED
    classes: ClassesSpec | None = Field(None, description="fine, which are the set's own; coarse; a map; or clusters")
    layout: trained.Layout | None = Field(
        None,
        description="of an image_folder that could be either: its folders are classes, or parts (train, ...)",
    )
    arguments: dict[str, bool | int | float | str] | None = Field(None, description="of a plugin's data set")
    targets: trained.SeveralOrSoft | None = Field(
        None,
        description="of npz: labels are rows, of probabilities (soft) or of zeros and ones (several); one class each "
        "unless given",
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        problems = catalogue.check_dataset(self.name, self.arguments or {})
        if problems:
            raise ValueError("; ".join(problems))
        if (self.path is not None) != (self.name in ("npz", "image_folder", "replay")):
            raise ValueError("path is needed for npz, image_folder and replay, and only there")
        if self.layout is not None and self.name != "image_folder":
            raise ValueError("layout belongs to image_folder")
        if self.targets is not None and self.name != "npz":
            raise ValueError("targets belong to npz: a plugin's data set says by itself what its labels are")
        if self.validation_fraction + self.test_fraction >= 1:
            raise ValueError("validation_fraction and test_fraction must leave something to train on")
        if self.classes is not None:
            check_classes(self.name, self.classes)
        return self

    @property
    def known_targets(self) -> Targets | None:
        """What the labels are; None where nobody here knows the plugin."""
        return datasets.targets_of(self.name, self.targets)

    def to_trained(self) -> trained.Data:
        """In the trainers' words."""
        fields = self.model_dump(exclude={"classes", "arguments"})
        return trained.Data(**fields, classes=classes_of(self.classes), arguments=dict(self.arguments or {}))


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

    def to_trained(self) -> trained.Model:
        """In the trainers' words."""
        return trained.Model(self.name, dict(self.arguments))


class ScheduleSpec(Part):
    """Learning rate along training: linear warm-up, then the named shape."""

    name: trained.ScheduleName = "cosine"
    warmup_epochs: int = Field(0, ge=0)
    step_epochs: tuple[Annotated[int, Field(ge=1), Sensible(high=10_000)], ...] = ()
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

    @field_validator("epochs", "batch_size", mode="before")
    @classmethod
    def _one_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, list | tuple | dict):
            raise ValueError(
                f"{info.field_name} cannot be searched by the built-in training yet: all students of a job have the "
                "same. Give one whole number, and compare several in a study: "
                f"`factors: {{training.{info.field_name}: [...]}}`"
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.schedule.warmup_epochs >= self.epochs and self.schedule.warmup_epochs > 0:
            raise ValueError("schedule.warmup_epochs must be below epochs")
        return self

    def to_trained(self) -> trained.Training:
        """In the trainers' words."""
        return trained.Training(self.epochs, self.batch_size, trained.Schedule(**self.schedule.model_dump()))


class FixedOptimizer(Part):
    """One optimizer with its settings, for the teacher."""

    name: trained.OptimizerName = optimizers.DEFAULT
    learning_rate: Positive = 0.05
    weight_decay: float = Field(5e-4, ge=0, le=1)
    momentum: Annotated[float, Sensible(high=0.9999)] = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _momentum(self) -> Self:
        record = optimizers.get(self.name)
        missing = [name for name in optimizers.SETTINGS if name not in record.setting_names()]
        if any(getattr(self, name) for name in missing):
            groups = optimizers.by_owners(missing)
            words = [f"{names} belong{'' if ' and ' in names else 's'} to {owners}" for names, owners in groups]
            raise ValueError("; ".join(words))
        for setting in record.settings:
            if setting.needs is not None and getattr(self, setting.name) and not getattr(self, setting.needs):
                raise ValueError(f"{setting.name} needs {setting.needs}")
        return self

    def to_trained(self) -> trained.Optimizer:
        """In the trainers' words."""
        return trained.Optimizer(**self.model_dump())
