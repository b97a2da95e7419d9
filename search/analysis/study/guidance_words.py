"""Guidance in plain words: a sentence for each factor, a paragraph for all, and what is not covered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search import units
from search.analysis.study.cells import Cell
from search.analysis.study.design import Design
from thermowell.api.guidance import CellGuide, Contrast, FactorGuide, InteractionGuide, Located, Measured

METHOD = (
    "A job's word on its best T is the posterior of its response: of the joint draws, the share that is best at each "
    "temperature, relative to the share that a smooth curve has there of which nothing is known; 3 % of it is doubt. "
    "The first and the last temperature stand for all beyond (censored). log2 of the best T is a linear mixed model: "
    "main effects (prior deviation 2 octaves), pairwise interactions that the design carries (their deviation is "
    "found; 0.4 octaves before), what repeats cells (seeds, splits, teachers) as random effects, and a residual. Each "
    "job's best T is drawn anew in each sweep of a Gibbs sampler (24 chains of 400). An effect is averaged over the "
    "levels of the other factors; a cell's own best T is what its jobs say together, but for how much jobs of the same "
    "levels differ. Verdicts on a factor of several levels share the doubt among its contrasts. Gains "
    "are those over T = 4 at its own best settings, each job counting the same; their interval has what each job says "
    "of its own seeds or, where that is more, what jobs of the same cell differ by."
)
FEW = 3


def display_names(factors: Sequence[str]) -> dict[str, str]:
    """A factor's last word, where no other factor ends with it: training.epochs is epochs."""
    last = {factor: factor.rpartition(".")[2].replace("_", " ") for factor in factors}
    words = list(last.values())
    return {factor: word if words.count(word) == 1 else factor for factor, word in last.items()}


def times(ratio: float) -> str:
    """A factor of T: ×2.1."""
    return f"×{units.number(ratio, 2)}"


def effect(contrast: Contrast, *, short: bool = False) -> str:
    """A contrast's size: ×2.1 (90 % interval 1.3 to 3.0), open ends named; `short` without the confidence."""
    interval = contrast.ratio_interval
    low, high = units.number(interval.low, 2), units.number(interval.high, 2)
    bounds = f"{low} to {high}"
    if contrast.open_low and contrast.open_high:
        bounds = "open at both ends"
    elif contrast.open_low:
        bounds = f"{high} or less"
    elif contrast.open_high:
        bounds = f"{low} or more"
    return f"{times(contrast.ratio)} ({bounds if short else f'{units.percent(interval.confidence)} interval {bounds}'})"


def temperature(best: Located) -> str:
    """A best temperature, its interval and what is open: 5.1 (3.2 to 8), ≥ 12 (at most 40 was searched)."""
    return f"{units.number(best.temperature, 2)} ({span(best)})"


def span(best: Located) -> str:
    """The interval with an arrow at each end that is censored: ≤1 to 3.2."""
    low, high = units.number(best.interval.low, 2), units.number(best.interval.high, 2)
    return f"{'≤' if best.censored_low else ''}{low} to {'≥' if best.censored_high else ''}{high}"


def factor_words(name: str, contrasts: Sequence[Contrast], why_not: str) -> str:
    """What a factor does, a clause for each contrast."""
    if not contrasts:
        return f"{name}: nothing to compare."
    clauses = []
    for contrast in contrasts:
        comparison = f"{contrast.level} against {contrast.against}"
        if contrast.verdict == "moves":
            clauses.append(f"{comparison} moves the best T by {effect(contrast)}")
        elif contrast.verdict == "negligible":
            clauses.append(f"{comparison} does not move the best T by anything that matters: {effect(contrast)}")
        else:
            clauses.append(f"{comparison} cannot be told: {effect(contrast)}{why_not}")
    return f"{name}: {'; '.join(clauses)}."


def interaction_words(names: tuple[str, str], interaction: InteractionGuide) -> str:
    """Whether two factors act together."""
    (low_a, high_a), (low_b, high_b) = interaction.levels
    ratio, interval = times(2**interaction.octaves), interaction.interval
    sentence = (
        f"the effect of {names[0]} ({high_a} against {low_a}) at {names[1]} {high_b} is {ratio} of that at {low_b} "
        f"({units.percent(interval.confidence)} interval {units.number(2**interval.low, 2)} to "
        f"{units.number(2**interval.high, 2)})"
    )
    if interaction.verdict == "moves":
        return _upper(f"{names[0]} and {names[1]} act together: {sentence}.")
    if interaction.verdict == "negligible":
        return _upper(f"{names[0]} and {names[1]} act apart: {sentence}.")
    return f"Whether {names[0]} and {names[1]} act together cannot be told: {sentence}."


def summary(
    factors: Sequence[FactorGuide],
    interactions: Sequence[InteractionGuide],
    cells: Sequence[CellGuide],
    metric: units.Metric,
) -> str:
    """The guidance in a paragraph."""
    finished = sum(cell.finished > 0 for cell in cells)
    opening = f"{finished} of {len(cells)} cell{'' if len(cells) == 1 else 's'} finished."
    if not factors:
        return f"{opening} {_alone(cells)}"
    moving = [guide for guide in factors if guide.verdict == "moves"]
    settled = [guide for guide in factors if guide.verdict == "negligible"]
    open_ = [guide for guide in factors if guide.verdict == "cannot tell"]
    parts = [opening]
    together = any(guide.verdict == "moves" for guide in interactions)
    for guide in moving:
        best = max((c for c in guide.contrasts if c.verdict == "moves"), key=lambda c: abs(c.octaves), default=None)
        if best is not None:
            sentence = f"{guide.name} moves the best T: {best.level} against {best.against} by {effect(best)}."
            parts.append(_upper(f"on average over the others, {sentence}" if together else sentence))
    if settled:
        parts.append(f"{_upper(_enumerate([o.name for o in settled]))} shown not to move it by anything that matters.")
    if open_:
        verb = "" if moving or settled else " of this study"
        parts.append(f"Of {_enumerate([guide.name for guide in open_])} the evidence{verb} cannot tell.")
    parts += [guide.words for guide in interactions if guide.verdict == "moves"]
    parts += _gains(factors, metric)
    return " ".join(parts)


def _alone(cells: Sequence[CellGuide]) -> str:
    located_cells = [cell for cell in cells if cell.best is not None]
    if not located_cells:
        return "No finished job tells of its best T."
    if len(cells) == 1 and located_cells[0].best is not None:
        return f"The best T is {temperature(located_cells[0].best)}; one cell says nothing of what moves it."
    return "No factor has two levels among the finished jobs, so that nothing can be compared."


def _gains(factors: Sequence[FactorGuide], metric: units.Metric) -> list[str]:
    """The level at which T = 4 costs most, where that is established."""
    rows = [(factor.name, level) for factor in factors for level in factor.levels]
    gains = [(name, level.level, level.gain) for name, level in rows if level.gain and level.gain.interval]
    sure = [(name, level, gain) for name, level, gain in gains if gain.interval and gain.interval.low > 0]
    if not gains:
        return []
    if not sure:
        return ["At no level is a gain over T = 4 established."]
    name, level, gain = max(sure, key=lambda row: row[2].mean)
    return [f"The gain over T = 4 is largest at {name} {level}: {gain_words(gain, metric)}."]


def octaves(measured: Measured) -> str:
    """A size in octaves with its interval: 0.31 (0.12 to 0.6)."""
    interval = measured.interval
    behind = f" ({units.number(interval.low, 2)} to {units.number(interval.high, 2)})" if interval else ""
    return units.number(measured.mean, 2) + behind


def gain_words(gain: Measured, metric: units.Metric) -> str:
    """A gain with its interval."""
    return units.difference_within(metric, gain.mean, gain.interval)


def _enumerate(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _upper(words: str) -> str:
    return words[:1].upper() + words[1:]


def limits(
    cells: Sequence[Cell], factors: Sequence[FactorGuide], design: Design | None, names: Mapping[str, str]
) -> list[str]:
    """What the evidence does not cover, one sentence each, gravest first."""
    return [
        *_unfinished(cells),
        *_design(cells, design, names),
        *_edges(factors),
        *_repeats(cells),
        *_span(cells),
    ]


def _unfinished(cells: Sequence[Cell]) -> list[str]:
    missing = [cell for cell in cells if cell.state != "completed"]
    mute = [cell for cell in cells if cell.state == "completed" and cell.best is None]
    sentences = []
    if missing:
        sentences.append(f"{len(missing)} of {len(cells)} jobs have not finished; nothing is said of them.")
    if mute:
        sentences.append(
            f"{len(mute)} finished jobs have no temperature response: T was fixed, or too few trials or "
            "temperatures ended."
        )
    return sentences


def _design(cells: Sequence[Cell], design: Design | None, names: Mapping[str, str]) -> list[str]:
    located_cells = [cell for cell in cells if cell.best is not None]
    factors = dict.fromkeys(name for cell in cells for name in cell.levels)
    sentences = []
    for factor in factors:
        missing = {cell.levels.get(factor) for cell in cells} - {cell.levels.get(factor) for cell in located_cells}
        lost_names = sorted(level for level in missing if level is not None)
        if lost_names and located_cells:
            sentences.append(f"No job of {names.get(factor, factor)} {_enumerate(lost_names)} tells of its best T.")
    if design is not None and design.confounded:
        together = _enumerate(sorted(names.get(factor_name, factor_name) for factor_name in design.confounded))
        sentences.append(f"In the finished jobs {together} change together: their effects cannot be told apart.")
    if design is not None and design.spare < 1:
        sentences.append("There are no more jobs than effects: nothing shows how far jobs of the same levels differ.")
    count = 0 if design is None else len(design.levels)
    absent = count * (count - 1) // 2 - (0 if design is None else len(design.pairs))
    if absent:
        sentences.append(f"{absent} of the pairs of factors are taken to act apart: the design does not carry more.")
    return sentences


def _edges(factors: Sequence[FactorGuide]) -> list[str]:
    touched = [
        f"{factor.name} {level.level}"
        for factor in factors
        for level in factor.levels
        if level.best.censored_low or level.best.censored_high
    ]
    if not touched:
        return []
    return [
        f"The best T may lie beyond the range that was searched at {_enumerate(touched)}: a wider range would tell."
    ]


def _repeats(cells: Sequence[Cell]) -> list[str]:
    groups: dict[tuple[tuple[str, str], ...], int] = {}
    for cell in cells:
        if cell.best is not None:
            key = tuple(sorted(cell.levels.items()))
            groups[key] = groups.get(key, 0) + 1
    if not groups:
        return []
    least = min(groups.values())
    if least == 1:
        return [
            "Some cells rest on one job: one seed of the search, one split and one teacher. What these do to the best "
            "T is known only as far as other cells tell."
        ]
    return [f"Cells rest on {least} jobs each, or little more; intervals from so few are rough."] if least < FEW else []


def _span(cells: Sequence[Cell]) -> list[str]:
    data = sorted({cell.data for cell in cells if cell.data})
    sentences = [f"One data set ({data[0]}): another one may have other effects."] if len(data) == 1 else []
    if any(name.rpartition(".")[2] == "method" for cell in cells for name in cell.levels):
        sentences.append(
            "A temperature does not mean the same to each method: compare their qualities and gains first."
        )
    if any(cell.best is not None and cell.best.rough for cell in cells):
        sentences.append(
            "Some answers are older than the shares that this rests on; their intervals stand in for them."
        )
    sentences.append("Levels between and beyond those that were tried are not covered.")
    return sentences
