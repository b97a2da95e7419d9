"""A pruner that compares a trial at its rung with trials of a similar temperature alone.

Under plain gradient descent small temperatures lead early and large ones late (Frank & Davis 2026, arXiv:2603.02430): a
rung that compares all of them picks what does not last.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import pairwise

import optuna
from optuna.trial import FrozenTrial

from search.pruners.rung_pruner import RungPruner, rivals_of, sign_of
from search.scales import value_at

STRATA = 3  # from 1 to 40: below 3.4, up to 12, above


def equal_edges(low: float, high: float, strata: int) -> tuple[float, ...]:
    """The inner edges of strata that are equally wide in log T, between two temperatures, in rising order.

    One fewer than strata; fewer still where the ends are so near that no number lies between two strata.
    """
    if not 0 < low < high:
        raise ValueError(f"temperatures must be positive and rise, got {low:g} and {high:g}")
    if strata < 1:
        raise ValueError(f"strata must be at least 1, got {strata}; 1 compares all temperatures")
    places = {value_at(place / strata, low, high, log=True) for place in range(1, strata)}
    return tuple(sorted(places))


class StratifiedPruner(RungPruner):
    """Asynchronous successive halving (Li et al. 2020, arXiv:1810.05934) within strata of temperature and optimizer.

    At each of `rungs` (epochs, counted from 1) the best 1 of `reduction_factor` in the trial's stratum go on, the best
    of a stratum always: each keeps a survivor. From the epoch `late` on all strata are compared. `edges` are the
    temperatures that part the strata; a trial without the parameter `temperature` belongs to the lowest.

    What it decides depends on what the storage holds of the trials at that rung, and on nothing else.
    """

    def __init__(self, rungs: Collection[int], reduction_factor: int, edges: Sequence[float], late: int) -> None:
        if not all(rung >= 1 for rung in rungs):
            raise ValueError(f"rungs are epochs, counted from 1, got {sorted(rungs)}")
        if reduction_factor < 2:
            raise ValueError(f"reduction_factor must be at least 2, got {reduction_factor}; no pruner stops none")
        if not all(low < high for low, high in pairwise((0.0, *edges))):
            raise ValueError(f"edges of strata must be positive and rise, got {list(edges)}")
        self._rungs, self._factor, self._edges, self._late = frozenset(rungs), reduction_factor, tuple(edges), late

    def stratum(self, trial: FrozenTrial) -> tuple[str, int]:
        """A trial's optimizer and its temperature's place among the edges, as far as it has such parameters."""
        temperature = trial.params.get("temperature", -math.inf)
        return trial.params.get("optimizer", ""), sum(temperature >= edge for edge in self._edges)

    def is_rung(self, epoch: int) -> bool:
        """Whether it is one of the rungs."""
        return epoch in self._rungs

    def stops(self, study: optuna.study.Study, trial: FrozenTrial, rung: int) -> bool:
        """Whether too many of the trial's stratum are better."""
        value, stratum = trial.intermediate_values[rung], self.stratum(trial)
        rivals = [
            rival.intermediate_values[rung]
            for rival in rivals_of(study, trial)
            if rung in rival.intermediate_values and (rung >= self._late or self.stratum(rival) == stratum)
        ]
        sign = sign_of(study)
        better = sum(sign * rival > sign * value for rival in rivals)
        return better >= max(1, (len(rivals) + 1) // self._factor)
