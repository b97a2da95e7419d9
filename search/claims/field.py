"""The race of all arms' finalists as one field: what the surface expects of each, then fresh seeds that all share.

Every contestant's true mean has a joint normal prior, the posterior of the surface over the whole search, whose noise
is known from all of its trials. A contestant is trained on another seed as long as it may be better than the leader by
more than matters. Pure arithmetic, replayed from the values alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from search.states import Arm

RISK = 0.15
"""Of delta: what the choice must be expected to gain by a contestant's further seeds for it to be trained again."""
Contestant = tuple[Arm, int]
"""An arm, and the number of the trial whose configuration, taken to this arm, is the contestant's."""
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Beliefs:
    """The joint normal distribution of all contestants' true means, more being better, and a single run's deviation."""

    contestants: tuple[Contestant, ...]
    means: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    noise: float

    def after(self, place: int, value: float) -> Beliefs:
        """As they are when one run of the contestant at this place has reached `value`."""
        row = self.covariance[place]
        total = row[place] + self.noise**2
        if total <= 0:
            return self
        shift = (value - self.means[place]) / total
        means = tuple(mean + slope * shift for mean, slope in zip(self.means, row, strict=True))
        covariance = tuple(
            tuple(self.covariance[i][j] - row[i] * row[j] / total for j in range(len(row))) for i in range(len(row))
        )
        return Beliefs(self.contestants, means, covariance, self.noise)

    def promise(self, place: int, leader: int, seeds: int) -> float:
        """By how much the better one of a contestant and the leader is expected to be better than the leader, once both
        have been trained on so many more seeds and the better posterior mean is taken.
        """
        difference = self.means[place] - self.means[leader]
        variance = self.covariance[place][place] + self.covariance[leader][leader] - 2 * self.covariance[place][leader]
        if variance <= 0 or seeds < 1:
            return max(0.0, difference)
        deviation = variance / math.sqrt(variance + 2 * self.noise**2 / seeds)
        reach = difference / deviation
        return deviation * _NORMAL.pdf(reach) + difference * _NORMAL.cdf(reach)


@dataclass(frozen=True, slots=True)
class RaceState:
    """The field as it stands: who goes on to another seed, none where the race is over; who leads each arm."""

    left: tuple[Contestant, ...]
    leaders: Mapping[Arm, Contestant]
    beliefs: Beliefs


def race_state(
    beliefs: Beliefs,
    values: Mapping[Contestant, Sequence[float]],
    failed: Collection[Contestant],
    seeds: int,
    delta: float,
) -> RaceState:
    """What the race's values, by contestant, leave of the field where `seeds` more can be spent; who `failed` on one is
    out, unless all have.
    """
    places = range(len(beliefs.contestants))
    present = [place for place in places if beliefs.contestants[place] not in failed] or list(places)
    for place in present:
        for value in values.get(beliefs.contestants[place], ()):
            beliefs = beliefs.after(place, value)
    ranked = sorted(present, key=lambda place: (-beliefs.means[place], place))
    leader = ranked[0]
    rivals = [place for place in ranked[1:] if beliefs.promise(place, leader, seeds) > RISK * delta]
    left = [beliefs.contestants[place] for place in sorted([leader, *rivals])] if rivals else []
    absent = sorted(set(places) - set(present), key=lambda place: (-beliefs.means[place], place))
    leaders: dict[Arm, Contestant] = {}
    for place in [*ranked, *absent]:  # an arm whose contestants have all failed has one of them nevertheless
        leaders.setdefault(beliefs.contestants[place][0], beliefs.contestants[place])
    return RaceState(tuple(left), leaders, beliefs)
