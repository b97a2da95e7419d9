"""The race of an arm's finalists in blocks: all that are left train on the same fresh seed.

A finalist drops out once it is shown to be worse than another, by a rule that may look after every block. Pure
arithmetic, replayed from the values alone, so that the order in which they came, or who asks again, changes nothing.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BEGIN = 2
"""Seeds of the first block: with fewer nothing is known of the seeds' spread."""
PRECISION = 0.25
"""Of the mixture over standardized differences: half a normal of deviation 2, which has its power at few seeds."""
Values = Mapping[int, Mapping[int, float]]
"""By finalist, its values by seed, more being better; of those that ended well."""


@dataclass(frozen=True, slots=True)
class Race:
    """An arm's race as it stands after whole blocks.

    `left` are the finalists still in it, in the order given; `dropped` pairs the others with the blocks they took part
    in; `blocks` are the seeds that told them apart. `over`: one is left, or the leader is shown to be within delta of
    all others.
    """

    left: tuple[int, ...]
    dropped: tuple[tuple[int, int], ...]
    blocks: tuple[int, ...]
    over: bool


def race(finalists: Sequence[int], values: Values, seeds: Sequence[int], alpha: float, delta: float) -> Race:
    """Replays the race over the blocks `seeds`, in their order.

    A finalist without a value on a seed has failed there and drops out, unless all have. With probability 1 - alpha the
    truly best finalist is never dropped for its values, however many blocks there are; and with the same probability no
    leader that is more than delta worse than the best is taken for its equal.
    """
    remaining, dropped, blocks = list(finalists), list[tuple[int, int]](), list[int]()
    threshold = max(1, len(remaining) - 1) / alpha
    for seed in seeds:
        stayed = [finalist for finalist in remaining if seed in values.get(finalist, {})]
        if not stayed:
            continue  # nobody could be trained on it: it tells nobody from another
        blocks.append(seed)
        table = {finalist: [values[finalist][block] for block in blocks] for finalist in stayed}
        comparable = len(stayed) > 1 and len(blocks) >= BEGIN
        if comparable:
            stayed = [finalist for finalist in stayed if not _is_beaten(finalist, table, threshold)]
        dropped += [(finalist, len(blocks)) for finalist in remaining if finalist not in stayed]
        remaining = stayed
        if len(remaining) == 1 or (comparable and _equivalent(remaining, table, threshold, delta)):
            return Race(tuple(remaining), tuple(dropped), tuple(blocks), True)
    return Race(tuple(remaining), tuple(dropped), tuple(blocks), len(remaining) <= 1)


def leader(run: Race, values: Values) -> int:
    """The finalist still in it that has the best mean over the race's blocks, the earlier one of two.

    What the search expected of them is not weighed in: it has chosen them, and among those it chose its surface tells
    no better than the mean of three fresh seeds which is best (measured: benchmarks/calibration/confirmation.md).
    """
    means = [math.fsum(values[finalist][seed] for seed in run.blocks) for finalist in run.left]
    return run.left[means.index(max(means))]


def evidence(differences: Sequence[float], residuals: float, freedom: int) -> float:
    """An e-process against "the mean difference is not positive", after len(differences) = n blocks.

    `residuals` is the sum of squares of n differences about their mean, scaled as they are, together with that of other
    contrasts of the same variance; `freedom` their degrees of freedom. Bayes factor of a standardized mean that is
    half-normal of deviation 2 against zero, with right-Haar priors on the variance and on the other contrasts' means:
    anytime-valid by invariance (Lai 1976; Perez-Ortiz et al. 2024, arXiv:2208.07610; Wang and Ramdas 2024,
    arXiv:2310.03722; with nuisance means Lindon et al. 2022, arXiv:2210.08589). Exceeds 1/alpha at any time with
    probability alpha at most where the mean difference is zero or negative.
    """
    count = len(differences)
    mean = math.fsum(differences) / count
    if freedom < 1 or mean == 0:
        return 1.0 if mean >= 0 else 0.0
    if count * mean**2 * PRECISION * 1e-9 < sys.float_info.min:  # so small that squares vanish: all is one value
        return 1.0
    residuals = max(residuals, 1e-9 * count * mean**2)  # values that are all the same
    total = residuals + count * mean**2
    rest = residuals + count * mean**2 * PRECISION / (count + PRECISION)
    root = math.sqrt(PRECISION / (count + PRECISION))
    logarithm = (freedom + 1) / 2 * math.log(total / rest)
    reach = count * mean / math.sqrt(count + PRECISION) * math.sqrt((freedom + 1) / rest)
    return 2 * root * math.exp(min(logarithm, 600.0)) * _student(reach, freedom + 1)


def _is_beaten(finalist: int, table: Mapping[int, Sequence[float]], threshold: float) -> bool:
    """Whether some other is shown to be better."""
    residuals, freedom = _residuals(table)
    return any(
        evidence(_differences(table[rival], table[finalist]), 2 * residuals, freedom) >= threshold
        for rival in table
        if rival != finalist
    )


def _equivalent(remaining: Sequence[int], table: Mapping[int, Sequence[float]], threshold: float, delta: float) -> bool:
    """Whether the best of those left is shown to be less than delta worse than each of the others."""
    leader = max(remaining, key=lambda finalist: math.fsum(table[finalist]))
    residuals, freedom = _residuals({finalist: table[finalist] for finalist in remaining})
    margins = (
        [delta - difference for difference in _differences(table[finalist], table[leader])]
        for finalist in remaining
        if finalist != leader
    )
    return all(evidence(margin, 2 * residuals, freedom) >= threshold for margin in margins)


def _differences(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [mine - its for mine, its in zip(first, second, strict=True)]


def _residuals(table: Mapping[int, Sequence[float]]) -> tuple[float, int]:
    """What finalists and seeds leave unexplained: the sum of squares and its degrees of freedom.

    Pooled over all finalists still in the race, whose seeds' luck is taken to be equally wide. A difference of two has
    twice that variance.
    """
    rows = list(table.values())
    finalists, blocks = len(rows), len(rows[0])
    means = [math.fsum(row) / blocks for row in rows]
    shared = [math.fsum(column) / finalists for column in zip(*rows, strict=True)]
    middle = math.fsum(means) / finalists
    squares = [
        (value - means[i] - shared[b] + middle) ** 2 for i, row in enumerate(rows) for b, value in enumerate(row)
    ]
    return math.fsum(squares), (finalists - 1) * (blocks - 1)


def _student(statistic: float, freedom: int) -> float:
    """The distribution function of Student's t (Abramowitz and Stegun, 26.7.3 and 26.7.4)."""
    angle = math.atan(abs(statistic) / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (1.0 if freedom % 2 == 0 else cosine), 0.0
    for step in range(freedom % 2, freedom - 1, 2):
        total += term
        term *= cosine**2 * (step + 1) / (step + 2)
    mass = sine * total if freedom % 2 == 0 else 2 / math.pi * (angle + sine * total)
    return (1 + math.copysign(mass, statistic)) / 2
