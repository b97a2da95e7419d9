"""Connections to PostgreSQL: what is set on each, and whether its server takes writes, asked before use."""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import Connection, Engine, event, exc

from search.storage.outages import READ_ONLY, Doubt

TRUSTED_SECONDS = 1.0  # for which a connection that worked is taken to work, unless it says otherwise
STILL_SECONDS = 20
"""How long a session may stand still in the middle of a transaction. A process that is frozen there holds its locks,
and nobody could take over its trials."""
PREPARED_AFTER = 5
"""So often a statement has come over a connection before it is planned for good."""
STANDING = "SELECT current_setting('transaction_read_only') = 'on', pg_is_in_recovery()"
_USED, _ASKED, _READ_ONLY, _POOLED = "thermowell_used", "thermowell_asked", "thermowell_no_writes", "thermowell_pooled"


def limit_standstill(engine: Engine) -> None:
    """Ends sessions that stand still in a transaction, and prepares statements where the session is one's own.

    Both hold behind a pooler that hands a server's session from one transaction to the next: what is set for a session
    there is set for somebody else, so that each transaction sets it for itself, and a statement that has a name would
    be looked for in another's. Elsewhere a statement that comes again and again is planned once.
    """

    @event.listens_for(engine, "connect")
    def _begin_session(connection: Any, record: Any) -> None:
        connection.prepare_threshold = None
        [server] = connection.execute("SELECT pg_backend_pid()").fetchone()
        record.info[_POOLED] = server != connection.info.backend_pid  # a pooler makes up a number of its own
        if not record.info[_POOLED]:
            connection.prepare_threshold = PREPARED_AFTER
            connection.execute(f"SET idle_in_transaction_session_timeout = '{STILL_SECONDS}s'")
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin_transaction(connection: Connection) -> None:
        settings: Any = connection.connection.dbapi_connection
        if connection.info.get(_POOLED) and not settings.autocommit:
            connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{STILL_SECONDS}s'")


def check_before_use(engine: Engine, doubt: Doubt) -> None:
    """A connection that was cut while nobody used it, or whose server takes writes no more, is replaced unheard.

    As SQLAlchemy's pool_pre_ping does, but who was here a moment ago is not asked: what the server said since, that it
    is going down or has gone, lies at our end of the socket, and to look there takes no round trip. After an outage
    everybody is asked. Where no other server is to be had than one that only reads, it may be read from, and
    `no_writes` says so to who wants to write.
    """

    @event.listens_for(engine, "checkin")
    def _used(_connection: Any, record: Any) -> None:
        record.info[_USED] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _good(connection: Any, record: Any, _fairy: Any) -> None:
        connection.read_only = None  # SQLAlchemy leaves READ WRITE behind: against what the server has by default
        fresh = _USED not in record.info
        try:
            if not _is_due(connection, record.info, doubt, fresh):
                return
            why = _ask(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            if fresh:  # its server goes just now: to try others for ever would be no answer
                raise
            raise exc.InvalidatePoolError from error
        if why is not None and not fresh:  # another connection may lead elsewhere
            doubt.rise()
            raise exc.InvalidatePoolError(why)
        record.info[_ASKED], record.info[_READ_ONLY] = time.monotonic(), why


def no_writes(connection: Connection) -> str | None:
    """Why this connection's server takes no writes, as far as that is known; None where nothing is known against it."""
    why: str | None = connection.info.get(_READ_ONLY)
    return why


def why_no_writes(only_reads: bool, in_recovery: bool) -> str | None:
    """What an answer to STANDING says against writing."""
    if in_recovery:
        return f"{READ_ONLY.words}: the server is a standby"
    return f"{READ_ONLY.words}: its transactions are read-only (default_transaction_read_only)" if only_reads else None


def _is_due(connection: Any, info: dict[str, Any], doubt: Doubt, fresh: bool) -> bool:
    """Whether the connection is asked: in doubt, unused for a while, or where its server has said something."""
    asked_at, now = info.get(_ASKED, float("-inf")), time.monotonic()
    if doubt.since is not None and asked_at <= doubt.since:
        return True
    if fresh:
        return _says_read_only(connection)
    trusted_since = asked_at if info.get(_READ_ONLY) else info[_USED]
    return now - trusted_since > TRUSTED_SECONDS or _has_something_to_say(connection.fileno())


def _ask(connection: Any) -> str | None:
    """One round trip: whether the connection works at all, and why it takes no writes."""
    before, connection.autocommit = connection.autocommit, True
    try:
        answer = connection.execute(STANDING).fetchone()
    finally:
        if not connection.closed:
            connection.autocommit = before
    return why_no_writes(*answer)


def _says_read_only(connection: Any) -> bool:
    """What PostgreSQL 14 and later tells every client at its start; a pooler may tell what was so once."""
    state = map(connection.info.parameter_status, ("in_hot_standby", "default_transaction_read_only"))
    return "on" in state


def _has_something_to_say(socket: int) -> bool:
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
