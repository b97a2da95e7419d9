"""One side of the overhead race: so many workers that train nothing, and do all else that a trial costs.

    python -m benchmarks.serving.overhead_side '{"side": "thermowell", "url": "...", "workers": 1, "sampler": "tpe"}'

Reads a line of JSON for each turn, {"trials": n} of each worker or {"seconds": s}, and answers with one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import optuna
import structlog
from sqlalchemy import event

from benchmarks.serving.overhead_fill import NAME, RANGES, REPORTS, value
from search.optuna_bridge import study
from search.optuna_bridge.repair import Repairer
from search.settings import Settings
from search.storage.db import open_database
from search.storage.store import open_store
from search.worker import process
from search.worker.context import Context, Interruption
from search.worker.engine_cache import EngineCache
from search.worker.engine_choice import EngineChooser
from search.worker.finalists import FinalistSelector
from search.worker.heartbeat import Heartbeat
from search.worker.job_finalizer import JobFinalizer
from search.worker.training_loop import TrainingLoop
from tests.processes import die_with_parent
from trainers.engines.choose import Choice
from trainers.spec import Assignment, EpochReport, Metrics, TeacherFacts

Turn = Callable[[int | None, float | None], tuple[int, str | None]]
"""Does trials until so many are done or so many seconds have passed; answers how many, and the last error if any."""
SAMPLERS: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
}
POOR = Metrics(accuracy=0.1, nll=2.3, ece=0.1, teacher_agreement=0.1, teacher_entropy=1.0)


class Idle:
    """An engine of one lane whose epochs take no time; `ended` is called with each trial that leaves it."""

    lanes = 1

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._sitting: Assignment | None = None
        self._epoch = 0

    def free(self) -> int:
        return 0 if self._sitting else 1

    def admit(self, assignment: Assignment, checkpoint: Path | None = None) -> int:
        self._sitting, self._epoch = assignment, 0
        return 0

    def step_epoch(self) -> Sequence[EpochReport]:
        assert self._sitting is not None
        self._epoch += 1
        trained = self._sitting.configuration
        sgd = trained.known_optimizer
        reached = value(
            {
                "temperature": trained.temperature, "kd_weight": trained.kd_weight,
                "sgd.learning_rate": sgd.learning_rate, "sgd.weight_decay": sgd.weight_decay,
                "sgd.momentum": sgd.momentum,
            }
        )  # fmt: skip
        said = Metrics(reached, POOR.nll, POOR.ece, POOR.teacher_agreement, POOR.teacher_entropy)
        return [EpochReport(0, self._sitting.trial, self._epoch, 1.0, 0.1, 0.0, said)]

    def save_lane(self, lane: int, folder: Path) -> None:
        folder.mkdir(parents=True)

    def save_student(self, lane: int, path: Path) -> None:
        path.touch()

    def evict(self, lane: int) -> None:
        self._sitting = None
        self._ended()

    def close(self) -> None:
        self._sitting = None


class _Ready:
    """A problem that needs no data: what a bench asks of one."""

    def __init__(self, problem: Any) -> None:
        self.problem = problem
        self.facts = TeacherFacts("none", 10, 100, 100, POOR)


class _Chooser(EngineChooser):
    def __init__(self, settings: Settings, ended: Callable[[], None]) -> None:
        super().__init__(settings)
        self._ended = ended

    def choose(self, prepared: Any, most: int, work: int) -> Choice:
        return Choice("loop", 1, False, 1, 1, (), "nothing is trained")

    def open(self, prepared: Any, choice: Choice) -> Any:
        return Idle(self._ended)

    def use_threads(self, choice: Choice | None) -> None:
        """Torch has nothing to do."""


def thermowell(url: str, name: str, _sampler: str) -> Turn:
    """The worker's own loop: claims, asks, reports, ends, looks for what else there is to do; one lane. Which sampler
    proposes is told by the job in its database.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    var = Path(tempfile.mkdtemp(prefix="thermowell-overhead-"))
    settings = Settings(database_url=url, var=var, lanes=1, threads=1, engine="loop")
    database, interruption = open_database(url), Interruption(threading.Event())
    capabilities = {"device": "cpu", "bf16": False, "torch": "none", "threads": 1}
    storage, files = study.optuna_storage(database), open_store(settings)
    context = Context(name, settings, database, storage, files, capabilities, interruption)
    done, until = [0], [0, float("inf")]

    def ended() -> None:
        done[0] += 1
        if done[0] >= until[0] or time.monotonic() >= until[1]:
            interruption.asked.set()

    benches = EngineCache(cast(Any, _Ready), _Chooser(settings, ended))
    heartbeat = Heartbeat(database, name, settings.lease_seconds, lambda: None)
    repairer = Repairer(database, context.storage, settings.lease_seconds)
    work = TrainingLoop(context, benches, heartbeat)
    parts = (work, FinalistSelector(context, heartbeat), JobFinalizer(context, benches, heartbeat, repairer), repairer)

    def turn(trials: int | None, seconds: float | None) -> tuple[int, str | None]:
        done[0], until[0] = 0, sys.maxsize if trials is None else trials
        until[1] = float("inf") if seconds is None else time.monotonic() + seconds
        interruption.asked.clear()
        process._loop(context, *parts, False)
        return done[0], None

    return turn


def plain(url: str, name: str, sampler: str, *, wal: bool = False) -> Turn:
    """A worker as Optuna's documentation has it: ask, five suggestions, ten reports, tell; its sampler of that name.

    With `wal`, SQLite keeps a write-ahead log and does not wait for the disk at each commit, as ours does.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    if wal:

        @event.listens_for(storage.engine, "connect")
        def _habits(connection: sqlite3.Connection, _record: Any) -> None:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA busy_timeout = 30000")

        storage.engine.dispose()
    proposing = SAMPLERS[sampler]()
    known = optuna.load_study(study_name=NAME, storage=optuna.storages.get_storage(storage), sampler=proposing)

    def turn(trials: int | None, seconds: float | None) -> tuple[int, str | None]:
        most = sys.maxsize if trials is None else trials
        until = float("inf") if seconds is None else time.monotonic() + seconds
        done, failed = 0, None
        while done < most and time.monotonic() < until:
            try:
                trial = known.ask()
                drawn = {
                    each: trial.suggest_float(each, one.low, one.high, log=one.log) for each, one in RANGES.items()
                }
                reached = value(drawn)
                for epoch in range(1, REPORTS + 1):
                    trial.report(reached, epoch)
                known.tell(trial, reached)
            except optuna.exceptions.StorageInternalError as error:  # on SQLite: database is locked
                failed = str(error.__cause__)[:200]
                continue
            done += 1
        return done, failed

    return turn


SIDES: dict[str, Callable[[str, str, str], Turn]] = {
    "thermowell": thermowell,
    "Optuna": plain,
    "Optuna, WAL": partial(plain, wal=True),
}


def _work(side: str, url: str, name: str, sampler: str, pipe: Connection) -> None:
    die_with_parent(signal.SIGKILL)()
    turn = SIDES[side](url, name, sampler)
    pipe.send("ready")
    while True:
        try:
            asked = pipe.recv()
        except EOFError:
            return
        done, error = turn(asked.get("trials"), asked.get("seconds"))
        pipe.send({"trials": done, "error": error})


def main() -> int:
    given = json.loads(sys.argv[1])
    fork = multiprocessing.get_context("fork")  # what was imported above is shared, and nothing is connected yet
    pipes = []
    for number in range(given["workers"]):
        mine, theirs = fork.Pipe()
        name = f"overhead-{os.getpid()}-{number}"
        of_worker = (given["side"], given["url"], name, given["sampler"], theirs)
        fork.Process(target=_work, args=of_worker, daemon=True).start()
        theirs.close()
        pipes.append(mine)
    for pipe in pipes:
        pipe.recv()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        begun = time.monotonic()
        for pipe in pipes:
            pipe.send(asked)
        answers = [pipe.recv() for pipe in pipes]
        errors = [answer["error"] for answer in answers if answer["error"]]
        trials = sum(answer["trials"] for answer in answers)
        said = {"trials": trials, "seconds": time.monotonic() - begun, "error": errors[0] if errors else None}
        print(json.dumps(said), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
