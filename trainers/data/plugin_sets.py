"""Data sets of plugins: what their functions answer, checked against what they were declared as."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from thermowell.plugin import Declaration, Inputs
from trainers.catalogue import argument_problems, completed
from trainers.data import targets
from trainers.errors import DatasetInvalid
from trainers.registry import plugins
from trainers.spec import Data

_MOST_TOKENS = 2**24
"""A model's input is float32, which tells no more whole numbers apart."""


def classes(name: str) -> int:
    """How many classes the set has. DatasetInvalid where this process has no such plugin."""
    count = _loaded(name)[0].classes
    assert count is not None
    return count


def class_names(name: str) -> list[str]:
    """The names of the classes; numbers where they have none."""
    declaration = _loaded(name)[0]
    return list(declaration.class_names) or [str(number) for number in range(classes(name))]


def inputs(name: str) -> Inputs:
    """What kind of examples it has."""
    kind = _loaded(name)[0].inputs
    assert kind is not None
    return kind


def read(data: Data, root: Path, part: Literal["pool", "test"]) -> tuple[NDArray[Any], NDArray[Any]]:
    """A part's examples [n, ...] (uint8 images, float32 features or int64 tokens) and labels (`trainers.data.targets`).
    DatasetInvalid.
    """
    name = data.name
    declaration, function = _loaded(name)
    if problems := argument_problems(name, declaration.arguments, data.arguments):
        raise DatasetInvalid("; ".join(problems))
    try:
        answer = function(root, part, **completed(declaration.arguments, data.arguments))
        examples, labels = (np.asarray(array) for array in answer)
    except Exception as error:  # whatever somebody's function raises
        raise DatasetInvalid(f"{name} cannot be read ({part}): {type(error).__name__}: {error}") from error
    return _as_declared(declaration, examples), _labels(declaration, labels, len(examples))


def _labels(declaration: Declaration, labels: NDArray[Any], examples: int) -> NDArray[Any]:
    name, (kind,), most = declaration.name, declaration.targets, classes(declaration.name)
    if kind != "classes":
        return targets.checked(labels, kind, most, examples, name)
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != examples or not len(labels):
        raise DatasetInvalid(
            f"{name}: labels must be whole numbers, one for each of {examples} examples; they are {labels.dtype} "
            f"{list(labels.shape)}. Declare targets where they are soft, or several"
        )
    if labels.min() < 0 or labels.max() >= most:
        raise DatasetInvalid(f"{name}: labels must be 0 .. {most - 1}, they reach {labels.max()}")
    return labels.astype(np.int64)


def _as_declared(declaration: Declaration, examples: NDArray[Any]) -> NDArray[Any]:
    description = f"{declaration.name}: examples are {examples.dtype} {list(examples.shape)}"
    if examples.ndim < 2:
        raise DatasetInvalid(f"{description}; each must be a tensor of one dimension or more")
    if not examples.size:
        raise DatasetInvalid(f"{description}; there must be one or more, each with numbers")
    if declaration.inputs == "images":
        if examples.dtype != np.uint8 or examples.ndim != 4:
            raise DatasetInvalid(f"{description}; images must be uint8 [n, channels, height, width]")
        return np.ascontiguousarray(examples)
    if declaration.inputs == "tokens":
        most = min(declaration.vocabulary or 0, _MOST_TOKENS)
        if examples.dtype.kind not in "iu" or examples.min() < 0 or examples.max() >= most:
            raise DatasetInvalid(f"{description}; tokens must be whole numbers from 0 to {most - 1}")
        return np.ascontiguousarray(examples, dtype=np.int64)
    features = np.ascontiguousarray(examples, dtype=np.float32) if examples.dtype.kind in "iufb" else None
    if features is None or not np.isfinite(features).all():
        raise DatasetInvalid(f"{description}; features must be finite numbers")
    return features


def _loaded(name: str) -> tuple[Declaration, Any]:
    plugin = plugins.loaded().find("dataset", name)
    if plugin is None:
        raise DatasetInvalid(plugins.loaded().unknown("dataset", name, "none of this worker's packages"))
    return plugin.declaration, plugin.function
