"""The pictures are well formed, accessible, inside of their frame, and drawn for every kind of answer."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search.requests.job_view import JobView
from service.pages import png
from service.plots import names, svg, svg_renderer
from service.plots.axes import COLD_TO_HOT, heat, shades
from service.plots.curves import limits
from service.plots.data import Axis, Band, Dots, Line, Panel, PlotData, Whisker
from service.plots.layout import ticks, wide, wrapped
from service.plots.maps import best_temperatures
from service.plots.quality import front
from service.plots.svg_renderer import Width
from tests import synthetic
from thermowell.api.answers import TemperatureSet

SVG = "{http://www.w3.org/2000/svg}"
NAMES = list(names.PLOTS)
WIDTHS: list[Width] = ["wide", "narrow"]
FIXED = {"learning_rate": 0.01, "weight_decay": 0.0}
SPECS: dict[str, dict[str, Any]] = {
    "usual": {},
    "minimised": {"objective": {"metric": "nll"}},
    "calibration": {"objective": {"metric": "ece"}},
    "one optimizer": {"space": {"optimizer": {"adam": None}}},
    "narrow": {"space": {"temperature": {"low": 3.9, "high": 4.1}}},
    "wide": {"space": {"temperature": {"low": 0.05, "high": 5000}}},
    "fixed": {"space": {"temperature": 4.0, "kd_weight": 0.5, "optimizer": {"adamw": FIXED}}},
    "few": {"budget": {"trials": 4}},
    "two seeds": {"confirmation": {"estimate_seeds": 2, "confidence": 0.99}},
}


@functools.cache
def answer(kind: str) -> JobView:
    spec = synthetic.spec(**SPECS[kind])
    sign = 1 if spec.objective.metric == "accuracy" else -1
    builder = synthetic.Builder(
        spec, lambda c: 0.5 - sign * 0.5 + sign * synthetic.ridge(c), 0.005, np.random.default_rng(3)
    )
    trials = builder.job()
    stopped = {trial.number for trial in trials[:12:5]}
    trials = [synthetic.pruned(trial) if trial.number in stopped else trial for trial in trials]
    return synthetic.job_view(spec, trials)


def drawn(name: names.Name, job_view: JobView, width: Width = "wide") -> ElementTree.Element:
    return ElementTree.fromstring(svg_renderer.render(names.plot(name, job_view), width))


@pytest.mark.parametrize("width_name", WIDTHS)
@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("name", NAMES)
def test_every_answer_has_its_pictures_inside_of_their_frames(name: names.Name, kind: str, width_name: Width) -> None:
    root = drawn(name, answer(kind), width_name)
    inside(root)
    legible(root)


def inside(root: ElementTree.Element) -> None:
    """Nothing is drawn outside of the picture."""
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {width:g} {height:g}"
    for element in root.iter():
        for key, limit in (
            ("x", width),
            ("x1", width),
            ("x2", width),
            ("cx", width),
            ("y", height),
            ("y1", height),
            ("y2", height),
        ):
            if key in element.attrib:
                assert 0 <= float(element.attrib[key]) <= limit, ElementTree.tostring(element)
        for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", element.attrib.get("d", "")):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height
        assert "nan" not in "".join(element.attrib.values())


def legible(root: ElementTree.Element) -> None:
    """Words neither run out of the picture nor into each other."""
    boxes: list[tuple[float, float, float, float, str]] = []
    for element in root.iter(f"{SVG}text"):
        size = float(element.attrib["font-size"])
        length = len(element.text or "") * size * svg.SANS
        x, anchor = float(element.attrib["x"]), element.attrib["text-anchor"]
        left = {"start": x, "middle": x - length / 2, "end": x - length}[anchor]
        assert left > -2, element.text
        assert left + length < float(root.attrib["width"]) + 2, element.text
        assert size >= 11.5
        y = float(element.attrib["y"])
        boxes.append((left, left + length * 0.93, y - 0.7 * size, y + 0.1 * size, element.text or ""))
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            apart = one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
            assert apart, f"{one[4]!r} and {other[4]!r}"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_says_what_it_shows_to_those_who_do_not_see_it(name: names.Name) -> None:
    root = drawn(name, answer("usual"))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
    assert root.attrib["role"] == "img"
    assert title.text
    assert len(description.text or "") > 40


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_needs_nothing_else_and_follows_the_colour_scheme(name: names.Name) -> None:
    text = svg_renderer.render(names.plot(name, answer("usual")))
    assert re.findall(r"https?://[^\"' ]+", text) == ["http://www.w3.org/2000/svg"]
    assert "script" not in text
    assert "prefers-color-scheme:dark" in text
    assert len(text) < 120_000


def test_ids_of_different_pictures_differ_so_that_they_can_share_a_page() -> None:
    ids = [e.attrib["id"] for name in NAMES for e in drawn(name, answer("usual")).iter() if "id" in e.attrib]
    assert len(ids) == len(set(ids)) == 2 * len(NAMES)


def test_the_response_shows_trials_curves_the_chosen_and_both_sets() -> None:
    job_view = answer("usual")
    root = drawn("response", job_view)
    words = " ".join(element.text or "" for element in root.iter(f"{SVG}text"))
    for part in ("SGD", "AdamW", "no distillation", "temperature", "may be the best", "within 0.2 points", " 16 "):
        assert part in words
    observations = job_view.response.observations
    dots = [e for e in root.iter(f"{SVG}circle") if e.attrib.get("fill-opacity") == "0.45"]
    rings = [e for e in root.iter(f"{SVG}circle") if "stroke-opacity" in e.attrib]
    edges = [e for e in root.iter(f"{SVG}path") if e.attrib.get("fill-opacity") == "0.6"]
    assert len(dots) + len(rings) - 1 + len(edges) == len(observations), "one ring is in the legend"
    assert edges
    assert "triangles at the edge" in words


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("name", NAMES)
def test_no_band_is_cut_off(name: names.Name, kind: str) -> None:
    for panel in names.plot(name, answer(kind)).panels:
        for band in (mark for mark in panel.marks if isinstance(mark, Band)):
            assert all(panel.y.holds(low) and panel.y.holds(high) for _, low, high in band.points)


@pytest.mark.parametrize("name", NAMES)
def test_every_interval_is_drawn_from_end_to_end(name: names.Name) -> None:
    plot = names.plot(name, answer("usual"))
    whiskers = [mark for panel in plot.panels for mark in panel.marks if isinstance(mark, Whisker)]
    lines = [
        (element.attrib["class"], element.attrib["stroke-width"])
        for element in drawn(name, answer("usual")).iter(f"{SVG}line")
        if (element.attrib["x1"], element.attrib["y1"]) != (element.attrib["x2"], element.attrib["y2"])
    ]
    for whisker in whiskers:
        lines.remove((f"tw-s-{whisker.colour}", f"{whisker.width:g}"))
    assert whiskers or name not in ("gains", "response")


@pytest.mark.parametrize("ends", [(-0.5, 2.5), (2.5, -0.5)])
def test_an_axis_holds_what_lies_between_its_ends_whichever_comes_first(ends: tuple[float, float]) -> None:
    assert [Axis("", *ends).holds(value) for value in (-0.6, -0.5, 1.0, 2.5, 2.6)] == [False, True, True, True, False]


def test_what_lies_outside_is_marked_at_the_edge() -> None:
    points = [(0.5, 0.5), (2.0, 0.5), (0.5, -3.0), (0.2, 9.0)]
    line = Line([(0.0, 0.5), (1.0, 5.0)], "ink")
    panel = Panel(Axis("", 0.0, 1.0), Axis("", 0.0, 1.0), [Dots(points, "soft"), line])
    text = svg_renderer.render(PlotData("x", "Title", "words", "what it is", [panel]))
    root = ElementTree.fromstring(text)
    assert len([e for e in root.iter(f"{SVG}path") if e.attrib.get("d", "").endswith("Z")]) == 4
    assert "triangles at the edge" in text
    inside = Panel(panel.x, panel.y, [Dots(points[:1], "soft")])
    assert "triangles" not in svg_renderer.render(PlotData("x", "Title", "words", "what it is", [inside]))


def test_the_axis_of_curves_begins_where_they_differ() -> None:
    curves = answer("usual").curves
    low, high = limits(curves, minimize=False)
    values = [value for curve in curves for value in curve.values]
    assert min(values) <= low < high == max(values)


@given(st.text(st.characters(categories=["L", "Zs"]), max_size=200), st.floats(40, 700))
def test_words_in_lines_lose_nothing_and_fit(words: str, width: float) -> None:
    lines = wrapped(words, width)
    assert "".join("".join(lines).split()) == "".join(words.split())
    assert all(wide(line) <= max(width, 4 * 11.5 * svg.SANS) + 1e-6 for line in lines)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_no_point_betters_those_of_the_front_in_both(points: list[tuple[float, float]]) -> None:
    best = front(points)
    assert set(best) <= set(points)
    for x, y in best:
        assert not any(a < x and b > y for a, b in points)
    for x, y in points:
        assert any(a <= x and b >= y for a, b in best)


def test_the_last_tick_alone_has_the_unit() -> None:
    words = [text for _, text in ticks(Axis("", 0.5, 0.92, scale=100.0, unit=" %"))]
    assert [word.endswith(" %") for word in words] == [False] * (len(words) - 1) + [True]


def test_where_equivalence_is_not_shown_it_says_so() -> None:
    job_view = answer("usual")
    assert job_view.response.overall is not None
    none = TemperatureSet(intervals=[], confidence=0.9, censored_low=False, censored_high=False)
    overall = job_view.response.overall.model_copy(update={"equivalent_set": none})
    response = job_view.response.model_copy(update={"overall": overall})
    root = drawn("response", dataclasses.replace(job_view, response=response))
    assert any("none is shown to be" in (element.text or "") for element in root.iter(f"{SVG}text"))


def test_names_from_outside_cannot_become_markup() -> None:
    job_view = answer("usual")
    assert job_view.result is not None
    assert job_view.importances is not None
    changed = dataclasses.replace(
        job_view,
        result=job_view.result.model_copy(update={"summary": "<script>alert(1)</script>"}),
        importances=job_view.importances.model_copy(update={"importances": {"<b>&": 1.0}}),
    )
    for name in NAMES:
        text = svg_renderer.render(names.plot(name, changed))
        assert "<script" not in text
        assert "<b>" not in text
        ElementTree.fromstring(text)


def test_names_of_plots_are_those_of_the_type_and_others_are_refused() -> None:
    assert set(names.PLOTS) == set(get_args(names.Name))
    with pytest.raises(KeyError):
        names.plot("other", answer("usual"))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_a_job_without_an_answer_has_its_pictures_too(name: names.Name) -> None:
    """Nothing trained, nothing computed, or all but the confirmation: each is drawn, or says what is missing."""
    usual = answer("usual")
    bare = usual.response.model_copy(update={"overall": None, "per_optimizer": []})
    nothing = bare.model_copy(update={"observations": [], "softness": []})
    without: dict[str, Any] = {"final": False, "result": None, "importances": None, "interactions": None}
    for job_view in (
        dataclasses.replace(usual, **without, response=nothing, trials=[], curves=[]),
        dataclasses.replace(usual, **without, response=bare),
        dataclasses.replace(usual, final=False, result=None),
    ):
        root = drawn(name, job_view)
        assert [element for element in root.iter(f"{SVG}text") if element.text]


def test_every_picture_becomes_the_same_png_twice_with_its_words_in_it() -> None:
    text = svg_renderer.render(names.plot("softness", answer("usual")))
    made = png.draw_png(text)
    assert made.startswith(b"\x89PNG")
    width, height = (int.from_bytes(made[at : at + 4]) for at in (16, 20))
    assert width == 1440
    assert 400 < height < 900
    assert png.draw_png(text) == made
    wordless = re.sub(r"(<text[^>]*>)[^<]*", r"\1", text)
    assert png.draw_png(wordless) != made, "the font that lies beside draws the words"


def test_maps_are_blank_where_nothing_is_known_and_show_the_best_temperature_elsewhere() -> None:
    job_view = answer("usual")
    assert job_view.interactions is not None
    one = job_view.interactions.maps[1]
    half = len(one.values) // 2
    known = [[row < half] * len(one.temperatures) for row in range(len(one.values))]
    means = [[-abs(column - row) / 1000 for column in range(len(one.temperatures))] for row in range(len(one.values))]
    changed = one.model_copy(update={"known": known, "means": means})
    found = job_view.interactions.model_copy(update={"maps": [changed]})
    root = drawn("interactions", dataclasses.replace(job_view, interactions=found))
    cells = [e for e in root.iter(f"{SVG}path") if "fill:" in e.attrib.get("style", "")]
    corners = [float(y) for e in cells for y in re.findall(r"M[\d.]+,([\d.]+)", e.attrib["d"])]
    [grey] = [e for e in root.iter(f"{SVG}rect") if e.attrib.get("class") == "tw-f-rule"]
    top, bottom = float(grey.attrib["y"]), float(grey.attrib["y"]) + float(grey.attrib["height"])
    within = [y for y in corners if y <= bottom]
    assert within
    assert min(within) > top + 0.45 * (bottom - top), "the upper half is blank"
    [ridge] = [e for e in root.iter(f"{SVG}path") if e.attrib.get("class") == "tw-s-ridge"]
    assert best_temperatures(changed, (-1.0, 0.0)) == [(one.values[row], one.temperatures[row]) for row in range(half)]
    assert ridge.attrib["d"].count("L") == half - 1


def test_curves_are_coloured_from_cold_to_hot() -> None:
    job_view = answer("usual")
    root = drawn("curves", job_view)
    lines = [e for e in root.iter(f"{SVG}path") if e.attrib.get("stroke-opacity") == "0.75"]
    whole = len([curve for curve in job_view.curves if len(curve.epochs) > 1])
    assert 0.9 * whole <= len(lines) <= whole, "the others lie outside and are marked at the edge"
    assert shades([1.0, 4.0, 16.0]) == pytest.approx([0, 0.5, 1])
    coldest = min(job_view.curves, key=lambda curve: curve.temperature)
    assert heat(0) == COLD_TO_HOT[0]
    assert any(f"stroke:{COLD_TO_HOT[0]}" in e.attrib["style"] for e in lines), coldest


def test_a_winner_without_a_mean_is_left_out() -> None:
    spec = synthetic.spec(budget={"trials": 24})
    trials = synthetic.Builder(spec, synthetic.ridge, 0.005, np.random.default_rng(3)).job()
    failed = [
        dataclasses.replace(synthetic.diverged(trial), test_metrics=None) if trial.variant == "winner" else trial
        for trial in trials
    ]
    job_view = synthetic.job_view(spec, failed)
    assert drawn("response", job_view).find(f"{SVG}desc") is not None
    words = [element.text for element in drawn("gains", job_view).iter(f"{SVG}text")]
    assert "No baseline can be compared." in words


@given(st.tuples(*[st.floats(5e-324, 1e308)] * 2).map(sorted), st.booleans())
@example([0.0, 5e-324], False)
@example([5e-324, 1e-323], True)
@example([1.0, math.nextafter(1.0, 2.0)], False)
def test_ticks_of_any_two_ends_lie_between_them(ends: list[float], log: bool) -> None:
    low, high = ends
    ticks = svg.Scale((low, high), (0, 100), log=log).ticks()
    assert 0 < len(ticks) < 50
    assert ticks == sorted(set(ticks))
    assert all(low - 1e-9 * high <= tick <= high * (1 + 1e-9) for tick in ticks)


@pytest.mark.parametrize(
    ("low", "high", "log", "ticks"),
    [
        (0.0, 1.0, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.913, 0.924, False, [0.914, 0.916, 0.918, 0.92, 0.922, 0.924]),
        (1.0, 40.0, True, [1, 2, 4, 8, 16, 32]),
        (0.1, 1000.0, True, [0.1, 1, 10, 100, 1000]),
        (3.9, 4.1, True, [3.9, 3.95, 4.0, 4.05, 4.1]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, ticks: list[float]) -> None:
    scale = svg.Scale((low, high), (0, 100), log=log)
    assert scale.ticks() == pytest.approx(ticks)
    assert [scale(low), scale(high)] == pytest.approx([0, 100])


def test_labels_are_kept_apart_and_in_order() -> None:
    places = svg.spread_out([50.0, 52.0, 10.0, 99.0], 15, 0, 100)
    assert sorted(places) == [places[2], places[0], places[1], places[3]]
    assert np.diff(sorted(places)).min() >= 15
    assert max(places) <= 100
