"""A worker whose Optuna is behind its gRPC proxy: a real one, in a process of its own. Leases stay in our tables."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState as OptunaState

from search.claims import reporting
from search.claims.claiming import Claim
from search.optuna_bridge import proposals, study
from search.optuna_bridge.repair import Repairer
from search.states import TrialState
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from tests.processes import Processes, free_port
from tests.search import factories

PATIENCE = 90.0


@pytest.fixture
def proxied(db: Database, tmp_path: Path) -> Iterator[study.Storage]:
    processes, port = Processes(tmp_path), free_port()
    environment = {"THERMOWELL_DATABASE_URL": db.url}
    program = [sys.executable, "-m", "search.optuna_bridge.proxy", "--port", str(port)]
    proxy = processes.start(*program, env=environment, cwd=Path(__file__).parents[3])
    storage = study.optuna_storage(db, f"127.0.0.1:{port}")
    assert isinstance(storage, optuna.storages.GrpcStorageProxy)
    try:
        storage.wait_server_ready(timeout=PATIENCE)
        yield storage
    finally:
        study.close_storage(storage)
        proxy.signal(signal.SIGTERM)
        assert proxy.wait(PATIENCE) == 0
        processes.kill_all()


def test_a_trial_goes_its_way_through_the_proxy(db: Database, proxied: study.Storage) -> None:
    factories.submitted(db, pruner={"name": "median", "min_epochs": 1, "startup_trials": 9})
    claim = factories.taken(db)
    proposal = proposals.propose(proxied, claim, "w")
    write = proposals.numbering(proxied, proposal)
    number = reporting.attach(db, claim.token, claim.trial_id, write, proposal.configuration)
    assert not study.should_prune(proxied, claim, number, 1, 0.5)
    reporting.report(db, claim.token, claim.trial_id, factories.epoch(1))
    assert (
        study.mirror_writer(proxied, reporting.Unmirrored(*_of(claim, number))) is None
    )  # not in a transaction of ours
    reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=0.7)
    assert Repairer(db, proxied, 10.0).run() == (1, 0)
    beside = study.optuna_storage(db)
    try:
        [trial] = optuna.load_study(study_name=optuna_study_name(claim.job_id, claim.arm), storage=beside).get_trials()
    finally:
        study.close_storage(beside)
    assert (trial.state, trial.value, trial.intermediate_values) == (OptunaState.COMPLETE, 0.7, {1: 0.5})
    assert trial.params == proposal.trial.params


def _of(claim: Claim, number: int) -> tuple[Any, ...]:
    return (claim.trial_id, claim.job_id, claim.arm, number, TrialState.COMPLETED, 0.7, 1, None, 0.0)
