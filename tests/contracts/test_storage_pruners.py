"""Our pruners over a database: they hear of every trial at its rungs; a worker that starts anew decides the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from search.claims import reporting
from search.claims.claiming import Claim
from search.optuna_bridge import proposals, study
from search.optuna_bridge.repair import Repairer
from search.pruners import pruner_factory
from search.states import TrialState
from search.storage.db import Database
from tests.search import factories

EPOCHS, BEFORE = 8, 10


@contextmanager
def anew(db: Database) -> Iterator[study.Storage]:
    """The storage as a worker has it that has just been started."""
    opened = study.optuna_storage(db)
    try:
        yield opened
    finally:
        study.close_storage(opened)


def asked(db: Database, storage: study.Storage) -> tuple[Claim, int]:
    claim = factories.taken(db)
    number, configuration = proposals.ask(storage, claim, "w")
    reporting.attach(db, claim.token, claim.trial_id, number, configuration)
    return claim, number


@pytest.mark.parametrize("name", ["stratified", "curve", "auto"])
def test_decisions_come_from_the_storage_alone(db: Database, name: str) -> None:
    factories.submitted(
        db,
        training={"epochs": EPOCHS},
        budget={"trials": 12},
        space={"temperature": {"low": 1, "high": 1.5}, "optimizer": {"adamw": {}}},
        pruner={"name": name, "min_epochs": 2, "reduction_factor": 2, "startup_trials": 6},
    )
    with anew(db) as storage:
        for place in range(BEFORE):
            claim, number = asked(db, storage)
            halving = name == "stratified"  # it would stop worse ones
            value = 0.4 + 0.05 * place if halving else 0.9 - 0.001 * place
            for epoch in (rungs := sorted(pruner_factory.rungs(claim.spec))):
                assert not study.should_prune(storage, claim, number, epoch, value - 0.1 / epoch)
            reporting.finish(db, claim.token, claim.trial_id, TrialState.COMPLETED, value=value)
        Repairer(db, storage, 10.0).run()
        hopeless, its = asked(db, storage)
        best, its_own = asked(db, storage)
        first = (
            study.should_prune(storage, hopeless, its, rungs[0], 0.1),
            study.should_prune(storage, best, its_own, rungs[0], 0.99),
        )
    with anew(db) as storage:
        again = (
            study.should_prune(storage, hopeless, its, rungs[0], 0.1),
            study.should_prune(storage, best, its_own, rungs[0], 0.99),
        )
    assert first == again == (True, False)
