"""Coarse labels: the class of an image where a data set's own classes are merged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainers.catalogue import SUPERCLASSES
from trainers.errors import DatasetInvalid
from trainers.spec import Data


def class_map(data: Data, own: int) -> NDArray[np.int64]:
    """For each of the data set's `own` classes its class, [own] (int64). Raises DatasetInvalid."""
    classes = data.classes
    if classes is None:
        return np.arange(own)
    if classes.kind == "clusters":
        raise DatasetInvalid(
            f"{data.name}: clusters of classes are a map only once a teacher has been confused by them"
        )
    found = SUPERCLASSES.get(data.name, ()) if classes.kind == "coarse" else classes.map
    if classes.kind == "coarse" and not found:
        raise DatasetInvalid(f"{data.name} has no superclasses of its own: give a map, or a number of clusters")
    if len(found) != own:
        raise DatasetInvalid(f"{data.name} has {own} classes, the map has {len(found)} entries: give one for each")
    if len(set(found)) < 2 or set(found) != set(range(len(set(found)))):
        raise DatasetInvalid(f"the map of {data.name}'s classes must name 0, 1, ... without a gap, two or more")
    return np.array(found, dtype=np.int64)


def told(data: Data) -> tuple[int, ...] | None:
    """The same map as plain numbers, for people; None where the classes are the data set's own."""
    if data.classes is None:
        return None
    return SUPERCLASSES[data.name] if data.classes.kind == "coarse" else data.classes.map
