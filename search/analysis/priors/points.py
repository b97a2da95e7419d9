"""First configurations of a search from earlier evidence: few, diverse, and inside its space.

Chosen one after another so that the evidence, each source by its weight, is near to some point: greedy facility
location (Nemhauser, Wolsey & Fisher 1978, Mathematical Programming 14, 265-294), which takes the heaviest region
first and then spreads. The last point is the space's own random draw, so that advice never speaks alone.
"""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from search.analysis.priors.context import Context, distance
from search.analysis.priors.evidence import Evidence, Origin, Settings
from search.scales import share_of, value_at
from search.spec.job import Choices, Ranged, Searched, SpaceSpec
from search.spec.parameters import default_of, inside, proper
from search.surrogate.axes import Axis, parameter_axes
from trainers.registry import optimizers
from trainers.spec import Configuration, Value, digest

MOST = 8
_NEAR = 0.2
"""Of a searched range: points this far apart are told apart, and no more than that."""
_UNSAID = 0.25
"""Of a range: how far a value that a source does not tell is taken to be from one that another tells."""
_OF_ALL = ("kd_weight", "label_weight")
_OF_OPTIMIZER = optimizers.NUMBERS
_BASES = dict(zip(("temperature", *_OF_ALL, "optimizer", *_OF_OPTIMIZER), (2, 3, 5, 7, 11, 13, 17), strict=True))
_MIDDLE = 0.5  # of its range lies what no source ever tells: a final or a student's temperature


@dataclass(frozen=True, slots=True)
class FirstPoint:
    """A configuration to begin with, and who advises it; `space`: a random draw. `distance` is its source's context."""

    configuration: Configuration
    origin: Origin | Literal["space"]
    source: str
    distance: float | None = None


@dataclass(frozen=True, slots=True)
class _Candidate:
    """One temperature of one source, put into the space: coordinates in 0..1, None where the source does not tell."""

    temperature: float
    settings: Settings
    place: Mapping[str, float | None]
    optimizer: str | None
    weight: float
    of: Evidence
    distance: float


def how_many(share: float, trials: int, startup_trials: int) -> int:
    """How many of a budget's trials the advice may take: at most its share, the sampler's startup trials, and MOST.

    They take the place of the sampler's startup trials, which they never outnumber. 0 where it would be 1: a single
    point leaves no room for a draw of the space's own.
    """
    most = min(int(share * trials + 1e-9), startup_trials, MOST)
    return most if most > 1 else 0


def weight(context: Context, evidence: Evidence) -> float:
    """How much a source counts in this context: its strength, falling e-fold with each unit of distance."""
    falling: float = math.exp(-distance(context, evidence.context))
    return evidence.strength * falling


def first_points(
    context: Context, evidence: Sequence[Evidence], space: SpaceSpec, most: int, seed: int
) -> list[FirstPoint]:
    """At most so many configurations of the space to begin a search with; the same for the same arguments.

    The nearer the evidence, the more of them: of the places left beside the draw a share of 1 - exp(-W), W being the
    sum of the sources' weights, and one at least. The last is the space's own draw. None where most < 2, or where
    there is no evidence: startup trials the sampler has of its own.
    """
    if most < 2 or not evidence:
        return []
    chance = random.Random(int(digest(["first points", seed])[:16], 16))
    candidates = _candidates(context, evidence, space)
    believed = 1.0 - math.exp(-sum(weight(context, candidate) for candidate in evidence))
    points = [
        FirstPoint(
            _complete(candidate, candidates, space, index, chance),
            candidate.of.origin,
            candidate.of.source,
            candidate.distance,
        )
        for index, candidate in enumerate(_spread(candidates, math.ceil(believed * (most - 1))))
    ]
    return [*points, FirstPoint(draw(space, chance), "space", "a random draw of the space")]


def draw(space: SpaceSpec, chance: random.Random) -> Configuration:
    """A random configuration: uniform on each range's own scale, each optimizer as likely as another."""
    name = chance.choice(list(space.optimizers()))
    drawn = _configuration(space, name, None, Settings(), lambda _: chance.random(), {})
    values = {axis.name: _drawn(axis, chance) for axis in parameter_axes(space.parameters)}
    return replace(drawn, parameters={**drawn.parameters, **values})


def _drawn(axis: Axis, chance: random.Random) -> Value:
    value: Value = chance.choice(axis.listed) if axis.listed else axis.at(chance.random())
    return value


def complete_guess(
    space: SpaceSpec, temperature: float, settings: Settings, seed: int, parameters: Mapping[str, Value] | None = None
) -> Configuration:
    """A guess made whole: what it leaves out is drawn at random, the same for the same seed; named parameters that it
    leaves out have their defaults.
    """
    chance = random.Random(int(digest(["guess", seed])[:16], 16))
    name = settings.optimizer or chance.choice(list(space.optimizers()))
    drawn = {setting: chance.random() for setting in _BASES}
    return _configuration(
        space, name, temperature, settings, lambda setting: drawn.get(setting, _MIDDLE), parameters or {}
    )


def fit(searched: Searched, value: float | None, position: float) -> float:
    """A value of what is searched: the nearest to `value`; where that is None, the one at `position` in 0..1."""
    if not isinstance(searched, Ranged):
        return float(searched)
    target = value_at(position, searched.low, searched.high, searched.log) if value is None else value
    target = min(max(target, searched.low), searched.high)
    if isinstance(searched, Choices):
        scale = math.log if searched.log else float
        return min(searched.values, key=lambda listed_value: abs(scale(listed_value) - scale(target)))
    return target


def _candidates(context: Context, evidence: Sequence[Evidence], space: SpaceSpec) -> list[_Candidate]:
    candidates = []
    for source in evidence:
        settings = _translated(source.settings, space)
        for temperature, share in source.spread:
            fitted = fit(space.temperature, temperature, 0.5)
            candidates.append(
                _Candidate(
                    temperature=fitted,
                    settings=settings,
                    place=_place(space, fitted, settings),
                    optimizer=settings.optimizer,
                    weight=share * weight(context, source),
                    of=source,
                    distance=distance(context, source.context),
                )
            )
    return candidates


def _translated(settings: Settings, space: SpaceSpec) -> Settings:
    """A source's settings in this space's terms; its optimizer's own are dropped where no such optimizer is searched.

    One of its family stands for an optimizer that is not searched, but for the weight decay, which one couples to the
    gradient and another does not.
    """
    kd_weight, label_weight = settings.kd_weight, settings.label_weight
    if space.label_weight is None:  # it will be 1 - kd_weight
        if kd_weight is not None and label_weight is not None and kd_weight + label_weight > 0:
            kd_weight = kd_weight / (kd_weight + label_weight)
        label_weight = None
    name, choices = settings.optimizer, space.optimizers()
    if name is None:
        return Settings(kd_weight, label_weight)
    if name in choices:
        return dataclasses.replace(settings, kd_weight=kd_weight, label_weight=label_weight, optimizer=name)
    for relative in optimizers.relatives(name, list(choices)):
        return Settings(kd_weight, label_weight, settings.learning_rate, optimizer=relative)
    return Settings(kd_weight, label_weight)


def _place(space: SpaceSpec, temperature: float, settings: Settings) -> dict[str, float | None]:
    place = {"temperature": _coordinate(space.temperature, temperature)}
    place["kd_weight"] = _coordinate(space.kd_weight, settings.kd_weight)
    if settings.optimizer is not None:
        optimizer_space = space.optimizers()[settings.optimizer].numbers()
        for setting in optimizers.COMMON if space.optimizer is not None else ():
            place[setting] = _coordinate(optimizer_space[setting], getattr(settings, setting))
    return place


def _coordinate(searched: Searched, value: float | None) -> float | None:
    """Where a value lies in its range, from 0 to 1 on the range's scale; 0 where nothing is searched."""
    if not isinstance(searched, Ranged):
        return 0.0
    if value is None:
        return None
    inside = fit(searched, value, 0.5)
    return share_of(inside, searched.low, searched.high, searched.log)


def _spread(candidates: Sequence[_Candidate], most: int) -> list[_Candidate]:
    """At most so many candidates, such that each candidate, by its weight, is near to one of them."""
    covered, selection = [0.0] * len(candidates), list[_Candidate]()
    near = [[_similar(first, second) for second in candidates] for first in candidates]
    while len(selection) < most:
        gains = [
            sum(
                candidate.weight * max(0.0, new - old)
                for candidate, new, old in zip(candidates, row, covered, strict=True)
            )
            for row in near
        ]
        if not gains or max(gains) <= 1e-9 * sum(candidate.weight for candidate in candidates):
            break
        best = gains.index(max(gains))
        selection.append(candidates[best])
        covered = [max(new, old) for new, old in zip(near[best], covered, strict=True)]
    return selection


def _similar(first: _Candidate, second: _Candidate) -> float:
    """1 for the same point, falling as a Gaussian of `_NEAR`."""
    squared = 0.0
    if first.optimizer != second.optimizer:
        squared = _UNSAID**2 if None in (first.optimizer, second.optimizer) else 1.0
    for name in {**first.place, **second.place}:
        a, b = first.place.get(name), second.place.get(name)
        if a is not None and b is not None:
            squared += (a - b) ** 2
        elif a is not None or b is not None:
            squared += _UNSAID**2
    return math.exp(-squared / (2 * _NEAR**2))


def _complete(
    candidate: _Candidate, candidates: Sequence[_Candidate], space: SpaceSpec, index: int, chance: random.Random
) -> Configuration:
    """A candidate with what its source does not tell: as others tell it, each by its weight, or spread over the range.

    Which of the others, and where in a range, differs from point to point and from setting to setting: a Halton
    sequence, shifted at random.
    """
    shifts = [chance.random() for _ in _BASES]
    positions = {
        setting: (_halton(index + 1, base) + shift) % 1.0
        for (setting, base), shift in zip(_BASES.items(), shifts, strict=True)
    }
    name = candidate.optimizer
    if name is None:
        order = list(space.optimizers())
        indices = [(order.index(rival.optimizer), rival.weight) for rival in candidates if rival.optimizer]
        place = at_share(indices, positions["optimizer"])
        name = order[int(positions["optimizer"] * len(order)) if place is None else round(place)]
    filled: dict[str, float | None] = {}
    for setting in _OF_ALL + _OF_OPTIMIZER:
        setting_value = getattr(candidate.settings, setting)
        if setting_value is None:
            alike = [rival for rival in candidates if setting in _OF_ALL or rival.optimizer == name]
            candidates_values = [(getattr(rival.settings, setting), rival.weight) for rival in alike]
            setting_value = at_share(
                [(value, heavy) for value, heavy in candidates_values if value is not None], positions[setting]
            )
        filled[setting] = setting_value
    told_all = Settings(optimizer=name, **filled)
    return _configuration(
        space,
        name,
        candidate.temperature,
        told_all,
        lambda setting: positions.get(setting, _MIDDLE),
        candidate.of.parameters,
    )


def _configuration(
    space: SpaceSpec,
    name: str,
    temperature: float | None,
    settings: Settings,
    position: Callable[[str], float],
    values: Mapping[str, Value],
) -> Configuration:
    """The configuration of these settings, fitted into the space; what they leave out lies at its position. Parameters
    have those `values` that the space allows, and else their default.
    """

    def number(searched: Searched, setting: str) -> float:
        return fit(searched, getattr(settings, setting), position(setting))

    optimizer_space = space.optimizers()[name]
    kd_weight = number(space.kd_weight, "kd_weight")
    label_weight = 1.0 - kd_weight if space.label_weight is None else number(space.label_weight, "label_weight")
    numbers = {setting: number(searched, setting) for setting, searched in optimizer_space.numbers().items()}
    trained = None if space.optimizer is None else optimizer_space.optimizer(name, numbers)
    parameters = {
        key: proper(part, values[key]) if key in values and inside(part, values[key]) else default_of(part)
        for key, part in space.parameters.items()
    }
    temperature_value = fit(space.temperature, temperature, position("temperature"))
    final, student = (
        None if part is None else fit(part, None, position(setting))
        for setting, part in (
            ("final_temperature", space.final_temperature),
            ("student_temperature", space.student_temperature),
        )
    )
    return Configuration(
        temperature=temperature_value,
        student_temperature=student,
        final_temperature=final,
        kd_weight=kd_weight,
        label_weight=label_weight,
        optimizer=trained,
        parameters=parameters,
    )


def at_share(values: Sequence[tuple[float, float]], share: float) -> float | None:
    """Of (value, weight) pairs the value up to which that share of the weight lies; None where there are none."""
    total, below = sum(heavy for _, heavy in values), 0.0
    for value, heavy in sorted(values):
        below += heavy
        if below >= share * total:
            return value
    return None


def _halton(index: int, base: int) -> float:
    """The index-th number, from 1, of van der Corput's sequence: the index's digits behind the point, mirrored."""
    value, digit = 0.0, 1.0
    while index:
        digit /= base
        value += digit * (index % base)
        index //= base
    return value
