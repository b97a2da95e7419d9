"""The same job over the same truth, by our own worker and by a program over HTTP: one search, and one answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.records import Job, Trial
from search.requests import jobs, results, trials
from search.settings import Settings
from search.spec.fields import DOOR
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import Database
from search.worker import process as worker
from tests import truth
from tests.claimed import Program, program
from tests.search.factories import ME
from trainers.spec import Configuration

SMALL: dict[str, Any] = {
    "budget": {"trials": 6},
    "baselines": {"share": 0.34},
    "confirmation": {"finalists": 2, "select_seeds": 1, "estimate_seeds": 2},
}
NLL: dict[str, Any] = {"objective": {"metric": "nll"}}
OWN_LOSS: dict[str, Any] = {"objective": {"metric": "val_loss", "direction": "minimize", "low": 0, "high": 1000}}
LARGE: dict[str, Any] = {"pruner": {"name": "median", "min_epochs": 2, "startup_trials": 4}}
AUTO: dict[str, Any] = {"pruner": {"name": "auto"}, "budget": {"trials": 24}, "confirmation": SMALL["confirmation"]}


def document(kind: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The job's spec, for our own workers or for programs of others."""
    whole = truth.document(**changes)
    if kind == "own":
        return whole
    built_in = {name: whole.pop(name) for name in ("dataset", "teacher", "student", "training")}
    return whole | {"training": {"epochs": built_in["training"]["epochs"]}, "trainer": {"external": {"queue": "q"}}}


def by_worker(db: Database, folder: Path, changes: dict[str, Any]) -> Job:
    settings = Settings(
        var=folder, data_root=folder / "data", database_url=db.url, poll_seconds=0.05, threads=1, lanes=1
    )
    job, _ = jobs.submit(db, JobSpec.model_validate(document("own", changes), context=DOOR), ME)
    with truth.replayed(settings.data_root):
        worker.run_worker(settings, exit_when_idle=True)
    return jobs.get_job(db, job.id, ME)


def by_program(own: Program, changes: dict[str, Any]) -> Job:
    """One client that trains trial after trial, and computes what the formula says."""
    job, _ = jobs.submit(own.db, JobSpec.model_validate(document("program", changes), context=DOOR), ME)
    while (held := own.take("one")) is not None:
        assert held.configuration is not None
        configuration, stop = Configuration(**held.configuration), None
        for epoch in range(1, truth.EPOCHS + 1):
            accuracy = truth.reached(configuration, held.seed, epoch)
            metrics = {"accuracy": accuracy, "nll": 2.5 * (1 - accuracy), "ece": 0.02, "teacher_agreement": 0.9}
            metrics["val_loss"] = metrics["nll"]
            stop = own.say(held, "reports", {"reports": [{"epoch": epoch, "metrics": metrics}]})["stop"]
            if stop is not None:
                break
        if stop is None:
            test = metrics if held.stage == "estimate" else None
            own.say(held, "complete", {"epoch": truth.EPOCHS, "metrics": metrics, "test": test})
    own.proposer.answer({"conclude": {}})
    return jobs.get_job(own.db, job.id, ME)


def tried(db: Database, job: Job) -> list[tuple[Any, ...]]:
    """What was trained, on which seed, to which end, in the order of the trials' numbers."""

    def of(trial: Trial) -> tuple[Any, ...]:
        return (
            *(trial.number, trial.stage, trial.arm, trial.variant, trial.origin, trial.seed),
            *(trial.configuration, trial.state, trial.epoch, trial.value),
        )

    return [of(trial) for trial in trials.iter_trials(db, job.id, ME)]


def answer(db: Database, job: Job) -> dict[str, Any]:
    """What is said of winner, baselines, gains, temperature and verdict: all that does not speak of who trained."""
    result = results.get_result(db, job.id, ME).model_dump(mode="json")
    response = results.get_response(db, job.id, ME).model_dump(mode="json")
    importances = results.get_importances(db, job.id, ME).model_dump(mode="json")
    return {
        "winner": {
            name: result["winner"][name]
            for name in ("configuration", "validation", "trials")
            if name in result["winner"]
        },
        "baselines": [
            {name: one[name] for name in ("arm", "variant", "configuration", "validation")}
            for one in result["baselines"]
        ],
        # over the images of the test part only our worker knows which were right
        "gains": [gain | {"test_interval_images": None} for gain in result["gains"]],
        "selection": result["selection"],
        "shortfall": result["shortfall"],
        "verdict": result["verdict"],
        "counts": (result["search_trials"], result["trials"], result["epochs"]),
        "overall": response["overall"],
        "per_optimizer": response["per_optimizer"],
        "observations": response["observations"],
        "importances": importances["importances"],
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "changes",
    [SMALL, *(pytest.param(changes, marks=pytest.mark.slow) for changes in (LARGE, AUTO))],
    ids=["small", "pruned", "auto"],
)
def test_a_program_over_http_searches_and_answers_as_our_worker_does(
    db: Database, tmp_path: Path, changes: dict[str, Any]
) -> None:
    ours = by_worker(db, tmp_path / "ours", changes)
    with program(db, tmp_path / "theirs") as own:
        theirs = by_program(own, changes)
    assert (ours.state, theirs.state) == (JobState.COMPLETED, JobState.COMPLETED)
    assert tried(db, theirs) == tried(db, ours)
    of_ours, of_theirs = answer(db, ours), answer(db, theirs)
    for name in of_ours:
        assert of_theirs[name] == of_ours[name], name


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_metric_of_ones_own_that_is_minimized_is_searched_as_the_built_in_one(db: Database, tmp_path: Path) -> None:
    """The same numbers under another name; words and intervals over images alone differ."""
    delta = {"confirmation": SMALL["confirmation"] | {"delta": 0.01}}
    ours = by_worker(db, tmp_path / "ours", SMALL | NLL | delta)
    with program(db, tmp_path / "theirs") as own:
        theirs = by_program(own, SMALL | OWN_LOSS | delta)
    assert (ours.state, theirs.state) == (JobState.COMPLETED, JobState.COMPLETED)
    assert tried(db, theirs) == tried(db, ours)
    of_ours, of_theirs = answer(db, ours), answer(db, theirs)
    for name in ("winner", "baselines", "selection", "shortfall", "counts", "overall", "observations", "importances"):
        assert of_theirs[name] == of_ours[name], name
    assert results.get_result(db, theirs.id, ME).metric == "val_loss"
    assert of_theirs["overall"]["best_temperature"] > 1
