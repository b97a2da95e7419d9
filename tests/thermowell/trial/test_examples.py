"""The scripts of examples/own: by hand, and through whole jobs of a real service."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from search.requests import jobs
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import JobState
from search.storage.db import open_database
from tests.claimed import program
from tests.search.factories import ME

EXAMPLES = Path(__file__).parents[3] / "examples" / "own"
SCRIPTS = ["words", "tables", "bert"]
SMALL: dict[str, Any] = {"budget": {"trials": 2}, "baselines": {"share": 0}, "training": {"epochs": 1}}
CONFIRMATION = {"finalists": 1, "select_seeds": 1, "estimate_seeds": 2}


def run(name: str, folder: Path, **variables: str) -> str:
    """What a script prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("THERMOWELL")}
    environment |= {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder), **variables}
    command = [sys.executable, str(EXAMPLES / name / "train.py")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_its_job_is_one(name: str) -> None:
    spec = JobSpec.model_validate(yaml.safe_load((EXAMPLES / name / "job.yaml").read_text()))
    assert spec.trainer is not None
    assert spec.trainer.queue == name


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_runs_by_hand(name: str, tmp_path: Path) -> None:
    lines = run(name, tmp_path).splitlines()
    assert lines[-1].startswith("complete at epoch ")
    assert float(lines[-1].split("accuracy ")[-1].split(",")[0].split(";")[0]) > 0.15  # chance is 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_it_trains_a_job_to_its_answer(name: str, tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path / 'thermowell.db'}")
    migrate(db)
    document = yaml.safe_load((EXAMPLES / name / "job.yaml").read_text())
    document |= SMALL | {"confirmation": document["confirmation"] | CONFIRMATION}
    job, _ = jobs.submit(db, JobSpec.model_validate(document), ME)
    over = threading.Event()
    with program(db, tmp_path / "var") as own:

        def conclude() -> None:
            while not over.wait(0.1):
                own.proposer.answer({"conclude": {}})

        thread = threading.Thread(target=conclude)
        thread.start()
        try:
            run(name, tmp_path, THERMOWELL_URL=str(own.client.base_url))
        finally:
            over.set()
            thread.join()
    assert jobs.get_job(db, job.id, ME).state is JobState.COMPLETED
    db.close()
