"""The runs of a study's job as numbers: at which T and settings, on which seed, and how good each was."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search import configurations
from search.analysis.study.gibbs import Array
from search.claims.grid import configuration_of
from search.spec.grid import FEWEST, USUAL, GridSpec
from search.spec.job import JobSpec, Ranged
from search.states import Arm
from search.surrogate.encoding import Encoding

_MIDDLE = 0.5
_PLACES = 17
"""Temperatures of a curve that was not measured on a grid."""


@dataclass(frozen=True, slots=True)
class Run:
    """A trial that has ended: its arm, its seed, its configuration as it is stored, and its value; None where its loss
    was no longer finite, which counts as the worst.
    """

    arm: str
    seed: int
    configuration: Mapping[str, Any]
    value: float | None


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one job. More is better.

    `octaves` [n] are log2 T, NaN where a run had the labels alone; `settings` [n, d] lie in 0..1 with the priors of
    their log length scales `lengths` [d, 2]; `seeds` [n] are places of seeds. `along` [m] are the log2 T that are asked
    about, `paired` whether several runs share a seed.
    """

    octaves: Array
    settings: Array
    seeds: NDArray[np.int64]
    values: Array
    lengths: Array
    along: Array
    paired: bool

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which runs had the labels alone."""
        return np.isnan(self.octaves)


def runs_of(spec: JobSpec, runs: Iterable[Run]) -> Runs | None:
    """A job's runs; None where T is not searched, or too few distilled by the job's method. In any order the same."""
    searched = spec.space.temperature
    if not isinstance(searched, Ranged):
        return None
    clean = [run for run in runs if (run.value is None or math.isfinite(run.value)) and _belongs(spec, run)]
    clean.sort(key=lambda run: (run.seed, repr(run.configuration), run.value is None, run.value or 0.0))
    sign = 1.0 if spec.objective.direction == "maximize" else -1.0
    values = np.array([math.nan if run.value is None else sign * run.value for run in clean])
    labels = np.array([run.arm == Arm.LABEL_ONLY.value for run in clean], dtype=bool)
    if np.isfinite(values[~labels]).sum() < FEWEST:
        return None
    values = np.where(np.isnan(values), np.nanmin(values), values)
    encoding = Encoding.of(spec.space, Arm.JOINT, spec.distillation.method)
    points = np.array([_point(encoding, run) for run in clean])
    keep = np.arange(encoding.dimensions) != encoding.column("temperature")
    seeds, places = np.unique([run.seed for run in clean], return_inverse=True)
    octaves = np.array([math.log2(run.configuration["temperature"]) for run in clean])
    return Runs(
        octaves=np.where(labels, np.nan, octaves),
        settings=points[:, keep],
        seeds=places.reshape(-1),
        values=values,
        lengths=encoding.lengths[keep],
        along=np.log2(_along(spec, searched)),
        paired=len(seeds) < len(clean) / 2,
    )


def grid_places(spec: JobSpec, grid: GridSpec) -> tuple[Array, Array]:
    """The places [k, d] of the settings of a job's grid among its runs, and of the same ones with labels alone."""
    temperature = grid.along(spec.space)[0]
    encoding = Encoding.of(spec.space, Arm.JOINT, spec.distillation.method)
    keep = np.arange(encoding.dimensions) != encoding.column("temperature")

    def places(arm: Arm) -> Array:
        settings = range(grid.settings_in(spec.space))
        tried = (configuration_of(spec, grid, arm, setting, temperature) for setting in settings)
        runs = [Run(arm.value, 0, configurations.to_json(configuration), None) for configuration in tried]
        return np.array([_point(encoding, run)[keep] for run in runs])

    return places(Arm.JOINT), places(Arm.LABEL_ONLY)


def _belongs(spec: JobSpec, run: Run) -> bool:
    """Whether it is of the job's own method, and of an optimizer that it searches; labels alone have no method."""
    if configurations.optimizer_name(run.configuration) not in spec.space.optimizers():
        return False
    return run.arm == Arm.LABEL_ONLY.value or run.configuration.get("method") is None


def _point(encoding: Encoding, run: Run) -> Array:
    """Its place in the cube of all settings; in the middle of what labels alone do not have."""
    optimizer = configurations.optimizer_name(run.configuration)
    units = [
        _MIDDLE if run.arm == Arm.LABEL_ONLY.value and _distils(axis.name) else axis.unit(axis.value(run.configuration))
        for axis in encoding.settings[optimizer]
    ]
    return np.asarray(encoding.points(optimizer, np.array(units).reshape(1, -1))[0])


def _distils(setting: str) -> bool:
    return setting.endswith(("temperature", "_weight")) and not setting.endswith("weight_decay")


def _along(spec: JobSpec, searched: Ranged) -> list[float]:
    """The temperatures of a curve: those of the grid, else even ones and the usual ones between them."""
    if spec.grid is not None:
        return list(spec.grid.along(spec.space))
    even = np.geomspace(searched.low, searched.high, _PLACES)
    return sorted({*even.tolist(), *(usual for usual in USUAL if searched.low <= usual <= searched.high)})
