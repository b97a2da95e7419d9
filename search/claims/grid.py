"""The trials of a job that goes over a grid: which configuration and which seed each has, by its place alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from search import configurations
from search.claims.contestants import trial_seed
from search.scales import value_at
from search.spec.fields import Choices, Ranged, Searched
from search.spec.grid import GridSpec
from search.spec.job import JobSpec
from search.spec.parameters import Parameter, ParameterChoices, proper
from search.spec.parameters import temperatures as further_temperatures
from search.spec.space import SpaceSpec
from search.states import Arm
from trainers.spec import Configuration, Value, digest

Block = tuple[int, int]
"""All temperatures of a setting in a round, which is a seed: (setting, round)."""


def grid_values(spec: JobSpec, arm: Arm, place: int, handed: Sequence[Block] = ()) -> dict[str, Any]:
    """The configuration and the seed of the trial at this place among the arm's, as a row has them.

    Rounds follow each other, each with a seed of its own; within one the settings follow each other, and of each all
    temperatures. Behind the rounds of the spec's own budget come the blocks that an adaptive study has `handed` out.
    What a place is depends on nothing else, so that an extended job goes on where it was.
    """
    if spec.grid is None:
        return {}
    temperatures = spec.grid.along(spec.space) if arm is Arm.JOINT else (1.0,)
    block, step = divmod(place, len(temperatures))
    setting, round_ = _block_at(spec, spec.grid, block, handed)
    configuration = configuration_of(spec, spec.grid, arm, setting, temperatures[step])
    return {"configuration": configurations.to_json(configuration), "seed": trial_seed(spec.seed, round_)}


def configuration_of(spec: JobSpec, grid: GridSpec, arm: Arm, setting: int, temperature: float) -> Configuration:
    """One of the settings of a job's grid at a temperature, as the arm trains it."""
    configuration = replace(setting_of(spec.space, grid.settings, setting), temperature=temperature)
    further = further_temperatures(spec.space.parameters)
    return configurations.in_arm(configuration, arm, spec.distillation.method, further)


def _block_at(spec: JobSpec, grid: GridSpec, block: int, handed: Sequence[Block]) -> Block:
    """The setting and the round of a block, of those of an arm."""
    settings = grid.settings_in(spec.space)
    first = spec.budget.trials // len(grid.along(spec.space))
    if handed and first <= block < first + len(handed):
        return handed[block - first]
    if handed and block >= first:  # a user has extended it since: fresh rounds
        fresh = max(first // settings, 1 + max(round_ for _, round_ in handed))
        block += fresh * settings - first - len(handed)
    round_, setting = divmod(block, settings)
    return setting, round_


def setting_of(space: SpaceSpec, count: int, place: int) -> Configuration:
    """One of so many settings of each optimizer, which take turns. Of each number every stratum comes once, in an order
    of its own (a Latin square) that is the same in every space which has a number of that name.
    """
    stratum, turn = divmod(place, len(space.optimizers()))
    name, settings = list(space.optimizers().items())[turn]

    def number(key: str, searched: Searched) -> float:
        return _number(searched, _share(key, stratum, count))

    numbers = {key: number(key, searched) for key, searched in settings.numbers().items()}
    kd_weight = number("kd_weight", space.kd_weight)
    label_weight, final, student = space.label_weight, space.final_temperature, space.student_temperature
    return Configuration(
        temperature=1.0,
        final_temperature=None if final is None else number("final_temperature", final),
        student_temperature=None if student is None else number("student_temperature", student),
        method=None,
        kd_weight=kd_weight,
        label_weight=1.0 - kd_weight if label_weight is None else number("label_weight", label_weight),
        optimizer=None if space.optimizer is None else settings.optimizer(name, numbers),
        parameters={key: _value(part, _share(key, stratum, count)) for key, part in space.parameters.items()},
    )


def _share(name: str, place: int, count: int) -> float:
    """The middle of a number's stratum at this place."""
    order = list(range(count))
    if name != "learning_rate":  # what matters most rises; the others are mixed
        random.Random(digest([name, count])).shuffle(order)
    return (order[place] + 0.5) / count


def _number(searched: Searched, share: float) -> float:
    if isinstance(searched, Choices):
        return searched.values[int(share * len(searched.values))]
    return value_at(share, searched.low, searched.high, searched.log) if isinstance(searched, Ranged) else searched


def _value(parameter: Parameter, share: float) -> Value:
    if isinstance(parameter, ParameterChoices):
        return parameter.choices[int(share * len(parameter.choices))]
    return proper(parameter, _number(parameter, share)) if isinstance(parameter, Ranged) else parameter
