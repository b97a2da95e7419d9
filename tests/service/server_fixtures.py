"""Jobs as workers would have left them, with a formula in the students' place; and a real server over them."""

from __future__ import annotations

import faulthandler
import math
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from search import configurations
from search.analysis.job.build import build_documents
from search.claims import artifacts, claiming, finalization, reporting, workers
from search.records import LOCAL_OWNER, SCOPES, Job, Principal, Reason
from search.requests import jobs as job_requests
from search.requests.jobs import cancel_job, get_job
from search.requests.studies import get_study, submit_study
from search.requests.trials import iter_trials
from search.schema import migrate
from search.spec.job import JobSpec
from search.states import TrialState
from search.storage.db import Database, open_database
from search.storage.folder import Folder
from search.studies.records import StudyDetail
from search.studies.spec import StudySpec
from service.app import create_app
from service.server import Server
from service.settings import Settings
from tests.search import factories
from trainers.spec import Configuration, EpochReport, Metrics, Optimizer, TeacherFacts

LOCAL = Principal(LOCAL_OWNER, "local", frozenset(SCOPES))
EPOCHS = 2
LEASE = 3600.0  # seconds; longer than any run of the tests
ENOUGH = 24  # search trials for a temperature response


@dataclass(frozen=True)
class Jobs:
    """One job of each kind; all belong to the local owner."""

    completed: Job
    running: Job
    queued: Job
    cancelled: Job


def furnish(var: Path) -> Jobs:
    """A database with a job in every state that matters, and the files of the one that was answered."""
    db = open_database(f"sqlite:///{var / 'thermowell.db'}")
    migrate(db)
    completed = complete(db, var / "artifacts", name="done", labels={"team": "vision"}, budget={"trials": ENOUGH})
    running = submit(db, name="going", labels={"team": "audio"})
    train(db, running, trials=2)
    claim_one(db, running)
    cancelled = submit(db, name="dropped")
    cancel_job(db, cancelled.id, LOCAL)
    queued = submit(db, name="waiting")
    found = [get_job(db, job.id, LOCAL) for job in (completed, running, queued, cancelled)]
    db.close()
    return Jobs(*found)


@contextmanager
def serving(settings: Settings, port: int = 0) -> Iterator[str]:
    """A real server over these settings, in this process, at this port or any; its address."""
    server = Server(create_app(settings), settings.model_copy(update={"port": port}))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < until
        time.sleep(0.002)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(60)
        if thread.is_alive():
            raise AssertionError(f"the server does not end:\n{_stacks()}")


def _stacks() -> str:
    """What every thread of this process is doing."""
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read()


def document(name: str = "digits-small", **changes: Any) -> dict[str, Any]:
    """A spec that a user might send: 4 search trials of 2 epochs."""
    spec: dict[str, Any] = {
        "schema_version": 1,
        "name": name,
        "dataset": {"name": "digits"},
        "teacher": {
            "model": {"name": "cnn", "arguments": {"width": 8}},
            "training": {"epochs": 2},
            "optimizer": {"name": "sgd", "learning_rate": 0.05},
        },
        "student": {"name": "mlp", "arguments": {"width": 32}},
        "training": {"epochs": EPOCHS},
        "budget": {"trials": 4},
        "baselines": {"share": 0.25, "by": "arm"},
        "confirmation": {"finalists": 2, "select_seeds": 1, "estimate_seeds": 2},
    }
    return spec | changes


def submit(db: Database, owner: Principal = LOCAL, **changes: Any) -> Job:
    """A queued job."""
    return job_requests.submit(db, JobSpec.model_validate(document(**changes)), owner)[0]


def train(db: Database, job: Job, trials: int | None = None, worker: str = "w1") -> int:
    """Trains up to `trials` of the job's trials, or all there are; answers how many."""
    trained = 0
    while trials is None or trained < trials:
        claim = claim_one(db, job, worker)
        if claim is None:
            break
        _finish(db, claim)
        trained += 1
    return trained


def claim_one(db: Database, job: Job, worker: str = "w1") -> claiming.Claim | None:
    """The job's next trial, asked for as a worker does, with its configuration attached."""
    workers.worker_seen(db, worker, host="here", pid=1, lanes=1, capabilities={"device": "cpu"}, lease_seconds=LEASE)
    claim = _claim(db, job, worker)
    if claim is None and factories.choose(db, worker):
        claim = _claim(db, job, worker)
    if claim is None:
        return None
    if claim.number == 0:
        reporting.set_teacher(db, claim.token, TeacherFacts("f" * 64, 10, 1000, 200, _metrics(0.97)))
    if claim.configuration is None:
        drawn = configurations.in_arm(_configuration(claim.number), claim.arm)
        reporting.attach(db, claim.token, claim.trial_id, claim.number, drawn)
        claim = replace(claim, configuration=drawn)
    return claim


def _claim(db: Database, job: Job, worker: str) -> claiming.Claim | None:
    shared = {"views": 1, "precision": "fp32", "device": "cpu", "engine": "loop"}
    return claiming.claim(db, worker, LEASE, fixed=lambda _: shared, allowed=lambda spec, _: spec.name == job.name)


def close(db: Database, root: Path, job: Job) -> None:
    """Reads the test part, stores the answer and the winning student, and completes the job."""
    claim = finalization.claim_closing(db, "w1", LEASE)
    assert claim is not None
    assert claim.job_id == job.id
    finalization.open_test(db, claim.token, job.id)
    trials = list(iter_trials(db, job.id, LOCAL))
    documents = build_documents(
        job_id=job.id,
        spec=claim.spec,
        trials=trials,
        softness=[(1.0, 0.2), (4.0, 1.1), (40.0, 2.2)],
        teacher=claim.teacher,
        search_stopped=claim.search_stopped,
        test_seen_before=claim.test_seen_before,
        wall_seconds=claim.wall_seconds,
        now=datetime.now(UTC),
    )
    with tempfile.TemporaryDirectory() as folder:
        student = Path(folder, "student.safetensors")
        student.write_bytes(b"weights of " + job.id.encode())
        artifacts.store(db, Folder(root), claim.token, student.name, "application/octet-stream", student)
    finalization.complete(db, claim.token, job.id, documents)


def complete(db: Database, root: Path, **changes: Any) -> Job:
    """A job that was trained and answered."""
    job = submit(db, **changes)
    train(db, job)
    close(db, root, job)
    return get_job(db, job.id, LOCAL)


def cross(db: Database, root: Path, answered: int = 1, **changes: Any) -> StudyDetail:
    """A study whose first cells are answered, and whose last one has failed."""
    base = document(budget={"trials": ENOUGH})
    del base["name"]
    crossing: dict[str, Any] = {"name": "crossed", "factors": {"training.epochs": [2, 3]}, "replicates": 1}
    study, _ = submit_study(db, StudySpec.model_validate(crossing | {"base": base} | changes), LOCAL)
    for cell in study.cells[:answered]:
        job = get_job(db, cell.job_id, LOCAL)
        train(db, job)
        close(db, root, job)
    fail(db, study.cells[-1].job_id, "the data set is not below the data root")
    return get_study(db, study.id, LOCAL)


def fail(db: Database, job_id: str, why: str) -> None:
    """Fails a job, as a worker does that cannot make its data ready."""
    claim = claim_one(db, get_job(db, job_id, LOCAL))
    assert claim is not None
    reporting.fail_job(db, claim.token, Reason("data-missing", why))


def _finish(db: Database, claim: claiming.Claim) -> None:
    assert claim.configuration is not None
    reached = _quality(claim.configuration, claim.seed)
    reports: Iterable[EpochReport] = (
        EpochReport(0, str(claim.trial_id), epoch, 1.0 / epoch, 0.1, 0.01, _metrics(reached * epoch / EPOCHS))
        for epoch in range(1, EPOCHS + 1)
    )
    for said in reports:
        reporting.report(db, claim.token, claim.trial_id, said)
    reporting.finish(
        db,
        claim.token,
        claim.trial_id,
        TrialState.COMPLETED,
        value=reached,
        metrics=_metrics(reached),
        train_seconds=0.02,
    )


def _configuration(number: int) -> Configuration:
    temperature = 1.0 * 40 ** ((number * 7 % 13) / 12)
    name = "sgd" if number % 2 else "adamw"
    optimizer = Optimizer(name, 0.01 * (1 + number % 5), 1e-4, 0.9 if name == "sgd" else 0.0)  # type: ignore[arg-type]
    return Configuration(temperature=temperature, kd_weight=0.9, label_weight=0.1, optimizer=optimizer)


def _quality(configuration: Configuration, seed: int) -> float:
    return 0.9 - 0.02 * math.log(configuration.temperature / 4) ** 2 + 0.001 * (seed % 7)


def _metrics(accuracy: float) -> Metrics:
    return Metrics(accuracy, 1.0 - accuracy, 0.05, 0.9, 1.2)
