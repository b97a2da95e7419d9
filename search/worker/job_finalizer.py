"""The closing of a job after confirmation: test part, the winner's student, and the answer's documents.

Any worker may do it that has the job's lease, and do it again if the one before it was lost: every step overwrites.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from search import configurations, tracing
from search.analysis.job.build import answer_of
from search.analysis.job.verdict import alike
from search.claims import artifacts, finalization
from search.claims.finalization import ClosingClaim
from search.errors import DatabaseUnavailable, LeaseLost, StoreUnavailable
from search.optuna_bridge.repair import Repairer
from search.records import Reason, Trial
from search.scales import value_at
from search.spec.job import JobSpec, Ranged
from search.states import Arm, Stage, TrialState
from search.storage import disk_faults
from search.worker import faults, students, winner_files
from search.worker.context import Context, Stopped
from search.worker.engine_cache import EngineCache, EngineSession
from search.worker.heartbeat import Heartbeat
from thermowell.api.answers import Result, Verdict
from trainers import run
from trainers.errors import TrainingError
from trainers.spec import Assignment
from trainers.training.evaluate import NotFinite

SOFTNESS_POINTS = 33
_log = structlog.get_logger(__name__)


class JobFinalizer:
    """Closes jobs, one at a time."""

    def __init__(self, context: Context, sessions: EngineCache, heartbeat: Heartbeat, repairer: Repairer) -> None:
        self.context, self.sessions, self.heartbeat, self.repairer = context, sessions, heartbeat, repairer

    def close_one(self) -> bool:
        """Closes the job that has waited longest; False where none waits, or there is nothing to be had for it now."""
        context = self.context
        if not context.rests.closing.permits(context.files, context.store_seconds):
            return False
        claim = context.patiently(
            partial(
                finalization.claim_closing,
                context.database,
                context.worker_id,
                context.settings.lease_seconds,
                allowed=context.has_plugins,
            )
        )
        if claim is None:
            return False
        log = _log.bind(job=claim.job_id)
        with self.heartbeat.holding(claim.token):
            try:
                of_job = {"thermowell.job.id": claim.job_id, "thermowell.worker.id": context.worker_id}
                with tracing.span("close job", of_job, kind="consumer", below=claim.traceparent):
                    self._close(claim)
                    log.info("job completed")
                if context.rests.closing.over():
                    self.heartbeat.try_to_tell()
            except LeaseLost:
                log.info("lease lost while closing")
            except DatabaseUnavailable:
                raise
            except Exception as error:
                away = context.store_fault(error)
                if away is not None:  # no fault of the job's: it is closed when the store answers
                    self._put_off(claim, away)
                    return False
                if isinstance(error, TrainingError) and faults.lasting(error) and self._ready(claim):
                    context.fail_job(claim.job_id, claim.token, Reason(error.slug, str(error)))
                else:
                    self._failed(claim, error)
            except Stopped:
                context.give_back(claim.job_id, claim.token)
                raise
        return True

    def _close(self, claim: ClosingClaim) -> None:
        context = self.context
        context.patiently(partial(self.repairer.settle, claim.job_id))
        with context.interruption.breakable():
            session = self.sessions.get(context.problem(claim.spec, claim.fixed))
        untested = context.trials(claim.job_id)
        with tracing.span("analyse job"):
            answer = answer_of(
                job_id=claim.job_id,
                spec=claim.spec,
                trials=[trial for _, trial in untested],
                teacher=claim.teacher,
                search_stopped=claim.search_stopped,
                test_seen_before=claim.test_seen_before,
                wall_seconds=claim.wall_seconds,
                now=datetime.now(UTC),
                finalists=claim.finalists,
                curves=context.curves([i for i, t in untested if t.round == claim.round and _ended_fresh(t)]),
            )
        sealed = answer.undecided and not claim.test_open
        right = {} if sealed else self._test(claim, session, untested)
        trials = context.trials(claim.job_id)
        softness = _softness(claim.spec, session)
        documents = answer.documents(softness, [trial for _, trial in trials], right, test_sealed=sealed)
        result = documents["result"]
        assert isinstance(result, Result)
        best, names = self._keep_student(claim, session, trials, result.verdict)
        if best is not None:
            self._keep_card(claim, best, result, names)
        context.patiently(partial(finalization.complete, context.database, claim.token, claim.job_id, documents))
        if not sealed:  # else its students wait for the test part
            with suppress(StoreUnavailable):  # then the next sweep deletes them
                context.files.delete(artifacts.work(claim.job_id))

    def _test(
        self, claim: ClosingClaim, session: EngineSession, trials: list[tuple[int, Trial]]
    ) -> dict[int, NDArray[np.bool_]]:
        """Opens the test part and writes down what the estimates' students reach; which images each got right."""
        context = self.context
        permit = context.patiently(partial(finalization.open_test, context.database, claim.token, claim.job_id))
        right: dict[int, NDArray[np.bool_]] = {}
        for trial_id, trial in trials:
            if trial.stage is Stage.ESTIMATE and trial.round == claim.round and trial.state is TrialState.COMPLETED:
                of_trial = {"thermowell.trial.number": trial.number}
                evaluating = tracing.span("evaluate test", of_trial)
                with context.interruption.breakable(), evaluating, self._student(claim, session, trial) as student:
                    try:
                        tested = run.evaluate_test(session.prepared, student, _configuration(trial), permit)
                    except NotFinite:
                        continue  # it has no figures on test; its validation figures stand
                record = partial(finalization.record_test, context.database, claim.token, trial_id, tested.metrics)
                context.patiently(record)
                bits = np.unpackbits(np.frombuffer(tested.right, np.uint8), count=tested.images)
                right[trial.number] = bits.astype(bool)
        self._keep_right(claim, right)
        return right

    @contextmanager
    def _student(self, claim: ClosingClaim, session: EngineSession, trial: Trial) -> Iterator[Path]:
        """The trial's student as it was saved; trained again from its seed where this worker cannot see the file, or
        finds it damaged.
        """
        files, key = self.context.files, self.context.student_key(claim.job_id, trial.number)
        if not students.is_whole(files, key):
            engine = run.open_engine(session.prepared)
            lane = engine.admit(Assignment(str(trial.number), _configuration(trial), trial.seed))
            for _ in range(claim.spec.training.epochs):
                engine.step_epoch()
            students.keep(files, key, partial(engine.save_student, lane))
        with files.reading(key) as path:
            yield path

    def _keep_student(
        self, claim: ClosingClaim, session: EngineSession, trials: list[tuple[int, Trial]], verdict: Verdict | None
    ) -> tuple[Trial | None, list[str]]:
        """Of the recommended configuration's students the one that is best on validation becomes the job's, with all
        that belongs to it; of the winner's where nothing is recommended that was trained on a fresh seed.

        Answers its trial and the files' names; None where there is no such student.
        """
        names: list[str] = []
        sign = 1 if claim.spec.objective.direction == "maximize" else -1
        fresh = [(trial_id, trial) for trial_id, trial in trials if trial.round == claim.round and _ended_fresh(trial)]
        winners = [pair for pair in fresh if (pair[1].stage, pair[1].arm) == (Stage.ESTIMATE, Arm.JOINT)]
        estimates = [pair for pair in fresh if verdict is not None and _is_of(verdict, pair[1])] or winners
        if not estimates:
            return None, names  # it diverged on every seed; the answer says so
        trial_id, best = max(estimates, key=lambda pair: (sign * (pair[1].value or 0.0), -pair[1].number))
        programs = self.context.settings.student_programs
        with self._student(claim, session, best) as student, disk_faults.scratch() as folder:
            for file in winner_files.write(claim, session, best, verdict, student, folder, programs):
                name = "student.safetensors" if file == student else file.name
                self._store(claim, name, winner_files.MEDIA_TYPES[name], file, trial_id)
                names.append(name)
        return best, names

    def _keep_card(self, claim: ClosingClaim, trial: Trial, result: Result, names: list[str]) -> None:
        """The winner's model card, once there is an answer to tell of."""
        with disk_faults.scratch() as folder:
            file = folder / winner_files.CARD
            file.write_text(winner_files.card(claim, trial, result, names), encoding="utf-8")
            self._store(claim, file.name, winner_files.MEDIA_TYPES[file.name], file, None)

    def _keep_right(self, claim: ClosingClaim, right: Mapping[int, NDArray[np.bool_]]) -> None:
        """Which test images each student got right becomes a file, for whoever asks another question of it."""
        if not right:
            return
        bits = np.packbits(np.array(list(right.values())), axis=1)
        images = len(next(iter(right.values())))
        with disk_faults.scratch() as folder:
            file = folder / "test-right.npz"
            np.savez_compressed(file, trial=np.array(list(right)), right=bits, images=images)
            self._store(claim, file.name, "application/octet-stream", file, None)

    def _store(self, claim: ClosingClaim, name: str, media_type: str, path: Path, trial_id: int | None) -> None:
        store = partial(artifacts.store, self.context.database, self.context.files, claim.token)
        with tracing.span("store artifact", {"thermowell.artifact.name": name}) as span:
            artifact = self.context.patiently(partial(store, name, media_type, path, trial_id))
            span.note({"thermowell.artifact.size": artifact.size})

    def _put_off(self, claim: ClosingClaim, away: StoreUnavailable) -> None:
        """Gives the closing back, to be taken up again after a while, by whoever comes to it first."""
        _log.warning("closing waits for the artifact store", job=claim.job_id, error=str(away))
        self.context.give_back(claim.job_id, claim.token)
        self.context.rests.closing.fail(away, self.context.store_seconds)
        self.heartbeat.try_to_tell()

    def _ready(self, claim: ClosingClaim) -> bool:
        """Whether this machine has what the job's trials were trained with: then it is the test part that is wrong."""
        return self.sessions.known(self.context.problem(claim.spec, claim.fixed).fingerprint()) is not None

    def _failed(self, claim: ClosingClaim, error: Exception) -> None:
        """It is tried again after a while, here or elsewhere; after a few times the job is paused, or fails."""
        _log.error("closing failed", job=claim.job_id, exc_info=error)
        self.context.fail_attempt(claim.job_id, claim.token, faults.failure(error))


def _ended_fresh(trial: Trial) -> bool:
    return trial.stage in (Stage.SELECT, Stage.ESTIMATE) and trial.state is TrialState.COMPLETED


def _is_of(verdict: Verdict, trial: Trial) -> bool:
    """Whether a trial trained what is recommended: the same settings, at a temperature that nobody could tell apart."""
    configuration, recommended = dict(trial.configuration or {}), verdict.configuration.stored()
    first, second = configuration.pop("temperature"), recommended.pop("temperature")
    labels = (trial.arm is Arm.LABEL_ONLY) == (verdict.arm == "label_only")
    return labels and configuration == recommended and alike(first, second)


def _configuration(trial: Trial) -> Any:
    return configurations.from_json(trial.configuration or {})


def _softness(spec: JobSpec, session: EngineSession) -> list[tuple[float, float]]:
    """How soft the teacher is over the searched temperatures, evenly on a logarithmic scale; over 1 to 40 if fixed."""
    searched = spec.space.temperature
    low, high = (searched.low, searched.high) if isinstance(searched, Ranged) else (1.0, 40.0)
    shares = (point / (SOFTNESS_POINTS - 1) for point in range(SOFTNESS_POINTS))
    temperatures = [value_at(share, low, high, log=True) for share in shares]
    return list(zip(temperatures, run.teacher_softness(session.prepared, temperatures), strict=True))
