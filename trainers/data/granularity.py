"""Coarse labels: the class of an image where a data set's own classes are merged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.catalogue import SUPERCLASSES
from trainers.errors import DatasetInvalid
from trainers.spec import Data


def class_map(data: Data, count: int) -> NDArray[np.int64]:
    """For each of the data set's `count` classes its class, [own] (int64). Raises DatasetInvalid."""
    classes = data.classes
    if classes is None:
        return np.arange(count)
    if classes.kind == "clusters":
        raise DatasetInvalid(f"{data.name}: clusters of classes need a teacher that the job trains")
    mapping = SUPERCLASSES.get(data.name, ()) if classes.kind == "coarse" else classes.map
    if classes.kind == "coarse" and not mapping:
        raise DatasetInvalid(f"{data.name} has no superclasses of its own: give a map, or a number of clusters")
    if len(mapping) != count:
        raise DatasetInvalid(f"{data.name} has {count} classes, the map has {len(mapping)} entries: give one for each")
    if len(set(mapping)) < 2 or set(mapping) != set(range(len(set(mapping)))):
        raise DatasetInvalid(f"the map of {data.name}'s classes must name 0, 1, ... without a gap, two or more")
    return np.array(mapping, dtype=np.int64)


def coarse_labels(data: Data) -> tuple[int, ...] | None:
    """The same map as plain numbers, for people; None where the classes are the data set's own."""
    if data.classes is None:
        return None
    return SUPERCLASSES[data.name] if data.classes.kind == "coarse" else data.classes.map
