"""How many more fresh seeds would decide: futures of a field, drawn from what is known of it now.

In each future one draw is the truth; the leading contestants get fresh seeds, what is known is updated by them, and the
rule of the verdict is asked again until it decides. Of all numbers of seeds that one is said which is within a factor
of 2 of the futures' in the most of them. The same field gives the same number.
"""

from __future__ import annotations

import math

import numpy as np

from search.analysis.job.verdict import Array, Decision, Field, decide

FUTURES = 100
DRAWS = 400
"""Draws of the field that each future is weighed by: what decides are means and chances far from 0 and 1."""
COUNTS = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200)
"""Numbers of fresh seeds after which the rule is asked; more than the last are never proposed."""
LEAST_SHARE, MOST_SHARE = 1 / 16, 1 / 2
"""Of what one more seed of each of two options teaches of their difference, what a search trial does: half where it is
one of them, and little where it lies elsewhere."""


def seeds_to_decide(field: Field, decision: Decision) -> int | None:
    """Fresh seeds of each leading option after which an undecided verdict would be decided; None for another one."""
    if decision.kind != "undecided":
        return None
    leaders = _leaders(field, decision)
    draws = field.draws[:: max(1, len(field.draws) // DRAWS)][:DRAWS]
    rng = np.random.default_rng(0)
    truths = draws[rng.permutation(len(draws))[:FUTURES]][:, leaders]
    counts = np.array([_count(field, draws, leaders, truth, rng) for truth in truths])
    near = [int(((counts >= count / 2) & (counts <= 2 * count)).sum()) for count in COUNTS]
    most = [count for count, hits in zip(COUNTS, near, strict=True) if hits == max(near)]
    middle = float(np.median(counts))
    if math.isinf(middle):  # most futures do not decide
        return COUNTS[-1]
    return min(most, key=lambda count: abs(math.log(count / middle)))


def trials_for(seeds: int, field: Field, decision: Decision, runs: tuple[int, int], searched: int) -> int:
    """Search trials that teach as much of the difference that is in doubt as so many seeds of its two options.

    `runs` are the fresh seeds that the two have had, `searched` the trials of the search: what those have taught beyond
    these is what a trial of the search teaches on average.
    """
    assert decision.rival is not None  # an undecided verdict has one
    variance = float((field.draws[:, decision.place] - field.draws[:, decision.rival]).var())
    if variance <= 0 or field.noise <= 0:
        return seeds
    fresh = 1 / (field.noise**2 * sum(1 / count for count in runs)) if all(runs) else 0.0
    share = max(0.0, 1 / variance - fresh) / max(1, searched) * 2 * field.noise**2
    return math.ceil(seeds / min(MOST_SHARE, max(LEAST_SHARE, share)))


def _leaders(field: Field, decision: Decision) -> list[int]:
    """Whom a confirmation would train on fresh seeds: what is weighed, and the best of each group."""
    means, best = field.draws.mean(axis=0), dict[str, int]()
    for place in np.argsort(-means, kind="stable"):
        best.setdefault(field.options[place].group, int(place))
    weighed = [decision.place] if decision.rival is None else [decision.place, decision.rival]
    return list(dict.fromkeys([*weighed, *best.values()]))


def _count(field: Field, draws: Array, leaders: list[int], truth: Array, rng: np.random.Generator) -> float:
    """The first number of seeds after which a future decides; infinite where the last does not."""
    covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    cross, block = covariance[:, leaders], covariance[np.ix_(leaders, leaders)]
    total, before = np.zeros(len(leaders)), 0
    for count in COUNTS:
        total = total + rng.standard_normal(len(leaders)) * math.sqrt(count - before)
        before, luck = count, field.noise / math.sqrt(count)
        mean = truth + field.noise * total / count
        slope = cross @ np.linalg.pinv(block + luck**2 * np.eye(len(leaders)), hermitian=True)
        # draws of what is known then: each moved by what it would have seen otherwise (Matheron's rule)
        otherwise = draws[:, leaders] + luck * rng.standard_normal((len(draws), len(leaders)))
        future = Field(
            field.options, draws + (mean - otherwise) @ slope.T, field.delta, field.default_temperature,
            field.confidence, field.noise, look=field.look + 1,
        )  # fmt: skip
        if decide(future).kind != "undecided":
            return count
    return math.inf
