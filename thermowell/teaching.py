# Made of the schema and the registry by tests/architecture/test_spec_builders.py: write it anew there.
"""Builders of teachers, students and the data that they learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from thermowell.parts import Part


@dataclass(kw_only=True)
class Clusters(Part):
    """So many groups of the classes that the teacher confuses."""

    clusters: int


@dataclass(kw_only=True)
class Dataset(Part):
    """Which data, and how they are split.

    path: for npz, image_folder and replay: below the data root
    test_fraction: counts only where the set has no test part of its own
    train_size: keep a stratified subset of the training part
    image_size: resize photographs to this many pixels
    classes: fine, which are the set's own; coarse; a map; or clusters
    layout: of an image_folder that could be either: its folders are classes, or parts (train, ...)
    arguments: of a plugin's data set
    targets: of npz: labels are rows, of probabilities (soft) or of zeros and ones (several); one class each unless
        given
    """

    name: (
        Literal[
            "digits",
            "MNIST",
            "FashionMNIST",
            "CIFAR10",
            "CIFAR100",
            "SVHN",
            "STL10",
            "Flowers102",
            "OxfordIIITPet",
            "Food101",
            "image_folder",
            "npz",
            "replay",
        ]
        | str
        | None
    ) = None
    path: str | None = None
    split_seed: int | None = None
    validation_fraction: float | None = None
    test_fraction: float | None = None
    train_size: int | None = None
    image_size: int | None = None
    augmentation: (
        Literal["none", "shift", "crop", "crop_flip", "mixup", "cutmix", "crop_flip_mixup", "crop_flip_cutmix"]
        | str
        | None
    ) = None
    classes: Literal["fine", "coarse"] | LabelMap | Mapping[str, Any] | Clusters | None = None
    layout: Literal["classes", "parts"] | None = None
    arguments: Mapping[str, Any] | None = None
    targets: Literal["soft", "several"] | None = None


@dataclass(kw_only=True)
class FixedOptimizer(Part):
    """One optimizer with its settings, for the teacher."""

    name: Literal["sgd", "adam", "adamw", "lion", "rmsprop", "nadam"] | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    momentum: float | None = None
    nesterov: bool | None = None


@dataclass(kw_only=True)
class Initial(Part):
    """With which weights students begin; all but random ones are made once, and every student starts from them.

    training: on the job's own labels: trained and finetuned
    pretrained_on: other data: pretrained and finetuned
    finetune: finetuned: all of it, unless head is said
    artifact: weights: sha256 of their file in the artifact store, or package:NAME or hf:PATH
    """

    source: Literal["random", "trained", "pretrained", "finetuned", "weights"] | None = None
    training: Training | Mapping[str, Any] | None = None
    optimizer: FixedOptimizer | Mapping[str, Any] | None = None
    pretrained_on: Pretraining | Mapping[str, Any] | None = None
    finetune: Literal["full", "head"] | None = None
    seed: int | None = None
    artifact: str | None = None


@dataclass(kw_only=True)
class LabelMap(Part):
    """A class for each of the data set's own, in their order."""

    map: Sequence[int]


@dataclass(kw_only=True)
class Member(Part):
    """A teacher of an ensemble: trained by the job, given weights, or given logits.

    stop_epoch: take the teacher at this epoch of its training, whose schedule is made for all of them
    origin: trained elsewhere first; training and optimizer then finetune
    artifact: sha256 of the file in the artifact store; of weights also package:NAME or hf:PATH
    preprocessing: of weights: how their own training prepared images; the file's or the best measured unless given
    class_map: of weights or logits with other classes: for each of the job's classes the one of the file's head
        that is the same, or a list of those that belong to it
    """

    source: Literal["train", "weights", "logits"] | None = None
    model: Model | Mapping[str, Any] | None = None
    training: Training | Mapping[str, Any] | None = None
    optimizer: FixedOptimizer | Mapping[str, Any] | None = None
    label_smoothing: float | None = None
    seed: int | None = None
    stop_epoch: int | None = None
    origin: Origin | Mapping[str, Any] | None = None
    artifact: str | None = None
    preprocessing: Literal["dataset", "unit", "half", "imagenet"] | Preprocessing | Mapping[str, Any] | None = None
    class_map: Sequence[int | Sequence[int]] | None = None


@dataclass(kw_only=True)
class Model(Part):
    """A model of the catalogue, with its arguments."""

    name: Literal["mlp", "cnn", "resnet", "wrn", "efficientnet_lite"] | str
    arguments: Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class Origin(Part):
    """A teacher that saw other data first; `head` leaves all but its new head as these made it.

    weights: in its place: sha256 of the file of such a model's weights, or package:NAME or hf:PATH
    """

    pretrained_on: Pretraining | Mapping[str, Any] | None = None
    weights: str | None = None
    finetune: Literal["full", "head"] | None = None


@dataclass(kw_only=True)
class Preprocessing(Part):
    """How images become what a given teacher takes. A preset's name alone means that preset.

    preset: dataset: mean and deviation of the training part, as students have them; unit: 0 to 1, mean 0 and
        deviation 1; half: -1 to 1, mean 0.5 and deviation 0.5; imagenet: ImageNet's mean and deviation of each
        channel; without it and without mean and std: what the file says, or else the one that is best on validation
    mean: of each channel, in the value range
    value_range: to which 0..255 is scaled, before the mean
    size: height and width, or one number; the data's unless given
    crop: the share of the resized image, in its middle, that is kept
    channel_order: the data's unless given
    """

    preset: Literal["dataset", "unit", "half", "imagenet"] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    value_range: Sequence[float] | None = None
    size: Sequence[int] | None = None
    interpolation: Literal["bilinear", "bicubic", "nearest"] | None = None
    crop: float | None = None
    channel_order: Literal["rgb", "bgr", "grey"] | None = None


@dataclass(kw_only=True)
class Pretraining(Part):
    """On which other data, and how; their images are brought to the job's size and channels."""

    dataset: Dataset | Mapping[str, Any]
    training: Training | Mapping[str, Any] | None = None
    optimizer: FixedOptimizer | Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class Schedule(Part):
    """Learning rate along training: linear warm-up, then the named shape."""

    name: Literal["constant", "cosine", "step"] | None = None
    warmup_epochs: int | None = None
    step_epochs: Sequence[int] | None = None
    step_factor: float | None = None


@dataclass(kw_only=True)
class Student(Part):
    """A model of the catalogue, and with which weights it begins.

    initial: random weights of each trial's own, unless said otherwise
    """

    name: Literal["mlp", "cnn", "resnet", "wrn", "efficientnet_lite"] | str
    arguments: Mapping[str, Any] | None = None
    initial: Initial | Mapping[str, Any] | None = None


@dataclass(kw_only=True)
class Teacher(Part):
    """Where the teacher's logits come from: trained by the job, given weights or logits, or the mean of several.

    stop_epoch: take the teacher at this epoch of its training, whose schedule is made for all of them
    origin: trained elsewhere first; training and optimizer then finetune
    artifact: sha256 of the file in the artifact store; of weights also package:NAME or hf:PATH
    preprocessing: of weights: how their own training prepared images; the file's or the best measured unless given
    class_map: of weights or logits with other classes: for each of the job's classes the one of the file's head
        that is the same, or a list of those that belong to it
    members: two or more, of an ensemble, whose logits are the mean of theirs
    views: augmented views whose logits are kept; 16 or one an epoch unless given, 1 without augmentation
    accept_weak: distil a given teacher although it is near chance on validation
    """

    source: Literal["train", "weights", "logits", "ensemble"] | None = None
    model: Model | Mapping[str, Any] | None = None
    training: Training | Mapping[str, Any] | None = None
    optimizer: FixedOptimizer | Mapping[str, Any] | None = None
    label_smoothing: float | None = None
    seed: int | None = None
    stop_epoch: int | None = None
    origin: Origin | Mapping[str, Any] | None = None
    artifact: str | None = None
    preprocessing: Literal["dataset", "unit", "half", "imagenet"] | Preprocessing | Mapping[str, Any] | None = None
    class_map: Sequence[int | Sequence[int]] | None = None
    members: Sequence[Member | Mapping[str, Any]] | None = None
    views: int | None = None
    accept_weak: bool | None = None


@dataclass(kw_only=True)
class Training(Part):
    """How long each student is trained, and in which steps."""

    epochs: int | None = None
    batch_size: int | None = None
    schedule: Schedule | Mapping[str, Any] | None = None
