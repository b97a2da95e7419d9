"""Checkpoints of half-trained students in the store that all workers share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import sqlalchemy
import structlog

from search.claims import artifacts, checkpointing
from search.claims.checkpointing import Checkpoint
from search.claims.claiming import Claim
from search.errors import StoreUnavailable
from search.states import LOST, TERMINAL_JOBS, JobState
from search.storage import tables
from search.worker.context import Context
from search.worker.engine_cache import EngineSession, RunningTrial
from trainers.engines.processes import ChildDied

_log = structlog.get_logger(__name__)


class CheckpointStore:
    """Saves students, finds them again, and throws away what nobody will go on with."""

    def __init__(self, context: Context) -> None:
        self.context, self.files = context, context.files

    @contextmanager
    def reading(self, claim: Claim) -> Iterator[Path]:
        """The checkpoint that a claimed trial goes on from, or where it should be. StoreUnavailable."""
        key = f"{_folder(claim)}/{claim.checkpoint}"
        with ExitStack() as opened:
            folder = Path(key)
            with suppress(FileNotFoundError):
                folder = opened.enter_context(self.files.reading(key))
            yield folder

    def save(self, session: EngineSession, lanes: Iterable[int]) -> set[str]:
        """Saves the students on these lanes, and writes it down for all of them at once; answers the lost tokens.

        A student that cannot be saved (a full disk, a store that does not answer, whatever raises it) trains on: all
        that is lost is what it could lose anyway.
        """
        saved: list[tuple[RunningTrial, Checkpoint]] = []
        for lane in lanes:
            running_trial = session.trials[lane]
            if session.broken is not None:
                break
            if running_trial.epoch in (0, running_trial.kept_epoch):
                continue  # nothing to lose
            # an attempt is one lease: nobody else writes there
            name = f"{running_trial.claim.attempt}-{running_trial.epoch}"
            try:
                with self.files.adding(f"{_folder(running_trial.claim)}/{name}") as folder:
                    session.running.save_lane(lane, folder)
            except Exception as error:  # a student's own fault shows in its next epoch
                session.broken = error if isinstance(error, ChildDied) else session.broken
                _log.warning(
                    "not saved", job=running_trial.claim.job_id, trial=running_trial.claim.number, error=str(error)
                )
                if isinstance(error, StoreUnavailable):
                    self._rest(session)
                    break
                continue
            saved.append(
                (
                    running_trial,
                    Checkpoint(running_trial.claim.token, running_trial.claim.trial_id, running_trial.epoch, name),
                )
            )
        if not saved:
            return set()
        checkpoints = [checkpoint for _, checkpoint in saved]
        lost_tokens = self.context.patiently(lambda: checkpointing.checkpoint_all(self.context.database, checkpoints))
        for running_trial, checkpoint in saved:
            outdated = checkpoint.name if checkpoint.token in lost_tokens else running_trial.kept
            if outdated is not None:
                self._delete(f"{_folder(running_trial.claim)}/{outdated}")
            if checkpoint.token not in lost_tokens:
                running_trial.kept, running_trial.kept_epoch, running_trial.kept_at = (
                    checkpoint.name,
                    checkpoint.epoch,
                    time.monotonic(),
                )
        return lost_tokens

    def forget(self, claim: Claim) -> None:
        """Deletes what was saved of a trial that has ended, or starts over."""
        self._delete(_folder(claim))

    def sweep(self) -> int:
        """Deletes the working files of jobs that have ended; those of a job that was closed went with its closing.

        One that failed for what its machines did may be resumed, and goes on with what was kept; one that decided
        nothing may be asked to open its test part, for which its students are kept.
        """
        try:
            names = self.files.names(artifacts.WORK)
        except StoreUnavailable as error:
            _log.warning("cannot look for what ended jobs have left", error=str(error))
            return 0
        jobs = tables.jobs.c
        failed_by_machine = sqlalchemy.and_(jobs.state == JobState.FAILED, jobs.problem["type"].as_string().in_(LOST))
        sealed = sqlalchemy.and_(jobs.state == JobState.COMPLETED, jobs.test_opened_at.is_(None))
        states = jobs.state.in_(TERMINAL_JOBS)
        over = sqlalchemy.select(jobs.id).where(jobs.id.in_(names), states, ~failed_by_machine, ~sealed)
        with self.context.database.read() as connection:
            ended_jobs = list(connection.scalars(over)) if names else []
        for job_id in ended_jobs:
            self._delete(artifacts.work(job_id))
        return len(ended_jobs)

    def _delete(self, key: str) -> None:
        """What cannot be deleted now goes with the job's other files when it has ended."""
        try:
            self.files.delete(key)
        except StoreUnavailable as error:
            _log.warning("not deleted", key=key, error=str(error))

    @staticmethod
    def _rest(session: EngineSession) -> None:
        """Nobody waits after each epoch for a store that does not answer: all are saved when they are due again."""
        for running_trial in session.trials.values():
            running_trial.kept_at = time.monotonic()


def _folder(claim: Claim) -> str:
    return f"{artifacts.work(claim.job_id)}/checkpoints/{claim.number}"
