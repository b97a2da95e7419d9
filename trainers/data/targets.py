"""Kinds of labels, which the type of their array tells: whole numbers are classes [n], floats the probabilities of soft
labels [n, classes], and truth values several labels [n, classes].
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thermowell.plugin import Targets
from trainers.errors import DatasetInvalid

_ROUNDING = 1e-3  # that the probabilities of one example may be from 1


def kind_of(labels: Tensor) -> Targets:
    """What these labels are."""
    if labels.dtype == torch.bool:
        return "several"
    return "soft" if labels.is_floating_point() else "classes"


def dominant(labels: Tensor) -> Tensor:
    """The one class of each example, [n]; of soft labels the most probable one."""
    return labels.argmax(-1) if kind_of(labels) == "soft" else labels


def checked(values: NDArray[Any], kind: Targets, classes: int, examples: int, name: str) -> NDArray[Any]:
    """Soft labels as float32 whose rows sum to 1, or several as truth values. DatasetInvalid."""
    if values.shape != (examples, classes) or not examples or values.dtype.kind not in "biuf":
        raise DatasetInvalid(
            f"{name}: labels are {values.dtype} {list(values.shape)}; {kind} ones must be numbers "
            f"[{examples}, {classes}], a row for each example"
        )
    if kind == "several":
        outside = ~((values == 0) | (values == 1)).all(1)
        if outside.any():
            first = int(np.flatnonzero(outside)[0])
            raise DatasetInvalid(
                f"{name}: several labels must be 0 or 1, and those of example {first} are not: "
                "round them, or say targets: soft where each row sums to 1"
            )
        return values.astype(np.bool_)
    shares = values.astype(np.float64)
    sums = shares.sum(1)
    outside = ~np.isfinite(sums) | (shares < 0).any(1) | (np.abs(sums - 1) > _ROUNDING)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise DatasetInvalid(
            f"{name}: soft labels must be probabilities that sum to 1; those of example {first} sum to {sums[first]:g}"
        )
    probabilities: NDArray[np.float32] = (shares / sums[:, None]).astype(np.float32)
    return probabilities


def merged(labels: NDArray[Any], classes: NDArray[np.int64]) -> NDArray[Any]:
    """Labels of a set's own classes as labels of those that `classes` has for them: probabilities are summed, and of
    several labels a class is there where any that belongs to it is.
    """
    if labels.dtype.kind == "i":
        coarse: NDArray[np.int64] = classes[labels]
        return coarse
    if np.array_equal(classes, np.arange(len(classes))):
        return labels
    members = np.equal.outer(classes, np.arange(int(classes.max()) + 1)).astype(np.float32)
    sums: NDArray[np.float32] = labels.astype(np.float32) @ members
    return sums > 0 if labels.dtype.kind == "b" else sums


def strata(labels: NDArray[Any]) -> NDArray[np.int64]:
    """By what each example is stratified, [n]: its class; of soft labels the most probable one; of several the one that
    the fewest examples have, and a stratum beyond all classes where it has none.

    A label in few examples is what parts could miss: Sechidis et al. 2011, "On the Stratification of Multi-label Data",
    begin with it too.
    """
    if labels.ndim == 1:
        stratum = labels
    elif labels.dtype.kind == "f":
        stratum = labels.argmax(1)
    else:
        frequency = np.where(labels, labels.sum(0), len(labels) + 1)
        stratum = np.where(labels.any(1), frequency.argmin(1), labels.shape[1])
    return stratum.astype(np.int64, copy=False)
