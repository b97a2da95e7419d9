"""Preprocessing of given teachers: as the spec or the weights' file says, or the one under which they answer best."""

from __future__ import annotations

import dataclasses
import json
import math

import torch
from torch import Tensor

from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.preprocessing import (
    MEASURED,
    PRESETS,
    UNCHANGED,
    ChannelOrder,
    Preprocessing,
    PreprocessingFacts,
    Preset,
    Tried,
)
from trainers.spec import Teacher, TeacherFacts, canonicalize
from trainers.teaching import teacher as given
from trainers.teaching.teacher import Setting
from trainers.teaching.weight_cache import cached
from trainers.torchvision_names import TORCHVISION_MODELS
from trainers.training import evaluate
from trainers.zoo import given as given_weights

_FORMAT = "1"  # part of the stored files' names: raise it when presets change
_WORST_NLL = 1e6  # in the place of one that is not finite, and of all that is no better


@dataclasses.dataclass(frozen=True, slots=True)
class Measured:
    """Which validation images a teacher gets right under each preset, [presets, n] (bool), and its NLL there."""

    presets: tuple[Preset, ...]
    right: Tensor
    nll: tuple[float, ...]

    def tried(self) -> tuple[Tried, ...]:
        """In figures."""
        accuracies = self.right.double().mean(1).tolist()
        return tuple(map(Tried, self.presets, accuracies, self.nll))

    def choice(self) -> tuple[Preset, bool]:
        """The preset to take, and whether no other is as good.

        It is the most accurate, of equals the one of the lowest NLL, where it is clearly ahead of the first: the images
        that one of both alone gets right are not shared out so by chance more than once in a thousand (McNemar's exact
        test). Else it is the first, as students have it.
        """
        order = sorted(range(len(self.presets)), key=lambda i: (-int(self.right[i].sum()), self.nll[i]))
        best = order[0] if order[0] and self._ahead(order[0], 0) else 0
        clear = all(self._ahead(best, rival) for rival in range(len(self.presets)) if rival != best)
        return self.presets[best], clear

    def _ahead(self, row: int, rival: int) -> bool:
        return evaluate.ahead(self.right[row], self.right[rival])


def resolved(setting: Setting) -> tuple[Setting, tuple[PreprocessingFacts, ...]]:
    """The setting with every given teacher's preprocessing known, and the facts of each that has one.

    What was measured lies below `store/teachers/` and is shared, so that all machines choose alike. TeacherInvalid.
    """
    teacher = setting.problem.teacher
    if teacher.source != "ensemble":
        resolved_teacher, fact = _resolve(given.alone(setting, teacher), "teacher")
        return given.alone(setting, resolved_teacher), (fact,) if fact else ()
    members, facts = [], []
    for number, member in enumerate(teacher.members):
        resolved_teacher, fact = _resolve(given.alone(setting, member), f"teacher.members.{number}")
        members.append(resolved_teacher)
        facts += [fact] if fact else []
    return given.alone(setting, dataclasses.replace(teacher, members=tuple(members))), tuple(facts)


def with_colours(setting: Setting) -> Setting:
    """The setting with the colours of each given teacher's images, where the spec does not say them: as its file says,
    or as its tensors' shapes tell where they are of other channels than the data's. TeacherInvalid.
    """
    teacher = setting.problem.teacher
    members = tuple(_with_colours(given.alone(setting, member)) for member in teacher.members)
    alone = _with_colours(given.alone(setting, teacher))
    return given.alone(setting, dataclasses.replace(alone, members=members) if members else alone)


def _with_colours(setting: Setting) -> Teacher:
    teacher, split = setting.problem.teacher, setting.split
    request = teacher.preprocessing
    if teacher.source != "weights" or teacher.artifact is None or teacher.model is None or request is None:
        return teacher
    if request.channel_order is not None or split.inputs != "images":
        return teacher
    statement = _said(setting, teacher.artifact) if request.preset == "measured" else None
    order: ChannelOrder | None = None if statement is None else statement.channel_order
    if order is None:
        size = request.size or (statement and statement.size) or split.size
        channels = given_weights.channels_of(setting.store, teacher.artifact, teacher.model, split.channels, size)
        order = None if channels == split.channels else "grey" if channels == 1 else "rgb"
    if order is None:
        return teacher
    preparation = dataclasses.replace(request, channel_order=order)
    coloured: Teacher = canonicalize(dataclasses.replace(teacher, preprocessing=preparation))
    return coloured


def measure(setting: Setting, base: Preprocessing = UNCHANGED) -> Measured:
    """What a single teacher with given weights is worth under each preset, with the size and channels of `base`."""
    presets = _presets(setting, base)
    open_base = _unknown(base)
    setting = given.alone(setting, dataclasses.replace(setting.problem.teacher, preprocessing=open_base))
    path = given.folder(setting) / f"tried-{_FORMAT}-{given.data_digest(setting)}.safetensors"

    def make() -> dict[str, Tensor]:
        right, likelihoods = [], []
        labels = setting.split.validation.labels
        for preset in presets:
            prepared = _with_preset(setting, preset, base)
            logits = given.ask(given.alone(setting, prepared), setting.split.validation.images)
            right.append(evaluate.right(logits, labels) & logits.isfinite().all(-1))
            value = float(evaluate.nll(logits, labels))
            likelihoods.append(min(value, _WORST_NLL) if math.isfinite(value) else _WORST_NLL)
        return {"right": torch.stack(right).to(torch.uint8), "nll": torch.tensor(likelihoods, dtype=torch.float64)}

    tensors = cached(path, make, setting.shared)
    return Measured(presets, tensors["right"].bool(), tuple(tensors["nll"].tolist()))


def with_measured(setting: Setting, facts: TeacherFacts) -> TeacherFacts:
    """The facts with the presets measured for those teachers of which something else said the preprocessing: for who
    wants to know why a teacher is weak.
    """
    teacher = setting.problem.teacher
    singles = {"teacher": teacher} | {f"teacher.members.{i}": one for i, one in enumerate(teacher.members)}
    resolved_teacher = []
    for fact in facts.preprocessing:
        if not fact.tried:
            single = given.alone(setting, singles[fact.teacher])
            tried = measure(single, fact.preprocessing).tried()
            fact = dataclasses.replace(fact, tried=tried)
        resolved_teacher.append(fact)
    return dataclasses.replace(facts, preprocessing=tuple(resolved_teacher))


def _resolve(setting: Setting, place: str) -> tuple[Teacher, PreprocessingFacts | None]:
    teacher = setting.problem.teacher
    request = teacher.preprocessing
    if teacher.source != "weights" or teacher.artifact is None or request is None:
        return teacher, None
    if setting.split.inputs != "images":
        return _plain(setting, request), None
    if request.preset != "measured":
        fact = PreprocessingFacts(place, _coloured(setting, request), "spec")
        return canonicalize(dataclasses.replace(teacher, preprocessing=fact.preprocessing)), fact
    statement = _said(setting, teacher.artifact)
    if statement is not None:
        fact = PreprocessingFacts(place, _coloured(setting, _completed(request, statement)), "file")
    else:
        measurement = measure(setting, request)
        preset, clear = measurement.choice()
        preparation = _with_preset(setting, preset, request).preprocessing or UNCHANGED
        fact = PreprocessingFacts(place, preparation, "measured", measurement.tried(), clear)
    resolved_teacher: Teacher = canonicalize(dataclasses.replace(teacher, preprocessing=fact.preprocessing))
    return resolved_teacher, fact


def _plain(setting: Setting, request: Preprocessing) -> Teacher:
    """The teacher of examples that are no images, which are shown to it as students have them. TeacherInvalid."""
    if request not in (MEASURED, UNCHANGED):
        raise TeacherInvalid(
            f"teacher.preprocessing is of images, and the examples are {setting.split.inputs}: leave it out"
        )
    plain: Teacher = canonicalize(dataclasses.replace(setting.problem.teacher, preprocessing=None))
    return plain


def _said(setting: Setting, artifact: str) -> Preprocessing | None:
    """What the file of weights says of it, None where it says nothing."""
    text = given_weights.metadata(setting.store, artifact).get(preprocessing.METADATA)
    if text is None:
        return None
    try:
        return preprocessing.from_document(json.loads(text))
    except ValueError as error:
        raise TeacherInvalid(
            f"the artifact {artifact} has metadata {preprocessing.METADATA} that cannot be read: {error}"
        ) from error


def _completed(request: Preprocessing, statement: Preprocessing) -> Preprocessing:
    """What a file says, but for what the spec says otherwise."""
    overrides = {
        name: getattr(request, name)
        for name in ("size", "interpolation", "crop", "channel_order")
        if getattr(request, name) != getattr(UNCHANGED, name)
    }
    return dataclasses.replace(statement, **overrides)


def _presets(setting: Setting, base: Preprocessing) -> tuple[Preset, ...]:
    """Those that can be tried on images of so many channels."""
    channels, _ = base.shape(setting.split.channels, setting.split.size)
    colour = channels in (1, 3)
    return tuple(preset for preset in PRESETS if colour or preset != "imagenet")


def _with_preset(setting: Setting, preset: Preset, base: Preprocessing) -> Teacher:
    """The teacher under a preset, with the size, crop and channels of `base`."""
    preparation = _coloured(setting, dataclasses.replace(_unknown(base), preset=preset))
    teacher = setting.problem.teacher
    changed: Teacher = canonicalize(dataclasses.replace(teacher, preprocessing=preparation))
    return changed


def _coloured(setting: Setting, preparation: Preprocessing) -> Preprocessing:
    """With colours, also of grey images, where each of three channels has a mean; and, of ImageNet's, for a model that
    knows nothing else.
    """
    model = setting.problem.teacher.model
    needs_colours = model is not None and model.name in TORCHVISION_MODELS
    per_channel = len(preparation.mean) > 1 or (preparation.preset == "imagenet" and needs_colours)
    if per_channel and preparation.channel_order is None and (needs_colours or setting.split.channels == 1):
        return dataclasses.replace(preparation, channel_order="rgb")
    return preparation


def _unknown(base: Preprocessing) -> Preprocessing:
    """The size, crop and channels of `base`, its moments to be measured."""
    return dataclasses.replace(base, preset="measured", mean=(), std=(), value_range=UNCHANGED.value_range)
