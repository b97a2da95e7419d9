"""Every operation of the storage through a fault of its database. On a real primary with its
standby, and behind a real PgBouncer: during the fault DatabaseUnavailable and nothing else, after it all goes on with
the same `Database`, and with Optuna's own engine.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import optuna
import psycopg
import pytest
from optuna.study import StudyDirection
from sqlalchemy import exc, text

from search.claims import leases
from search.claims.reaper import Reaper
from search.errors import DatabaseUnavailable, LeaseLost
from search.optuna_bridge.study import close_storage, converted, optuna_storage
from search.requests import jobs
from search.requests.trials import list_trials
from search.schema import check_ready, migrate
from search.states import JobState
from search.storage import connections
from search.storage.db import Database, open_database
from search.storage.patience import with_retries
from tests.pgbouncer import PgBouncer, running_pgbouncer
from tests.postgres import Postgres, running_postgres
from tests.search.factories import EXPIRED, ME, submitted, taken, train, train_all
from tests.standby import Pair

SECONDS = 30.0


@dataclass
class Client:
    """Somebody who works on a database all the time: by our operations, and through Optuna's own storage."""

    db: Database
    storage: Any = field(init=False)
    study: int = field(init=False)
    told: int = 0

    def __post_init__(self) -> None:
        self.storage = optuna_storage(self.db)
        self.study = self.storage.create_new_study([StudyDirection.MAXIMIZE])

    def read(self) -> None:
        jobs.list_jobs(self.db, ME)

    def submit(self) -> None:
        submitted(self.db)

    def tell_optuna(self) -> None:
        with converted():
            self.storage.set_study_user_attr(self.study, f"told-{self.told}", self.told)
        self.told += 1

    def ask_optuna(self) -> None:
        with converted():
            self.storage.get_all_trials(self.study)

    def add_to_optuna(self) -> None:
        with converted():
            self.storage.create_new_trial(self.study, optuna.trial.create_trial(value=1.0))

    def work(self) -> None:
        """A job from its submission to its last trial, and one trial that is given back on the way."""
        job = submitted(self.db)
        back = taken(self.db)
        leases.renew(self.db, "w", [back.token], SECONDS)
        leases.give_back(self.db, back.token)
        train_all(self.db)
        self.tell_optuna()
        self.ask_optuna()
        self.add_to_optuna()
        assert jobs.get_job(self.db, job.id, ME).state is JobState.ANALYSING
        jobs.cancel_job(self.db, job.id, ME)

    @property
    def writes(self) -> list[Callable[[], None]]:
        return [self.submit, self.tell_optuna, self.add_to_optuna, lambda: check_ready(self.db)]

    def close(self) -> None:
        close_storage(self.storage)
        self.db.close()


def client(url: str) -> Client:
    db = open_database(url)
    migrate(db)
    return Client(db)


def refused(call: Callable[[], object], words: str | None = None) -> None:
    with pytest.raises(DatabaseUnavailable, match=words):
        call()


@pytest.fixture
def both(pair: Pair) -> Iterator[Client]:
    """Client that know both servers and want whichever takes writes."""
    working = client(pair.create())
    yield working
    working.close()


def on(server: Postgres, url: str) -> str:
    """The same database at one server, whatever it is."""
    return server.url(url.split("?")[0].rsplit("/", 1)[1])


@pytest.mark.slow
def test_a_failover_is_gone_through_with_every_trial(pair: Pair, both: Client) -> None:
    job = submitted(both.db)
    claim = taken(both.db)
    both.read()
    pair.promote()
    for call in (lambda: leases.renew(both.db, "w", [claim.token], SECONDS), both.read, *both.writes):
        with_retries(call, threading.Event(), SECONDS)
    train(both.db, claim)
    train_all(both.db)
    assert {trial.attempt for trial in list_trials(both.db, job.id, ME).items} == {1}
    pair.follow()
    both.work()


@pytest.mark.parametrize("fast", [True, False], ids=["in good order", "at once"])
@pytest.mark.slow
def test_who_knows_one_server_alone_waits_while_it_is_a_standby(pair: Pair, fast: bool) -> None:
    """It reads there, as long as nothing else is to be had, and every write is refused; then it takes writes again."""
    server = pair.primary
    working = client(on(server, pair.create()))
    working.work()
    pair.fail_over(fast=fast)
    with_retries(working.read, threading.Event(), SECONDS)  # from the standby: connections to the primary are cut once
    for call in working.writes * 2:
        refused(call)
    refused(lambda: check_ready(working.db), "standby")
    refused(working.submit, "standby")  # before anything is sent
    working.read()
    pair.fail_over(fast=fast)
    for call in working.writes:
        with_retries(call, threading.Event(), SECONDS)
    working.work()
    working.close()


def test_the_pool_lets_go_of_a_node_that_only_reads(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that leads elsewhere from now on, as a name or a floating address does: connections to the old node
    still answer, and nobody tells."""
    servers = [pair.standby, pair.primary]
    url = pair.create()
    working = client(url)
    moving = [str(each.directory) for each in servers]
    at_standby, plain = True, psycopg.connect

    def connect(*given: Any, **named: Any) -> Any:
        named["host"] = moving[0] if at_standby else moving[1]
        for several in ("port", "target_session_attrs"):
            named.pop(several, None)
        return plain(*given, **named)

    monkeypatch.setattr(working.db.engine.dialect.loaded_dbapi, "connect", connect)
    working.db.engine.dispose()
    working.storage._backend.engine.dispose()
    while not pair.standby.query("SELECT pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn()")[0][0]:
        time.sleep(0.02)
    working.read()
    for call in working.writes:
        refused(call)
    at_standby = False
    monkeypatch.setattr(connections, "TRUSTED_SECONDS", 0.0)  # or a moment later
    working.work()
    monkeypatch.undo()
    working.close()


def test_a_reaper_takes_nobody_for_dead_who_could_not_write(pair: Pair, both: Client) -> None:
    """While the server only reads, leases expire which nobody can renew: it is asked all the time, and answers."""
    database = both.db.engine.url.database
    submitted(both.db)
    taken(both.db, "w", EXPIRED)
    clock = [0.0]
    pair.primary.query(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    both.db.engine.dispose()
    reader = open_database(on(pair.primary, both.db.url))
    reaper = Reaper(reader, 3.0, 1.0, lambda: clock[0])
    for _ in range(4):
        clock[0] += 1.0
        refused(reaper.run)
    pair.primary.query(f'ALTER DATABASE "{database}" RESET default_transaction_read_only')
    reader.engine.dispose()
    clock[0] += 1.0
    assert reaper.run().trials == []
    reader.close()


# Faults of one server that goes on

TABLES = ("tw_jobs", "study_user_attributes", "trials")
FAULT = """
CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'cannot be done during recovery, say' USING ERRCODE = '{state}'; END $$
"""
STATES = ["25006", "0A000", "55000", "53100", "53200", "53400", "58030", "40001", "40P01", "55P03", "57014", "57P01",
          "08006", "26000", "42P05", "XX000", "42501"]  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server whose settings and roles may be changed: nobody else's."""
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def plain(server: Postgres) -> Iterator[Client]:
    working = client(server.create())
    yield working
    working.close()


@pytest.mark.parametrize("state", STATES)
def test_whatever_a_statement_meets_is_waited_for_and_repeated(plain: Client, state: str) -> None:
    """A server that raises this state from within a statement, as it does where its disk is full."""
    with plain.db.write() as connection:
        connection.execute(text(FAULT.format(state=state)))
        for table in TABLES:
            connection.execute(text(f"CREATE TRIGGER fault BEFORE INSERT ON {table} EXECUTE FUNCTION fault()"))
    for call in (plain.submit, plain.tell_optuna, plain.add_to_optuna):
        refused(call, "cannot be done")
    with plain.db.write() as connection:
        connection.execute(text("DROP FUNCTION fault CASCADE"))
    for call in (plain.submit, plain.tell_optuna, plain.add_to_optuna):
        call()


def test_a_statement_that_is_at_fault_is_not_repeated(plain: Client) -> None:
    with plain.db.write() as connection:
        connection.execute(text(FAULT.format(state="22003")))
        connection.execute(text("CREATE TRIGGER fault BEFORE INSERT ON tw_jobs EXECUTE FUNCTION fault()"))
    with pytest.raises(exc.DBAPIError, match="cannot be done"):
        plain.submit()
    with plain.db.write() as connection:
        connection.execute(text("DROP FUNCTION fault CASCADE"))


@pytest.mark.slow
def test_sessions_that_are_ended_are_made_anew(server: Postgres, plain: Client) -> None:
    """At rest nobody hears of it; in the middle of a transaction it is told, once."""
    database = plain.db.engine.url.database

    def end_all() -> None:
        server.query(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE datname = '{database}' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

    plain.work()
    end_all()
    plain.work()

    def in_the_middle() -> None:
        with plain.db.write() as connection:
            end_all()
            connection.execute(text("SELECT 1"))

    refused(in_the_middle)
    plain.work()


@pytest.mark.slow
def test_a_database_that_is_made_read_only_is_read_and_waited_for(server: Postgres, plain: Client) -> None:
    """For all sessions, as an operator does before he copies it, and nobody is cut off."""
    plain.work()
    server.query("ALTER SYSTEM SET default_transaction_read_only = on")
    server.query("SELECT pg_reload_conf()")
    try:
        _until(lambda: _says(plain, "on"))
        for call in plain.writes:
            refused(call, "no writes|read-only")
        plain.read()
    finally:
        server.query("ALTER SYSTEM RESET default_transaction_read_only")
        server.query("SELECT pg_reload_conf()")
    _until(lambda: _says(plain, "off"))
    for call in plain.writes:
        with_retries(call, threading.Event(), SECONDS)
    plain.work()


def test_too_many_connections_are_waited_for(server: Postgres) -> None:
    url = server.create()
    migrated = client(url)
    migrated.close()
    role = "crowded"
    server.query(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 4")
    database = url.split("?")[0].rsplit("/", 1)[1]
    with psycopg.connect(host=str(server.directory), user="postgres", dbname=database) as connection:
        connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}".encode())
        connection.execute(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {role}".encode())
    working = Client(open_database(url.replace("postgres@", f"{role}@")))
    server.query(f"ALTER ROLE {role} CONNECTION LIMIT 0")
    working.db.engine.dispose()
    working.storage._backend.engine.dispose()
    for call in (*working.writes, working.read):
        refused(call, "too many connections")
    server.query(f"ALTER ROLE {role} CONNECTION LIMIT 4")
    working.work()
    working.close()
    server.drop(url)
    server.query(f"DROP ROLE {role}")


# Behind a pooler


@pytest.fixture(scope="module")
def pooler(server: Postgres) -> Iterator[PgBouncer]:
    with running_pgbouncer(server) as running:
        yield running


@pytest.fixture
def pooled(server: Postgres, pooler: PgBouncer) -> Iterator[Client]:
    """Client that reach an empty database through a pooler in transaction mode, and migrate it there."""
    direct = server.create()
    working = client(pooler.url(direct.split("?")[0].rsplit("/", 1)[1]))
    yield working
    working.close()


def test_many_share_few_sessions_behind_a_pooler(server: Postgres, pooled: Client) -> None:
    """Statements meet another session each time: nothing that was prepared or set in one may be wanted of the next."""
    rivals = [Client(open_database(pooled.db.url)) for _ in range(3)]
    with ThreadPoolExecutor(len(rivals)) as threads:
        for done in [threads.submit(_much, rival) for rival in rivals]:
            done.result()
    for rival in rivals:
        rival.close()
    assert pooled.db.failures == 0
    setting = "idle_in_transaction_session_timeout"
    with pooled.db.write() as connection:  # holds here ...
        assert connection.execute(text(f"SHOW {setting}")).scalar_one() == f"{connections.STILL_SECONDS}s"
    for _ in range(6):  # ... and in no session that somebody else may get
        with pooled.db.look() as connection:
            assert connection.execute(text(f"SHOW {setting}")).scalar_one() == "0"
    assert server.query("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_a_session_of_ones_own_is_limited_once(plain: Client) -> None:
    """Where no pooler is between, the limit costs no statement of each transaction."""
    with plain.db.look() as connection:
        setting = text("SHOW idle_in_transaction_session_timeout")
        assert connection.execute(setting).scalar_one() == f"{connections.STILL_SECONDS}s"


def test_a_pooler_that_is_restarted_is_found_again(pooler: PgBouncer, pooled: Client) -> None:
    pooled.work()
    pooler.stop()
    for call in (*pooled.writes, pooled.read):
        refused(call, "does not answer")
    pooler.start()
    pooled.work()


def test_a_server_that_is_restarted_behind_a_pooler_is_found_again(server: Postgres, pooled: Client) -> None:
    pooled.work()
    server.query(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        f" WHERE datname = '{pooled.db.engine.url.database}' AND pid <> pg_backend_pid()"
    )
    for call in (*pooled.writes, pooled.read):
        with_retries(call, threading.Event(), SECONDS)
    pooled.work()


def test_statement_pooling_is_refused_by_name(server: Postgres) -> None:
    direct = server.create()
    with running_pgbouncer(server, "statement") as pooler:
        db = open_database(pooler.url(direct.split("?")[0].rsplit("/", 1)[1]))
        refused(lambda: migrate(db), "not allowed in statement pooling mode")
        db.close()


def _much(rival: Client) -> None:
    """The same statements so often that a driver would prepare them; who meets a rival's trial leaves it to him."""
    for number in range(12):
        submitted(rival.db, name=f"job-{number}")
        try:
            claim = taken(rival.db)
            train(rival.db, claim, value=0.5)
        except LeaseLost:
            pass
        rival.tell_optuna()
        rival.add_to_optuna()
        rival.ask_optuna()
        rival.read()


def _says(working: Client, expected: str) -> bool:
    """What the server says to a session that is new."""
    with psycopg.connect(host=working.db.engine.url.query["host"], user="postgres", dbname="postgres") as connection:  # type: ignore[arg-type]
        row = connection.execute("SHOW default_transaction_read_only").fetchone()
        return row is not None and row[0] == expected


def _until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.02)  # a server that reads its settings again tells nobody
