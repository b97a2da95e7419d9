"""What studies have decided of their questions, and how wide the intervals of shifts are."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

from thermowell.api.guidance import Guidance

UNDECIDED = "cannot tell"


def verdicts(guidance: Guidance) -> dict[str, list[bool]]:
    """Whether each question of a study is decided, by kind; the kinds are those of docs/study-questions.md."""
    effects = [effect for question in guidance.questions for effect in question.effects]
    said: dict[str, list[str]] = {
        "sizes": [size.verdict for question in guidance.questions for size in question.levels if size.verdict],
        "effects": [effect.verdict for effect in effects if len(effect.factors) == 1],
        "pairs": [effect.verdict for effect in effects if len(effect.factors) > 1],
        "shifts": [contrast.verdict for factor in guidance.factors for contrast in factor.contrasts],
        "pairs' shifts": [pair.verdict for pair in guidance.interactions],
    }
    return {kind: [verdict != UNDECIDED for verdict in them] for kind, them in said.items()}


def width_factors(guidance: Guidance) -> list[float]:
    """By which factor of T the interval of each effect on the best T is wide."""
    contrasts = [contrast.interval for factor in guidance.factors for contrast in factor.contrasts]
    return [2.0 ** (interval.high - interval.low) for interval in contrasts]


def headline(guidances: Sequence[Guidance]) -> dict[str, Any]:
    """Which share of all questions of these studies is decided, by kind and in all, and how wide shifts are."""
    flags = [verdicts(guidance) for guidance in guidances]
    kinds = {kind: [flag for one in flags for flag in one[kind]] for kind in (flags[0] if flags else ())}
    together = [flag for them in kinds.values() for flag in them]
    widths = [width for guidance in guidances for width in width_factors(guidance)]
    return {
        "studies": len(guidances),
        "questions": len(together),
        "decided_share": round(fmean(together), 3) if together else None,
        "decided": {kind: f"{sum(them)} of {len(them)}" for kind, them in kinds.items()},
        "width_factor_median": round(median(widths), 2) if widths else None,
    }
