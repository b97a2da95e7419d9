"""The head of a model, the part that belongs to its classes: new where the classes are, and trainable alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainers import spec
from trainers.errors import ModelUnavailable
from trainers.zoo import models, weights

_FEW = 2


def names(model: spec.Model, channels: int, size: tuple[int, ...], classes: int) -> frozenset[str]:
    """The tensors of a model's state whose shapes depend on how many classes there are, whatever model it is.

    Raises ModelUnavailable where there are none.
    """
    head = changing(model, channels, size, classes)
    if not head:
        raise ModelUnavailable(
            f"{model.name} has no part that depends on its classes: it cannot be given a new head. Choose another model"
        )
    return head


def changing(model: spec.Model, channels: int, size: tuple[int, ...], classes: int) -> frozenset[str]:
    """The same; nothing where there are none."""
    shapes_before, shapes_after = (shapes(model, channels, size, count) for count in (classes, classes + 1))
    return frozenset(name for name in shapes_before if shapes_before[name] != shapes_after.get(name))


def classes_of(tensors: Mapping[str, Tensor], model: spec.Model, channels: int, size: tuple[int, ...]) -> int | None:
    """How many classes the head has for which a file's tensors are; None where they hold no head of that model."""
    few, more = (shapes(model, channels, size, count) for count in (_FEW, _FEW + 1))
    counts = (
        _classes(tuple(tensors[name].shape), few[name], more[name])
        for name in sorted(changing(model, channels, size, _FEW))
        if name in tensors and name in more
    )
    return next(filter(None, counts), None)


def _classes(shape: tuple[int, ...], few: tuple[int, ...], more: tuple[int, ...]) -> int | None:
    """How many classes a tensor of the head has, from its shapes with few classes and with one more."""
    if not len(shape) == len(few) == len(more):
        return None
    for length, before, after in zip(shape, few, more, strict=True):
        step = after - before
        if step > 0 and (length - before) % step == 0 and (count := _FEW + (length - before) // step) > 0:
            return count
    return None


def shapes(model: spec.Model, channels: int, size: tuple[int, ...], classes: int) -> dict[str, tuple[int, ...]]:
    """Of each tensor in a model's state, by its name."""
    try:
        with torch.device("meta"):  # nothing is drawn
            built = models.build(model, channels, size, classes, seed=0)
    except ModelUnavailable:  # some compute while they are made, which takes numbers
        built = models.build(model, channels, size, classes, seed=0)
    return {name: tuple(tensor.shape) for name, tensor in built.state_dict().items()}


def replace_head(model: nn.Module, tensors: Mapping[str, Tensor], head: frozenset[str], description: str) -> None:
    """Fills the model with the tensors but for its head, which stays as it is. Raises TeacherInvalid."""
    state = model.state_dict()
    weights.fill(
        model, {name: state[name] if name in head else tensor for name, tensor in tensors.items()}, description
    )


@contextmanager
def train_only(model: nn.Module, head: frozenset[str]) -> Iterator[Sequence[nn.Module]]:
    """Within, the tensors of that name are the only ones to be trained: all of them where there is no name.

    Answers the modules without a part in it: to leave the features as they are, these stay in evaluation mode, so that
    norms keep the statistics, and dropout drops nothing.
    """
    if not head:
        yield ()
        return
    frozen = [tensor for name, tensor in model.named_parameters() if name not in head and tensor.requires_grad]
    for tensor in frozen:
        tensor.requires_grad_(False)
    trained = {name.rpartition(".")[0] for name in head}
    try:
        yield [
            module
            for name, module in model.named_modules()
            if not any(tensor_name == name or tensor_name.startswith(f"{name}.") or not name for tensor_name in trained)
        ]
    finally:
        for tensor in frozen:
            tensor.requires_grad_(True)
