"""How do Optuna's tables hear of a job's trials? Asked for configurations, then told what our tables already hold.

Optuna commits on its own connections, so no write here shares a transaction with ours or carries a lease's token.
Ours are the truth; everything here may be repeated, by anybody, and what was told before stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from optuna.trial import TrialState as OptunaState

from search import pruners, samplers, space
from search.db import Database
from search.errors import DatabaseUnavailable
from search.ledger import Claim, Unmirrored
from search.rows import study_name
from search.states import Arm, TrialState
from trainers.spec import Configuration

Storage = optuna.storages.BaseStorage

# What a diverged student is told to have reached: worse than any that trained, and finite, since plots and models of
# the samplers stumble over infinities.
WORST = {"accuracy": 0.0, "ece": 1.0, "nll": 1e3}


def create_optuna_tables(database: Database) -> None:
    """Creates Optuna's tables, or brings them up to this version of Optuna. Only `migrate` calls it, under its lock."""
    with _converted():
        storage = optuna.storages.RDBStorage(_url(database), skip_compatibility_check=True)
        if storage.get_current_version() != storage.get_head_version():
            storage.upgrade()
        storage.remove_session()
        storage.engine.dispose()


def optuna_storage(database: Database) -> Storage:
    """Optuna's storage in our database, whose tables `migrate` has created; few connections, checked before use."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it would say on stderr what our events say
    with _converted():
        storage = optuna.storages.RDBStorage(
            _url(database),
            engine_kwargs={"pool_pre_ping": True, "pool_size": 1, "max_overflow": 2},
            skip_table_creation=True,
        )
        database.configure(storage.engine)
        storage.engine.dispose()  # the connections made so far know nothing of the settings
    return optuna.storages.get_storage(storage)


def ask(storage: Storage, claim: Claim) -> tuple[int, Configuration]:
    """A new trial's number in the arm's study (created at the first call), and what to train."""
    name = study_name(claim.job_id, claim.arm)
    sampler = samplers.build_sampler(claim.spec.sampler, claim.spec.seed, str(claim.arm), claim.number, claim.attempt)
    with _converted():
        try:
            study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
        except KeyError:
            study = optuna.create_study(
                study_name=name,
                storage=storage,
                sampler=sampler,
                direction=claim.spec.objective.direction,
                load_if_exists=True,
            )
        trial = study.ask()
        configuration = space.suggest(trial, claim.spec.space, claim.arm)
        trial.set_user_attr("trial", claim.number)  # the dashboard numbers a study's trials, we number a job's
        return trial.number, configuration


def should_prune(storage: Storage, claim: Claim, number: int, epoch: int, value: float) -> bool:
    """Mirrors the value at a rung and answers whether the trial is to stop there.

    What an earlier attempt reported stays, and a rung that it passed is not asked again: the same seed passes it. The
    last one it reported is, since that attempt may have been lost before its answer was written down.
    """
    with _converted():
        study = optuna.load_study(
            study_name=study_name(claim.job_id, claim.arm),
            storage=storage,
            pruner=pruners.build_pruner(claim.spec),
        )
        trial_id = _trial_id(storage, study.study_name, number)
        reported = storage.get_trial(trial_id).intermediate_values
        if epoch not in reported:
            storage.set_trial_intermediate_value(trial_id, epoch, value)
        elif epoch < max(reported):
            return False
        return study.pruner.prune(study, storage.get_trial(trial_id))


def mirror_end(storage: Storage, ended: Unmirrored) -> None:
    """Tells Optuna how a trial of ours ended; does nothing where it was told before or its study is gone.

    A diverged student is told as pruned at its epoch with the worst value, so that the sampler learns from it; other
    failures say nothing of the configuration.
    """
    with _converted():
        try:
            study = optuna.load_study(study_name=study_name(ended.job_id, ended.arm), storage=storage)
            trial_id = _trial_id(storage, study.study_name, ended.optuna_number)
        except KeyError:
            return
        value, state = _as_told(ended)
        try:
            if state is OptunaState.PRUNED and value is not None:
                if ended.epoch not in storage.get_trial(trial_id).intermediate_values:
                    storage.set_trial_intermediate_value(trial_id, ended.epoch, value)
                value = None
            study.tell(ended.optuna_number, value, state, skip_if_finished=True)
        except optuna.exceptions.UpdateFinishedTrialError:
            return  # somebody else told it in between, from the same row


def delete_studies(database: Database, job_id: str) -> None:
    """Deletes a job's studies, those that exist."""
    storage = optuna_storage(database)
    with _converted():
        for arm in Arm:
            try:
                optuna.delete_study(study_name=study_name(job_id, arm), storage=storage)
            except KeyError:
                continue
        close_storage(storage)


def close_storage(storage: Storage) -> None:
    """Gives the storage's connections back."""
    backend: Any = getattr(storage, "_backend", storage)  # Optuna wraps a database's storage in a cache
    storage.remove_session()
    backend.engine.dispose()


def running_numbers(storage: Storage, name: str) -> set[int]:
    """The numbers of a study's RUNNING trials; none where there is no such study."""
    with _converted():
        try:
            study_id = storage.get_study_id_from_name(name)
        except KeyError:
            return set()
        trials = storage.get_all_trials(study_id, deepcopy=False, states=(OptunaState.RUNNING,))
        return {trial.number for trial in trials}


def fail_running(storage: Storage, name: str, number: int) -> None:
    """Fails a trial that was asked for and belongs to nobody; does nothing where it has ended."""
    with _converted():
        try:
            study = optuna.load_study(study_name=name, storage=storage)
            study.tell(number, state=OptunaState.FAIL, skip_if_finished=True)
        except (KeyError, optuna.exceptions.UpdateFinishedTrialError):
            return


def _as_told(ended: Unmirrored) -> tuple[float | None, OptunaState]:
    if ended.state is TrialState.COMPLETED:
        return ended.value, OptunaState.COMPLETE
    if ended.state is TrialState.PRUNED:
        return ended.value, OptunaState.PRUNED
    if ended.reason is not None and ended.reason.type == "diverged":
        return WORST[ended.metric], OptunaState.PRUNED
    return None, OptunaState.FAIL


def _url(database: Database) -> str:
    return database.url.replace("{", "{{").replace("}", "}}")  # Optuna formats it


def _trial_id(storage: Storage, name: str, number: int) -> int:
    return storage.get_trial_id_from_study_id_trial_number(storage.get_study_id_from_name(name), number)


@contextmanager
def _converted() -> Iterator[None]:
    """A database that does not answer is the same to callers whether Optuna asked it or we did."""
    try:
        yield
    except optuna.exceptions.StorageInternalError as error:
        raise DatabaseUnavailable("the database did not answer Optuna") from error
    except sqlalchemy.exc.OperationalError as error:
        raise DatabaseUnavailable("the database did not answer Optuna") from error
