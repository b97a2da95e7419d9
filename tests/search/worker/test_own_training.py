"""A whole job whose space has parameters of its own and no optimizer, through the real worker, over a known truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.requests import job_view, jobs, results, trials
from search.settings import Settings
from search.spec.fields import DOOR
from search.spec.job import JobSpec
from search.spec.optimizers import OWN
from search.states import Arm, JobState, Stage, TrialState
from search.storage.db import Database
from search.worker import process as worker
from service.pages import report
from service.plots import names, plotly_renderer
from tests import truth
from tests.search import factories
from trainers.spec import Configuration


@pytest.mark.timeout(300)
def test_a_training_of_one_s_own_is_searched_and_answered(db: Database, tmp_path: Path) -> None:
    settings = Settings(
        var=tmp_path, data_root=tmp_path / "data", database_url=db.url, poll_seconds=0.05, threads=1, lanes=1
    )
    job, _ = jobs.submit(db, JobSpec.model_validate(truth.document(), context=DOOR), factories.ME)
    with truth.replayed(settings.data_root):
        worker.run_worker(settings, exit_when_idle=True)
    ended = jobs.get_job(db, job.id, factories.ME)
    assert ended.state is JobState.COMPLETED, ended.problem

    found = list(trials.iter_trials(db, job.id, factories.ME))
    for trial in found:
        assert trial.state is TrialState.COMPLETED
        assert trial.configuration is not None
        assert trial.configuration["optimizer"] is None
        pinned = {Arm.LABEL_ONLY: 1.0, Arm.T1: 1.0, Arm.T4: 4.0}
        if trial.arm is not Arm.JOINT:
            assert trial.configuration["parameters"]["t_hidden"] == pinned[trial.arm]
        configuration = Configuration(**trial.configuration)
        assert trial.value == pytest.approx(truth.reached(configuration, trial.seed))

    result = results.get_result(db, job.id, factories.ME)
    best = result.winner.configuration.stored()
    assert best["parameters"]["pooling"] == "mean"
    assert abs(best["parameters"]["layers"] - truth.BEST_LAYERS) <= 1
    assert truth.expected(Configuration(**best)) > 0.895
    searched = [trial for trial in found if (trial.stage, trial.arm) == (Stage.SEARCH, Arm.JOINT)]
    assert {trial.configuration["parameters"]["pooling"] for trial in searched if trial.configuration} == {
        "cls",
        "mean",
    }

    response = results.get_response(db, job.id, factories.ME)
    assert [curve.optimizer for curve in response.per_optimizer] == [OWN]
    assert set(results.get_importances(db, job.id, factories.ME).importances) == {
        "temperature", "layers", "pooling", "t_hidden",
    }  # fmt: skip
    interactions = results.get_interactions(db, job.id, factories.ME)
    by_setting = {heatmap.setting: heatmap for heatmap in interactions.maps}
    assert by_setting["pooling"].choices == ["cls", "mean"]
    assert by_setting["pooling"].values == [0.0, 1.0]
    assert by_setting["layers"].values == [float(number) for number in range(1, 9)]
    assert "pooling mean" in result.summary

    view = job_view.get_job_view(db, job.id, factories.ME)
    assert "<svg" in report.render(view, picture_base=None)
    assert all(plotly_renderer.render(make(view)) for make in names.PLOTS.values())
