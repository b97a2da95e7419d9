"""The prepared problems of a worker, their engines, and the trials on their lanes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from search.claims.claiming import Claim
from search.worker.engine_choice import EngineChooser
from trainers import run
from trainers.engines import memory
from trainers.engines.choose import Choice
from trainers.engines.engine import Engine
from trainers.engines.processes import ChildDied
from trainers.spec import Assignment, Configuration, EpochReport, LaneFailure, Problem

MOST = 4  # problems that are kept ready, and of which trials are trained side by side
Prepare = Callable[[Problem], run.Ready]


@dataclass(slots=True)
class RunningTrial:
    """A trial that is being trained here: `epoch` epochs are behind it, which took `seconds` of this machine.

    `kept` is the folder of its last checkpoint, which stands at `kept_epoch`, and `kept_at` when training since
    then began (on the monotonic clock).
    """

    claim: Claim
    configuration: Configuration
    optuna_number: int | None
    epoch: int = 0
    seconds: float = 0.0
    kept: str | None = None
    kept_epoch: int = 0
    kept_at: float = field(default_factory=time.monotonic)


class EngineSession:
    """One problem made ready, and the engine that trains it, from when the first trial sits down.

    `alone` is how many trials still sit here one at a time: as many as were on the lanes when training crashed, so that
    the next crash shows whose it is. `settled` is false from when an epoch begins until it has been written down: what
    stands on the lanes meanwhile, or when that was broken off, must not be saved. `broken` is set where a part of the
    engine has died between two epochs: the next one will not come.
    """

    def __init__(self, prepared: run.Ready, chooser: EngineChooser) -> None:
        self.prepared = prepared
        self.trials: dict[int, RunningTrial] = {}
        self.alone = 0
        self.settled = True
        self.broken: ChildDied | None = None
        self.choice: Choice | None = None
        self._chooser = chooser
        self._engine: Engine | None = None
        self._asked = 0  # the most lanes that made sense when the engine was chosen
        self._bearable: int | None = None  # the most lanes that memory has been found to bear

    @property
    def running(self) -> Engine:
        """The engine. RuntimeError before `open`."""
        if self._engine is None:
            raise RuntimeError("nothing is trained here yet")
        return self._engine

    @property
    def lanes(self) -> int:
        """How many lanes the open engine has; 0 without one."""
        return 0 if self._engine is None else self._engine.lanes

    def free(self) -> int:
        """How many trials may sit down: one where it is not known yet how many fit."""
        if self.alone or self.broken is not None:
            return 0 if self.trials else 1
        return 1 if self._engine is None else self._engine.free()

    def open(self, most: int, work: int) -> bool:
        """Opens an engine of at most `most` lanes with `work` epochs before it; whether one was opened.

        One that is there stays, unless it is empty and more lanes make sense by now than when it was chosen, or at most
        half as many.
        """
        most = most if self._bearable is None else min(most, self._bearable)
        suitable = self._asked // 2 < most <= self._asked
        if self.trials or (self._engine is not None and self.broken is None and suitable):
            return False
        self.close()
        if self.choice is None or not suitable:
            self.choice, self._asked = self._chooser.choose(self.prepared, most, work), most
        self._engine = self._chooser.open(self.prepared, self.choice)
        return True

    def admit(self, running_trial: RunningTrial, checkpoint: Path | None) -> None:
        """Admits a trial on a free lane, where its checkpoint stands if it has one. CheckpointInvalid."""
        claim = running_trial.claim
        assignment = Assignment(str(claim.trial_id), running_trial.configuration, claim.seed)
        lane = self.running.admit(assignment, checkpoint)
        if checkpoint is not None:
            running_trial.epoch = running_trial.kept_epoch = claim.epoch
            running_trial.seconds, running_trial.kept = claim.seconds, claim.checkpoint
        self.trials[lane] = running_trial

    def step(self) -> Sequence[EpochReport | LaneFailure]:
        """One epoch of every trial that sits here; `settled` again once the caller has written it down."""
        if self.broken is not None:
            raise self.broken
        self.settled = False
        self._chooser.use_threads(self.choice)
        reports = self.running.step_epoch()
        self._chooser.preparation.end()
        if not reports:
            raise RuntimeError("the engine says nothing of the students on its lanes")
        return reports

    def evict(self, lane: int) -> RunningTrial:
        """Takes a trial off its lane."""
        try:
            self.running.evict(lane)
        except ChildDied as error:
            self.broken = error
        self.alone = max(0, self.alone - 1)
        return self.trials.pop(lane)

    def clear(self) -> list[RunningTrial]:
        """Takes all trials off and closes the engine, which crashed and may be in any state."""
        trials, self.trials = list(self.trials.values()), {}
        self.close()
        return trials

    def halve(self) -> list[RunningTrial]:
        """Takes all trials off; the next engine has half the lanes, since memory does not suffice for this one."""
        self._bearable = max(1, self.lanes // 2)
        trials = self.clear()
        memory.give_back()
        return trials

    def close(self) -> None:
        """Closes the engine, if one is open."""
        if self._engine is not None:
            self._engine.close()
        self._engine, self.broken, self.settled = None, None, True

    def status(self) -> Mapping[str, Any]:
        """What is trained here and how, as plain JSON."""
        choice_fields = {} if self.choice is None else dataclasses.asdict(self.choice)
        problem = self.prepared.problem
        return {
            "problem": problem.fingerprint()[:12], "student": problem.student.name, **choice_fields,
            "lanes": self.lanes, "busy": len(self.trials),
        }  # fmt: skip


class EngineCache:
    """At most MOST problems are kept ready, those in use always; the longest unused goes first."""

    def __init__(self, prepare: Prepare, chooser: EngineChooser) -> None:
        self._prepare, self._chooser = prepare, chooser
        self._sessions: dict[str, EngineSession] = {}  # the most recently asked for last

    def get(self, problem: Problem) -> EngineSession:
        """The session of a problem; makes it ready where it is not, which may take as long as training the teacher.

        TrainingError where it cannot be made ready.
        """
        key = problem.fingerprint()
        session = self._sessions.pop(key, None)
        if session is None:
            self._forget(MOST - 1)
            self._chooser.use_threads(None)
            session = EngineSession(self._prepare(problem), self._chooser)
        self._sessions[key] = session
        return session

    def known(self, fingerprint: str) -> EngineSession | None:
        """The session of a problem that is ready."""
        return self._sessions.get(fingerprint)

    def taken(self) -> int:
        """How many trials sit on all lanes."""
        return sum(len(session.trials) for session in self._sessions.values())

    def full(self) -> bool:
        """Whether no trial of any problem can sit down: MOST problems are trained, and none has a free lane."""
        return len(self.occupied()) >= MOST and not any(session.free() for session in self._sessions.values())

    def occupied(self) -> list[EngineSession]:
        """The sessions with trials on them."""
        return [session for session in self._sessions.values() if session.trials]

    def running(self) -> Iterator[tuple[EngineSession, int, RunningTrial]]:
        """Every trial that is on a lane, with its session and lane."""
        for session in list(self._sessions.values()):
            for lane, running_trial in list(session.trials.items()):
                yield session, lane, running_trial

    def status(self) -> list[Mapping[str, Any]]:
        """Of each engine that is open; another thread may ask."""
        return [session.status() for session in list(self._sessions.values()) if session.lanes]

    def close(self) -> None:
        """Closes all engines."""
        for session in self._sessions.values():
            session.close()

    def _forget(self, most: int) -> None:
        idle = [key for key, session in self._sessions.items() if not session.trials]
        for key in idle[: max(0, len(self._sessions) - most)]:
            self._sessions.pop(key).close()
