"""Reports that decide nothing, written together: as each would be by itself, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import select

from search.claims import external, report_batch
from search.claims.measurements import OwnReport
from search.claims.report_batch import BatchedReport
from search.errors import DatabaseUnavailable
from search.records import Principal
from search.requests import keys
from search.requests.external import TrialDoor
from search.storage.db import Database
from search.storage.tables import leases, reports, trials
from service.routes.report_batches import Batches
from tests.claimed import Gone, Held, Program, expire, program
from tests.search.factories import EPOCHS, ME


@pytest.fixture
def own(db: Database, tmp_path: Path) -> Iterator[Program]:
    with program(db, tmp_path / "var") as one:
        yield one


@pytest.fixture
def said_alone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens of reports that were said by themselves, through the route."""
    tokens: list[str] = []
    alone = TrialDoor.report

    def noted(door: TrialDoor, principal: Principal, job: str, number: int, token: str, *rest: Any) -> Any:
        tokens.append(token)
        return alone(door, principal, job, number, token, *rest)

    monkeypatch.setattr(TrialDoor, "report", noted)
    return tokens


def taken(own: Program, name: str = "w") -> Held:
    held = own.take(name)
    assert held is not None
    return held


def write(db: Database, batch: Sequence[BatchedReport]) -> list[bool]:
    """What a writer answers, which is gone then."""

    async def run() -> list[bool]:
        writer = report_batch.Writer(db)
        try:
            return await writer.write(batch)
        finally:
            await writer.close()

    return asyncio.run(run())


def batched(held: Held, *entries: OwnReport, key: str | None = None, **changes: Any) -> BatchedReport:
    fields = {"key_id": key, "job_id": held.job_id, "number": held.number, "token": held.token, "entries": entries}
    return BatchedReport(**(fields | changes))


def epoch(number: int, value: float = 0.5) -> OwnReport:
    return OwnReport(number, {"accuracy": value, "nll": 2.0, "own": 1e-300}, 0.25)


def rows(db: Database, number: int) -> list[dict[str, Any]]:
    """What stands of a trial's reports, but for when they came."""
    with db.read() as connection:
        joined = select(reports).join(trials, trials.c.id == reports.c.trial_id).where(trials.c.number == number)
        found = connection.execute(joined.order_by(reports.c.epoch)).all()
    return [{**row._asdict(), "reported_at": None, "trial_id": None} for row in found]


def standing(db: Database, held: Held) -> tuple[int, Any, float | None, float | None]:
    """The trial's last epoch and metrics, and its lease's times."""
    with db.read() as connection:
        of_trial = select(trials.c.epoch, trials.c.metrics, leases.c.expires_at, leases.c.progress_at)
        joined = of_trial.outerjoin(leases, leases.c.trial_id == trials.c.id).where(trials.c.number == held.number)
        return tuple(connection.execute(joined).one())  # type: ignore[return-value]


def test_a_batch_writes_what_reports_by_themselves_write(own: Program) -> None:
    own.submit()
    first, second, alone = taken(own, "a"), taken(own, "b"), taken(own, "c")
    expire(own.db)
    entries = [epoch(2, 0.3), epoch(1, 0.7)]
    assert write(own.db, [batched(first, *entries), batched(second, epoch(1))]) == [True, True]
    external.report(own.db, ME, alone.job_id, alone.number, alone.token, entries)
    assert rows(own.db, first.number) == rows(own.db, alone.number)
    assert (
        standing(own.db, first)[:2] == standing(own.db, alone)[:2] == (2, {"accuracy": 0.3, "nll": 2.0, "own": 1e-300})
    )
    for held in (first, second):
        _, _, expires_at, progress_at = standing(own.db, held)
        assert expires_at is not None
        assert progress_at is not None
        assert expires_at - progress_at == pytest.approx(60.0, abs=5.0)
    assert own.renew(first)


def test_saying_it_again_writes_nothing_twice(own: Program) -> None:
    own.submit()
    held = taken(own)
    assert write(own.db, [batched(held, epoch(1, 0.4))]) == [True]
    before = rows(own.db, held.number)
    assert write(own.db, [batched(held, epoch(1, 0.9), epoch(2, 0.6))]) == [True]
    assert rows(own.db, held.number)[:1] == before
    assert write(own.db, [batched(held, epoch(1, 0.9))]) == [True]
    assert standing(own.db, held)[0] == 2


def test_of_what_is_another_s_nothing_is_written(own: Program) -> None:
    own.submit()
    held, other = taken(own, "a"), taken(own, "b")
    wrong = [
        batched(held, epoch(1), token="0" * 32),
        batched(held, epoch(1), number=other.number),
        batched(held, epoch(1), job_id="0" * 16),
        batched(held, epoch(1), key="0" * 12),
        batched(other, epoch(1)),
    ]
    assert write(own.db, wrong) == [False, False, False, False, True]
    assert rows(own.db, held.number) == []
    own.give_back(held)
    assert write(own.db, [batched(held, epoch(1))]) == [False]
    own.complete(other, 0.5)
    before = rows(own.db, other.number)
    assert write(own.db, [batched(other, epoch(2))]) == [False]
    assert rows(own.db, other.number) == before


def test_a_revoked_key_and_a_service_that_is_open_no_more_write_nothing(own: Program) -> None:
    own.submit()
    held = taken(own)
    key, _ = keys.create_key(own.db, "a", ["train"])
    assert write(own.db, [batched(held, epoch(1)), batched(held, epoch(2), key=key.id)]) == [False, True]
    keys.revoke_key(own.db, key.id)
    assert write(own.db, [batched(held, epoch(3), key=key.id)]) == [False]
    assert [row["epoch"] for row in rows(own.db, held.number)] == [2]


def test_what_a_trial_of_others_costs_does_not_creep_up(own: Program) -> None:
    own.submit()
    held = taken(own)
    own.report(held, 1, 0.5)
    statements: Counter[str] = Counter()
    doing = "report"
    sqlalchemy.event.listen(own.db.engine, "before_cursor_execute", lambda *_: statements.update([doing]))
    write(own.db, [batched(held, epoch(2))])  # on PostgreSQL over a connection of its own
    doing = "complete"
    external.complete(own.db, ME, held.job_id, held.number, held.token, OwnReport(EPOCHS, {"accuracy": 0.5}))
    # SQLite's driver is told to begin by a statement, and has four for a report, in the same process
    expected = {"report": 5, "complete": 11} if own.db.dialect == "sqlite" else {"complete": 10}
    assert statements == expected


def test_reports_over_http_are_batched_and_all_else_is_said_as_ever(own: Program, said_alone: list[str]) -> None:
    own.submit()
    held = taken(own)
    own.report(held, 1, 0.5)
    assert said_alone == [held.token]  # the job was not known yet
    own.report(held, 2, 0.6)
    own.report(held, 2, 0.7)
    assert said_alone == [held.token]
    assert [row["accuracy"] for row in rows(own.db, held.number)] == [0.5, 0.6]
    for document, words in (
        ({"reports": [{"epoch": 99, "metrics": {}}]}, "epochs of this job go from 1"),
        ({"reports": [{"epoch": 2, "metrics": {"accuracy": 7.0}}]}, "accuracy"),
        ({"reports": [{"epoch": 0}]}, "reports"),
    ):
        assert words in str(own.say(held, "reports", document, 422))
    label = (
        'thermowell_http_requests_total{method="POST",route="/v1/jobs/{job_id}/trials/{number}/reports",status="200"}'
    )
    assert f"{label} 3.0" in own.client.get("/metrics").text
    own.give_back(held)
    again = taken(own)
    with pytest.raises(Gone):
        own.report(held, 3, 0.9)
    own.report(again, 3, 0.8)


def test_a_rung_is_said_by_itself_and_the_epochs_between_are_not(own: Program, said_alone: list[str]) -> None:
    own.submit(pruner={"name": "median", "min_epochs": 2, "reduction_factor": 4, "startup_trials": 1})
    held = taken(own)
    own.report(held, 1, 0.5)
    said_alone.clear()
    own.report(held, 1, 0.5)
    assert said_alone == []
    own.report(held, 2, 0.6)
    assert said_alone == [held.token]


def test_a_key_that_is_revoked_says_nothing_more(own: Program, said_alone: list[str]) -> None:
    own.submit()
    held = taken(own)
    key, secret = keys.create_key(own.db, "a", ["train"], trains_for=ME.id)
    own.client.headers["Authorization"] = f"Bearer {secret}"
    own.report(held, 1, 0.5)
    own.report(held, 2, 0.5)
    assert said_alone == [held.token]
    keys.revoke_key(own.db, key.id)
    assert own.say(held, "reports", {"reports": [{"epoch": 3, "metrics": {}}]}, 401)
    del own.client.headers["Authorization"]
    assert own.say(held, "reports", {"reports": [{"epoch": 3, "metrics": {}}]}, 401)  # there is a key: it is not open
    assert [row["epoch"] for row in rows(own.db, held.number)] == [1, 2]


def test_a_connection_that_was_cut_is_told_once_and_opened_anew(own: Program) -> None:
    if own.db.dialect == "sqlite":
        return  # which has none
    own.submit()
    held = taken(own)

    async def run() -> list[list[bool]]:
        writer = report_batch.Writer(own.db)
        try:
            outcomes = [await writer.write([batched(held, epoch(1))])]
            with own.db.write() as connection:
                terminations = connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND query LIKE '%%unnest(%%'"
                )
                assert terminations.scalars().all() == [True]
            with pytest.raises(DatabaseUnavailable):
                await writer.write([batched(held, epoch(2))])
            return [*outcomes, await writer.write([batched(held, epoch(2))])]
        finally:
            await writer.close()

    assert asyncio.run(run()) == [[True], [True]]


REPORT = BatchedReport(None, "1", 0, "a" * 32, ())


def test_reports_that_come_meanwhile_are_one_batch_and_a_token_is_in_it_once() -> None:
    batches: list[int] = []

    async def write(reports: Sequence[BatchedReport]) -> list[bool]:
        assert len({report.token for report in reports}) == len(reports)
        batches.append(len(reports))
        return [True] * len(reports)

    async def run() -> list[bool]:
        gathering = Batches(write)
        tokens = [*(f"{number:032d}" for number in range(5)), *(["b" * 32] * 3)]
        said = [gathering.say(BatchedReport(None, "1", 0, token, ())) for token in tokens]
        return list(await asyncio.gather(*said))

    assert asyncio.run(run()) == [True] * 8
    assert batches == [6, 1, 1]


def test_where_a_batch_cannot_be_written_each_is_told_so_and_the_next_one_is_tried() -> None:
    outcomes: list[Any] = [DatabaseUnavailable("away"), ZeroDivisionError(), [True]]

    async def write(reports: Sequence[BatchedReport]) -> list[bool]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return list(outcome)

    async def run() -> list[bool]:
        gathering = Batches(write)
        return [await gathering.say(REPORT) for _ in range(3)]

    assert asyncio.run(run()) == [False, False, True]
