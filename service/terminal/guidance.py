"""A study's guidance as a terminal shows it in 80 columns: the paragraph, cells, factors, and what is not covered."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from search import scales, units
from search.analysis.study import guidance_table, guidance_words, power_words
from search.analysis.study.power import Outlook
from thermowell.api.guidance import FactorGuide, Guidance, LevelGuide

WHISKER = 24
_STYLES = {"moves": "green", "negligible": "cyan", "cannot tell": "dim"}


def print_guidance(console: Console, guidance: Guidance) -> None:
    """All of it, from what the API sent."""
    console.print(Rule(Text(guidance.study, style="bold"), align="left", style="dim"))
    console.print(Padding(Text(guidance.summary), (1, 0)))
    _heading(
        console, "Cells", f"best T, {guidance_table.part(guidance)} {units.shown(guidance).label}, gain over T = 4"
    )
    console.print(_indent(_cells(guidance)))
    for factor in guidance.factors:
        _heading(console, f"Best T by {factor.name}", factor.verdict)
        console.print(_indent(_factor(guidance, factor)))
    if guidance.interactions:
        _heading(console, "What acts together")
        console.print(_indent(_list([interaction.words for interaction in guidance.interactions])))
    if guidance.questions:
        _heading(console, "What a wrong T costs, and what distilling gains")
        console.print(_indent(_list([question.words for question in guidance.questions])))
    _heading(console, "What this does not cover")
    console.print(_indent(_list(guidance.limits)))


def print_power(console: Console, outlook: Outlook) -> None:
    """What a study could tell, and with what budget it could tell more."""
    console.print(Padding(Text(power_words.heading(outlook)), (0, 0, 1, 0)))
    header, rows = power_words.table(outlook)
    if not rows:
        console.print("Its cells differ in nothing that could be compared: give it a factor with two levels.")
        return
    for row in rows:
        console.print(Text(row[0], style="bold"))
        figures = [f"{title} {value}" for title, value in zip(header[1:], row[1:], strict=True) if value]
        console.print(Padding(Text("; ".join(figures)), (0, 0, 0, 2)))
    console.print(Padding(Text(power_words.legend(outlook), style="dim"), (1, 0)))
    console.print(_list(power_words.more(outlook)))


def _heading(console: Console, title: str, note: str = "") -> None:
    console.print()
    console.print(Text.assemble((title, "bold cyan"), (f"  {note}" if note else "", "dim")))


def _indent(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 2), expand=False)


def _grid(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), show_header=any(columns), header_style="dim", pad_edge=False)
    for name in columns:
        table.add_column(Text(name))
    return table


def _cells(guidance: Guidance) -> Table:
    header, rows = guidance_table.cell_table(guidance, narrow=True)
    table = _grid(*header)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _factor(guidance: Guidance, factor: FactorGuide) -> Table:
    low, high = guidance.searched or (1.0, 40.0)
    scale = units.number(low, 2) + units.number(high, 2).rjust(WHISKER - len(units.number(low, 2)))
    table = _grid("", scale, "best T", "against the first", "gain")
    table.columns[1].no_wrap = True
    table.columns[1].min_width = WHISKER
    contrasts = {entry.level: entry for entry in factor.contrasts}
    for level in factor.levels:
        contrast = contrasts.get(level.level)
        style = _STYLES[contrast.verdict] if contrast else ""
        table.add_row(
            Text(level.level, style="bold"),
            Text(_whisker(level, low, high), style=style),
            Text(guidance_words.temperature(level.best)),
            Text(guidance_words.effect(contrast, short=True) if contrast else "", style=style),
            Text(guidance_table.difference(level.gain, units.shown(guidance), narrow=True)),
        )
    return table


def _whisker(level: LevelGuide, low: float, high: float) -> str:
    """A level's best T and interval on a logarithmic line of fixed length; arrows where it may lie beyond."""

    def column(temperature: float) -> int:
        return round(scales.share_of(temperature, low, high, log=True) * (WHISKER - 1))

    cells = [" "] * WHISKER
    best = level.best
    for index in range(column(best.interval.low), column(best.interval.high) + 1):
        cells[index] = "─"
    if best.censored_low:
        cells[0] = "◂"
    if best.censored_high:
        cells[-1] = "▸"
    cells[column(best.temperature)] = "●"
    return "".join(cells)


def _list(sentences: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        table.add_row(Text("-"), Text(sentence))
    return table
