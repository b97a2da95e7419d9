"""A connection to PostgreSQL of an event loop's own, for single statements that commit by themselves.

It stands beside the pool and knows nothing of outages: what fails here is said again over the pool's connections, which
tell what is the matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg

from search.errors import DatabaseUnavailable
from search.storage import connections, outages
from search.storage.db import Database, engine_options


class LoopConnection:
    """One connection, opened at its first use and anew after each failure; one statement at a time."""

    def __init__(self, db: Database) -> None:
        self._engine = db.engine
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def execute(self, statement: str, parameters: Mapping[str, Any]) -> list[Any]:
        """A statement's rows; it is committed then. DatabaseUnavailable."""
        try:
            if self._connection is None:
                self._connection = await self._open()
            cursor = await self._connection.execute(statement.encode(), parameters)
            return await cursor.fetchall()
        except psycopg.Error as error:
            await self.close()
            raise DatabaseUnavailable(f"{outages.GONE.words}: {error}") from error
        except BaseException:
            await self.close()  # it may be in the middle of an answer
            raise

    async def close(self) -> None:
        """Closes the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        arguments, options = self._engine.dialect.create_connect_args(self._engine.url)
        options = {**options, **engine_options(self._engine.url)["connect_args"], "autocommit": True}
        connection = await psycopg.AsyncConnection.connect(*arguments, **options)
        try:
            cursor = await connection.execute("SELECT pg_backend_pid()")
            pooled = (await cursor.fetchone()) != (connection.info.backend_pid,)
        except BaseException:
            await connection.close()
            raise
        connection.prepare_threshold = None if pooled else connections.PREPARED_AFTER  # as the pool's
        return connection
