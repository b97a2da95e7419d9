"""What is to be trained, as names and numbers: the vocabulary that all rooms share. Free of torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from thermowell.api.configurations import Configuration as Configuration
from thermowell.api.configurations import Optimizer as Optimizer
from trainers.preprocessing import UNCHANGED, Preprocessing, PreprocessingFacts
from trainers.registry import augmentations, losses, optimizers, schedules
from trainers.registry.augmentations import Moving as Moving
from trainers.registry.models import Argument as Argument

if TYPE_CHECKING:
    OptimizerName: TypeAlias = str
    ScheduleName: TypeAlias = str
    AugmentationName: TypeAlias = str
    Method: TypeAlias = str
    TemperatureShape: TypeAlias = str
else:  # whoever validates sees the records' names
    OptimizerName = Literal[tuple(optimizers.OPTIMIZERS)]
    ScheduleName = Literal[tuple(schedules.SCHEDULES)]
    AugmentationName = Literal[tuple(augmentations.AUGMENTATIONS)]
    Method = Literal[tuple(losses.LOSSES)]
    TemperatureShape = Literal[tuple(schedules.TEMPERATURE_SCHEDULES)]
MemberSource = Literal["train", "weights", "logits"]
TeacherSource = Literal[MemberSource, "ensemble"]
Precision = Literal["fp32", "bf16"]
Granularity = Literal["coarse", "map", "clusters"]
Layout = Literal["classes", "parts"]
SeveralOrSoft = Literal["soft", "several"]
InitialSource = Literal["random", "trained", "pretrained", "finetuned", "weights"]
Finetune = Literal["full", "head"]
Value: TypeAlias = bool | int | float | str
"""What a named parameter of a training may have."""

OMIT_IF_DEFAULT = {"later": True}
"""A field with this metadata came after problems had been stored: fingerprints leave it out while it is at its default,
which is what was done before."""


@dataclass(frozen=True, slots=True)
class Classes:
    """Which classes there are, where they are not the data set's own: its superclasses (`coarse`); by a `map`, which
    has a class for each of the set's own; or so many `clusters` of those that the teacher confuses.
    """

    kind: Granularity
    map: tuple[int, ...] = ()
    clusters: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """A labelled image set and how it is split: disjoint train, validation and test parts, fixed by `split_seed`.

    `path` (only for `npz` and `image_folder`) is relative to the data root. `test_fraction` counts only where
    the set ships without a test part of its own. `train_size` keeps a stratified subset of the training part. Images
    are cut by the set's own classes, whatever `classes` are trained on: each part holds the same images. Where the set
    ships with a validation part, that is used, and `validation_fraction` counts for nothing. `layout` says whether the
    folders of an `image_folder` are classes or parts; unset, they tell it themselves. `arguments` are a plugin's set's,
    `code` the fingerprint of its code, and `augmentation_code` that of a plugin's augmentation. `targets` says what the
    labels are, where an example has not one class of its own: `soft` ones, or `several`.
    """

    name: str
    path: str | None = None
    split_seed: int = 0
    validation_fraction: float = 0.2
    test_fraction: float = 0.2
    train_size: int | None = None
    image_size: int | None = None
    augmentation: AugmentationName = "none"
    classes: Classes | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    layout: Layout | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    code: str | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    arguments: Mapping[str, Argument] = field(default_factory=dict, metadata=OMIT_IF_DEFAULT)
    augmentation_code: str | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    targets: SeveralOrSoft | None = field(default=None, metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Model:
    """A name of the catalogue and its arguments (depth, width, dropout, ...).

    `code` is the fingerprint of the code of a plugin's model, and `vocabulary` how many tokens there are where its
    examples are made of them.
    """

    name: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    code: str | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    vocabulary: int | None = field(default=None, metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate along training, as a factor of the optimizer's: linear warm-up, then the named shape.

    The warm-up is `warmup_share` of all steps, if given, else `warmup_epochs`. A cosine falls towards `final_factor`.
    """

    name: ScheduleName = "cosine"
    warmup_epochs: int = 0
    step_epochs: tuple[int, ...] = ()
    step_factor: float = 0.1
    warmup_share: float | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    final_factor: float = field(default=0.0, metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Training:
    """How long and in which steps a model is trained."""

    epochs: int
    batch_size: int
    schedule: Schedule = field(default_factory=Schedule)


@dataclass(frozen=True, slots=True)
class Pretraining:
    """On which other data a model is trained before it sees the problem's; their images are brought to its shape."""

    data: Data
    training: Training
    optimizer: Optimizer


@dataclass(frozen=True, slots=True)
class Initial:
    """With which weights students begin; all of them with the same, but for `random` ones, which are the trial's own.

    `trained`: on the problem's labels, with `training` and `optimizer`, by nobody taught. `pretrained`: on other data,
    with a new head. `finetuned`: `pretrained`, then `trained`, wholly or the head alone. `weights`: those of the file
    with digest `artifact`, with a new head where its classes are others. `seed` makes their chance.
    """

    source: InitialSource = "random"
    training: Training | None = None
    optimizer: Optimizer | None = None
    pretrained_on: Pretraining | None = None
    finetune: Finetune = "full"
    seed: int = 0
    artifact: str | None = field(default=None, metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Teacher:
    """Where the teacher's logits come from.

    `train`: `model` is trained by this project with `training` and `optimizer` from `seed`; taken at `stop_epoch`, if
    that is given, of a schedule made for all epochs; where it was `pretrained_on` other data, or has
    the weights of the file `origin` but for its head, that is its finetuning.
    `weights`: `model` takes the safetensors file with digest `artifact` out of the artifact store.
    `logits`: the safetensors file with digest `artifact` holds them: `train` [views, n_train, classes],
    `validation` [n_validation, classes] and `test` [n_test, classes]; there is no model.
    `ensemble`: the mean of the logits of its `members`, none of which is an ensemble.

    Only `weights` have a `preprocessing`: None is that of the students. `weights` and `logits` have a `class_map`: for
    each of the job's classes, the classes of the file's head that belong to it; empty where they are the same.
    """

    source: TeacherSource = "train"
    model: Model | None = None
    training: Training | None = None
    optimizer: Optimizer | None = None
    label_smoothing: float = 0.0
    seed: int = 0
    artifact: str | None = None
    stop_epoch: int | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    pretrained_on: Pretraining | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    finetune: Finetune = field(default="full", metadata=OMIT_IF_DEFAULT)
    members: tuple[Teacher, ...] = field(default=(), metadata=OMIT_IF_DEFAULT)
    preprocessing: Preprocessing | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    origin: str | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    class_map: tuple[tuple[int, ...], ...] = field(default=(), metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Distillation:
    """What students take from the teacher's logits (`catalogue.LOSSES`), and in which shape T goes along training.

    `alpha`, `beta` and `gamma` weigh the parts of those methods whose records have such weights; to the others they say
    nothing. A shape goes from the configuration's `temperature` to its `final_temperature`; a step does so once that
    share of all steps is behind. `revision` is that of the method's record by which the job began, `code` the
    fingerprint of the code of a plugin's method.
    """

    method: Method = losses.PLAIN
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 1.0
    shape: TemperatureShape = "constant"
    step_at: float = 0.5
    revision: int = field(default=1, metadata=OMIT_IF_DEFAULT)
    code: str | None = field(default=None, metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Problem:
    """All that the students of one job have in common; what one bank can train together.

    The teacher's logits are computed on `views` seeded augmented views of the training part; epoch e (from 1)
    shows view (e - 1) mod views to the student and takes that view's logits. `optimizers` are those of plugins among
    which students' are, each with the fingerprint of its code.
    """

    data: Data
    teacher: Teacher
    student: Model
    training: Training
    views: int = 1
    precision: Precision = "fp32"
    initial: Initial = field(default=Initial(), metadata=OMIT_IF_DEFAULT)
    distillation: Distillation = field(default=Distillation(), metadata=OMIT_IF_DEFAULT)
    optimizers: tuple[tuple[str, str | None], ...] = field(default=(), metadata=OMIT_IF_DEFAULT)

    def fingerprint(self) -> str:
        """Hex digest that changes with every field."""
        return digest(self)

    def teacher_fingerprint(self) -> str:
        """Hex digest of what the teacher's logits depend on: data, teacher, views and precision."""
        return digest([canonicalize(self.data), canonicalize(self.teacher), self.views, self.precision])

    def initial_fingerprint(self) -> str:
        """Hex digest of what the weights depend on with which students begin, where these are not random."""
        return digest([canonicalize(self.data), self.student, canonicalize(self.initial), self.precision])


@dataclass(frozen=True, slots=True)
class Assignment:
    """One student to train: `seed` fixes its initial weights, its order of the data and its dropout."""

    trial: str
    configuration: Configuration
    seed: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Of one student on one part of the data. Fractions in 0..1, natural logarithms (nats).

    `teacher_entropy` is the mean entropy of softmax(teacher's logits / T) at the trial's teacher temperature. An
    example of several labels is right where all of its labels are; nll, ece and entropy are then of each label's own
    probability, and `mean_average_precision` is known.
    """

    accuracy: float
    nll: float
    ece: float
    teacher_agreement: float
    teacher_entropy: float
    mean_average_precision: float | None = field(default=None, metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class Tested:
    """One student on the test part: its metrics, and which of its `images` it got right.

    `right` has one bit for each image, in the part's order, the first in the highest bit of the first byte.
    """

    __test__ = False  # not a test class, whatever its name makes pytest believe

    metrics: Metrics
    images: int
    right: bytes


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
    """What is worth knowing of a teacher: its quality on validation and how sharp it is at T = 1.

    `chance` is the share of the class that most validation images have, the accuracy of who always says it; of several
    labels the mean share of images that have one, the average precision of who knows nothing.
    `faults` are in words what is wrong with the answers of a given one.
    """

    fingerprint: str
    classes: int
    train_images: int
    validation_images: int
    validation: Metrics
    chance: float | None = field(default=None, metadata=OMIT_IF_DEFAULT)
    preprocessing: tuple[PreprocessingFacts, ...] = field(default=(), metadata=OMIT_IF_DEFAULT)
    faults: tuple[str, ...] = field(default=(), metadata=OMIT_IF_DEFAULT)


@dataclass(frozen=True, slots=True)
class TestPermit:
    """Leave to open the test part: given by the job's record once its confirmation has ended, never before."""

    __test__ = False  # not a test class, whatever its name makes pytest believe

    job: str
    confirmed_at: float


def digest(value: Any) -> str:
    """sha256 of a dataclass, mapping or list as canonical JSON, without what came later and says nothing new."""
    return hashlib.sha256(json.dumps(to_jsonable(value), sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def to_jsonable(value: Any) -> Any:
    """A dataclass, mapping or list as JSON has it. A field that came later is left out while it is at its default."""
    if isinstance(value, Configuration):
        return value.stored()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            part.name: to_jsonable(getattr(value, part.name))
            for part in dataclasses.fields(value)
            if not (part.metadata.get("later") and getattr(value, part.name) in (part.default, {}))
        }
    if isinstance(value, Mapping):
        return {key: to_jsonable(inner) for key, inner in value.items()}
    return [to_jsonable(inner) for inner in value] if isinstance(value, list | tuple) else value


def canonicalize(part: Any) -> Any:
    """The part of a problem with what changes nothing in it put to its default: two that train alike are told alike."""
    if isinstance(part, Data):
        classes = part.classes
        identity = classes is not None and classes.kind == "map" and classes.map == tuple(range(len(classes.map)))
        return replace(part, classes=None) if identity else part
    if isinstance(part, Schedule):
        return part if part.name == "step" else replace(part, step_epochs=(), step_factor=0.1)
    if isinstance(part, Training):
        return replace(part, schedule=canonicalize(part.schedule))
    if isinstance(part, Optimizer):
        names = optimizers.get(part.name).setting_names()
        return Optimizer(part.name, **{name: getattr(part, name) for name in names})
    if isinstance(part, Pretraining):
        return Pretraining(canonicalize(part.data), canonicalize(part.training), canonicalize(part.optimizer))
    if isinstance(part, Initial):
        finetune = part.finetune if part.source == "finetuned" else "full"
        return replace(part, finetune=finetune, **_canonical_parts(part))
    if isinstance(part, Teacher):
        if part.source == "ensemble":  # in whatever order its members are named
            return Teacher("ensemble", members=tuple(sorted(map(canonicalize, part.members), key=digest)))
        if part.source == "weights":
            prepared = None if part.preprocessing == UNCHANGED else part.preprocessing
            groups = _sorted_groups(part.class_map)
            return Teacher(
                "weights", model=part.model, artifact=part.artifact, preprocessing=prepared, class_map=groups
            )
        if part.source == "logits":
            return Teacher("logits", artifact=part.artifact, class_map=_sorted_groups(part.class_map))
        stop = part.stop_epoch if part.training is None or part.stop_epoch != part.training.epochs else None
        finetune = part.finetune if part.pretrained_on is not None or part.origin is not None else "full"
        return replace(part, stop_epoch=stop, finetune=finetune, **_canonical_parts(part))
    return part


def _sorted_groups(groups: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(sorted(group)) for group in groups)


def _canonical_parts(part: Teacher | Initial) -> dict[str, Any]:
    return {name: canonicalize(getattr(part, name)) for name in ("training", "optimizer", "pretrained_on")}
