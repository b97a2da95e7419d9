"""A study's power in plain words and as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence

from search import units
from search.analysis.study.guidance_words import display_names, times
from search.analysis.study.power import CHANCE, Budget, Outlook, Power
from search.analysis.study.question_words import compared
from search.units import Measure

LEGEND = (
    f"The least difference that is told in {units.percent(CHANCE)} of such studies: of costs and gains in {{unit}}, of "
    "the good range as a factor. = where it would be told, too, that there is none that matters (up to {margin}; of a "
    "good range up to a factor of 1.5)."
)


def heading(outlook: Outlook) -> str:
    """How large the study is, and where its errors come from."""
    return (
        f"{outlook.study}: {outlook.jobs} jobs, about {outlook.trainings:,} trainings. What it could tell, going by "
        f"{outlook.basis}:"
    )


def legend(outlook: Outlook) -> str:
    """What a row's numbers are."""
    measure = units.measure(outlook.metric, outlook.unit)
    margin = units.difference(measure, outlook.margin, units.decimals(measure, outlook.margin))
    return LEGEND.format(unit=measure.unit_of_difference or measure.label, margin=margin)


def table(outlook: Outlook) -> tuple[list[str], list[list[str]]]:
    """Header and rows: by difference what is the least that is told of each question."""
    measure = units.measure(outlook.metric, outlook.unit)
    questions = list(dict.fromkeys((power.question, power.temperature) for power in outlook.powers))
    rows = []
    for name, powers in _by_difference(outlook):
        cells = {(power.question, power.temperature): _least(power, measure) for power in powers}
        rows.append([name, *(cells.get(question, "") for question in questions)])
    return ["difference", *(_title(*question) for question in questions)], rows


def more(outlook: Outlook) -> list[str]:
    """By difference the budget that tells what this one does not, a sentence each."""
    lines = []
    for name, powers in _by_difference(outlook):
        open_powers = [power for power in powers if not power.told]
        budgets = [power.sufficient for power in open_powers if power.sufficient is not None]
        if budgets:
            largest = max(budgets, key=lambda budget: budget.trials)
            lines.append(f"{name}: {_budget(largest)} would tell {_which(open_powers, len(budgets))}.")
        beyond = [_title(power.question, power.temperature) for power in open_powers if power.sufficient is None]
        if beyond:
            lines.append(f"{name}: no budget that was looked at would tell of the {', '.join(beyond)}.")
    return lines


def _by_difference(outlook: Outlook) -> list[tuple[str, list[Power]]]:
    groups: dict[tuple[tuple[str, ...], tuple[tuple[str, str], ...]], list[Power]] = {}
    for power in outlook.powers:
        groups.setdefault((tuple(power.factors), tuple(power.levels)), []).append(power)
    names = display_names(list(dict.fromkeys(factor for factors, _ in groups for factor in factors)))
    return [(compared(factors, levels, names), powers) for (factors, levels), powers in groups.items()]


def _title(question: str, temperature: float | None) -> str:
    if temperature is not None:
        return f"cost of T = {units.number(temperature)}"
    return "good range" if question == "width" else "gain over labels"


def _least(power: Power, measure: Measure) -> str:
    if power.least is None:
        return units.NOT_SHOWN
    least = times(2**power.least) if power.question == "width" else units.plain(measure, power.least)
    return f"{least} =" if power.told else least


def _which(powers: Sequence[Power], sufficient: int) -> str:
    if sufficient < len(powers):
        return f"{sufficient} of the {len(powers)} that are open"
    return "the one that is open" if len(powers) == 1 else f"all {len(powers)} that are open"


def _budget(budget: Budget) -> str:
    trials = "" if budget.times_trials == 1 else f" with {budget.times_trials} times the trials"
    return f"{budget.replicates} repeats{trials} ({budget.trials:,} search trials in all)"
