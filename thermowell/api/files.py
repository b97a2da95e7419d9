"""Files of a job's winning student, by the names under which they are kept and served; and files that are sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from thermowell.api.document import Record

STUDENT_FILES: Mapping[str, str] = {
    "README.md": "the model card: what was searched, and how sure the answer is",
    "student.json": "its architecture, how images are prepared, the classes' names in order, and its figures",
    "student.onnx": "the same network for ONNX Runtime: input `images`, output `logits`, of any number of images",
    "student.pt2": "the same network for `torch.export.load`, of any number of images",
    "student.py": "its program: `python student.py PICTURE`",
    "student.safetensors": "its weights; the metadata say what it is",
}
"""What each is for. Of these a worker keeps those that it can make."""


def is_student_file(name: str) -> bool:
    """Whether a job's file belongs to its winning student."""
    return name in STUDENT_FILES


def sent_name(name: str) -> str:
    """A file of weights' name as it is sent, for it may have any character where it lies; its end stays, which
    says what is in it.
    """
    stem, dot, end = re.sub(r"[^A-Za-z0-9._-]", "-", name).rpartition(".")
    return f"{stem[-90:].lstrip('-.') or 'weights'}{dot}{end}"


@dataclass(frozen=True, slots=True)
class KeptWeights(Record):
    """A file of weights that the service has taken."""

    artifact: Annotated[str, Field(description="sha256 of the file as it is kept: for `artifact` of a spec")]
    lines: Annotated[list[str], Field(description="what was matched, missing or left over, and of its images")]
    classes: Annotated[int | None, Field(description="how many its head has, where a model was named")] = None
