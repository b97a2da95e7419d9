"""Resumption of trials: from the last checkpoint, or from the start without one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, select, update

from search.claims import leases
from search.storage.db import Database
from search.storage.tables import leases as held
from search.storage.tables import reports, trials
from trainers.spec import Metrics


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A trial's checkpoint that its worker has just saved: `epoch` epochs are behind it, `name` is its folder's."""

    token: str
    trial_id: int
    epoch: int
    name: str


def checkpoint_all(db: Database, saved: Iterable[Checkpoint]) -> set[str]:
    """Writes down, in one transaction, from where these trials can go on; earlier checkpoints count no more.

    Answers the tokens that are lost; of those nothing is written.
    """
    by_lease = {(checkpoint.token, checkpoint.trial_id): checkpoint for checkpoint in saved}
    with db.write() as connection:
        tokens = select(held).where(held.c.token.in_({token for token, _ in by_lease}))
        locked = connection.execute(tokens.order_by(held.c.subject).with_for_update())
        current = by_lease.keys() & {(lease.token, lease.trial_id) for lease in locked}
        if current:
            statement = update(trials).where(trials.c.id == bindparam("of"))
            connection.execute(
                statement.values(checkpoint=bindparam("folder"), checkpoint_epoch=bindparam("stands")),
                [
                    {"of": checkpoint.trial_id, "folder": checkpoint.name, "stands": checkpoint.epoch}
                    for key, checkpoint in by_lease.items()
                    if key in current
                ],
            )
    return {token for token, _ in by_lease.keys() - current}


def start_over(db: Database, token: str, trial_id: int) -> None:
    """Forgets a running trial's checkpoint, which is of no use, and what was reported up to it. LeaseLost."""
    with db.write() as connection:
        leases.hold(connection, token, trial_id)
        connection.execute(update(trials).where(trials.c.id == trial_id).values(checkpoint=None, checkpoint_epoch=None))
        rewind(connection, trial_id)


def rewind(connection: Connection, trial_id: int) -> tuple[Row[Any], float]:
    """Sets a trial back to its checkpoint: reports after it go, those before it stay.

    Answers its row, and how many seconds the epochs that stay took.
    """
    of_trial = trials.c.id == trial_id
    epoch = connection.execute(select(trials.c.checkpoint_epoch).where(of_trial)).scalar_one() or 0
    connection.execute(delete(reports).where(reports.c.trial_id == trial_id, reports.c.epoch > epoch))
    metrics, seconds = None, 0.0
    if epoch:
        names = [reports.c[name] for name in Metrics.__dataclass_fields__ if name in reports.c]
        of_epoch = (reports.c.trial_id == trial_id) & (reports.c.epoch == epoch)
        last = dict(connection.execute(select(*names, reports.c.metrics.label("own")).where(of_epoch)).one()._mapping)
        own = last.pop("own")
        metrics = last if own is None else own
        spent = select(func.sum(reports.c.seconds)).where(reports.c.trial_id == trial_id)
        seconds = float(connection.execute(spent).scalar_one())
    stands = update(trials).where(of_trial).values(epoch=epoch, metrics=metrics)
    return connection.execute(stands.returning(trials)).one(), seconds
