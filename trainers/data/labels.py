"""Labels as people keep them, whole numbers of any type, names or one-hot rows, as class numbers 0 .. classes - 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainers.errors import DatasetInvalid

_SHOWN = 8
_MOST = 1_000_000  # classes
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Classes:
    """How many classes there are, and their names, where labels are names."""

    count: int
    names: tuple[str, ...] = ()


def train(values: NDArray[Any], key: str, images: int) -> tuple[Numbers, Classes]:
    """The labels [images] of the part that says which classes there are, and these. DatasetInvalid."""
    values = _one_each(values, key, images)
    if values.dtype.kind in "US":
        texts = _text(values, key)
        names = tuple(sorted(set(texts)))
        _check_two(len(names), key)
        return _numbers_of(texts, names, key), Classes(len(names), names)
    labels = _whole(values, key)
    top = int(labels.max())
    if top >= _MOST:
        raise DatasetInvalid(f"{key} has the label {top}: number the classes 0, 1, ... without a gap")
    counts = np.bincount(labels, minlength=2)
    columns = values.shape[1] if values.ndim == 2 else 0
    absent = np.flatnonzero(np.bincount(labels, minlength=max(2, columns)) == 0)
    if absent.size:
        first = "; they begin at 1: subtract 1" if absent.tolist() == [0] else ""
        raise DatasetInvalid(
            f"{key} must be 0 .. classes - 1, each at least once, and two or more: none is {_listed(absent.tolist())}"
            f"{first}. Number the classes without a gap, or give their names as strings"
        )
    return labels, Classes(columns or len(counts))


def other(values: NDArray[Any], key: str, images: int, classes: Classes) -> Numbers:
    """The labels of another part, whose classes are those of the training part. DatasetInvalid."""
    values = _one_each(values, key, images)
    if (values.dtype.kind in "US") != bool(classes.names):
        kinds = ("names", "numbers") if classes.names else ("numbers", "names")
        raise DatasetInvalid(f"{key} are {kinds[1]}, those of the training part are {kinds[0]}: make them alike")
    if classes.names:
        return _numbers_of(_text(values, key), classes.names, key)
    labels = _whole(values, key)
    if labels.max() >= classes.count:
        raise DatasetInvalid(
            f"{key} has a label {labels.max()}, training has {classes.count} classes: use the same classes in both"
        )
    if values.ndim == 2 and values.shape[1] != classes.count:
        raise DatasetInvalid(
            f"{key} has {values.shape[1]} columns, training has {classes.count} classes: use the same classes in both"
        )
    return labels


def _one_each(values: NDArray[Any], key: str, images: int) -> NDArray[Any]:
    """The values [images], or [images, classes] where they are one-hot."""
    if values.dtype.kind not in "biufUS":
        raise DatasetInvalid(f"{key} are {values.dtype}: give whole numbers, or the classes' names as strings")
    if images == 0:
        raise DatasetInvalid(f"{key} must be one integer for each of 0 images, at least one")
    if values.size == images:
        return values.reshape(-1)
    if values.ndim == 2 and len(values) == images and values.dtype.kind not in "US":
        ones = (values == 1).sum(1)
        if ((values == 0) | (values == 1)).all() and (ones == 1).all():
            return values
        bad = int(np.flatnonzero((ones != 1) | ((values != 0) & (values != 1)).any(1))[0])
        raise DatasetInvalid(
            f"{key} has {values.shape[1]} numbers for each image, which would be one-hot, but image {bad} has "
            f"{ones[bad]} ones: give one class each, or say dataset.targets: several, or soft, where that is meant"
        )
    raise DatasetInvalid(
        f"{key} must be one integer for each of {images} images, at least one; they have the shape {values.shape}"
    )


def _whole(values: NDArray[Any], key: str) -> Numbers:
    numbers: Numbers = values.argmax(1) if values.ndim == 2 else values
    if values.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(values) | (values != np.rint(values)))
        if bad.size:
            raise DatasetInvalid(
                f"{key} must be one integer for each image: {values[bad[0]]:g} of image {bad[0]} is no whole number"
            )
    if (values < 0).any():
        first = int(np.flatnonzero(values < 0)[0])
        raise DatasetInvalid(f"{key} must not be negative: image {first} has {values[first]}")
    if int(values.max()) > 2**62:
        raise DatasetInvalid(f"{key} has the label {values.max()}: number the classes 0, 1, ... without a gap")
    return numbers.astype(np.int64)


def _text(values: NDArray[Any], key: str) -> list[str]:
    if values.dtype.kind == "S":
        try:
            values = np.char.decode(values, "utf-8")
        except UnicodeDecodeError as error:
            raise DatasetInvalid(f"{key} are bytes that are no UTF-8: {error}") from error
    texts = [str(value) for value in values]
    if "" in texts:
        raise DatasetInvalid(f"{key} has no name for image {texts.index('')}")
    return texts


def _numbers_of(texts: list[str], names: tuple[str, ...], key: str) -> Numbers:
    numbers = {name: number for number, name in enumerate(names)}
    unknown = sorted(set(texts) - set(names))
    if unknown:
        raise DatasetInvalid(
            f"{key} names {_listed(unknown)}, which training does not have: use the same classes in both"
        )
    return np.array([numbers[name] for name in texts], dtype=np.int64)


def _check_two(count: int, key: str) -> None:
    if count < 2:
        raise DatasetInvalid(f"{key} must name two or more classes, each at least once")


def _listed(values: list[Any]) -> str:
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(map(str, values[:_SHOWN])) + more
