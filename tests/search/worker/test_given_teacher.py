"""A job with a given teacher: how its images were prepared is shown, and one near chance ends the job at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from search import units
from search.claims import artifacts
from search.records import Job
from search.requests import jobs, results, trials
from search.settings import Settings
from search.states import JobState
from search.storage import events
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import process as worker
from tests.search import factories
from tests.search.worker.test_worker import SMALL
from tests.trainers.test_preprocessing import MODEL, own_script
from trainers.zoo import weights

DATA = {"name": "digits", "train_size": 300, "augmentation": "shift"}


@pytest.fixture
def settings(db: Database, tmp_path: Path) -> Settings:
    return Settings(var=tmp_path, database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1)


def trained(db: Database, settings: Settings, tensors: dict[str, torch.Tensor], **teacher: Any) -> Job:
    """A job whose teacher has these weights, or these logits where it says so, once workers have done what they can."""
    weights.save(tensors, settings.var / "given")
    artifact = artifacts.keep(open_store(settings), settings.var / "given")
    model = {} if teacher.get("source") == "logits" else {"model": {"name": MODEL.name, "arguments": MODEL.arguments}}
    whole = {"source": "weights", "artifact": artifact, **model, **teacher}
    job = factories.submitted(db, **(SMALL | {"dataset": DATA, "teacher": whole, "training": {"epochs": 1}}))
    worker.run_worker(settings, exit_when_idle=True)
    return jobs.get_job(db, job.id, factories.ME)


def test_the_best_preprocessing_is_taken_and_shown(db: Database, settings: Settings) -> None:
    tensors, right, images = own_script("imagenet")
    job = trained(db, settings, tensors)
    assert job.state is JobState.COMPLETED
    assert job.teacher is not None
    assert job.teacher["validation"]["accuracy"] == pytest.approx(right / images)
    (fact,) = job.teacher["preprocessing"]
    assert (fact["preprocessing"]["preset"], fact["origin"]) == ("imagenet", "measured")
    result = results.get_result(db, job.id, factories.ME)
    assert result.teacher == job.teacher
    (ready,) = [event for event in events.read_events(db, job.id, factories.ME, 0) if event.kind == "teacher_ready"]
    assert ready.payload == job.teacher
    words = units.teacher_ready(ready.payload)
    assert words.startswith("the teacher is ready: 92.5 % on validation; preprocessing: imagenet, the best measured (")
    assert "dataset 13.4 %, unit 15.9 %, half 15.0 %, imagenet 92.5 %" in words
    assert job.fixed is not None
    assert job.fixed["preprocessing"] == "measured"


def test_a_teacher_near_chance_ends_the_job_before_its_first_trial(db: Database, settings: Settings) -> None:
    tensors, _, _ = own_script("imagenet")
    job = trained(db, settings, tensors, preprocessing="dataset")
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert job.problem.type == "teacher-weak"
    assert "near chance: 13.4% of 359 validation images" in job.problem.detail
    assert "imagenet 92.5%" in job.problem.detail
    assert job.teacher is not None
    assert all(
        trial.epoch == 0 and trial.configuration is None for trial in trials.iter_trials(db, job.id, factories.ME)
    )


def test_logits_in_a_wrong_order_end_it_too(db: Database, settings: Settings) -> None:
    shapes = {"train": (1, 300), "validation": (359,), "test": (359,)}
    tensors = {
        name: torch.randn((*shape, 10), generator=torch.Generator().manual_seed(0)) for name, shape in shapes.items()
    }
    job = trained(db, settings, tensors, source="logits", views=1)
    assert job.state is JobState.FAILED
    assert job.problem is not None
    assert "order of images and classes" in job.problem.detail


def test_unless_it_is_accepted(db: Database, settings: Settings) -> None:
    tensors, _, _ = own_script("imagenet")
    job = trained(db, settings, tensors, preprocessing="dataset", accept_weak=True)
    assert job.state is JobState.COMPLETED
