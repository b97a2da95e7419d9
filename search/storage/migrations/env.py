"""Runs the scripts on the connection that `search.schema` hands over; Optuna's tables beside ours are not looked at."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, Engine

from search.storage.tables import PREFIX, VERSION_TABLE, metadata


def _ours(name: str | None, type_: str, _parents: object) -> bool:
    return type_ != "table" or (name is not None and name.startswith(PREFIX))


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        include_name=_ours,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes["connection"]
if isinstance(given, Engine):
    with given.begin() as opened:
        _run(opened)
else:
    _run(given)
