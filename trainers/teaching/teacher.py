"""The teacher's logits, computed once per (teacher, data, views, precision) and stored: all trials, workers and jobs
share them.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainers import derived, disk
from trainers.data.datasets import Split
from trainers.data.preprocessor import Preprocessor
from trainers.data.views import Normaliser, Views
from trainers.errors import TeacherInvalid
from trainers.registry.augmentations import UNCHANGED
from trainers.spec import Metrics, Model, Problem, Teacher, TeacherFacts, canonicalize, digest, to_jsonable
from trainers.teaching import class_map, logits, pretraining, supervised
from trainers.teaching.pretraining import PretrainedModel
from trainers.teaching.supervised import SupervisedTask
from trainers.teaching.weight_cache import Shared, cached
from trainers.training import evaluate, threads
from trainers.training.epoch import PREDICTION_BATCH, pieces, place, predict, predict_batches
from trainers.zoo import given, heads, models, weights

_ROUNDING = 1e-3  # of a metric, by another machine
_FORMAT = "2"  # part of the stored files' names: raise it when views or training change


@dataclass(frozen=True, slots=True)
class Answers:
    """The teacher's logits on the CPU, train [views, n, classes] (float16 or float32) and validation [m, classes]
    (float32), mapped from their file where they were stored, and facts.
    """

    train: Tensor
    validation: Tensor
    facts: TeacherFacts


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a teacher works: the problem, its data, the artifact store, the device, the root of all data, and
    what other machines have of the store; and how many test images there are, where that is known.
    """

    problem: Problem
    split: Split
    store: Path
    device: torch.device
    data: Path
    shared: Shared | None = None
    test_images: int | None = None

    def pupil(self, model: Model, seed: int) -> PretrainedModel:
        """A model of that seed which is to know other data before it comes here."""
        return PretrainedModel(
            model,
            self.split.channels,
            self.split.size,
            seed,
            self.problem.precision,
            self.data,
            self.store,
            self.device,
            self.shared,
            self.split.budget,
        )


def answers(setting: Setting) -> Answers:
    """The teacher's logits on every view of train and on validation.

    They are stored below `store/teachers/<fingerprint>/`, under a name that has the data's own digest in it, so that
    files which changed under the same name are not mistaken for those the teacher saw. One process computes, others
    wait for it (an advisory lock, which ends with its holder). A problem in bf16 keeps the training part's logits in
    16 bits, of which a bfloat16 product leaves no more than 8 to begin with. Raises TeacherInvalid, ModelUnavailable or
    DiskBudgetExceeded.
    """
    if setting.problem.teacher.source == "logits":
        return _given_logits(setting)
    path = _answers_path(setting)

    def load() -> Answers:
        tensors = weights.load(path)
        train = tensors["train"]
        if len(train) == 1:
            train = train.expand(setting.problem.views, -1, -1)
        return Answers(train, tensors["validation"], _read_facts(_facts_path(path)))

    def adopt(old_answers: Answers) -> None:
        _check_old(setting, old_answers)

    return derived.opened([path, _facts_path(path)], load, lambda: _compute(setting, path), adopt)


def _check_old(setting: Setting, old_answers: Answers) -> None:
    """Damaged where answers that have no digest are not what their facts say, but for how machines round."""
    facts, split = _facts(setting, old_answers.train, old_answers.validation), setting.split
    if tuple(old_answers.train.shape) != (setting.problem.views, len(split.train.labels), split.classes):
        raise derived.Damaged(f"the logits have the shape {tuple(old_answers.train.shape)}")
    measured, recorded = to_jsonable(facts.validation), to_jsonable(old_answers.facts.validation)
    if any(not abs(measured[name] - recorded[name]) < _ROUNDING for name in measured):
        raise derived.Damaged("the logits are not those that the facts tell of")


def test_logits(setting: Setting, images: Tensor) -> Tensor:
    """The teacher's logits [n, classes] on the test images (uint8), from its stored weights."""
    teacher = setting.problem.teacher
    if teacher.source == "ensemble":
        return logits.mean([test_logits(member, images) for member in members(setting)])
    if teacher.source == "logits":
        tensors = weights.load_artifact(setting.store, _artifact(teacher))
        return _own_logits(setting, tensors, "test", (len(images),))
    answers(setting)  # the weights are there once the logits are
    return ask(setting, images)


def ask(setting: Setting, images: Tensor) -> Tensor:
    """The logits [n, classes] of a single teacher that is a model on images (uint8), on the CPU."""
    model = _taught(setting, _place(setting))
    return predict(model, images, normaliser(setting), setting.problem.precision).cpu()


def normaliser(setting: Setting) -> Normaliser:
    """What brings images to a single teacher: as its preprocessing has it, or else as students see them."""
    preprocessing, split = setting.problem.teacher.preprocessing, setting.split
    if preprocessing is None:
        return Normaliser.of(split, setting.device)
    return Preprocessor(preprocessing, split, setting.device)


def input_shape(teacher: Teacher, split: Split) -> tuple[int, tuple[int, ...]]:
    """Channels and size of the images that a single teacher takes."""
    if teacher.preprocessing is None:
        return split.channels, split.size
    return teacher.preprocessing.shape(split.channels, split.size)


def make_views(setting: Setting, count: int) -> Views:
    """So many views of the training part, on the setting's device where they fit."""
    return supervised.views(setting.split, setting.problem.data, count, setting.device)


def _place(setting: Setting) -> Path:
    return folder(setting) / f"{_FORMAT}-{data_digest(setting)}{_stamp(setting)}.safetensors"


def _answers_path(setting: Setting) -> Path:
    """The file of the answers. Views that are all the same are stored once, where no older version has stored each."""
    path = _place(setting)
    if setting.problem.views == 1 or _different(setting) > 1 or disk.has_file(path):
        return path
    return path.with_name(f"1v-{path.name}")


def _different(setting: Setting) -> int:
    """How many of the views differ."""
    return 1 if setting.problem.data.augmentation == UNCHANGED else setting.problem.views


def folder(setting: Setting) -> Path:
    """Where all lies that is derived from the problem's teacher."""
    return setting.store / "teachers" / setting.problem.teacher_fingerprint()


def data_digest(setting: Setting) -> str:
    """What the names of files have in them of the images themselves."""
    return f"{setting.split.train.digest()[:20]}{setting.split.validation.digest()[:20]}"


def _stamp(setting: Setting) -> str:
    """What the name of the stored answers has in it of data other than the problem's own."""
    if setting.problem.teacher.source == "ensemble":
        stamps = [_stamp(member) for member in members(setting)]
        return digest(stamps)[:20] if any(stamps) else ""
    return pretraining.stamp(setting.problem.teacher.pretrained_on, setting.data)


def _facts_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _weights_path(path: Path) -> Path:
    return path.with_name(f"weights-{path.name}")


def _compute(setting: Setting, path: Path) -> None:
    """Makes the answers, piece by piece in their file, and, as the sign that all is there, facts."""
    split, problem = setting.split, setting.problem
    dtype = torch.float16 if problem.precision == "bf16" else torch.float32
    shapes: dict[str, weights.Shape] = {
        "train": (dtype, (_different(setting), len(split.train.labels), split.classes)),
        "validation": (torch.float32, (len(split.validation.labels), split.classes)),
    }
    _take(setting, shapes)
    if problem.teacher.source == "ensemble":
        answered = [answers(member) for member in members(setting)]
        with weights.writing(path, shapes) as tensors:
            logits.write_means([answer.train for answer in answered], tensors["train"])
            tensors["validation"].copy_(logits.mean([answer.validation for answer in answered]))
            facts = _facts(setting, tensors["train"], tensors["validation"])
    else:
        model = _taught(setting, _place(setting))
        with weights.writing(path, shapes) as tensors:
            _write_logits(model, setting, tensors["train"], tensors["validation"])
            facts = _facts(setting, tensors["train"], tensors["validation"])
    with disk.whole(_facts_path(path), "what the teacher is worth cannot be written") as partial:
        partial.write_text(json.dumps(to_jsonable(facts)))


def _take(setting: Setting, shapes: dict[str, weights.Shape]) -> None:
    """Takes the answers' bytes off the budget. DiskBudgetExceeded, StorageFault."""
    if setting.split.budget is None:
        return
    views, images, classes = shapes["train"][1]
    remedy = "lower dataset.train_size" if views == 1 else "lower teacher.views or dataset.train_size"
    purpose = f"the teacher's logits ({views} views of {images:,} images, {classes:,} classes)"
    setting.split.budget.take(purpose, weights.size_of(shapes), remedy)


def members(setting: Setting) -> list[Setting]:
    """Where each member of an ensemble works, in an order that does not depend on how they are named."""
    teachers = canonicalize(setting.problem.teacher).members
    if not teachers or any(member.source == "ensemble" for member in teachers):
        raise TeacherInvalid("an ensemble needs members that are teachers of their own")
    return [alone(setting, teacher) for teacher in teachers]


def alone(setting: Setting, teacher: Teacher) -> Setting:
    """Where that teacher works in the place of the problem's."""
    return dataclasses.replace(setting, problem=dataclasses.replace(setting.problem, teacher=teacher))


def _write_logits(model: nn.Module, setting: Setting, train: Tensor, validation: Tensor) -> None:
    """The model's logits on the views that students are shown, in evaluation mode, and on validation.

    Each view is shown once; without augmentation all of them are the same.
    """
    problem, split, prepare = setting.problem, setting.split, normaliser(setting)
    with threads.exactly(_threads(setting)):
        views = supervised.views(split, problem.data, problem.views, setting.device, prepare)
        numbers = torch.arange(train.shape[1], device="cpu" if views.streams else setting.device)
        for view in range(len(train)):
            for rows, part in zip(pieces(train[view], prepare.batch), pieces(numbers, prepare.batch), strict=True):
                rows.copy_(predict_batches(model, [views.batch(view, part)], problem.precision))
        validation.copy_(predict(model, split.validation.images, prepare, problem.precision))


def _threads(setting: Setting) -> int:
    """On how many threads a teacher is trained and asked."""
    training = setting.problem.teacher.training
    batch_size = PREDICTION_BATCH if training is None else training.batch_size
    shape = input_shape(setting.problem.teacher, setting.split)
    operations = threads.step_operations(_untrained(setting), *shape, batch_size)
    return threads.suited(operations)


def _taught(setting: Setting, path: Path) -> nn.Module:
    """The teacher, on its device: with the given weights, or with those that are trained once and kept."""
    if setting.problem.teacher.source == "weights":
        return place(_filled(setting), setting.device)
    model = _untrained(setting)
    tensors = cached(_weights_path(path), lambda: _trained(setting), setting.shared)
    weights.fill(model, tensors, "the teacher's file")
    return place(model, setting.device)


def _filled(setting: Setting) -> nn.Module:
    """The teacher with given weights, on the CPU; one of other classes answers the job's where these are mapped."""
    teacher, split = setting.problem.teacher, setting.split
    shape = input_shape(teacher, split)
    tensors = given.load(setting.store, _artifact(teacher), _model(teacher), *shape)
    classes = heads.classes_of(tensors, _model(teacher), *shape)
    if classes is not None and teacher.class_map:
        class_map.check(teacher.class_map, classes, split)
    elif classes not in (None, split.classes):
        raise TeacherInvalid(
            f"artifact {teacher.artifact} does not fit the model: its head has {classes} classes and the data have "
            f"{split.classes}. Say in teacher.class_map which of its classes are yours, or train a new head on it "
            "(source: train, origin: {weights: ...})"
        )
    model = models.build(_model(teacher), *shape, classes or split.classes, teacher.seed)
    if classes is None and (lacking := sorted(set(model.state_dict()) - set(tensors))):
        raise TeacherInvalid(
            f"artifact {teacher.artifact} has no head, for it lacks {', '.join(lacking[:3])}: use it "
            "as origin.weights with source: train, which gives it one"
        )
    weights.fill(model, tensors, f"artifact {teacher.artifact}")
    return class_map.Mapped(model, teacher.class_map) if teacher.class_map else model


def _trained(setting: Setting) -> dict[str, Tensor]:
    """The teacher's state once it was trained on the labels; each of its epochs shows a view of its own."""
    problem, teacher = setting.problem, setting.problem.teacher
    model, names = _beginning(setting)
    head = names if teacher.finetune == "head" else frozenset[str]()
    if teacher.training is None or teacher.optimizer is None:
        raise TeacherInvalid("a teacher that the job trains needs a training and an optimizer")
    lesson = SupervisedTask(
        who="the teacher",
        split=setting.split,
        data=problem.data,
        training=teacher.training,
        optimizer=teacher.optimizer,
        seed=teacher.seed,
        precision=problem.precision,
        label_smoothing=teacher.label_smoothing,
        stop_epoch=teacher.stop_epoch,
        head=head,
    )
    with threads.exactly(_threads(setting)):
        supervised.train_on_labels(place(model, setting.device), lesson, setting.device)
    return model.state_dict()


def _given_logits(setting: Setting) -> Answers:
    problem, split = setting.problem, setting.split
    tensors = weights.load_artifact(setting.store, _artifact(problem.teacher))
    train = _own_logits(setting, tensors, "train", (problem.views, len(split.train.labels)))
    validation = _own_logits(setting, tensors, "validation", (len(split.validation.labels),))
    if "test" not in tensors:
        raise TeacherInvalid("the logits' file has no tensor `test`, which the confirmation will need")
    if setting.test_images is not None:  # a wrong one would be found after all was paid for
        _file_logits(setting, tensors, "test", (setting.test_images,))
    return Answers(train, validation, _facts(setting, train, validation))


def _own_logits(setting: Setting, tensors: dict[str, Tensor], name: str, examples: tuple[int, ...]) -> Tensor:
    """The given logits of a part, of the job's classes: where these are mapped, the file has others."""
    file_logits, groups = _file_logits(setting, tensors, name, examples), setting.problem.teacher.class_map
    return class_map.mapped(file_logits, groups, setting.split.budget) if groups else file_logits


def _file_logits(setting: Setting, tensors: dict[str, Tensor], name: str, examples: tuple[int, ...]) -> Tensor:
    """The given logits of a part as the file has them. TeacherInvalid where they, or a map of them, do not fit."""
    groups, classes = setting.problem.teacher.class_map, setting.split.classes
    if name == "train" and examples[0] == 1 and name in tensors and tensors[name].ndim == 2:
        tensors = {**tensors, name: tensors[name][None]}  # the one view, without a dimension of its own
    if groups:
        classes = tensors[name].shape[-1] if name in tensors and tensors[name].ndim else 0
        class_map.check(groups, classes, setting.split)
    return logits.of_shape(tensors, name, (*examples, classes))


def _facts(setting: Setting, train: Tensor, validation: Tensor) -> TeacherFacts:
    """Measured on validation at T = 1; TeacherInvalid where logits are not finite."""
    split, way = setting.split, logits.remedy(setting.problem.teacher.source)
    if not logits.finite(train):
        raise TeacherInvalid(f"the teacher's logits on the training part are not finite: {way}")
    try:
        quality = evaluate.measure(validation, split.validation.labels, validation, temperature=1.0)
    except evaluate.NotFinite as error:
        raise TeacherInvalid(f"the teacher's logits on the validation part are not finite: {way}") from error
    return TeacherFacts(
        fingerprint=setting.problem.teacher_fingerprint(),
        classes=split.classes,
        train_images=len(split.train.labels),
        validation_images=len(split.validation.labels),
        validation=quality,
    )


def _read_facts(path: Path) -> TeacherFacts:
    with disk.guarded("what the teacher is worth cannot be read"):
        document = json.loads(path.read_text())
    return TeacherFacts(**{**document, "validation": Metrics(**document["validation"])})


def _beginning(setting: Setting) -> tuple[nn.Module, frozenset[str]]:
    """The teacher before it sees the problem's data, and its head's names where it comes from others."""
    teacher, split = setting.problem.teacher, setting.split
    if teacher.source == "train" and teacher.pretrained_on is not None:
        pupil = setting.pupil(_model(teacher), teacher.seed)
        return pretraining.pretrained_model(pupil, teacher.pretrained_on, setting.problem.data, split.classes)
    if teacher.source == "train" and teacher.origin is not None:
        return pretraining.model_from_file(setting.pupil(_model(teacher), teacher.seed), teacher.origin, split.classes)
    return _untrained(setting), frozenset()


def _untrained(setting: Setting) -> nn.Module:
    split, teacher = setting.split, setting.problem.teacher
    return models.build(_model(teacher), *input_shape(teacher, split), split.classes, teacher.seed)


def _model(teacher: Teacher) -> Model:
    if teacher.model is None:
        raise TeacherInvalid(f"a teacher from {teacher.source} needs a model")
    return teacher.model


def _artifact(teacher: Teacher) -> str:
    if teacher.artifact is None:
        raise TeacherInvalid(f"a teacher from {teacher.source} needs an artifact")
    return teacher.artifact
