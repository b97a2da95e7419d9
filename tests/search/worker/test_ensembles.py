"""Several teachers of one job: what a spec may say of them, and a whole job that is distilled from their mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from search.errors import SpecInvalid
from search.requests import jobs, results
from search.settings import Settings
from search.spec.parsing import parse_spec
from search.states import JobState
from search.storage.db import Database
from search.worker import process as worker
from tests.search import factories

ONE: dict[str, Any] = {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}}
OTHER: dict[str, Any] = ONE | {"seed": 1}
SAME_DATA = {"pretrained_on": {"dataset": {"name": "digits"}}}


def refusal(**teacher: Any) -> tuple[str, str]:
    document = factories.spec().model_dump(mode="json", exclude_none=True) | {
        "teacher": {"source": "ensemble"} | teacher
    }
    with pytest.raises(SpecInvalid) as caught:
        parse_spec(json.dumps(document), "json")
    (problem,) = caught.value.problems
    return problem.path, problem.message


@pytest.mark.parametrize(
    ("teacher", "path", "message"),
    [
        ({}, "teacher.members", "members belong to source: ensemble, which needs them"),
        ({"source": "train", "members": [ONE, OTHER], **ONE}, "teacher.members", "members belong to source: ensemble"),
        ({"members": [ONE]}, "teacher.members", "members must be two or more"),
        ({"members": [ONE, ONE]}, "teacher.members.1", "is the same teacher as members.0: give it another seed"),
        ({"members": [ONE, OTHER], "seed": 3}, "teacher.seed", "seed belongs to each of the members"),
        ({"members": [ONE, OTHER], "label_smoothing": 0.1}, "teacher.label_smoothing", "belongs to source: train"),
        ({"members": [ONE, OTHER], "model": {"name": "mlp"}}, "teacher.model", "not allowed where source is ensemble"),
        ({"members": [ONE, {"source": "ensemble"}]}, "teacher.members.1.source", "must be 'train', 'weights' or"),
        ({"members": [ONE, {"source": "weights"}]}, "teacher.members.1.model", "needed where source is weights"),
        ({"members": [ONE, OTHER | {"views": 2}]}, "teacher.members.1.views", "unknown field"),
        (
            {"members": [ONE, OTHER | {"origin": SAME_DATA}]},
            "teacher.members.1.origin.pretrained_on.dataset",
            "must be another one than the job's",
        ),
    ],
)
def test_what_an_ensemble_cannot_be(teacher: dict[str, Any], path: str, message: str) -> None:
    where, said = refusal(**teacher)
    assert where == path
    assert message in said


def test_a_job_without_an_ensemble_is_told_as_before() -> None:
    assert "members" not in factories.spec().model_dump(mode="json", exclude_none=True)["teacher"]


def test_its_job_is_answered_as_any_other(db: Database, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1)
    small = {"budget": {"trials": 2}, "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2}}
    data = {"name": "digits", "train_size": 100}
    common = small | {"dataset": data, "training": {"epochs": 2}}
    job = factories.submitted(db, teacher={"source": "ensemble", "members": [ONE, OTHER]}, **common)
    alone = factories.submitted(db, teacher=OTHER, **common)
    worker.run_worker(settings, exit_when_idle=True)
    for each in (job, alone):
        seen = jobs.get_job(db, each.id, factories.ME)
        assert (seen.state, seen.problem) == (JobState.COMPLETED, None)
    factories.open_sealed(db, job, lambda: worker.run_worker(settings, exit_when_idle=True))
    assert results.get_result(db, job.id, factories.ME).winner.test is not None
    trained = list((settings.artifact_root / "teachers").rglob("weights-*.safetensors"))
    assert len(trained) == 2, "the other job's teacher is one of the members"
