"""A study's questions in plain words, and as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from search import units
from search.analysis.study.guidance_words import display_names, times
from search.units import Measure
from thermowell.api.guidance import Guidance, Measured, Question, Size

METHOD = (
    "What a wrong T costs, how wide the good range is and what distilling gains are read off all runs. Where all jobs "
    "are whole grids of one form, off one surface of all of them: Gaussian processes over T and the settings, with "
    "deviations of levels, of pairs of them, of repeats and of jobs, which are as large as all jobs together say, and "
    "noise of each job by itself. Otherwise off each job alone: a Gaussian process over T and the settings with an "
    "effect of each seed that its runs share, its hyperparameters drawn from a population near their posterior. The "
    "best of many draws errs upwards; what one half of the seeds says of what the other half found best errs "
    "downwards: there intervals have looked at everything between the two. A curve has, at each T, the best of the "
    "settings that were tried. Over jobs the model is that of the best T."
)

_MARKS = {"moves": "! ", "negligible": "= ", "cannot tell": ""}
LEGEND = "! differs beyond doubt; = by nothing that matters; no mark: cannot be told."


def title(question: Question) -> str:
    """What is asked, as a heading of a column."""
    if question.name == "cost":
        return f"cost of T = {units.number(question.temperature or 0.0)}"
    return "good range" if question.name == "width" else "gain over labels"


def measured(question: Question, value: Measured, measure: Measure, *, sign: bool = False) -> str:
    """A size or, with its `sign`, a difference, with its interval: 0.4 (0.1 to 0.8), ×2.1 (1.3 to 3)."""
    numbers = [value.mean] if value.interval is None else [value.mean, value.interval.low, value.interval.high]
    if question.name == "width":
        parts = [units.number(2**number, 2) for number in numbers]
        parts[0] = times(2 ** numbers[0])
    else:
        places = units.places(measure, value.interval)
        parts = [units.plain(measure, number, places) for number in numbers]
        if sign or question.name == "gain":
            parts[0] = ("" if parts[0].startswith(units.MINUS) else "+") + parts[0]
    return parts[0] if len(parts) == 1 else f"{parts[0]} ({parts[1]} to {parts[2]})"


def words(question: Question, measure: Measure) -> str:
    """What is decided of a question, in a paragraph."""
    factors = list(dict.fromkeys(name for size in question.levels for name in size.levels))
    names = display_names(factors)
    lines = [f"{_subject(question)}: {_of_cells(question, measure)}."]
    clauses = [(compared(effect.factors, effect.levels, names), effect) for effect in question.effects]
    for clause, effect in clauses:
        if effect.verdict == "moves":
            lines.append(f"{clause} {measured(question, effect.measured, measure, sign=True)}.")
    alike = [clause for clause, effect in clauses if effect.verdict == "negligible"]
    if alike:
        lines.append(f"No difference that matters: {'; '.join(alike)}.")
    left = sum(effect.verdict == "cannot tell" for effect in question.effects)
    if left:
        every = len(question.effects)
        lines.append(
            f"{left} of {every} differences cannot be told." if every > 1 else "The difference cannot be told."
        )
    return " ".join(lines)


def _subject(question: Question) -> str:
    if question.name == "cost":
        return f"Copying T = {units.number(question.temperature or 0.0)} loses"
    return "Temperatures within delta of the best span" if question.name == "width" else "Distilling gains over labels"


def _of_cells(question: Question, measure: Measure) -> str:
    """From the least cell to the most, and how many are decided."""
    sizes = sorted(question.cells, key=lambda size: size.measured.mean)
    ends = [sizes[0]] if len(sizes) == 1 else [sizes[0], sizes[-1]]
    spans = " to ".join(measured(question, size.measured, measure) for size in ends)
    unit = "" if question.name == "width" else f" {measure.unit_of_difference}".rstrip()
    return f"{spans}{unit}{_decided(question, sizes)}"


def _decided(question: Question, sizes: Sequence[Size]) -> str:
    if question.name == "width":
        return ""
    counts = [(sum(size.verdict == verdict for size in sizes), verdict) for verdict in ("matters", "negligible")]
    parts = [f"{verdict} in {count}" for count, verdict in counts if count]
    return f" ({', '.join(parts)} of {len(sizes)} cells)" if parts else " (in no cell decided)"


def compared(factors: Sequence[str], levels: Sequence[tuple[str, str]], names: Mapping[str, str]) -> str:
    """Which levels are compared: epochs 60 against 5; of two factors, how the first's differs with the second."""
    (level, against), *second = levels
    clause = f"{names[factors[0]]} {level} against {against}"
    if second:
        clause += f", at {names[factors[1]]} {second[0][0]} against {second[0][1]}"
    return clause[:1].upper() + clause[1:]


def cell_rows(guidance: Guidance) -> tuple[list[str], list[list[str]]]:
    """Header and rows: the levels of each cell, and what each question says of it."""
    questions, measure = guidance.questions, units.shown(guidance)
    keys = list(dict.fromkeys(tuple(size.levels.items()) for question in questions for size in question.cells))
    names = display_names(list(dict.fromkeys(name for key in keys for name, _ in key)))
    rows = []
    for key in keys:
        row = [dict(key).get(factor, "") for factor in names]
        for question in questions:
            match = [size for size in question.cells if tuple(size.levels.items()) == key]
            row.append(measured(question, match[0].measured, measure) if match else "")
        rows.append(row)
    return [*names.values(), *map(title, questions)], rows


def level_rows(guidance: Guidance) -> tuple[list[str], list[list[str]]]:
    """Header and rows: by factor and level its difference from the first level, with the verdict, by question."""
    questions = guidance.questions
    keys = list(dict.fromkeys((tuple(e.factors), tuple(e.levels)) for question in questions for e in question.effects))
    names = display_names(list(dict.fromkeys(name for factors, _ in keys for name in factors)))
    measure = units.shown(guidance)
    rows = []
    for factors, levels in keys:
        row = [compared(factors, levels, names)]
        for question in questions:
            match = [e for e in question.effects if (tuple(e.factors), tuple(e.levels)) == (factors, levels)]
            texts = [_MARKS[e.verdict] + measured(question, e.measured, measure, sign=True) for e in match]
            row.append(texts[0] if texts else "")
        rows.append(row)
    return ["", *map(title, questions)], rows
