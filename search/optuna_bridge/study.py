"""The mirror of a job's trials in Optuna's study, which repeats what our tables already hold.

Where Optuna's tables lie beside ours, a trial's end is written into both in one transaction; where they are reached
through Optuna's proxy, which commits by itself, Optuna is told afterwards. Ours are the truth; everything here may be
repeated, by anybody, and what was told before stays as it was. What is trained next is asked for in `asking`.
"""

from __future__ import annotations

import copy
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import optuna
import sqlalchemy
import structlog
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from search.claims.claiming import Claim
from search.claims.reporting import Unmirrored
from search.errors import DatabaseUnavailable
from search.optuna_bridge import mirror
from search.pruners import pruner_factory
from search.samplers.tpe import Columns
from search.spec.job import JobSpec
from search.states import Arm, TrialState
from search.storage import outages
from search.storage.db import Database, engine_options
from search.storage.rows import optuna_study_name

Storage = optuna.storages.BaseStorage
Direction = Literal["maximize", "minimize"]

WORST_TOLD = ("diverged", "infeasible")
"""Reasons of failures that say something of the configuration."""
NUMERICAL = (ArithmeticError, ValueError, IndexError, AssertionError, RuntimeWarning)
"""What numerics raise that have come to an end: LinAlgError is a ValueError; warnings are raised where they are errors.
"""
_log = structlog.get_logger(__name__)


def create_optuna_tables(database: Database) -> None:
    """Creates Optuna's tables, or brings them up to this version of Optuna. Only `migrate` calls it, under its lock."""
    with converted():
        options = engine_options(database.engine.url)
        storage = optuna.storages.RDBStorage(_url(database), options, skip_compatibility_check=True)
        if storage.get_current_version() != storage.get_head_version():
            storage.upgrade()
        storage.remove_session()
        storage.engine.dispose()


@dataclass(slots=True)
class StudyState:
    """What a process remembers of a study."""

    study_id: int
    directions: Sequence[StudyDirection]
    columns: Columns = field(default_factory=Columns)


_known: weakref.WeakKeyDictionary[Storage, dict[str, StudyState]] = weakref.WeakKeyDictionary()
_ids: weakref.WeakKeyDictionary[Storage, dict[str, int]] = weakref.WeakKeyDictionary()  # of studies that are told of
MOST_IDS = 16_384


def optuna_storage(database: Database, proxy: str | None = None) -> Storage:
    """Optuna's storage in our database, whose tables `migrate` has created; few connections, checked as ours are.

    With `proxy`, the host:port of an `optuna.storages.run_grpc_proxy_server`, it is that one's: only our own tables are
    reached from here.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would say on stderr what our events say
    if proxy is not None:
        return _proxied(proxy)
    with converted():
        storage = mirror.MirrorStorage(
            database,
            _url(database),
            engine_kwargs={"pool_size": 1, "max_overflow": 2, **engine_options(database.engine.url)},
            skip_table_creation=True,
        )
        database.configure(storage.engine)
        storage.engine.dispose()  # the connections made so far know nothing of the settings
    return optuna.storages.get_storage(storage)


def should_prune(storage: Storage, claim: Claim, number: int, epoch: int, value: float) -> bool:
    """Mirrors the value at a rung and answers whether the trial is to stop there.

    What an earlier attempt reported stays, and a rung that it passed is not asked again: the same seed passes it. The
    last one it reported is, since that attempt may have been lost before its answer was written down.
    """
    with converted():
        name = optuna_study_name(claim.job_id, claim.arm)
        known = known_study(storage, name)
        backend = mirror_of(storage)
        if backend is not None:
            with backend.database.write() as connection:
                mirror.report_step(connection, known.study_id, number, epoch, value)
        else:
            trial_id = id_of(storage, name, number)
            if epoch not in storage.get_trial(trial_id).intermediate_values:
                storage.set_trial_intermediate_value(trial_id, epoch, value)
        trial = storage.get_all_trials(known.study_id, deepcopy=False)[number]
        if epoch < max(trial.intermediate_values):
            return False
        return _stops(storage, name, claim.spec, claim.arm, trial)


def would_prune(storage: Storage, spec: JobSpec, arm: Arm, name: str, number: int, steps: Mapping[int, float]) -> bool:
    """As `should_prune`, of values at rungs that are not written down yet: whoever asks writes them, and the trial's
    end where it stops, in one transaction.
    """
    with converted():
        known = known_study(storage, name)
        trial = copy.deepcopy(storage.get_all_trials(known.study_id, deepcopy=False)[number])
        trial.intermediate_values = {**steps, **trial.intermediate_values}
        if max(steps) < max(trial.intermediate_values):
            return False
        return _stops(storage, name, spec, arm, trial)


def step_writer(storage: Storage, name: str, number: int, steps: Mapping[int, float]) -> Callable[[Any], None] | None:
    """What writes values at rungs, in the caller's transaction; None where that is not possible."""
    if not mirror_of(storage):
        return None
    with converted():
        study_id = known_study(storage, name).study_id

    def write(connection: sqlalchemy.Connection) -> None:
        for epoch, value in sorted(steps.items()):
            mirror.report_step(connection, study_id, number, epoch, value)

    return write


def _stops(storage: Storage, name: str, spec: JobSpec, arm: Arm, trial: FrozenTrial) -> bool:
    study = optuna.load_study(study_name=name, storage=storage, pruner=pruner_factory.build_pruner(spec, arm))
    try:
        return study.pruner.prune(study, trial)
    except NUMERICAL as error:  # nobody is stopped by numbers that have come to an end
        detail = f"{type(error).__name__}: {error}"[:500]
        _log.warning("a pruner failed; the trial goes on", study=name, trial=trial.number, error=detail)
        return False


def mirror_writer(storage: Storage, trial_end: Unmirrored) -> Callable[[sqlalchemy.Connection], object] | None:
    """What tells Optuna how a trial of ours ended, in the caller's transaction; None where that is not possible.

    It does nothing where Optuna was told before or the study is gone. A student that diverged or was infeasible is told
    as pruned at its epoch with the worst value, so that the sampler learns from it; other failures say nothing of the
    configuration.
    """
    if not mirror_of(storage):
        return None
    name = optuna_study_name(trial_end.job_id, trial_end.arm)
    value, state = _as_told(trial_end)
    steps = {trial_end.epoch: value} if state is OptunaState.PRUNED and value is not None else {}

    def tell(connection: sqlalchemy.Connection) -> None:
        study_id = _id_within(storage, connection, name)
        if study_id is not None:
            mirror.end_trial(connection, study_id, trial_end.optuna_number, state, value, steps, _last_words(trial_end))

    return tell


def _id_within(storage: Storage, connection: sqlalchemy.Connection, name: str) -> int | None:
    """A study's id, asked for in the caller's transaction where it is not known; None where there is no such study."""
    state = _known.get(storage, {}).get(name)
    if state is not None:
        return state.study_id
    ids = _ids.setdefault(storage, {})
    if name not in ids:
        study_id = mirror.study_id_of(connection, name)
        if study_id is None:
            return None
        if len(ids) >= MOST_IDS:
            ids.clear()
        ids[name] = study_id
    return ids[name]


def mirror_end(storage: Storage, trial_end: Unmirrored) -> None:
    """Tells Optuna how a trial of ours ended, as `telling` does, in a transaction of its own."""
    backend, tell = mirror_of(storage), mirror_writer(storage, trial_end)
    if backend is not None and tell is not None:
        with backend.database.write() as connection:
            tell(connection)
        return
    with converted():
        try:
            trial_id = id_of(storage, optuna_study_name(trial_end.job_id, trial_end.arm), trial_end.optuna_number)
            before = storage.get_trial(trial_id)
            if before.state.is_finished():
                return
            value, state = _as_told(trial_end)
            if state is OptunaState.PRUNED and value is not None:
                if trial_end.epoch in before.intermediate_values:
                    value = before.intermediate_values[trial_end.epoch]
                else:
                    storage.set_trial_intermediate_value(trial_id, trial_end.epoch, value)
            for key, word in _last_words(trial_end).items():
                storage.set_trial_user_attr(trial_id, key, word)
            storage.set_trial_state_values(trial_id, state, None if value is None else [value])
        except (KeyError, optuna.exceptions.UpdateFinishedTrialError):
            return  # its study is gone, or somebody else told it in between, from the same row


def _last_words(trial_end: Unmirrored) -> dict[str, Any]:
    return {"epochs": trial_end.epoch} | ({} if trial_end.reason is None else {"reason": trial_end.reason.detail})


def delete_studies(database: Database, job_id: str) -> None:
    """Deletes a job's studies, those that exist."""
    with database.write() as connection:
        mirror.delete_studies(connection, [optuna_study_name(job_id, arm) for arm in Arm])


def close_storage(storage: Storage) -> None:
    """Gives the storage's connections back."""
    backend = mirror_of(storage)
    storage.remove_session()
    if backend is not None:
        backend.engine.dispose()
    elif isinstance(storage, optuna.storages.GrpcStorageProxy):
        storage.close()


def running_numbers(storage: Storage, name: str) -> set[int]:
    """The numbers of a study's RUNNING trials; none where there is no such study."""
    with converted():
        try:
            study_id = storage.get_study_id_from_name(name)
        except KeyError:
            return set()
        trials = storage.get_all_trials(study_id, deepcopy=False, states=(OptunaState.RUNNING,))
        return {trial.number for trial in trials}


def fail_running(storage: Storage, name: str, number: int) -> None:
    """Fails a trial that was asked for and belongs to nobody; does nothing where it has ended."""
    with converted():
        try:
            study = optuna.load_study(study_name=name, storage=storage)
            study.tell(number, state=OptunaState.FAIL, skip_if_finished=True)
        except (KeyError, optuna.exceptions.UpdateFinishedTrialError):
            return


def _as_told(trial_end: Unmirrored) -> tuple[float | None, OptunaState]:
    if trial_end.state is TrialState.COMPLETED:
        return trial_end.value, OptunaState.COMPLETE
    if trial_end.state is TrialState.PRUNED:
        return trial_end.value, OptunaState.PRUNED
    if trial_end.reason is not None and trial_end.reason.type in WORST_TOLD:
        return trial_end.worst, OptunaState.PRUNED
    return None, OptunaState.FAIL


def _url(database: Database) -> str:
    return database.url.replace("{", "{{").replace("}", "}}")  # Optuna formats it


def mirror_of(storage: Storage) -> mirror.MirrorStorage | None:
    """The storage behind Optuna's cache, where its tables lie beside ours; None behind a proxy."""
    backend = getattr(storage, "_backend", storage)
    return backend if isinstance(backend, mirror.MirrorStorage) else None


def known_study(storage: Storage, name: str, direction: Direction | None = None) -> StudyState:
    """What is remembered of a study. KeyError where there is none, unless a direction to create it with is given."""
    studies = _known.setdefault(storage, {})
    if name not in studies:
        try:
            study_id = storage.get_study_id_from_name(name)
        except KeyError:
            if direction is None:
                raise
            optuna.create_study(study_name=name, storage=storage, direction=direction, load_if_exists=True)
            study_id = storage.get_study_id_from_name(name)
        studies[name] = StudyState(study_id, storage.get_study_directions(study_id))
    return studies[name]


def _proxied(address: str) -> Storage:
    host, _, port = address.rpartition(":")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.GrpcStorageProxy(host=host, port=int(port))


def id_of(storage: Storage, name: str, number: int) -> int:
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(name), number)


@contextmanager
def converted() -> Iterator[None]:
    """An outage of the database is the same to callers whether Optuna asked it or we did.

    An engine that has our habits tells it so by itself; this is for those that Optuna has just made.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sqlalchemy.exc.SQLAlchemyError) as error:
        unavailable = outages.unavailable(error) or outages.unavailable(error.__cause__)
        if unavailable is None:
            raise
        raise unavailable from error
    except Exception as error:
        grpc = sys.modules.get("grpc")  # loaded by who speaks to a proxy
        if grpc is None or not isinstance(error, grpc.RpcError):
            raise
        raise DatabaseUnavailable(
            "Optuna's proxy did not answer: start it with `thermowell optuna-proxy`, or unset THERMOWELL_OPTUNA_PROXY"
        ) from error
