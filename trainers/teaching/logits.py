"""A teacher's logits as tensors that may be larger than memory: looked at, averaged and placed a piece at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from trainers.errors import TeacherInvalid
from trainers.spec import TeacherSource
from trainers.training.epoch import PREDICTION_BATCH, pieces


def placed(logits: Tensor, device: torch.device) -> Tensor:
    """Logits [views, n, classes] on a device; views that are all the same lie there once."""
    if logits.stride(0) == 0:
        return logits[:1].to(device).expand_as(logits)
    return logits.to(device)


def finite(logits: Tensor) -> bool:
    """Whether all of [..., n, classes] are finite, looked at a piece at a time."""
    views = logits[None] if logits.ndim == 2 else logits
    return all(bool(torch.isfinite(part).all()) for view in views for part in pieces(view))


def remedy(source: TeacherSource) -> str:
    """What to do where a teacher's logits are not finite."""
    if source == "train":
        return "lower its learning rate"
    return "look whether its weights are finite, and whether teacher.preprocessing is as in its own training"


def of_shape(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> Tensor:
    """The given logits of that name, floats of that shape. TeacherInvalid."""
    if name not in tensors or tuple(tensors[name].shape) != shape or not tensors[name].is_floating_point():
        actual = (
            f"{tensors[name].dtype} {list(tensors[name].shape)}"
            if name in tensors
            else f"only {', '.join(sorted(tensors))}"
        )
        other_classes = name in tensors and tuple(tensors[name].shape[:-1]) == shape[:-1] and shape[-1] > 1
        hint = ". Say in teacher.class_map which of its classes are yours" if other_classes else ""
        raise TeacherInvalid(f"the logits' file needs floats {name!r} of shape {list(shape)}, it has {actual}{hint}")
    logits = tensors[name]
    if name != "train" or logits.dtype not in (torch.float16, torch.float32):
        logits = logits.float()
    if not finite(logits):
        raise TeacherInvalid(f"the given logits {name!r} are not all finite: make the file anew")
    return logits


def mean(logits: list[Tensor]) -> Tensor:
    """The mean of logits of one shape (float32).

    At every T its softmax is the geometric mean of the members' distributions, normalized: one of the two ways in which
    Hinton et al. (arXiv:1503.02531, section 1) form the soft targets of an ensemble, and the one of which T stays free.
    """
    total = torch.zeros_like(logits[0], dtype=torch.float32)
    for member_logits in logits:
        total += member_logits / len(logits)
    return total


def write_means(members: Sequence[Tensor], means: Tensor) -> None:
    """Writes the mean of logits [views, n, classes], a piece at a time."""
    for view in range(len(means)):
        for start in range(0, means.shape[1], PREDICTION_BATCH):
            rows = slice(start, start + PREDICTION_BATCH)
            means[view, rows] = mean([logits[view, rows] for logits in members])
