"""What is to be trained, as names and numbers: the vocabulary that all rooms share. Free of torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

OptimizerName = Literal["sgd", "adam", "adamw"]
ScheduleName = Literal["constant", "cosine", "step"]
AugmentationName = Literal["none", "shift", "crop", "crop_flip"]
TeacherSource = Literal["train", "weights", "logits"]
Precision = Literal["fp32", "bf16"]
Argument = int | float | str | bool


@dataclass(frozen=True, slots=True)
class Data:
    """A labelled image set and how it is split: disjoint train, validation and test parts, fixed by `split_seed`.

    `path` (only for `npz` and `image_folder`) is relative to the data root. `test_fraction` counts only where
    the set ships without a test part of its own. `train_size` keeps a stratified subset of the training part.
    """

    name: str
    path: str | None = None
    split_seed: int = 0
    validation_fraction: float = 0.2
    test_fraction: float = 0.2
    train_size: int | None = None
    image_size: int | None = None
    augmentation: AugmentationName = "none"


@dataclass(frozen=True, slots=True)
class Model:
    """A name of the catalogue and its arguments (depth, width, dropout, ...)."""

    name: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate along training, as a factor of the optimizer's: linear warm-up, then the named shape."""

    name: ScheduleName = "cosine"
    warmup_epochs: int = 0
    step_epochs: tuple[int, ...] = ()
    step_factor: float = 0.1


@dataclass(frozen=True, slots=True)
class Optimizer:
    """torch.optim's settings under their usual names; momentum counts for sgd alone."""

    name: OptimizerName
    learning_rate: float
    weight_decay: float = 0.0
    momentum: float = 0.0
    nesterov: bool = False


@dataclass(frozen=True, slots=True)
class Training:
    """How long and in which steps a model is trained."""

    epochs: int
    batch_size: int
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Teacher:
    """Where the teacher's logits come from.

    `train`: `model` is trained by this project with `training` and `optimizer` from `seed`.
    `weights`: `model` takes the safetensors file with digest `artifact` out of the artifact store.
    `logits`: the safetensors file with digest `artifact` holds them: `train` [views, n_train, classes],
    `validation` [n_validation, classes] and `test` [n_test, classes]; there is no model.
    """

    source: TeacherSource = "train"
    model: Model | None = None
    training: Training | None = None
    optimizer: Optimizer | None = None
    label_smoothing: float = 0.0
    seed: int = 0
    artifact: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """All that the students of one job have in common; what one bank can train together.

    The teacher's logits are computed on `views` seeded augmented views of the training part; epoch e (from 1)
    shows view (e - 1) mod views to the student and takes that view's logits.
    """

    data: Data
    teacher: Teacher
    student: Model
    training: Training
    views: int = 1
    precision: Precision = "fp32"

    def fingerprint(self) -> str:
        """Hex digest that changes with every field."""
        return digest(self)

    def teacher_fingerprint(self) -> str:
        """Hex digest of what the teacher's logits depend on: data, teacher, views and precision."""
        return digest([dataclasses.asdict(self.data), dataclasses.asdict(self.teacher), self.views, self.precision])


@dataclass(frozen=True, slots=True)
class Configuration:
    """One point of the search space.

    Loss = kd_weight * T_t * T_s * KL(softmax(z_t / T_t) || softmax(z_s / T_s)) + label_weight * cross entropy,
    both at `batchmean` (Hinton et al. 2015, arXiv:1503.02531); T_s is T_t unless given.
    """

    temperature: float
    kd_weight: float
    label_weight: float
    optimizer: Optimizer
    student_temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Assignment:
    """One student to train: `seed` fixes its initial weights, its order of the data and its dropout."""

    trial: str
    configuration: Configuration
    seed: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of one student on one part of the data. Fractions in 0..1, natural logarithms (nats).

    `teacher_entropy` is the mean entropy of softmax(teacher's logits / T) at the trial's teacher temperature.
    """

    accuracy: float
    nll: float
    ece: float
    teacher_agreement: float
    teacher_entropy: float


@dataclass(frozen=True, slots=True)
class EpochReport:
    """What one lane did in one epoch; `epoch` counts from 1, `seconds` is the share of wall-clock it took."""

    lane: int
    trial: str
    epoch: int
    train_loss: float
    learning_rate: float
    seconds: float
    validation: Metrics


@dataclass(frozen=True, slots=True)
class LaneFailure:
    """A lane whose loss was no longer finite; its lane is still occupied until it is evicted."""

    lane: int
    trial: str
    epoch: int
    step: int
    last_finite_loss: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class TeacherFacts:
    """What is worth knowing of a teacher: its quality on validation and how sharp it is at T = 1."""

    fingerprint: str
    classes: int
    train_images: int
    validation_images: int
    validation: Metrics


@dataclass(frozen=True, slots=True)
class TestPermit:
    """Leave to open the test part: given by the job's record once its confirmation has ended, never before."""

    __test__ = False  # not a test class, whatever its name makes pytest believe

    job: str
    confirmed_at: float


def digest(value: Any) -> str:
    """sha256 of a dataclass, mapping or list as canonical JSON."""
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    return hashlib.sha256(json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
