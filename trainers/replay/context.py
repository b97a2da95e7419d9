"""What was trained for one table: everything that is the same for all of its students, and where it came from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Context:
    """One setting of data, teacher, student and length.

    `teacher_accuracy`, `teacher_nll`, `teacher_ece` and `teacher_entropy` (nats, at T = 1) are the teacher's on the
    validation part. `problem` is the trained problem (`trainers.spec.Problem`) as plain JSON.
    """

    name: str
    sealed: bool
    summary: str
    data: str
    classes: int
    channels: int
    image_size: tuple[int, int]
    train_images: int
    validation_images: int
    teacher: str
    teacher_kind: str
    teacher_accuracy: float
    teacher_nll: float
    teacher_ece: float
    teacher_entropy: float
    student: str
    student_initialisation: str
    epochs: int
    batch_size: int
    problem: Mapping[str, Any]
    softness: Sequence[tuple[float, float]] = ()  # (T, the teacher's mean entropy in nats on validation), T rising

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Context:
        """What `to_json` made."""
        height, width = value["image_size"]
        softness = [(temperature, entropy) for temperature, entropy in value.get("softness", ())]
        return cls(**{**value, "image_size": (height, width), "softness": softness})
