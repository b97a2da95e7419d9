"""A study's guidance on a page, in pictures and in a terminal, whole and right."""

from __future__ import annotations

import re
from functools import cache
from io import StringIO
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.console import Console

from search.analysis.study.cells import Cell, Optimum
from search.analysis.study.guidance import compute_guidance
from service.pages import guidance_page
from service.plots import svg_renderer
from service.plots.factor import factor_plot
from service.terminal.guidance import print_guidance
from thermowell.api.answers import Estimate, Gain, Interval
from thermowell.api.guidance import Guidance

TEMPERATURES = tuple(float(one) for one in np.geomspace(1, 40, 40))


@pytest.fixture(autouse=True)
def _few_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.analysis.study.gibbs.WARM", 40)
    monkeypatch.setattr("search.analysis.study.gibbs.KEPT", 60)


def _optimum(octaves: float) -> Optimum:
    weights = np.exp(-0.5 * ((np.log2(TEMPERATURES) - octaves) / 0.3) ** 2)
    return Optimum(TEMPERATURES, tuple(weights / weights.sum()))


def _within(mean: float) -> Interval:
    return Interval(low=mean - 0.004, high=mean + 0.004, confidence=0.9)


def _cell(optimizer: str, epochs: str, seed: int) -> Cell:
    levels = {"space.optimizer": optimizer, "training.epochs": epochs}
    if (optimizer, epochs, seed) == ("adamw", "160 <b>", 2):
        return Cell("late", levels, {"seed": "2"}, state="running", data="digits")
    best = {"10": 1.5, "160 <b>": 7.0}[epochs] if optimizer == "sgd" else 2.5
    quality = Estimate(mean=0.9, interval=_within(0.9), standard_deviation=0.003, values=[0.9], seeds=[0])
    gain = Gain(over="t4", variant="tuned", mean=0.006, interval=_within(0.006), pairs=5, headline=True)
    return Cell(
        job_id=f"{optimizer}-{epochs}-{seed}",
        levels=levels,
        replicate={"seed": str(seed)},
        best=_optimum(best + 0.1 * seed),
        quality=quality,
        gain=gain,
        data="digits",
    )


@cache
def _guidance() -> Guidance:
    cells = [_cell(o, e, seed) for o in ("adamw", "sgd") for e in ("10", "160 <b>") for seed in range(3)]
    return compute_guidance("optimizer & length", cells)


def test_the_page_says_all_of_it_and_loads_nothing() -> None:
    page = guidance_page.render(_guidance())
    assert page.count("<svg") == 2 * 2
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)""", page)
    assert "160 <b>" not in page
    assert "160 &lt;b&gt;" in page
    assert "optimizer &amp; length" in page
    assert "1 of 12 jobs have not finished" in page
    assert page.count('<th scope="row">') == 8  # four cells, two levels of each of two factors
    assert page == guidance_page.render(_guidance())


def test_a_page_of_a_study_without_finished_jobs_stands() -> None:
    page = guidance_page.render(compute_guidance("mine", [Cell("a", {"x": "1"}, state="queued")]))
    assert "No finished job tells of its best T." in page
    assert "<svg" not in page


def test_a_factor_s_picture_has_a_row_for_each_level_and_arrows_where_censored() -> None:
    optimizer, epochs = _guidance().factors
    found = ElementTree.fromstring(svg_renderer.render(factor_plot(_guidance(), optimizer)))
    words = [element.text for element in found.iter() if element.tag.endswith("text")]
    assert {"adamw", "sgd"} <= {(word or "").partition(" (")[0] for word in words}
    intervals = [one for one in found.iter() if one.tag.endswith("line") and one.attrib["stroke-width"] == "2.6"]
    assert len(intervals) >= len(optimizer.levels), "the interval of each level is drawn"
    assert any(word and word.startswith("×") for word in words)
    arrows = svg_renderer.render(factor_plot(_guidance(), epochs)).count("\N{RIGHTWARDS ARROW}")
    arrows += svg_renderer.render(factor_plot(_guidance(), epochs)).count("\N{LEFTWARDS ARROW}")
    assert arrows == sum(level.best.censored_high + level.best.censored_low for level in epochs.levels)
    described = [element.text for element in found.iter() if element.tag.endswith("desc")]
    assert described == [optimizer.words]


@pytest.mark.parametrize("width", [80, 100])
def test_the_terminal_shows_it_within_its_columns(width: int) -> None:
    out = StringIO()
    print_guidance(Console(file=out, width=width, highlight=False), _guidance())
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert "160 <b>" in text
    assert "2 of 3" in text
    assert "90.0 ±0.2" in text
    assert "▸" in text
    assert "…" not in text
    assert "What this does not cover" in text
