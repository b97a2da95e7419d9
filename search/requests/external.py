"""Requests of programs of others: which trials they mean, what they say of those they hold, and why there are none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, func, select

from search.claims import artifacts, external
from search.claims.external import HeldTrial, LeaseState, Tell
from search.claims.measurements import OwnReport, Resume, check_reports, value_of
from search.claims.report_batch import BatchedReport
from search.claims.reporting import OPEN_TRIALS, Unmirrored
from search.errors import IllegalMove, LeaseLost, NotFound, ReportRefused
from search.optuna_bridge import study
from search.pruners import pruner_factory
from search.records import LOCAL_OWNER, Artifact, Principal, Reason
from search.spec.job import JobSpec
from search.states import TERMINAL_JOBS, Allotting, Arm, JobState, TrialState
from search.storage.access import is_id
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from search.storage.store import Store
from search.storage.tables import jobs, keys, leases, studies, trials

SOON, LATER, RARELY = 1.0, 5.0, 30.0
"""Seconds after which somebody who got nothing comes again: work is about to be planned, running, or paused."""
MOST_JOBS = 4096
"""So many are remembered by a door."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose trials are asked for: those of one job, of a queue, of a study's cells, or of jobs that name a command; one
    of the four is given. Beside a command stand whose jobs an agent trains, and its code's fingerprint.
    """

    job: str | None = None
    queue: str | None = None
    study: str | None = None
    command: str | None = None
    owners: Sequence[str] | None = None
    code: str | None = None

    def whose(self, principal: Principal) -> ColumnElement[bool]:
        """Of jobs: it is meant, others train it, and the principal may."""
        criteria: list[ColumnElement[bool]] = [jobs.c.trainer.is_not(None)]
        if self.job is not None:
            criteria.append(jobs.c.id == self.job)
        if self.queue is not None:
            criteria.append(jobs.c.queue == self.queue)
        if self.study is not None:
            criteria.append(jobs.c.study == self.study)
        if self.command is not None:
            criteria.append((jobs.c.trainer == "command") & (jobs.c.queue == self.command))
        if self.owners is not None:
            ids = select(keys.c.id).where(keys.c.name.in_(self.owners), keys.c.revoked_at.is_(None))
            criteria.append(jobs.c.owner.in_(self.owners) | jobs.c.owner.in_(ids))
        if not principal.may("admin"):
            criteria.append(jobs.c.owner == principal.trains_of)
        return and_(*criteria)

    @property
    def words(self) -> str:
        """What is meant, for people."""
        if self.job is not None:
            return f"job {self.job}"
        if self.command is not None:
            return f"command {self.command}"
        return f"study {self.study}" if self.study is not None else f"queue {self.queue}"


@dataclass(frozen=True, slots=True)
class Order:
    """What a program asks for: whose trials, how many at most, and for how long each lease holds after a renewal.

    `client` is its own name. With `take_up` it first gets what it holds already.
    """

    selection: Selection
    client: str
    lease_seconds: float
    most: int = 1
    take_up: bool = False

    def document(self, principal: Principal) -> dict[str, Any]:
        """The order as search.proposer reads it."""
        return {"principal": {**asdict(principal), "scopes": sorted(principal.scopes)}, "claim": asdict(self)}


@dataclass(frozen=True, slots=True)
class Nothing:
    """Why there is nothing to train, and after how many seconds to ask again; `done` where there will not be."""

    done: bool
    why: str
    retry_after: float | None


def check(db: Database, principal: Principal, selection: Selection) -> None:
    """NotFound for a job or a study that the principal may not train; IllegalMove for a job that workers train."""
    identity = selection.job or selection.study
    if identity is None:
        return
    table = jobs if selection.job is not None else studies
    with db.look() as connection:
        row = connection.execute(select(table).where(table.c.id == identity)).one_or_none() if is_id(identity) else None
    if row is None or not (principal.may("admin") or row.owner == principal.trains_of):
        kind = "job" if selection.job is not None else "study"
        raise NotFound(f"there is no such {kind} that you may train: claim without it, or with a key of its owner")
    if selection.job is not None and row.trainer is None:
        raise IllegalMove(
            "this job is trained by the service's own workers: claim trials of one whose spec has a trainer"
        )


def nothing(db: Database, principal: Principal, selection: Selection) -> Nothing:
    """Why nobody has anything to train of a selection now."""
    running = select(func.count()).where(leases.c.job_id == jobs.c.id, leases.c.trial_id.is_not(None))
    open_trials = select(func.count()).where(trials.c.job_id == jobs.c.id, trials.c.state.in_(OPEN_TRIALS))
    query = select(
        jobs.c.id,
        jobs.c.state,
        jobs.c.problem,
        jobs.c.fixed,
        jobs.c.allotting,
        running.scalar_subquery().label("running"),
        open_trials.scalar_subquery().label("open"),
    )
    with db.look() as connection:
        rows = connection.execute(query.where(selection.whose(principal)).order_by(jobs.c.created_at)).all()
    unfinished = [row for row in rows if row.state not in TERMINAL_JOBS]
    if not rows:
        return Nothing(True, f"no job of {selection.words} was ever submitted that you may train", RARELY)
    if not unfinished:
        last = rows[-1]
        return Nothing(True, f"every job of {selection.words} has ended; the last one, {last.id}, {last.state}", None)
    return min((_reason(row, selection) for row in unfinished), key=lambda reason: reason.retry_after or 0.0)


def other_code(fixed: Mapping[str, Any] | None, selection: Selection) -> bool:
    """Whether a job was begun with other code of a command than that of who asks now."""
    pinned = (fixed or {}).get("code")
    return pinned is not None and selection.command is not None and pinned != selection.code


def _reason(job: Any, selection: Selection) -> Nothing:
    if other_code(job.fixed, selection):
        words = f"job {job.id} was begun with other code of the command (fingerprint {job.fixed['code'][:12]}, here "
        words += f"{(selection.code or 'none')[:12]}): bring that code back, or cancel the job and submit it anew"
        return Nothing(False, words, RARELY)
    if job.state == JobState.PAUSED:
        cause = f": {job.problem['detail']}" if job.problem else ""
        return Nothing(False, f"job {job.id} is paused{cause}; `thermowell resume {job.id}` lets it go on", RARELY)
    if job.state == JobState.ANALYSING:
        return Nothing(False, f"every trial of job {job.id} has ended, and its answer is being worked out", LATER)
    if job.state == JobState.RUNNING and job.allotting == Allotting.DUE:
        words = f"job {job.id} has trained what its study has handed it, and further trials are handed out once"
        return Nothing(False, f"{words} all cells of the study have trained theirs", LATER)
    if job.running:
        words = f"{job.running} trial{'s' if job.running > 1 else ''} of job {job.id} being trained"
        return Nothing(False, f"{words}; the next ones follow from them, or its caps allow no more at once", LATER)
    if job.state == JobState.CONFIRMING and not job.open:
        return Nothing(False, f"the finalists of job {job.id} are being chosen", SOON)
    return Nothing(False, f"job {job.id} is about to plan its next trial", SOON)


def any_unfinished(db: Database) -> bool:
    """Whether programs of others train any job that has not ended, so that somebody must propose and conclude."""
    unfinished = jobs.c.trainer.is_not(None) & jobs.c.state.not_in(TERMINAL_JOBS)
    with db.look() as connection:
        return bool(connection.execute(select(select(jobs.c.id).where(unfinished).exists())).scalar_one())


def keep_file(
    db: Database,
    files: Store,
    principal: Principal,
    place: tuple[str, int, str],
    name: str,
    media_type: str,
    path: Path,
) -> Artifact:
    """Keeps a file of a trial, which its holder sends; `place` is the job, the trial's number and the token.

    Its name within the job begins with the trial's. LeaseLost; NotFound; ReportRefused for a name that is none.
    """
    job_id, number, token = place
    trial = external.look(db, principal, job_id, number, token)
    if not trial.current:
        raise LeaseLost(
            f"trial {number} is not yours any more: send files before its end. Drop the work and claim again"
        )
    try:
        return artifacts.store(db, files, token, f"trial-{number}-{name}", media_type, path, trial.row.id)
    except ValueError as error:
        raise ReportRefused(str(error)) from None


def open_door(db: Database) -> TrialDoor:
    """The door over a database, with Optuna's tables beside ours."""
    return TrialDoor(db, study.optuna_storage(db))


class TrialDoor:
    """What programs of others say of the trials that they hold; Optuna is told in the same transactions."""

    def __init__(self, db: Database, storage: study.Storage) -> None:
        self.db, self.storage = db, storage
        # what jobs say that a principal, by its id, was let speak of: neither a job's spec nor its owner ever changes
        self._known: dict[tuple[str, str], JobSpec] = {}

    def close(self) -> None:
        """Gives the connections back."""
        study.close_storage(self.storage)

    def renew(self, principal: Principal, tokens: Collection[str]) -> dict[str, LeaseState]:
        """Prolongs leases; how each stands."""
        return external.renew(self.db, principal, tokens)

    def report(
        self,
        principal: Principal,
        job_id: str,
        number: int,
        token: str,
        entries: Sequence[OwnReport],
        resume: Resume | None = None,
    ) -> TrialState:
        """Writes epochs down, and ends the trial where the job's pruner stops it at one of them. Answers its state.

        LeaseLost; NotFound; ReportRefused.
        """
        if self._decides_nothing(principal, job_id, entries):
            return external.report(self.db, principal, job_id, number, token, entries, resume)
        trial = external.look(self.db, principal, job_id, number, token)
        self._remember(principal, job_id, trial.spec)
        steps = {} if trial.ended else _rungs(trial, entries)
        if not steps:
            return external.report(self.db, principal, job_id, number, token, entries, resume)
        name, optuna_number = optuna_study_name(job_id, trial.arm), trial.row.optuna_number
        stops = study.would_prune(self.storage, trial.spec, trial.arm, name, optuna_number, steps)
        write = study.step_writer(self.storage, name, optuna_number, steps)
        if not stops:
            return external.report(self.db, principal, job_id, number, token, entries, resume, write)
        rung = max(steps)
        reason = Reason("pruned", f"{trial.spec.pruner.name} stopped it at the rung of epoch {rung}")
        entries = [entry for entry in entries if entry.epoch <= rung]
        tell = _both(write, self._tell(trial, TrialState.PRUNED, rung, steps[rung], reason))
        return external.report(self.db, principal, job_id, number, token, entries, None, tell, reason)

    def complete(
        self,
        principal: Principal,
        job_id: str,
        number: int,
        token: str,
        result: OwnReport,
        test: dict[str, float] | None = None,
        log_tail: str = "",
    ) -> TrialState:
        """Ends a trial with its result. LeaseLost; NotFound; ReportRefused; TrialEnded."""

        def teller(trial: HeldTrial) -> Tell | None:
            value = value_of(trial.spec, result.metrics)
            return self._tell(trial, TrialState.COMPLETED, result.epoch, value, None)

        return external.complete(self.db, principal, job_id, number, token, result, test, log_tail, teller)

    def fail(
        self, principal: Principal, job_id: str, number: int, token: str, reason: Reason, log_tail: str = ""
    ) -> TrialState:
        """Ends a trial without a result. LeaseLost; NotFound; TrialEnded."""
        trial = external.look(self.db, principal, job_id, number, token)
        tell = self._tell(trial, TrialState.FAILED, trial.row.epoch, None, reason)
        return external.fail(self.db, principal, job_id, number, token, reason, log_tail, tell)

    def give_back(self, principal: Principal, job_id: str, number: int, token: str) -> TrialState:
        """Returns a trial for others to go on with. LeaseLost; NotFound."""
        return external.give_back(self.db, principal, job_id, number, token)

    def batched(
        self, principal: Principal, job_id: str, number: int, token: str, entries: Sequence[OwnReport]
    ) -> BatchedReport | None:
        """A report as one of a batch: it is of a job that the principal was let speak of before, at no rung, and as the
        job has it. None where it is to be said by itself.
        """
        if not self._decides_nothing(principal, job_id, entries):
            return None
        try:
            check_reports(self._known[principal.id, job_id], entries)
        except ReportRefused:
            return None
        key_id = None if principal.id == LOCAL_OWNER else principal.id
        return BatchedReport(key_id, job_id, number, token, entries)

    def _decides_nothing(self, principal: Principal, job_id: str, entries: Sequence[OwnReport]) -> bool:
        """Whether no trial is stopped at any of these epochs, as far as is known."""
        spec = self._known.get((principal.id, job_id))
        if spec is None:
            return False
        rungs = pruner_factory.rungs(spec)
        return not any(entry.epoch in rungs for entry in entries)

    def _remember(self, principal: Principal, job_id: str, spec: JobSpec) -> None:
        if len(self._known) >= MOST_JOBS:
            self._known.clear()
        self._known[principal.id, job_id] = spec

    def _tell(
        self, trial: HeldTrial, state: TrialState, epoch: int, value: float | None, reason: Reason | None
    ) -> Tell | None:
        row = trial.row
        if row.optuna_number is None or trial.ended:
            return None
        end = Unmirrored(
            row.id, row.job_id, Arm(row.arm), row.optuna_number, state, value, epoch, reason, trial.spec.objective.worst
        )
        return study.mirror_writer(self.storage, end)


def _rungs(trial: HeldTrial, entries: Sequence[OwnReport]) -> dict[int, float]:
    """By epoch, the objective at the rungs among what is said. ReportRefused where it is missing there."""
    if trial.row.optuna_number is None:
        return {}
    rungs = pruner_factory.rungs(trial.spec)
    return {entry.epoch: value_of(trial.spec, entry.metrics) for entry in entries if entry.epoch in rungs}


def _both(first: Tell | None, second: Tell | None) -> Tell | None:
    def tell(connection: Any) -> None:
        for write in (first, second):
            if write is not None:
                write(connection)

    return None if first is None and second is None else tell
