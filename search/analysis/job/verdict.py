"""The verdict of a job: which configuration one would act on, by expected loss over all contestants of all groups.

A pure function of joint posterior draws: no trials, no words, no randomness. `Field` is all that it sees.

Expected loss decides what is recommended, since waiting for significance loses most; what is *shown* is said beside it.
The simplest choice that is expected to lose no more than delta wins: the default T before another one, and of
configurations that are as good as each other the one with the fewest settings off their defaults.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Group = Literal["joint", "t1", "t4", "label_only"]
Kind = Literal["use", "keep", "labels", "undecided"]

BET = 0.8
"""A gain that is expected above delta, and positive with this chance at the least, is the better bet."""
RISK = 0.2
"""The labels alone are recommended where distilling gains more than delta over them with at most this chance."""
DOUBT = 2
"""What is called shown may be wrong this many times less often than the confidence allows: draws are surer than they
should be where students' quality is not as smooth as the surface takes it to be."""
ALIKE = 1.1
"""Temperatures whose quotient is at most this are one temperature: no claim is made of one against the other."""
WIDE = 1.5
"""A range of temperatures whose ends' quotient is below this says nothing that its middle does not."""
LEVEL = 0.5
"""Of delta: temperatures that are expected to lose no more than this against the default one, and no more than delta
against the best one, make no difference that matters."""
UNSURE = 0.15
"""A range of temperatures is stated of which some lose more than delta with at most this chance."""
NEGLIGIBLE = 0.1
"""Of delta: of configurations at one temperature that are so near to the best, the simplest is taken."""
FAINT = 0.2
"""The distillation term's share of the loss below which no T but the default one is recommended: where the teacher is
hardly asked, a temperature that looks good is luck."""


@dataclass(frozen=True, slots=True)
class Option:
    """One configuration, of whichever group. `temperature` is None where it has no single one: trained on the labels
    alone, by a loss without T, or along a schedule. `departures` counts its settings off their defaults. What was
    not `trained` is known by the surface alone. `share` is the distillation term's of the loss.
    """

    group: Group
    temperature: float | None
    departures: int = 0
    trained: bool = True
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Slice:
    """Draws along T [m]: `best` [n, m] with the best settings of each T, `same` [n, m] with one option's own."""

    temperatures: Array
    best: Array
    same: Array


@dataclass(frozen=True, slots=True)
class Field:
    """All that a verdict is decided by.

    Attributes:
        options: The configurations to choose from, those that cannot be told apart as one.
        draws: Joint posterior draws [n, options] of their means over seeds, more being better.
        delta: A difference of the objective up to which nothing matters.
        default_temperature: What one would take without this job; the job's own T where that is fixed.
        confidence: Of what is called shown, and of intervals, for all gains together.
        noise: The deviation of one training about its mean over seeds, for saying how many more would tell.
        along: By the place of an option its slice along T; None where T was not searched or too little is known.
        look: The number of this answer among those of the job: each extension looks again.
    """

    options: Sequence[Option]
    draws: Array
    delta: float
    default_temperature: float
    confidence: float
    noise: float
    along: Callable[[int], Slice | None] | None = None
    look: int = 1

    @property
    def level(self) -> float:
        """The confidence of this look alone, by which that of all looks together is kept."""
        return spent(self.confidence, self.look)


@dataclass(frozen=True, slots=True)
class GainOver:
    """What the recommended option gains over another option; `low` and `high` hold for all gains at once."""

    place: int
    mean: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict by places in the field.

    Attributes:
        kind: use (a configuration of one's own), keep (the default T), labels (do not distil), or undecided.
        shown: Whether what is said is shown at the field's confidence, and not only the better bet.
        place: The option to train with; of an undecided verdict the one to train with meanwhile.
        rival: Whom it is weighed against: the default T, else the strongest other choice; None where there is none.
        gains: What `place` gains over every option that is another choice, the strongest first.
        between: Temperatures between which it makes no difference that matters, with the settings of `place`.
        losses: By place, how much less than `place` each option is expected to reach.
        faint: The place of what is expected to be better by more than delta at another T, where it is not recommended
            because the teacher is hardly asked.
    """

    kind: Kind
    shown: bool
    place: int
    rival: int | None
    gains: tuple[GainOver, ...]
    between: tuple[float, float] | None
    losses: tuple[float, ...]
    faint: int | None = None

    @property
    def gain(self) -> GainOver | None:
        """What is gained over `rival`."""
        return next((gain for gain in self.gains if gain.place == self.rival), None)


def decide(field: Field) -> Decision:
    """The verdict of a field with at least one option. The same field gives the same verdict."""
    means = field.draws.mean(axis=0)
    everyone = range(len(field.options))
    defaults = [place for place in everyone if _default(field, place)]
    sound = [place for place in everyone if not (defaults and _faint(field, place))]
    decision = _decided(field, means, sound, defaults)
    better = [place for place in everyone if place not in sound and decision.losses[place] < -field.delta]
    faint = min(better, key=lambda place: decision.losses[place], default=None)
    return replace(decision, faint=faint)


def _decided(field: Field, means: Array, sound: Sequence[int], defaults: Sequence[int]) -> Decision:
    """The verdict about those that may be recommended, the default T among them."""
    best = _simplest(field, means, sound)
    default = _simplest(field, means, defaults)
    labels = _simplest(field, means, [place for place in sound if _labels_alone(field, place)])
    assert best is not None  # there is at least one
    useless = labels is not None and _useless(field, means, labels)
    if labels is not None and useless and labels == best:
        return _alone(field, means, best)
    if default is not None and means[best] - means[default] <= field.delta:
        trained = _simplest(field, means, [place for place in defaults if field.options[place].trained])
        as_good = trained is not None and means[best] - means[trained] <= field.delta
        return _keep(field, means, trained if trained is not None and as_good else default)
    if labels is not None and useless:
        return _alone(field, means, labels)
    use = _compared(field, means, best)
    if use.gain is not None and (best == labels or not _worth(use, field.delta)):
        return _undecided(use)
    return use


def spent(confidence: float, look: int) -> float:
    """The confidence of the look with this number, from 1 on, by which all looks together keep `confidence`, however
    many there are and whatever made one look again: their errors add up to 1 - confidence (by 6 / pi^2 / look^2).
    """
    return 1 - (1 - confidence) * 6 / (math.pi * look) ** 2


def largest_distances(draws: Array) -> Array:
    """Of each of n joint draws [n, k] of k options, the largest distance of a difference of two of them from its mean,
    in deviations of that difference.

    A quantile of it is how many deviations the intervals of all differences reach to both sides so that they hold at
    once: of every two options, since the draws themselves say which of them is recommended.
    """
    count = draws.shape[1]
    first, second = np.triu_indices(count, 1)
    centred = draws - draws.mean(axis=0)
    differences = centred[:, first] - centred[:, second]
    deviations = differences.std(axis=0)
    scale = np.where(deviations > 0, deviations, 1.0)
    return np.asarray(np.abs(differences / scale).max(axis=1, initial=0.0))


def _keep(field: Field, means: Array, place: int) -> Decision:
    """The default T: to be kept, or to be used where it is better than all else and next to no other T is as good."""
    decision = _compared(field, means, place)
    line = field.along(place) if field.along is not None else None
    between, equal = _flat(line, field) if line is not None else (None, False)
    strongest = min((gain.mean for gain in decision.gains), default=0.0)
    if between is None and strongest > field.delta and _worth(decision, field.delta):
        return decision
    return replace(decision, kind="keep", shown=equal, between=between)


def _worth(use: Decision, delta: float) -> bool:
    """Whether the gain over the rival is expected to matter, and shown or the better bet."""
    return use.gain is not None and use.gain.mean > delta and (use.shown or use.gain.chance >= BET)


def _undecided(use: Decision) -> Decision:
    return replace(use, kind="undecided", shown=False)


def _useless(field: Field, means: Array, labels: int) -> bool:
    """Whether distilling gains no more than delta over the labels alone, as expected and most likely."""
    distilled = [place for place in range(len(means)) if not _labels_alone(field, place)]
    if not distilled:
        return True
    strongest = distilled[int(means[distilled].argmax())]
    gain = field.draws[:, strongest] - field.draws[:, labels]
    return float(gain.mean()) <= field.delta and float((gain > field.delta).mean()) <= RISK


def _alone(field: Field, means: Array, labels: int) -> Decision:
    """The labels alone; shown where no distilled option gains more than delta over them."""
    distilled = [place for place in range(len(means)) if not _labels_alone(field, place)]
    more = field.draws[:, distilled] > field.draws[:, [labels]] + field.delta
    proven = float(more.any(axis=1).mean()) <= (1 - field.level) / DOUBT
    return replace(_compared(field, means, labels), kind="labels", shown=proven)


def _compared(field: Field, means: Array, place: int) -> Decision:
    """The option as something to use: its gains over all that are another choice, at once."""
    losses = tuple(float(means[place] - mean) for mean in means)
    rivals = sorted((p for p in range(len(means)) if _another(field, place, p)), key=lambda p: (-means[p], p))
    if not rivals:
        return Decision("use", False, place, None, (), None, losses)
    differences = field.draws[:, [place]] - field.draws[:, rivals]
    distances = largest_distances(field.draws)
    expected, deviations = differences.mean(axis=0), differences.std(axis=0)
    reach = float(np.quantile(distances, field.level)) * deviations
    low, high = expected - reach, expected + reach
    surer = expected - float(np.quantile(distances, 1 - (1 - field.level) / DOUBT)) * deviations
    gains = tuple(
        GainOver(rival, float(draws.mean()), float(a), float(b), float((draws > 0).mean()))
        for rival, draws, a, b in zip(rivals, differences.T, low, high, strict=True)
    )
    rival = next((p for p in rivals if _default(field, p)), rivals[0])
    return Decision("use", bool((surer > 0).all()), place, rival, gains, None, losses)


def _another(field: Field, first: int, second: int) -> bool:
    """Whether `second` is another choice than `first`: distilling or not, or another temperature. What the search tried
    at a temperature that is not the default is no choice that one would make without it.
    """
    first_option, second_option = field.options[first], field.options[second]
    if _labels_alone(field, first) or _labels_alone(field, second):
        return first_option.group != second_option.group
    if first == second or alike(first_option.temperature, second_option.temperature):
        return False
    return second_option.group != "joint" or _default(field, first) or _default(field, second)


def _default(field: Field, place: int) -> bool:
    return alike(field.options[place].temperature, field.default_temperature)


def _faint(field: Field, place: int) -> bool:
    """Whether it distils at another T than the default one, and hardly."""
    option = field.options[place]
    return not _labels_alone(field, place) and option.share < FAINT and not _default(field, place)


def _labels_alone(field: Field, place: int) -> bool:
    return field.options[place].group == "label_only"


def alike(first: float | None, second: float | None) -> bool:
    """Whether two temperatures are one, so that nothing is said of one against the other."""
    return first is not None and second is not None and max(first, second) <= ALIKE * min(first, second)


def _flat(line: Slice, field: Field) -> tuple[tuple[float, float] | None, bool]:
    """The temperatures about the default one that lose nothing that matters, and whether that is shown of all.

    The range grows from the default T to whichever side is expected to lose less, while all of it together most likely
    loses no more than delta. None where it is too narrow to say more than its middle does.
    """
    top = int(line.best.mean(axis=0).argmax())
    loss = line.best[:, [top]] - line.same
    expected = loss.mean(axis=0)
    low = high = int(np.abs(np.log(line.temperatures) - math.log(field.default_temperature)).argmin())
    most = min(field.delta, max(expected[low], 0.0) + LEVEL * field.delta)
    worst = loss[:, low]
    if expected[low] > field.delta or float((worst > field.delta).mean()) > UNSURE:
        return None, False
    while True:
        sides = [place for place in (low - 1, high + 1) if 0 <= place < len(expected) and expected[place] <= most]
        farther = {place: np.maximum(worst, loss[:, place]) for place in sides}
        likely = [place for place in sides if float((farther[place] > field.delta).mean()) <= UNSURE]
        if not likely:
            break
        side = min(likely, key=lambda place: expected[place])
        worst, low, high = farther[side], min(low, side), max(high, side)
    ends = float(line.temperatures[low]), float(line.temperatures[high])
    if ends[1] < WIDE * ends[0]:
        return None, False
    loss = line.best.max(axis=1, keepdims=True) - line.same[:, low : high + 1]
    return ends, float((loss <= field.delta).all(axis=1).mean()) >= 1 - (1 - field.level) / DOUBT


def _simplest(field: Field, means: Array, places: Sequence[int]) -> int | None:
    """Of those that are as good as the best of these places, the one with the fewest settings off their defaults."""
    if not places:
        return None
    top = max(places, key=lambda place: (means[place], -place))
    near = [
        place
        for place in places
        if means[top] - means[place] <= NEGLIGIBLE * field.delta and not _another(field, top, place)
    ]
    return min(near, key=lambda place: (field.options[place].departures, -means[place], place))
