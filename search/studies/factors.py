"""Factors: places in the job spec with named levels that are put there."""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from search.spec.job import JobSpec

MOST_LEVELS = 64
LONGEST_NAME = 60
_PATH = re.compile(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*")
_LEVEL = re.compile(r"[^\x00-\x1f\x7f]{1,100}")
_OF_STUDY = ("name", "labels", "schema_version")


@dataclass(frozen=True, slots=True)
class Factor:
    """`levels`: by a level's name what it puts where, values by dotted path."""

    name: str
    levels: Mapping[str, Mapping[str, Any]]

    @property
    def paths(self) -> frozenset[str]:
        """All places that any of its levels sets."""
        return frozenset(path for sets in self.levels.values() for path in sets)


def read_factor(name: str, levels: Sequence[Any] | Mapping[str, Any]) -> Factor:
    """A factor as a study writes it. ValueError."""
    if not 1 <= len(levels) <= MOST_LEVELS:
        raise ValueError(f"factors.{name}: has {len(levels)} levels; 1 to {MOST_LEVELS} are allowed")
    if name.partition(".")[0] in JobSpec.model_fields:
        check_path(f"factors.{name}", name)
        by_level = levels if isinstance(levels, Mapping) else _name_levels(name, levels)
        settings: dict[str, Mapping[str, Any]] = {level: {name: value} for level, value in by_level.items()}
    else:
        if not isinstance(levels, Mapping) or not all(isinstance(sets, Mapping) for sets in levels.values()):
            raise ValueError(
                f"factors.{name}: {name.partition('.')[0]!r} is no field of a job{_near(name)}, and a factor with a "
                "name of its own has named levels, each with the dotted paths that it sets: {level: {path: value}}"
            )
        for level, sets in levels.items():
            for path in sets:
                check_path(f"factors.{name}.{level}", str(path))
            _check_nested(f"factors.{name}.{level}", list(sets))
        settings = {level: dict(sets) for level, sets in levels.items()}
    for level in settings:
        if not _LEVEL.fullmatch(level):
            raise ValueError(f"factors.{name}: a level's name must be 1 to 100 letters without control characters")
    return Factor(name, settings)


def check_apart(factors: Sequence[Factor]) -> None:
    """ValueError where two factors set the same place, or one a part of what the other sets."""
    for place, factor in enumerate(factors):
        for earlier in factors[:place]:
            for path in sorted(factor.paths):
                for theirs in sorted(earlier.paths):
                    if _overlap(path, theirs):
                        raise ValueError(f"factors.{factor.name}: sets {path}, and {earlier.name} sets {theirs}")


def check_path(place: str, path: str) -> None:
    """ValueError unless it is the dotted path of something that a study may vary."""
    head = path.partition(".")[0]
    if not _PATH.fullmatch(path) or head not in JobSpec.model_fields:
        raise ValueError(f"{place}: {path!r} is no dotted path of a job spec{_near(path)}")
    if head in _OF_STUDY:
        raise ValueError(f"{place}: {head} belongs to the study, which gives each job its own: leave it out")


def applied(base: Mapping[str, Any], sets: Mapping[str, Any]) -> dict[str, Any]:
    """The document with these values at their paths; groups on the way are made. ValueError where no group is."""
    document = copy.deepcopy(dict(base))
    for path, value in sets.items():
        *groups, last = path.split(".")
        part: Any = document
        for depth, group in enumerate(groups):
            if part.get(group) is None:
                part[group] = {}
            part = part[group]
            if not isinstance(part, dict):
                raise ValueError(
                    f"{'.'.join(groups[: depth + 1])} is no group of fields: {path} cannot be set: leave one out"
                )
        part[last] = copy.deepcopy(value)
    return document


def _name_levels(name: str, values: Sequence[Any]) -> dict[str, Any]:
    by_level = {_level(value): value for value in values}
    if len(by_level) != len(values):
        raise ValueError(f"factors.{name}: two levels would have the same name; name them: {{name: value, ...}}")
    return by_level


def _level(value: object) -> str:
    """What a value is called that nobody has named: itself, or the one key of a group."""
    if isinstance(value, dict) and len(value) == 1:
        [key] = value
        if not value[key]:
            return str(key)[:LONGEST_NAME]
    if isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"]:
        return str(value["name"])[:LONGEST_NAME]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text[:LONGEST_NAME] or "empty"


def _check_nested(label: str, paths: Sequence[str]) -> None:
    for place, path in enumerate(paths):
        for earlier in paths[:place]:
            if _overlap(path, earlier):
                raise ValueError(f"{label}: sets {earlier}, and {path} as well: leave one of the two out")


def _overlap(first: str, second: str) -> bool:
    return first == second or first.startswith(second + ".") or second.startswith(first + ".")


def _near(name: str) -> str:
    near = difflib.get_close_matches(name.partition(".")[0], list(JobSpec.model_fields), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""
