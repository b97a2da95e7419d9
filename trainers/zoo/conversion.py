"""Tensors of somebody's file under a model's own names, with a report of what became of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from trainers.spec import Model
from trainers.zoo import heads, models, naming
from trainers.zoo.tensor_files import TensorFile

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a file's tensors: which of the model's are filled, missing, of another shape or unusable, and the
    rest. `headless`: only the tensors that belong to the classes are missing.
    """

    matched: int
    missing: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    other_shape: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    unwrapped: tuple[str, ...] = ()
    classes: int | None = None
    preprocessing: str | None = None
    notes: tuple[str, ...] = field(default=())
    headless: bool = False

    @property
    def whole(self) -> bool:
        """Whether the model is filled."""
        return not (self.missing or self.other_shape or self.unusable)

    @property
    def usable(self) -> bool:
        """Whether the model is filled, but for a head that it may have anew."""
        return self.whole or (self.headless and not (self.other_shape or self.unusable))

    def lines(self) -> list[str]:
        """It in words, a line each."""
        lines = [f"matched: {self.matched} tensors"]
        for name in ("missing", "other_shape", "unusable", "left_over"):
            names = getattr(self, name)
            if names:
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                lines.append(f"{name.replace('_', ' ')}: {', '.join(names[:_SHOWN])}{more}")
        if self.unwrapped:
            lines.append(f"unwrapped: {', '.join(self.unwrapped)}")
        if self.classes is not None:
            lines.append(f"classes: {self.classes}")
        if self.preprocessing is not None:
            lines.append(f"preprocessing: {self.preprocessing}")
        return [*lines, *self.notes]


def mapped(file: TensorFile, model: Model, channels: int, size: tuple[int, ...]) -> tuple[dict[str, Tensor], Report]:
    """The tensors under the model's own names, whatever stands before theirs, and what became of each.

    The model has as many classes as its head in the file. TeacherInvalid where the file has it several times,
    ModelUnavailable where there is no such model.
    """
    shapes, head = heads.shapes(model, channels, size, 2), heads.changing(model, channels, size, 2)
    match = naming.match(file, shapes, head)
    classes = heads.classes_of(match.tensors, model, channels, size)
    expected = models.build(model, channels, size, classes or 2, seed=0).state_dict()
    wrong = {name: f"{name} {list(t.shape)} for {list(expected[name].shape)}" for name, t in match.tensors.items()}
    wrong = {name: words for name, words in wrong.items() if match.tensors[name].shape != expected[name].shape}
    problems = {name: _problem(tensor, expected[name]) for name, tensor in match.tensors.items() if name not in wrong}
    unusable = tuple(f"{name} {problem}" for name, problem in problems.items() if problem)
    filled = {name: match.tensors[name] for name, problem in problems.items() if not problem}
    filled |= _implied(expected, filled, match.tensors)
    missing = tuple(name for name in expected if name not in filled and name not in match.tensors)
    headless = classes is None and bool(filled) and set(missing) <= head
    return filled, Report(
        matched=len(filled),
        missing=missing,
        left_over=match.left_over,
        other_shape=tuple(wrong.values()),
        unusable=unusable,
        unwrapped=match.unwrapped,
        classes=classes,
        notes=_notes(match.elsewhere, headless and bool(missing)),
        headless=headless,
    )


def _problem(tensor: Tensor, expected: Tensor) -> str | None:
    """Why a tensor of the right shape cannot be a model's."""
    if tensor.is_quantized or tensor.is_complex() or tensor.is_floating_point() != expected.is_floating_point():
        return f"is {str(tensor.dtype).removeprefix('torch.')} for {str(expected.dtype).removeprefix('torch.')}"
    if not tensor.is_floating_point() or not expected.isfinite().all():
        return None
    return None if tensor.float().isfinite().all() else "is not finite (NaN or infinite)"


def _implied(
    expected: Mapping[str, Tensor], filled: Mapping[str, Tensor], matched: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """What a file need not have: whole numbers, which are counters or tables that the architecture makes, and second
    names of one tensor.
    """
    memory = {expected[name].data_ptr(): tensor for name, tensor in filled.items() if expected[name].numel()}
    implied = {}
    for name, tensor in expected.items():
        if name in matched:
            continue
        if not tensor.is_floating_point():
            implied[name] = tensor
        elif tensor.data_ptr() in memory:
            implied[name] = memory[tensor.data_ptr()]
    return implied


def _notes(elsewhere: tuple[str, ...], headless: bool) -> tuple[str, ...]:
    notes = []
    if elsewhere:
        notes.append(f"also there, and not taken: {', '.join(elsewhere[:_SHOWN])}; save those alone to take them")
    if headless:
        notes.append("it has no head: for origin.weights or student.initial, which give it a new one")
    return tuple(notes)
