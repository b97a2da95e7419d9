"""Checkpoints of half-trained students in the store that all workers share."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import sqlalchemy
import structlog

from search.errors import StoreUnavailable
from search.leasing import artifacts, resuming
from search.leasing.claiming import Claim
from search.leasing.resuming import Checkpoint
from search.states import LOST, TERMINAL_JOBS, JobState
from search.storage import tables
from search.worker.benches import Bench, Seat
from search.worker.context import Context
from trainers.engines.processes import ChildDied

_log = structlog.get_logger(__name__)


class Keeper:
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

    def save(self, bench: Bench, lanes: Iterable[int]) -> set[str]:
        """Saves the students on these lanes, and writes it down for all of them at once; answers the lost tokens.

        A student that cannot be saved (a full disk, a store that does not answer, whatever raises it) trains on: all
        that is lost is what it could lose anyway.
        """
        written: list[tuple[Seat, Checkpoint]] = []
        for lane in lanes:
            seat = bench.seats[lane]
            if bench.broken is not None:
                break
            if seat.epoch in (0, seat.kept_epoch):
                continue  # nothing to lose
            name = f"{seat.claim.attempt}-{seat.epoch}"  # an attempt is one lease: nobody else writes there
            try:
                with self.files.adding(f"{_folder(seat.claim)}/{name}") as folder:
                    bench.running.save_lane(lane, folder)
            except Exception as error:  # a student's own fault shows in its next epoch
                bench.broken = error if isinstance(error, ChildDied) else bench.broken
                _log.warning("not saved", job=seat.claim.job_id, trial=seat.claim.number, error=str(error))
                if isinstance(error, StoreUnavailable):
                    self._rest(bench)
                    break
                continue
            written.append((seat, Checkpoint(seat.claim.token, seat.claim.trial_id, seat.epoch, name)))
        if not written:
            return set()
        checkpoints = [checkpoint for _, checkpoint in written]
        lost = self.context.patiently(lambda: resuming.checkpoint_all(self.context.database, checkpoints))
        for seat, checkpoint in written:
            outdated = checkpoint.name if checkpoint.token in lost else seat.kept
            if outdated is not None:
                self._delete(f"{_folder(seat.claim)}/{outdated}")
            if checkpoint.token not in lost:
                seat.kept, seat.kept_epoch, seat.kept_at = checkpoint.name, checkpoint.epoch, time.monotonic()
        return lost

    def forget(self, claim: Claim) -> None:
        """Deletes what was saved of a trial that has ended, or starts over."""
        self._delete(_folder(claim))

    def sweep(self) -> int:
        """Deletes the working files of jobs that have ended; those of a job that was closed went with its closing.

        One that failed for what its machines did may be resumed, and goes on with what was kept.
        """
        try:
            names = self.files.names(artifacts.WORK)
        except StoreUnavailable as error:
            _log.warning("cannot look for what ended jobs have left", error=str(error))
            return 0
        jobs = tables.jobs.c
        lost = sqlalchemy.and_(jobs.state == JobState.FAILED, jobs.problem["type"].as_string().in_(LOST))
        over = sqlalchemy.select(jobs.id).where(jobs.id.in_(names), jobs.state.in_(TERMINAL_JOBS), ~lost)
        with self.context.database.read() as connection:
            ended = list(connection.scalars(over)) if names else []
        for job_id in ended:
            self._delete(artifacts.work(job_id))
        return len(ended)

    def _delete(self, key: str) -> None:
        """What cannot be deleted now goes with the job's other files when it has ended."""
        try:
            self.files.delete(key)
        except StoreUnavailable as error:
            _log.warning("not deleted", key=key, error=str(error))

    @staticmethod
    def _rest(bench: Bench) -> None:
        """Nobody waits after each epoch for a store that does not answer: all are saved when they are due again."""
        for seat in bench.seats.values():
            seat.kept_at = time.monotonic()


def _folder(claim: Claim) -> str:
    return f"{artifacts.work(claim.job_id)}/checkpoints/{claim.number}"
