"""The grid part of a spec: temperatures that are all tried, each with the same settings and on the same seeds."""

from __future__ import annotations

import math
from itertools import pairwise

from pydantic import Field, field_validator

from search.spec.fields import Choices, Part, Ranged
from search.spec.space import SpaceSpec

USUAL = (1.0, 2.0, 4.0, 10.0, 20.0)
"""Temperatures that are asked for by name: what each of them costs is a question of every study."""
FEWEST = 8
"""Distilled runs of a job below which nothing is read off them."""
WIDEST = 1.5
"""Octaves between two neighbours of a grid, beyond which one between them is tried too."""


class GridSpec(Part):
    """A grid in the place of a sampler: rounds of all temperatures x all settings, each round on a seed of its own.

    Trials of one round share their seed, so that differences along T are paired; label-only trials have the same
    settings and seeds.
    """

    temperatures: tuple[float, ...] | None = Field(
        None,
        min_length=2,
        max_length=64,
        description="rising; unless given a list in space.temperature, or 1, 2, 4, 10, 20 and the ends of its range",
    )
    settings: int = Field(4, ge=1, le=64, description="of each optimizer, spread evenly over the rest of the space")

    @field_validator("temperatures")
    @classmethod
    def _rising(cls, temperatures: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if temperatures is not None and list(temperatures) != sorted(set(temperatures)):
            raise ValueError("temperatures must rise, each once")
        return temperatures

    def along(self, space: SpaceSpec) -> tuple[float, ...]:
        """The temperatures of this grid in a space. ValueError where they are not of the space."""
        searched = space.temperature
        if not isinstance(searched, Ranged):
            raise ValueError("grid needs a range or a list in space.temperature, which is one number")
        if self.temperatures is not None:
            if not (searched.low <= self.temperatures[0] and self.temperatures[-1] <= searched.high):
                raise ValueError(f"grid.temperatures must be from {searched.low:g} to {searched.high:g}")
            return self.temperatures
        return searched.values if isinstance(searched, Choices) else _usual(searched.low, searched.high)

    def settings_in(self, space: SpaceSpec) -> int:
        """How many settings a round has, of all optimizers of a space together."""
        return self.settings * len(space.optimizers())

    def round_size(self, space: SpaceSpec) -> int:
        """How many trials of the search a round has."""
        return len(self.along(space)) * self.settings_in(space)

    def whole_rounds(self, space: SpaceSpec, trials: int) -> int:
        """The trials of the rounds that so many trials pay for whole; as many as they are where not one is."""
        size = self.round_size(space)
        return trials // size * size or trials


def _usual(low: float, high: float) -> tuple[float, ...]:
    """Temperatures from low to high: the ends, the usual ones between them, and what closes gaps."""
    marks = [low, *(usual for usual in USUAL if low * 1.1 < usual < high / 1.1), high]
    grid = [low]
    for before, after in pairwise(marks):
        parts = max(1, math.ceil(math.log2(after / before) / WIDEST))
        grid += [float(f"{before * (after / before) ** (part / parts):.3g}") for part in range(1, parts)]
        grid.append(after)
    return tuple(grid)
