"""A whole job on clusters of classes, whose teacher and students know other data: an ordinary job, by its worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from search.claims import artifacts
from search.requests import jobs, results
from search.settings import Settings
from search.states import JobState
from search.storage.db import Database
from search.storage.store import open_store
from search.worker import process as worker
from tests.search import factories
from tests.trainers.elsewhere import lay

ELSEWHERE: dict[str, Any] = {
    "dataset": {"name": "npz", "path": "quarters.npz"},
    "training": {"epochs": 1},
    "optimizer": {},
}
UNUSUAL: dict[str, Any] = {
    "dataset": {"name": "digits", "train_size": 100, "classes": {"clusters": 3}},
    "teacher": {
        "model": {"name": "mlp"},
        "training": {"epochs": 3},
        "optimizer": {},
        "stop_epoch": 2,
        "origin": {"pretrained_on": ELSEWHERE, "finetune": "head"},
    },
    "student": {
        "name": "mlp",
        "arguments": {"width": 8},
        "initial": {
            "source": "finetuned",
            "pretrained_on": ELSEWHERE,
            "training": {"epochs": 1},
            "optimizer": {"learning_rate": 0.02},
        },
    },
    "training": {"epochs": 2},
    "budget": {"trials": 2},
    "confirmation": {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2},
}


def test_it_is_answered_as_any_other(db: Database, tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, database_url=db.url, lease_seconds=30, poll_seconds=0.05, threads=1)
    settings.data_root.mkdir(parents=True)
    lay(settings.data_root)
    job = factories.submitted(db, **UNUSUAL)
    worker.run_worker(settings, exit_when_idle=True)
    seen = jobs.get_job(db, job.id, factories.ME)
    assert (seen.state, seen.problem) == (JobState.COMPLETED, None)
    assert (seen.teacher or {})["classes"] == 3
    factories.open_sealed(db, job, lambda: worker.run_worker(settings, exit_when_idle=True))
    assert results.get_result(db, job.id, factories.ME).winner.test is not None
    with artifacts.open_artifact(db, open_store(settings), job.id, "student.json", factories.ME) as (_, path):
        papers = json.loads(path.read_text())
    assert sorted(set(papers["class_map"])) == [0, 1, 2]
    assert len(papers["class_map"]) == 10
    assert papers["initial"]["source"] == "finetuned"
    # the teacher's model and the student's are pretrained once each, whatever the classes are
    assert len(list((settings.artifact_root / "pretrained").rglob("*.safetensors"))) == 2
    assert len(list((settings.artifact_root / "initial").rglob("*.safetensors"))) == 1
