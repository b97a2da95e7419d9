"""Where do half-trained students wait for whoever goes on with them? Among their job's working files, below the
artifact root, which all workers share; a worker that cannot see them starts over.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import sqlalchemy
import structlog

from search.leasing import resuming
from search.leasing.artifacts import work_folder
from search.leasing.claiming import Claim
from search.leasing.resuming import Checkpoint
from search.states import TERMINAL_JOBS
from search.storage import tables
from search.worker.benches import Bench, Seat
from search.worker.context import Context
from trainers.engines.processes import ChildDied

_log = structlog.get_logger(__name__)


class Keeper:
    """Saves students, finds them again, and throws away what nobody will go on with."""

    def __init__(self, context: Context) -> None:
        self.context, self.root = context, context.settings.artifact_root

    def place(self, claim: Claim) -> Path | None:
        """The checkpoint that a claimed trial goes on from, if it has one."""
        return None if claim.checkpoint is None else self._folder(claim) / claim.checkpoint

    def save(self, bench: Bench, lanes: Iterable[int]) -> set[str]:
        """Saves the students on these lanes, and writes it down for all of them at once; answers the lost tokens.

        A student that cannot be saved (a full disk) trains on: all that is lost is what it could lose anyway.
        """
        written: list[tuple[Seat, Checkpoint]] = []
        for lane in lanes:
            seat = bench.seats[lane]
            if bench.broken is not None:
                break
            if seat.epoch in (0, seat.kept_epoch):
                continue  # nothing to lose
            name = f"{seat.claim.attempt}-{seat.epoch}"  # an attempt is one lease: nobody else writes there
            folder = self._folder(seat.claim) / name
            try:
                if not folder.exists():  # else it could not be written down, the last time
                    bench.running.save_lane(lane, folder)
            except (OSError, ChildDied) as error:
                bench.broken = error if isinstance(error, ChildDied) else bench.broken
                _log.warning("not saved", job=seat.claim.job_id, trial=seat.claim.number, error=str(error))
                continue
            written.append((seat, Checkpoint(seat.claim.token, seat.claim.trial_id, seat.epoch, name)))
        if not written:
            return set()
        checkpoints = [checkpoint for _, checkpoint in written]
        lost = self.context.patiently(lambda: resuming.checkpoint_all(self.context.database, checkpoints))
        for seat, checkpoint in written:
            outdated = checkpoint.name if checkpoint.token in lost else seat.kept
            if outdated is not None:
                shutil.rmtree(self._folder(seat.claim) / outdated, ignore_errors=True)
            if checkpoint.token not in lost:
                seat.kept, seat.kept_epoch, seat.kept_at = checkpoint.name, checkpoint.epoch, time.monotonic()
        return lost

    def forget(self, claim: Claim) -> None:
        """Deletes what was saved of a trial that has ended, or starts over."""
        shutil.rmtree(self._folder(claim), ignore_errors=True)

    def sweep(self) -> int:
        """Deletes the working files of jobs that have ended; those of a job that was closed went with its closing."""
        folder = work_folder(self.root, "any").parent
        with suppress(FileNotFoundError):
            names = [entry.name for entry in folder.iterdir()]
            jobs = tables.jobs.c
            over = sqlalchemy.select(jobs.id).where(jobs.id.in_(names), jobs.state.in_(TERMINAL_JOBS))
            with self.context.database.read() as connection:
                ended = list(connection.scalars(over)) if names else []
            for job_id in ended:
                shutil.rmtree(work_folder(self.root, job_id), ignore_errors=True)
            return len(ended)
        return 0

    def _folder(self, claim: Claim) -> Path:
        return work_folder(self.root, claim.job_id) / "checkpoints" / str(claim.number)
