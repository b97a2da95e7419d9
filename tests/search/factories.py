"""A job and what a worker does on it with a claim, without training anything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import select

from search.analysis.job.finalists import by_value
from search.claims import claiming, finalist_choice, leases, reporting
from search.claims.claiming import Claim
from search.claims.finalist_choice import ChoosingClaim
from search.configurations import in_arm
from search.records import Job, Principal, Reason
from search.requests import jobs
from search.spec.job import JobSpec
from search.states import TrialState
from search.storage import tables
from search.storage.db import Database, open_database
from search.storage.rows import trial_of
from thermowell.api.answers import Finalists
from trainers.spec import Configuration, EpochReport, Metrics, Optimizer

ME = Principal("local", "local", frozenset({"read", "submit"}))
OTHER = Principal("0123456789ab", "other", frozenset({"read", "submit"}))
ADMIN = Principal("ba9876543210", "admin", frozenset({"admin"}))
EPOCHS = 3
EXPIRED = -1.0  # seconds of a lease that has expired by the time it is given
FIXED = {"views": 1, "precision": "fp32"}
DIVERGED = Reason("diverged", "the loss was no longer finite")

Answer = TypeVar("Answer")


def spec(**changes: Any) -> JobSpec:
    """A small job: 4 search trials, one trial for each tuned baseline, 2 finalists, 1 and 2 fresh seeds."""
    document: dict[str, Any] = {
        "name": "small",
        "dataset": {"name": "digits"},
        "teacher": {"model": {"name": "mlp"}, "training": {"epochs": 2}, "optimizer": {}},
        "student": {"name": "mlp"},
        "training": {"epochs": EPOCHS},
        "budget": {"trials": 4},
        "baselines": {"share": 0.25, "by": "arm"},
        "confirmation": {"finalists": 2, "select_seeds": 1, "estimate_seeds": 2},
    }
    return JobSpec.model_validate(document | changes)


def submitted(db: Database, principal: Principal = ME, **changes: Any) -> Job:
    """A queued job."""
    return jobs.submit(db, spec(**changes), principal)[0]


def take(db: Database, worker: str = "w", seconds: float = 60.0) -> Claim | None:
    """The next trial of any job; where there is none, finalists are chosen first, as a worker does."""
    claim = _take(db, worker, seconds)
    return _take(db, worker, seconds) if claim is None and choose(db, worker) else claim


def choose(db: Database, worker: str = "w") -> Finalists | None:
    """Chooses, by value, the finalists of the job that has waited longest for them; None where none waits."""
    claim = finalist_choice.claim_choosing(db, worker, 60.0)
    if claim is None:
        return None
    finalists = chosen(db, claim)
    assert finalist_choice.store_finalists(db, claim.token, finalists)
    return finalists


def chosen(db: Database, claim: ChoosingClaim) -> Finalists:
    """What a worker would choose that cannot fit a surface."""
    of_job = select(tables.trials).where(tables.trials.c.job_id == claim.job_id).order_by(tables.trials.c.number)
    with db.read() as connection:
        trials = [trial_of(row) for row in connection.execute(of_job)]
    return by_value(claim.job_id, claim.spec, trials, claim.round, datetime.now(UTC))


def _take(db: Database, worker: str, seconds: float) -> Claim | None:
    return claiming.claim(db, worker, seconds, fixed=lambda _: FIXED)


def taken(db: Database, worker: str = "w", seconds: float = 60.0) -> Claim:
    """As `take`, where there is one."""
    claim = take(db, worker, seconds)
    assert claim is not None
    return claim


def configuration(claim: Claim) -> Configuration:
    """What Optuna might have answered: another point for each trial, the arm's T."""
    optimizer = Optimizer("sgd", 0.01 * (claim.number + 1), weight_decay=1e-4)
    point = Configuration(temperature=1.0 + claim.number, kd_weight=0.5, label_weight=0.5, optimizer=optimizer)
    return in_arm(point, claim.arm)


def attach(db: Database, claim: Claim) -> None:
    """Writes down what Optuna might have answered, where it has to be asked."""
    if claim.configuration is None:
        reporting.attach(db, claim.token, claim.trial_id, claim.number, configuration(claim))


def epoch(number: int, accuracy: float = 0.5) -> EpochReport:
    """What a trial might have said after an epoch."""
    return EpochReport(0, "trial", number, 0.7, 0.01, 0.001, Metrics(accuracy, 0.6, 0.05, 0.9, 1.2))


def train(db: Database, claim: Claim, value: float | None = None) -> float:
    """Attaches, reports every epoch and completes; by default later trials are better. Answers the value."""
    attach(db, claim)
    reached = value if value is not None else claim.number / 1000
    reporting.report_all(db, [(claim.token, claim.trial_id, epoch(number, reached)) for number in range(1, EPOCHS + 1)])
    reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=reached, train_seconds=0.1)
    return reached


def train_all(db: Database, worker: str = "w") -> list[Claim]:
    """Trains whatever there is until there is nothing more."""
    done = []
    while (claim := take(db, worker)) is not None:
        train(db, claim)
        done.append(claim)
    return done


def open_sealed(db: Database, job: Job, work: Callable[[], object]) -> None:
    """Opens the test part of a job whose verdict is that nothing is decided, and lets `work` answer it again."""
    if jobs.get_job(db, job.id, ME).test_opened_at is None:
        jobs.open_test(db, job.id, ME)
        work()


def lose(db: Database) -> Claim:
    """A worker takes a trial and is never heard of again; its lease is reaped."""
    claim = taken(db, "lost", EXPIRED)
    leases.reap(db)
    return claim


def at_once(calls: Sequence[Callable[[], Answer]]) -> list[Answer]:
    """Answers of all calls, each in a thread of its own, begun together. The first error is raised."""
    barrier = threading.Barrier(len(calls))
    answers: list[Answer | BaseException] = [NotImplementedError()] * len(calls)

    def run(place: int) -> None:
        barrier.wait()
        try:
            answers[place] = calls[place]()
        except BaseException as error:
            answers[place] = error

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return answers  # type: ignore[return-value]


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database of one's own, as another process would have it."""
    db = open_database(url, pool_size=1, max_overflow=1)
    try:
        yield db
    finally:
        db.close()
