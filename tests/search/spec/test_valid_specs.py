"""No valid spec raises anywhere: in its space, its sampler, the choice of finalists, the analysis or the drawing.

Nor does one that was taken once and would be refused today: what is stored is answered.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from search.analysis.job.build import build_documents, build_interim
from search.spec import parameters as named
from search.spec.fields import DOOR, Choices, Ranged
from search.spec.job import JobSpec
from search.states import Arm, JobState
from service.pages import dashboard_note, report
from service.plots import names, plotly_renderer
from tests import synthetic
from tests.search import specs_strategy as drawn
from tests.search.played import START, Played
from trainers.spec import Configuration

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def inside(searched: Any, value: float | None) -> bool:
    if searched is None or value is None:
        return True
    if isinstance(searched, Choices):
        return value in searched.values
    low, high = (searched.low, searched.high) if isinstance(searched, Ranged) else (searched, searched)
    return bool(low * (1 - 1e-9) <= value <= high * (1 + 1e-9))


def check_proposed(spec: JobSpec, configuration: Configuration) -> None:
    space, optimizer = spec.space, configuration.optimizer
    assert (optimizer is None) is (space.optimizer is None)
    assert configuration.parameters.keys() == space.parameters.keys()
    for name, part in space.parameters.items():
        assert named.inside(part, configuration.parameters[name], 1e-9), (part, configuration.parameters[name])
    for searched, value in (
        (space.temperature, configuration.temperature),
        (space.final_temperature, configuration.final_temperature),
        (space.student_temperature, configuration.student_temperature),
        (space.kd_weight, configuration.kd_weight),
        (space.label_weight, configuration.label_weight),
    ):
        assert inside(searched, value), (searched, value)
    if optimizer is not None:
        for name, searched in space.optimizers()[optimizer.name].numbers().items():
            assert inside(searched, getattr(optimizer, name)), (name, searched)


def play(spec: JobSpec, outcome: drawn.Outcome) -> None:
    """The whole job, with a look at how it stands before its confirmation, and all that is shown of it."""
    from search import configurations

    job = Played(spec, outcome)
    job.play(JobState.CONFIRMING)
    for trial in job.trials:
        if trial.arm is Arm.JOINT:
            check_proposed(spec, configurations.from_json(trial.configuration or {}))
    known: dict[str, Any] = {"teacher": None, "search_stopped": False, "test_seen_before": False, "now": START}
    interim = build_interim(job_id="j", event=1, spec=spec, trials=job.trials, wall_seconds=1.0, **known)
    found: dict[str, Any] = {name: getattr(interim, name) for name in ("response", "importances", "interactions")}
    draw(spec, job, found, final=False)
    job.play()
    if job.state is JobState.FAILED:
        assert not any(trial.value is not None and trial.arm is Arm.JOINT for trial in job.trials)
        return
    answered = build_documents(
        job_id="j", spec=spec, trials=job.trials, softness=[(0.5, 0.1), (4.0, 1.0)], wall_seconds=1.0,
        finalists=job.finalists, **known,
    )  # fmt: skip
    for document in answered.values():
        again = type(document).model_validate_json(document.model_dump_json())
        assert again == document
    draw(spec, job, answered, final=True)


def draw(spec: JobSpec, job: Played, found: dict[str, Any], final: bool) -> None:
    job_view = synthetic.job_view(spec, job.trials, found, final=final)
    assert "<svg" in report.render(job_view, picture_base=None)
    assert all(plotly_renderer.render(make(job_view)) for make in names.PLOTS.values())
    assert dashboard_note.note(job_view)


def valid(data: st.DataObject) -> None:
    stored = data.draw(st.booleans(), "stored")
    document = data.draw(drawn.documents(stored=stored), "spec")
    spec = JobSpec.model_validate(document, context=None if stored else DOOR)
    play(spec, data.draw(drawn.outcomes(spec.objective.metric), "outcomes"))


@given(st.data())
@settings(max_examples=15, derandomize=True, **QUIET)  # type: ignore[arg-type]
def test_no_valid_spec_raises_anywhere(data: st.DataObject) -> None:
    valid(data)


@given(st.data())
@settings(max_examples=3, derandomize=True, **QUIET)  # type: ignore[arg-type]
def test_no_valid_spec_of_a_training_of_one_s_own_raises_anywhere(data: st.DataObject) -> None:
    spec = JobSpec.model_validate(data.draw(drawn.own_documents(), "spec"), context=DOOR)
    play(spec, data.draw(drawn.outcomes(spec.objective.metric), "outcomes"))


@pytest.mark.slow
@pytest.mark.timeout(7200)
@given(st.data())
@settings(max_examples=500, derandomize=True, **QUIET)  # type: ignore[arg-type]
def test_no_valid_spec_of_many_raises_anywhere(data: st.DataObject) -> None:
    valid(data)
