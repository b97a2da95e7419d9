"""The classes part of a spec: the data set's own, its superclasses, a map's, or clusters of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from search.spec.fields import Part
from trainers import catalogue
from trainers import spec as trained
from trainers.registry import datasets

_FORMS = "fine, coarse, {map: [0, 0, 1, ...]} or {clusters: K}"


class LabelMap(Part):
    """A class for each of the data set's own, in their order."""

    map: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=2, max_length=100_000)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        classes = set(self.map)
        if len(classes) < 2 or classes != set(range(len(classes))):
            raise ValueError("map must name the classes 0, 1, ... without a gap, two or more")
        return self


class Clusters(Part):
    """So many groups of the classes that the teacher confuses."""

    clusters: int = Field(ge=2, le=100_000)


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "coarse"
    return "LabelMap" if isinstance(value, LabelMap) or (isinstance(value, dict) and "map" in value) else "Clusters"


def _check_known(value: Any) -> Any:
    """`fine` is what there is without a word."""
    if value is None or value == "fine":
        return None
    if value == "coarse" or isinstance(value, LabelMap | Clusters):
        return value
    if isinstance(value, dict) and len({"map", "clusters"} & set(value)) == 1:
        return value
    raise ValueError(f"must be {_FORMS}, got {str(value)[:60]}")


ClassesSpec = Annotated[
    Annotated[
        Annotated[Literal["coarse"], Tag("coarse")]
        | Annotated[LabelMap, Tag("LabelMap")]
        | Annotated[Clusters, Tag("Clusters")],
        Discriminator(_kind),
    ]
    | None,
    BeforeValidator(_check_known, json_schema_input_type=Literal["fine", "coarse"] | LabelMap | Clusters | None),
]


def check_classes(name: str, classes: Literal["coarse"] | LabelMap | Clusters) -> None:
    """ValueError where the data set of that name cannot have such classes, as far as its name tells."""
    if name == "replay":
        raise ValueError("classes are recorded with a table of runs: leave them out")
    if classes == "coarse" and name not in catalogue.SUPERCLASSES:
        names = ", ".join(catalogue.SUPERCLASSES)
        raise ValueError(
            f"classes: coarse is known for {names} alone: give {{map: [...]}}, one entry for each class, "
            "or {clusters: K}"
        )
    count = datasets.get(name).classes
    if count is None:
        return
    if isinstance(classes, LabelMap) and len(classes.map) != count:
        raise ValueError(
            f"classes.map must have {count} entries, one for each class of {name}, it has {len(classes.map)}"
        )
    if isinstance(classes, Clusters) and classes.clusters >= count:
        raise ValueError(f"classes.clusters must be below {count}, the classes of {name}")


def count_classes(name: str, classes: Literal["coarse"] | LabelMap | Clusters) -> int:
    """How many classes these are, of the data set of that name (see check_classes)."""
    if isinstance(classes, Clusters):
        return classes.clusters
    return len(set(catalogue.SUPERCLASSES[name] if classes == "coarse" else classes.map))


def classes_known(name: str, classes: Literal["coarse"] | LabelMap | Clusters | None) -> int | None:
    """How many classes a job has, its data set's own unless it says others; None where only the files say."""
    return datasets.get(name).classes if classes is None else count_classes(name, classes)


def classes_of(classes: Literal["coarse"] | LabelMap | Clusters | None) -> trained.Classes | None:
    """In the trainers' words."""
    if classes is None:
        return None
    if isinstance(classes, LabelMap):
        return trained.Classes("map", map=classes.map)
    if isinstance(classes, Clusters):
        return trained.Classes("clusters", clusters=classes.clusters)
    return trained.Classes("coarse")
