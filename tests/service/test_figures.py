"""The dashboard's plots are what Plotly understands, and their marks stand where the trials say."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from search.requests.job_view import JobView
from search.states import Arm, Stage, TrialState
from service.plots import names, plotly_renderer
from tests import synthetic
from tests.service.test_pictures import SPECS, answer

SPEC = synthetic.spec()
TRIALS = synthetic.Builder(SPEC, synthetic.ridge, 0.004, np.random.default_rng(0)).job()
TRIALS = [synthetic.pruned(trial) if trial.number in (3, 9) else trial for trial in TRIALS]


@functools.cache
def job_view() -> JobView:
    return synthetic.job_view(SPEC, TRIALS)


def all_of(view: JobView) -> dict[str, Any]:
    return {name: plotly_renderer.render(names.plot(name, view)) for name in names.PLOTS}


@functools.cache
def figures() -> dict[str, Any]:
    return all_of(job_view())


def traces(figure: str, **wanted: Any) -> list[dict[str, Any]]:
    return [
        trace for trace in figures()[figure]["data"] if all(trace.get(key) == value for key, value in wanted.items())
    ]


def named(name: str, words: str) -> dict[str, Any]:
    [found] = [trace for trace in figures()[name]["data"] if words in trace.get("name", "")]
    return found


def seen(optimizer: str) -> set[tuple[float, float]]:
    """(T, accuracy in per cent) of an optimizer's trials with a temperature, taken from the trials themselves."""
    return {
        (float(f"{trial.configuration['temperature']:.6g}"), float(f"{100 * trial.value:.6g}"))
        for trial in TRIALS
        if trial.configuration
        and trial.value is not None
        and trial.arm is not Arm.LABEL_ONLY
        and trial.configuration["optimizer"]["name"] == optimizer
    }


@pytest.mark.parametrize("kind", SPECS)
def test_plotly_understands_them(kind: str) -> None:
    for figure in all_of(answer(kind)).values():
        go.Figure(figure)  # refuses what its schema does not know
        text = json.dumps(figure, allow_nan=False)
        assert len(text) < 120_000


@pytest.mark.parametrize("kind", SPECS)
def test_the_legend_has_each_name_once(kind: str) -> None:
    for figure in all_of(answer(kind)).values():
        names = [each["name"] for each in figure["data"] if "name" in each and each.get("showlegend", True)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("missing", ["nothing trained", "nothing computed", "no result"])
def test_an_unfinished_job_has_them_too(missing: str) -> None:
    changes: dict[str, Any] = {"final": False, "result": None}
    if missing != "no result":
        bare = job_view().response.model_copy(update={"overall": None, "per_optimizer": []})
        changes |= {"response": bare, "importances": None, "interactions": None}
    if missing == "nothing trained":
        changes["response"] = changes["response"].model_copy(update={"observations": [], "softness": []})
        changes |= {"trials": [], "curves": []}
    found = all_of(dataclasses.replace(job_view(), **changes))
    for figure in found.values():
        go.Figure(figure)
    assert set(found) == set(names.PLOTS)


@pytest.mark.parametrize(("optimizer", "words"), [("sgd", "SGD: trials"), ("adamw", "AdamW: trials")])
@pytest.mark.parametrize("name", ["response", "optimizers"])
def test_every_trial_stands_at_its_temperature_and_value(name: str, optimizer: str, words: str) -> None:
    stopped = words.replace("trials", "stopped early")
    parts = [trace for trace in figures()[name]["data"] if trace.get("name") in (words, stopped)]
    points = [point for trace in parts for point in zip(trace["x"], trace["y"], strict=True)]
    assert set(points) == seen(optimizer)
    own = [trial for trial in TRIALS if trial.number in (3, 9)]
    open_marks = sum(trial.configuration["optimizer"]["name"] == optimizer for trial in own if trial.configuration)
    assert sum(len(trace["x"]) for trace in parts if trace["marker"]["symbol"] == "circle-open") == open_marks


def test_the_response_shows_its_band_and_where_the_best_lies() -> None:
    overall = job_view().response.overall
    assert overall is not None
    [line] = traces("response", name="best of all settings")
    [band] = traces("response", name="band of best of all settings")
    assert line["y"] == pytest.approx([100 * point.mean for point in overall.points], rel=1e-5)
    assert band["y"][: len(overall.points)] == pytest.approx([100 * p.high for p in overall.points], rel=1e-5)
    assert band["y"][: len(overall.points) - 1 : -1] == pytest.approx([100 * p.low for p in overall.points], rel=1e-5)
    shapes = [shape for shape in figures()["response"]["layout"]["shapes"] if shape["type"] == "rect"]
    ends = [*overall.confidence_set.intervals, *overall.equivalent_set.intervals]
    assert [shape["x0"] for shape in shapes] == pytest.approx([low for low, _ in ends], rel=1e-5)
    assert [shape["x1"] for shape in shapes] == pytest.approx([high for _, high in ends], rel=1e-5)


def test_the_chosen_stands_where_its_fresh_seeds_say() -> None:
    own = [t for t in TRIALS if (t.stage, t.variant) == (Stage.ESTIMATE, "winner")]
    mark = named("response", "chosen")
    assert own[0].configuration is not None
    assert mark["x"] == pytest.approx([own[0].configuration["temperature"]], rel=1e-5)
    assert mark["y"] == pytest.approx([100 * sum(t.value or 0.0 for t in own) / len(own)], rel=1e-5)


def test_gains_are_the_mean_differences_of_pairs() -> None:
    values = {(t.arm, t.variant, t.seed): t.value or 0.0 for t in TRIALS if t.stage is Stage.ESTIMATE}
    rows = figures()["gains"]["layout"]["yaxis"]["ticktext"]
    told = {rows[round(t["y"][0] + 0.1)]: t["x"][0] for t in traces("gains", name="validation")}
    for arm, words in ((Arm.LABEL_ONLY, "no distillation"), (Arm.T1, "T = 1"), (Arm.T4, "T = 4")):
        for variant, how in (("tuned", "tuned for itself"), ("same_settings", "at the winner's settings")):
            pairs = [
                100 * (value - values[arm, variant, seed])
                for (who, which, seed), value in values.items()
                if (who, which) == (Arm.JOINT, "winner")
            ]
            assert told[f"{words}, {how}"] == pytest.approx(sum(pairs) / len(pairs), rel=1e-4)


def test_every_search_trial_has_its_curve_in_the_colour_of_its_temperature() -> None:
    lines = {int(line["name"].split()[1].rstrip(",")): line for line in traces("curves", mode="lines")}
    searched = [t for t in TRIALS if (t.stage, t.arm) == (Stage.SEARCH, Arm.JOINT)]
    assert set(lines) == {trial.number for trial in searched}
    for trial in searched:
        line = lines[trial.number]
        assert line["x"] == list(range(1, trial.epoch + 1))
        assert line["y"][-1] == pytest.approx(50 * (trial.value or 0.0) * (1 + trial.epoch / 20), rel=1e-4)
        assert line["line"]["dash"] == ("solid" if trial.state is TrialState.COMPLETED else "dot")
    by_heat = sorted(searched, key=lambda trial: (trial.configuration or {})["temperature"])
    assert lines[by_heat[0].number]["line"]["color"] == "#2f6fd0"
    assert lines[by_heat[-1].number]["line"]["color"] == "#e39a1f"


def test_maps_show_the_fit_where_it_is_known_and_the_trials() -> None:
    interactions = job_view().interactions
    assert interactions is not None
    maps = interactions.maps
    surfaces = traces("interactions", type="heatmap")
    assert len(surfaces) == len(maps) == 6
    for trace, one in zip(surfaces, maps, strict=True):
        for shown, means, known in zip(trace["z"], one.means, one.known, strict=True):
            expected = [mean if ok else None for mean, ok in zip(means, known, strict=True)]
            assert [value is None for value in shown] == [value is None for value in expected]
            assert [v for v in shown if v is not None] == pytest.approx(
                [v for v in expected if v is not None], rel=1e-4
            )
    dots = traces("interactions", name="trials")
    assert [len(trace["x"]) for trace in dots] == [len(one.trials) for one in maps]


def test_softness_is_known_along_t_and_below_the_entropy_of_all_classes_alike() -> None:
    curve = named("softness", "mean entropy")
    assert list(zip(curve["x"], curve["y"], strict=True)) == [(1.0, 0.3), (4.0, 0.9), (40.0, 2.2)]
    job = dataclasses.replace(job_view().job, teacher={"classes": 10})
    drawn = plotly_renderer.render(names.plot("softness", dataclasses.replace(job_view(), job=job)))
    assert drawn["layout"]["shapes"][0]["y0"] == math.log(10)


def test_names_that_users_gave_are_in_no_plot() -> None:
    """Plotly takes some HTML in its texts: nothing that a user wrote may come there."""
    job = dataclasses.replace(job_view().job, name="<b>mine</b>", labels={"mine": "<u>mine</u>"})
    changed: JobView = dataclasses.replace(job_view(), job=job)
    assert "mine" not in json.dumps(all_of(changed))
