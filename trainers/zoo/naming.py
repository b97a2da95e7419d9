"""Names of a file's tensors beside those of a model: what stands before them is found by how many fit without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from trainers.errors import TeacherInvalid
from trainers.zoo.tensor_files import TensorFile, is_usual, rank

Key = tuple[str, str]
Shapes = Mapping[str, tuple[int, ...]]
_WITHIN = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
"""What wrappers of a part of a model put in the midst of names."""
_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")  # names of torchvision's before 2018
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Match:
    """A file's tensors by the model's names; what stood before these; of their containers what is left over; and
    where else the file has such tensors.
    """

    tensors: dict[str, Tensor]
    unwrapped: tuple[str, ...] = ()
    left_over: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(slots=True)
class _Set:
    """Tensors that have model's names once `before` is taken off theirs, and how many of these have its shapes."""

    before: str
    keys: dict[str, Key] = field(default_factory=dict)
    fitting: int = 0


def match(file: TensorFile, shapes: Shapes, head: frozenset[str]) -> Match:
    """The tensors of the set that has most of the model's names with its shapes (of the head whatever shapes), of
    several the first in the usual order, and of usual sets the names that it lacks altogether. TeacherInvalid where
    nobody can tell which set is meant.
    """
    sets = _sets(file, shapes, head)
    if not sets:
        return Match({}, left_over=tuple(sorted(name for _, name in file.places)))
    first = sets[0]
    rivals = [rival for rival in sets[1:] if _rivals(first, rival) and not _same(file, first, rival)]
    if rivals and not is_usual(_place(first)):
        names = ", ".join(sorted({first.before, *(rival.before for rival in rivals)})[:_SHOWN])
        raise TeacherInvalid(
            f"{file.name} has the model's tensors several times, below {names}: save those alone that are meant"
        )
    keys = dict(first.keys)
    for rival in sets[1:]:
        if is_usual(_place(rival)) and not keys.keys() & rival.keys.keys():
            keys |= rival.keys
    containers = {place for place, _ in keys.values()}
    left_over = {name for place, name in file.places if place in containers} - {name for _, name in keys.values()}
    return Match(
        {name: file.places[key] for name, key in keys.items()},
        _words(first, keys),
        tuple(sorted(left_over)),
        tuple(rival.before or "the file itself" for rival in rivals),
    )


def _sets(file: TensorFile, shapes: Shapes, head: frozenset[str]) -> list[_Set]:
    """All that have any of the model's names, the best first."""
    names = _names(shapes)
    sets: dict[str, _Set] = {}
    for key, tensor in file.places.items():
        for before, name in _readings(key, names):
            entry = sets.setdefault(before, _Set(before))
            if name not in entry.keys:
                entry.keys[name] = key
                entry.fitting += tuple(tensor.shape) == shapes[name] or (name in head and tensor.ndim > 0)
    return sorted(
        sets.values(), key=lambda entry: (-entry.fitting, -len(entry.keys), rank(_place(entry)), entry.before)
    )


def _names(shapes: Shapes) -> dict[str, str]:
    """The model's names by themselves, and, where all begin with one word, without it: a file may be of what it has
    within.
    """
    first = {name.partition(".")[0] for name in shapes}
    word = f"{first.pop()}." if len(first) == 1 else ""
    return {name.removeprefix(word): name for name in shapes} | {name: name for name in shapes}


def _readings(key: Key, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What stands before a model's name in a tensor's, and that name, the longest first; wrappers' words within are
    passed over where they are not the model's own.
    """
    whole = _DENSE.sub(r"\1\2", ".".join(filter(None, key)))
    parts = whole.split(".")
    for start in range(len(parts)):
        rest = parts[start:]
        for text in (".".join(rest), ".".join([rest[0], *(part for part in rest[1:] if part not in _WITHIN)])):
            if text in names:
                yield "".join(f"{part}." for part in parts[:start]), names[text]
                break


def _place(entry: _Set) -> str:
    return entry.before.removesuffix(".")


def _rivals(first: _Set, rival: _Set) -> bool:
    """Whether another set is as good, and of the same names."""
    return rival.fitting == first.fitting and rival.keys.keys() == first.keys.keys()


def _same(file: TensorFile, first: _Set, rival: _Set) -> bool:
    pairs = ((file.places[first.keys[name]], file.places[key]) for name, key in rival.keys.items())
    return all(mine is theirs or (mine.shape == theirs.shape and mine.equal(theirs)) for mine, theirs in pairs)


def _words(first: _Set, keys: Mapping[str, Key]) -> tuple[str, ...]:
    """What was taken off: the containers, each by its name, and what stands before names, each with its dot."""
    place = next(iter(first.keys.values()))[0]
    place = place if first.before.startswith(f"{place}.") else ""
    before = first.before.removeprefix(f"{place}." if place else "")
    within = {part for _, name in keys.values() for part in name.split(".")[1:-1] if part in _WITHIN}
    parts = [f"{part}." for part in before.split(".") if part]
    return (
        *filter(None, place.split(".")),
        *parts,
        *(f"{part}." for part in sorted(within) if f"{part}." not in parts),
    )
