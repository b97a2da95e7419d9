"""The teacher and student parts of a spec: trained from scratch, from other data, or given as files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from search.spec.classes import Clusters
from search.spec.fields import Part, Seed, Sensible, Weights
from search.spec.preprocessing import Preprocessed
from search.spec.training import DatasetSpec, FixedOptimizer, ModelSpec, TrainingSpec
from trainers import spec as trained
from trainers.preprocessing import MEASURED
from trainers.registry import local_models, named

MOST_MEMBERS = 16
"""Of an ensemble."""


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, int) else value


_ClassNumber = Annotated[int, Field(ge=0, lt=1_000_000)]
ClassMembers = Annotated[
    tuple[_ClassNumber, ...],
    Field(min_length=1, max_length=100_000),
    BeforeValidator(_as_list, json_schema_input_type=_ClassNumber | tuple[_ClassNumber, ...]),
]
"""Classes of a teacher's head that are one of the job's; a number alone means a list of it."""


class PretrainingSpec(Part):
    """On which other data, and how; their images are brought to the job's size and channels."""

    dataset: DatasetSpec
    training: TrainingSpec = TrainingSpec()
    optimizer: FixedOptimizer = FixedOptimizer()

    @model_validator(mode="after")
    def _trainable(self) -> Self:
        if self.dataset.name == "replay":
            raise ValueError("dataset must have images: a table of recorded runs has none")
        if isinstance(self.dataset.classes, Clusters):
            raise ValueError(
                "dataset.classes must be fine, coarse or a map: there is no teacher whose clusters to take"
            )
        return self

    def to_trained(self) -> trained.Pretraining:
        """In the trainers' words."""
        return trained.Pretraining(self.dataset.to_trained(), self.training.to_trained(), self.optimizer.to_trained())


class OriginSpec(Part):
    """A teacher that saw other data first; `head` leaves all but its new head as these made it."""

    pretrained_on: PretrainingSpec | None = None
    weights: Weights | None = Field(
        None, description="in its place: sha256 of the file of such a model's weights, or package:NAME or hf:PATH"
    )
    finetune: trained.Finetune = "full"

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.pretrained_on is None) == (self.weights is None):
            raise ValueError("either pretrained_on or weights is needed, and not both")
        return self


class InitialSpec(Part):
    """With which weights students begin; all but random ones are made once, and every student starts from them."""

    source: trained.InitialSource = "random"
    training: TrainingSpec | None = Field(None, description="on the job's own labels: trained and finetuned")
    optimizer: FixedOptimizer | None = None
    pretrained_on: PretrainingSpec | None = Field(None, description="other data: pretrained and finetuned")
    finetune: trained.Finetune | None = Field(None, description="finetuned: all of it, unless head is said")
    seed: Seed = 0
    artifact: Weights | None = Field(
        None, description="weights: sha256 of their file in the artifact store, or package:NAME or hf:PATH"
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "random": (),
            "trained": ("training", "optimizer"),
            "pretrained": ("pretrained_on",),
            "finetuned": ("training", "optimizer", "pretrained_on"),
            "weights": ("artifact",),
        }
        for part in ("training", "optimizer", "pretrained_on", "artifact"):
            present, required = getattr(self, part) is not None, part in needed[self.source]
            if present != required:
                raise ValueError(f"{part} is {'needed' if required else 'not allowed'} where source is {self.source}")
        if self.finetune is not None and self.source != "finetuned":
            raise ValueError("finetune belongs to source: finetuned")
        if self.seed and self.source == "random":
            raise ValueError("seed belongs to weights that are made once: random ones are each trial's own")
        return self

    def to_trained(self) -> trained.Initial:
        """In the trainers' words."""
        return trained.Initial(
            source=self.source,
            training=self.training.to_trained() if self.training else None,
            optimizer=self.optimizer.to_trained() if self.optimizer else None,
            pretrained_on=self.pretrained_on.to_trained() if self.pretrained_on else None,
            finetune=self.finetune or "full",
            seed=self.seed,
            artifact=self.artifact,
        )


class StudentSpec(ModelSpec):
    """A model of the catalogue, and with which weights it begins."""

    initial: InitialSpec | None = Field(None, description="random weights of each trial's own, unless said otherwise")


class _OneTeacher(Part):
    """What is said of a teacher, alone or within an ensemble."""

    source: trained.TeacherSource = "train"
    model: ModelSpec | None = None
    training: TrainingSpec | None = None
    optimizer: FixedOptimizer | None = None
    label_smoothing: Annotated[float, Sensible(high=0.999)] = Field(0.0, ge=0, lt=1)
    seed: Seed = 0
    stop_epoch: int | None = Field(
        None, ge=1, description="take the teacher at this epoch of its training, whose schedule is made for all of them"
    )
    origin: OriginSpec | None = Field(None, description="trained elsewhere first; training and optimizer then finetune")
    artifact: Weights | None = Field(
        None,
        description="sha256 of the file in the artifact store; of weights also package:NAME or hf:PATH",
    )
    preprocessing: Preprocessed | None = Field(
        None,
        description="of weights: how their own training prepared images; the file's or the best measured unless given",
    )

    class_map: Annotated[tuple[ClassMembers, ...], Field(min_length=2, max_length=100_000)] | None = Field(
        None,
        description="of weights or logits with other classes: for each of the job's classes the one of the file's head "
        "that is the same, or a list of those that belong to it",
    )

    @field_validator("class_map")
    @classmethod
    def _disjoint(cls, groups: tuple[tuple[int, ...], ...] | None) -> tuple[tuple[int, ...], ...] | None:
        members = [number for group in groups or () for number in group]
        twice = next((number for number, count in Counter(members).items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"must have each class of the file once, and has {twice} twice")
        return groups

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "train": ("model", "training", "optimizer"),
            "weights": ("model", "artifact"),
            "logits": ("artifact",),
            "ensemble": (),
        }
        for part in ("model", "training", "optimizer", "artifact"):
            present, required = getattr(self, part) is not None, part in needed[self.source]
            if not present and part == "artifact" and self.model is not None and local_models.is_local(self.model.name):
                continue  # whose folder has its weights
            if present != required:
                raise ValueError(f"{part} is {'needed' if required else 'not allowed'} where source is {self.source}")
        if self.source == "logits" and self.artifact is not None and named.is_name(self.artifact):
            raise ValueError("artifact must be the sha256 of a file of logits: packages ship weights")
        if self.label_smoothing and self.source != "train":
            raise ValueError("label_smoothing belongs to source: train")
        if self.preprocessing is not None and self.source != "weights":
            raise ValueError("preprocessing belongs to source: weights")
        if self.class_map is not None and self.source not in ("weights", "logits"):
            raise ValueError("class_map belongs to source: weights or logits")
        for part in ("stop_epoch", "origin"):
            if getattr(self, part) is not None and self.source != "train":
                raise ValueError(f"{part} belongs to source: train")
        if self.training is not None and self.stop_epoch is not None and self.stop_epoch > self.training.epochs:
            raise ValueError(
                f"stop_epoch must be within training.epochs, which are {self.training.epochs}; for a teacher that is "
                "trained longer, raise these"
            )
        return self

    def _artifact(self) -> str | None:
        """What has the given weights: of a local model, its own folder unless said otherwise."""
        if self.artifact is None and self.source == "weights" and self.model is not None:
            return self.model.name
        return self.artifact

    def to_trained(self, measured: bool = False) -> trained.Teacher:
        """In the trainers' words; `measured` where a preprocessing that the spec does not say is to be found."""
        unsaid = MEASURED if measured and self.source == "weights" else None
        origin = self.origin
        return trained.Teacher(
            source=self.source,
            model=self.model.to_trained() if self.model else None,
            training=self.training.to_trained() if self.training else None,
            optimizer=self.optimizer.to_trained() if self.optimizer else None,
            label_smoothing=self.label_smoothing,
            seed=self.seed,
            artifact=self._artifact(),
            stop_epoch=self.stop_epoch,
            pretrained_on=origin.pretrained_on.to_trained() if origin and origin.pretrained_on else None,
            origin=origin.weights if origin else None,
            finetune=origin.finetune if origin else "full",
            preprocessing=self.preprocessing.to_trained() if self.preprocessing else unsaid,
            class_map=self.class_map or (),
        )


class MemberSpec(_OneTeacher):
    """A teacher of an ensemble: trained by the job, given weights, or given logits."""

    source: trained.MemberSource = "train"


class TeacherSpec(_OneTeacher):
    """Where the teacher's logits come from: trained by the job, given weights or logits, or the mean of several."""

    members: tuple[MemberSpec, ...] | None = Field(
        None, max_length=MOST_MEMBERS, description="two or more, of an ensemble, whose logits are the mean of theirs"
    )
    views: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="augmented views whose logits are kept; 16 or one an epoch unless given, 1 without augmentation",
    )
    accept_weak: bool = Field(False, description="distil a given teacher although it is near chance on validation")

    @model_validator(mode="after")
    def _ensemble(self) -> Self:
        if (self.members is not None) != (self.source == "ensemble"):
            raise ValueError("members belong to source: ensemble, which needs them")
        if self.members is not None and len(self.members) < 2:
            raise ValueError("members must be two or more; one alone is a teacher without source: ensemble")
        if self.members and self.seed:
            raise ValueError("seed belongs to each of the members")
        digests: dict[str, int] = {}
        for number, member in enumerate(self.members or ()):
            first = digests.setdefault(trained.digest(trained.canonicalize(member.to_trained())), number)
            if first != number:
                raise ValueError(f"members.{number} is the same teacher as members.{first}: give it another seed")
        return self

    def each(self) -> dict[str, _OneTeacher]:
        """The single teachers that there are, with their paths in the spec."""
        if self.members is None:
            return {"teacher": self}
        return {f"teacher.members.{number}": member for number, member in enumerate(self.members)}

    def is_given(self) -> bool:
        """Whether the teacher, or one of an ensemble, comes as a file: then its classes and images may be others."""
        return any(teacher.source in ("weights", "logits") for teacher in self.each().values())

    def to_trained(self, measured: bool = False) -> trained.Teacher:
        """In the trainers' words; `measured` where a preprocessing that the spec does not say is to be found."""
        members = tuple(member.to_trained(measured) for member in self.members or ())
        return replace(super().to_trained(measured), members=members)


def check_origins(dataset: DatasetSpec, teacher: TeacherSpec, student: StudentSpec) -> None:
    """ValueError where the job's data do not go with where its teacher and its students come from."""
    if isinstance(dataset.classes, Clusters) and teacher.source != "train":
        raise ValueError(
            "dataset.classes: clusters need a teacher that the job trains (source: train); with given weights or "
            "logits say which classes they have: {map: [...]}"
        )
    origins = {
        f"{path}.origin.pretrained_on": source.origin.pretrained_on if source.origin else None
        for path, source in teacher.each().items()
    }
    origins |= {
        "student.initial.pretrained_on": student.initial.pretrained_on if student.initial else None,
    }
    for path, origin in origins.items():
        if origin is not None and (origin.dataset.name, origin.dataset.path) == (dataset.name, dataset.path):
            raise ValueError(
                f"{path}.dataset must be another one than the job's: its validation and test images would be among them"
            )
