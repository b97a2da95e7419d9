"""The report of a study: one HTML page that loads nothing else, to be kept, mailed and printed."""

from __future__ import annotations

from functools import cache
from importlib import resources

import jinja2

from search import units
from search.analysis.study import guidance_table, guidance_words, question_words
from service.pages import report
from service.plots.factor import factor_plot
from thermowell.api.guidance import Guidance


def render(guidance: Guidance) -> str:
    """The page: the paragraph, the cells, a picture for each factor, what acts together, and what is not covered.

    The same guidance gives the same page.
    """
    spread = guidance.spread
    return _template().render(
        style=report.style(),
        guidance=guidance,
        cells=guidance_table.cell_table(guidance),
        factors=guidance_table.factor_table(guidance),
        pictures=[
            {"name": factor.name, "drawn": report.both_widths(factor_plot(guidance, factor)), "words": factor.words}
            for factor in guidance.factors
        ],
        question_cells=question_words.cell_rows(guidance),
        question_levels=question_words.level_rows(guidance),
        legend=question_words.LEGEND,
        unit=units.shown(guidance).unit_of_difference or units.shown(guidance).label,
        confidence=units.percent(guidance.confidence),
        spread="" if spread is None else guidance_words.octaves(spread),
        practical=guidance_words.times(2**guidance.practical),
    )


@cache
def _template() -> jinja2.Template:
    text = resources.files("service.pages").joinpath("templates/guidance.html").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["tight"] = report.tight
    return environment.from_string(text)
