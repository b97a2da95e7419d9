"""A worker: a process that trains whatever is to be trained, until it is asked to stop. Any number of them may run."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import TextIO, cast

import sqlalchemy
import structlog

from search import schema, tracing
from search.claims import allotments, finalist_choice, finalization, sent_weights
from search.claims.claiming import BUILT_IN
from search.claims.workers import worker_seen, worker_stopped
from search.errors import DatabaseUnavailable, SchemaMissing, SettingsInvalid, StoreUnavailable
from search.logs import Lines
from search.optuna_bridge import study
from search.optuna_bridge.repair import Repairer
from search.settings import Settings, read_settings
from search.states import TERMINAL_JOBS, JobState
from search.storage import tables
from search.storage.db import open_database
from search.storage.patience import with_retries
from search.storage.store import open_store
from search.worker.allotting import hand_out_one
from search.worker.context import Context, Interruption, Stopped
from search.worker.engine_cache import EngineCache
from search.worker.engine_choice import EngineChooser
from search.worker.finalists import FinalistSelector
from search.worker.heartbeat import Heartbeat
from search.worker.job_finalizer import JobFinalizer
from search.worker.shared_files import prepare
from search.worker.training_loop import TrainingLoop
from trainers import run
from trainers.engines import memory
from trainers.inventory import inventory

SCHEMA_SECONDS = 60.0  # how long to wait for somebody to migrate
TRACES_SECONDS = (0.5, 2.0)  # what delivering the last spans may take: at least, and at most
_CONCLUDABLE = sqlalchemy.select(
    sqlalchemy.exists().where(
        BUILT_IN,
        sqlalchemy.or_(
            *(sqlalchemy.and_(*waits()) for waits in (finalist_choice.waits, finalization.waits, allotments.waits))
        ),
    )
)
_log = structlog.get_logger(__name__)


def run_worker(settings: Settings, *, exit_when_idle: bool = False, interruption: Interruption | None = None) -> None:
    """Trains until `interruption` asks to stop, or, with `exit_when_idle`, until every job has ended or is paused.

    DatabaseUnavailable and SchemaMissing where there is no database to work with, StoreUnavailable without a store.
    """
    if settings.threads is not None:
        run.set_threads(settings.threads)
    interruption = interruption or Interruption()
    run.find_weights(settings.hf_root)
    for plugin, why in run.load_plugins(settings.plugin_names).items():
        _log.error("plugin cannot be loaded", plugin=plugin, reason=why)
    database, files = open_database(settings.database_url), open_store(settings)
    worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(3)}"
    traced = tracing.configure("thermowell-worker", worker_id)
    try:
        with interruption.breakable():
            if (
                settings.artifact_store is not None
            ):  # a folder may be full, or not mounted yet: its jobs wait and say so
                files.check()
            schema.wait_for_schema(database, SCHEMA_SECONDS)
            opened = partial(study.optuna_storage, database, settings.optuna_proxy)
            storage = with_retries(opened, interruption.asked, SCHEMA_SECONDS)
        context = Context(
            worker_id=worker_id,
            settings=settings,
            database=database,
            storage=storage,
            files=files,
            capabilities=run.capabilities(),
            interruption=interruption,
        )
        with structlog.contextvars.bound_contextvars(worker=worker_id):
            _serve(context, exit_when_idle)
    finally:
        files.close()
        database.close()
        if traced:
            least, most = TRACES_SECONDS
            remaining = signal.getitimer(signal.ITIMER_REAL)[0] if interruption.asked.is_set() else most
            tracing.close(max(least, min(most, remaining)))


def _serve(context: Context, exit_when_idle: bool) -> None:
    settings = context.settings
    sessions = EngineCache(partial(prepare, context), EngineChooser(settings, context.preparation))

    def seen() -> None:
        engines = sessions.status()
        current = {"waits_for": context.rests.waits_for, "preparing": context.preparation.document()}
        worker_seen(
            context.database,
            context.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            lanes=sum(engine["lanes"] for engine in engines),
            capabilities=context.capabilities | {name: value for name, value in current.items() if value},
            engines=engines,
            labels=context.labels,
            lease_seconds=settings.lease_seconds,
            database_errors=context.database.failures,
        )

    heartbeat = Heartbeat(context.database, context.worker_id, settings.lease_seconds, seen)
    context.preparation.tell = heartbeat.try_to_tell
    repairer = Repairer(context.database, context.storage, settings.lease_seconds)
    work = TrainingLoop(context, sessions, heartbeat)
    finalizer = JobFinalizer(context, sessions, heartbeat, repairer)
    selector = FinalistSelector(context, heartbeat)
    _look_at_data(context)
    context.patiently(heartbeat.beat)
    heartbeat.start()
    _log.info("worker started", device=context.capabilities["device"], engine=settings.engine, lanes=settings.lanes)
    try:
        _loop(context, work, selector, finalizer, repairer, exit_when_idle)
    except Stopped:
        pass
    finally:
        work.drain()
        sessions.close()
        heartbeat.stop()
        try:
            worker_stopped(context.database, context.worker_id)
        except DatabaseUnavailable as error:
            _log.warning("database does not answer", error=str(error))
        _log.info("worker stopped")


def _loop(
    context: Context,
    work: TrainingLoop,
    selector: FinalistSelector,
    finalizer: JobFinalizer,
    repairer: Repairer,
    exit_when_idle: bool,
) -> None:
    stop_event, lease_seconds = context.interruption.asked, context.settings.lease_seconds
    next_repair = time.monotonic()
    while not stop_event.is_set():
        if time.monotonic() >= next_repair:
            context.patiently(repairer.run)
            context.patiently(work.checkpoint_store.sweep)
            unused_seconds = 86_400 * context.settings.weights_days
            context.patiently(partial(sent_weights.sweep, context.database, context.files, unused_seconds))
            _look_at_data(context)
            next_repair = time.monotonic() + lease_seconds
        if work.admitter.due():
            while not stop_event.is_set() and context.patiently(partial(_any_to_conclude, context)):
                if not (selector.choose_one() or finalizer.close_one() or _hand_out(context)):
                    break
            work.admitter.fill()
            idle = not work.sessions.taken() and not stop_event.is_set()
            if idle and _hand_out(context, allotments.PATIENCE):
                work.admitter.fill()
        if work.sessions.taken():
            work.step()
        elif work.admitter.due():
            continue  # something ended while the lanes were being filled
        elif exit_when_idle and context.patiently(partial(_all_ended, context)):
            context.patiently(repairer.run)
            return
        else:
            work.admitter.wait()


def _look_at_data(context: Context) -> None:
    """Notes data and local models that are there, for later heartbeats: these must not wait for a disk that hangs."""
    context.capabilities["data"] = inventory(context.settings.data_root)
    if context.settings.hf_root is not None:
        context.capabilities["local_models"] = run.local_model_names()


def _any_to_conclude(context: Context) -> bool:
    """Whether jobs wait for finalists, an answer or more trials. Each trial's end asks, and nearly always none does."""
    with context.database.look() as connection:
        return bool(connection.execute(_CONCLUDABLE).scalar_one())


def _hand_out(context: Context, patience: float | None = None) -> bool:
    """Hands out trials of an adaptive study; False where none waits for that."""
    return context.patiently(partial(hand_out_one, context.database, BUILT_IN, patience))


def _all_ended(context: Context) -> bool:
    jobs = tables.jobs.c
    unfinished = jobs.state.not_in([*TERMINAL_JOBS, JobState.PAUSED])
    going_on = sqlalchemy.select(jobs.id).where(unfinished, BUILT_IN).limit(1)
    with context.database.read() as connection:
        return connection.execute(going_on).one_or_none() is None


@contextmanager
def _signals(interruption: Interruption, grace_seconds: float) -> Iterator[None]:
    """SIGTERM and SIGINT ask to stop, within the grace period; a second one ends the process at once, as without us."""

    def handle(number: int, _frame: FrameType | None) -> None:
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signal_number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, grace_seconds)
        interruption.ask()

    def time_is_up(_number: int, _frame: FrameType | None) -> None:
        interruption.out_of_time()

    handlers = {signal.SIGTERM: handle, signal.SIGINT: handle, signal.SIGALRM: time_is_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in before.items():
            signal.signal(number, handler)


def configure_logging() -> None:
    """Lines on stderr: coloured and aligned for a terminal, JSON for anything else."""
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            tracing.log_ids,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([] if terminal else [structlog.processors.format_exc_info]),
            # plain: a traceback with all its locals, tensors among them, takes seconds to draw
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
            if terminal
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, Lines(sys.stderr))),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m search.worker`, configured by THERMOWELL_*. 0 after a stop; 1: no database, no store; 2: settings."""
    parser = argparse.ArgumentParser(prog="python -m search.worker", description=__doc__)
    parser.add_argument("--lanes", type=int, help="students to train at once, at most (THERMOWELL_LANES)")
    parser.add_argument("--exit-when-idle", action="store_true", help="stop once every job has ended or is paused")
    options = parser.parse_args(arguments)
    try:
        settings = read_settings(Settings, **({} if options.lanes is None else {"lanes": options.lanes}))
    except SettingsInvalid as error:
        print(error, file=sys.stderr)
        return 2
    configure_logging()
    memory.keep_freed()
    interruption = Interruption(threading.Event())
    try:
        with _signals(interruption, settings.grace_seconds):
            run_worker(settings, exit_when_idle=options.exit_when_idle, interruption=interruption)
    except Stopped:
        return 0
    except (DatabaseUnavailable, SchemaMissing, StoreUnavailable) as error:
        if interruption.asked.is_set():  # it was to stop in any case, and what it held expires
            _log.warning("stopped without a database", error=str(error))
            return 0
        _log.error("worker cannot go on", error=str(error), database=settings.safe_database_url)
        return 1
    return 0
