"""Preprocessing of given teachers: as the spec or the weights' file says, or the one under which they answer best."""

from __future__ import annotations

import dataclasses
import json
import math

import torch
from torch import Tensor

from trainers import preprocessing
from trainers.errors import TeacherInvalid
from trainers.preprocessing import PRESETS, UNCHANGED, Preprocessing, PreprocessingFacts, Preset, Tried
from trainers.spec import Teacher, TeacherFacts, canonicalize
from trainers.teaching import teacher as given
from trainers.teaching.teacher import Setting
from trainers.teaching.weight_cache import cached
from trainers.torchvision_names import TORCHVISION_MODELS
from trainers.training import evaluate
from trainers.zoo import weights

_FORMAT = "1"  # part of the stored files' names: raise it when presets change
_WORST_NLL = 1e6  # in the place of one that is not finite, and of all that is no better
_CHANCE = 1e-3  # of a lead that is none


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
        clear = all(self._ahead(best, other) for other in range(len(self.presets)) if other != best)
        return self.presets[best], clear

    def _ahead(self, one: int, other: int) -> bool:
        mine = int((self.right[one] & ~self.right[other]).sum())
        its = int((self.right[other] & ~self.right[one]).sum())
        return mine > its and _at_least(mine, mine + its) < _CHANCE


def resolved(setting: Setting) -> tuple[Setting, tuple[PreprocessingFacts, ...]]:
    """The setting with every given teacher's preprocessing known, and the facts of each that has one.

    What was measured lies below `store/teachers/` and is shared, so that all machines choose alike. TeacherInvalid.
    """
    teacher = setting.problem.teacher
    if teacher.source != "ensemble":
        known, fact = _resolve(given.alone(setting, canonicalize(teacher)), "teacher")
        return given.alone(setting, known) if fact else setting, (fact,) if fact else ()
    members, facts = [], []
    for number, member in enumerate(teacher.members):
        known, fact = _resolve(given.alone(setting, canonicalize(member)), f"teacher.members.{number}")
        members.append(known if fact else member)
        facts += [fact] if fact else []
    return given.alone(setting, dataclasses.replace(teacher, members=tuple(members))), tuple(facts)


def measure(setting: Setting, also: Preprocessing = UNCHANGED) -> Measured:
    """What a single teacher with given weights is worth under each preset, with the size and channels of `also`."""
    presets = _presets(setting, also)
    unknown = _unknown(also)
    setting = given.alone(setting, dataclasses.replace(setting.problem.teacher, preprocessing=unknown))
    path = given.folder(setting) / f"tried-{_FORMAT}-{given.data_digest(setting)}.safetensors"

    def make() -> dict[str, Tensor]:
        right, likelihoods = [], []
        labels = setting.split.validation.labels
        for preset in presets:
            prepared = _with_preset(setting.problem.teacher, preset, also)
            logits = given.ask(given.alone(setting, prepared), setting.split.validation.images)
            right.append((logits.argmax(-1) == labels) & logits.isfinite().all(-1))
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
    known = []
    for fact in facts.preprocessing:
        if not fact.tried:
            single = given.alone(setting, canonicalize(singles[fact.teacher]))
            tried = measure(single, fact.preprocessing).tried()
            fact = dataclasses.replace(fact, tried=tried)
        known.append(fact)
    return dataclasses.replace(facts, preprocessing=tuple(known))


def _resolve(setting: Setting, place: str) -> tuple[Teacher, PreprocessingFacts | None]:
    teacher = setting.problem.teacher
    wanted = teacher.preprocessing
    if teacher.source != "weights" or teacher.artifact is None or wanted is None:
        return teacher, None
    if wanted.preset != "measured":
        return teacher, PreprocessingFacts(place, wanted, "spec")
    said = _said(setting, teacher.artifact)
    if said is not None:
        fact = PreprocessingFacts(place, _completed(wanted, said), "file")
    else:
        measured = measure(setting, wanted)
        preset, clear = measured.choice()
        known = _with_preset(teacher, preset, wanted).preprocessing or UNCHANGED
        fact = PreprocessingFacts(place, known, "measured", measured.tried(), clear)
    chosen: Teacher = canonicalize(dataclasses.replace(teacher, preprocessing=fact.preprocessing))
    return chosen, fact


def _said(setting: Setting, artifact: str) -> Preprocessing | None:
    """What the file of weights says of it, None where it says nothing."""
    text = weights.artifact_metadata(setting.store, artifact).get(preprocessing.METADATA)
    if text is None:
        return None
    try:
        return preprocessing.from_document(json.loads(text))
    except ValueError as error:
        raise TeacherInvalid(
            f"the artifact {artifact} has metadata {preprocessing.METADATA} that cannot be read: {error}"
        ) from error


def _completed(wanted: Preprocessing, said: Preprocessing) -> Preprocessing:
    """What a file says, but for what the spec says otherwise."""
    asked = {
        name: getattr(wanted, name)
        for name in ("size", "interpolation", "crop", "channel_order")
        if getattr(wanted, name) != getattr(UNCHANGED, name)
    }
    return dataclasses.replace(said, **asked)


def _presets(setting: Setting, also: Preprocessing) -> tuple[Preset, ...]:
    """Those that can be tried on images of so many channels."""
    channels, _ = also.shape(setting.split.channels, setting.split.size)
    colour = channels in (1, 3)
    return tuple(preset for preset in PRESETS if colour or preset != "imagenet")


def _with_preset(teacher: Teacher, preset: Preset, also: Preprocessing) -> Teacher:
    """The teacher under a preset, with the size, crop and channels of `also`; models that know colours alone are shown
    grey images as three channels where the preset has a mean of each.
    """
    order = also.channel_order
    if order is None and preset == "imagenet" and teacher.model and teacher.model.name in TORCHVISION_MODELS:
        order = "rgb"
    known = dataclasses.replace(_unknown(also), preset=preset, channel_order=order)
    changed: Teacher = canonicalize(dataclasses.replace(teacher, preprocessing=known))
    return changed


def _unknown(also: Preprocessing) -> Preprocessing:
    """The size, crop and channels of `also`, its moments to be measured."""
    return dataclasses.replace(also, preset="measured", mean=(), std=(), value_range=UNCHANGED.value_range)


def _at_least(count: int, total: int) -> float:
    """The chance that a fair coin shows heads so often or oftener among so many throws."""
    return math.fsum(math.exp(_log_choose(total, k) - total * math.log(2)) for k in range(count, total + 1))


def _log_choose(total: int, count: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(count + 1) - math.lgamma(total - count + 1)
