"""The scripts make exactly the tables that the code speaks of, and leave Optuna's alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext as Alembic
from pytest_alembic.runner import MigrationContext
from pytest_alembic.tests import (  # noqa: F401 - collected here, on both databases
    test_model_definitions_match_ddl,
    test_single_head_revision,
    test_up_down_consistency,
    test_upgrade,
)
from sqlalchemy import Engine, inspect, text

from search import schema
from search.errors import SchemaMissing
from search.optuna_bridge import study
from search.schema import check_schema, migrate
from search.storage.db import Database, open_database
from search.storage.tables import PREFIX, VERSION_TABLE, metadata


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """An empty database."""
    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def alembic_config() -> Config:
    return schema.alembic_config()


@pytest.fixture
def alembic_engine(db: Database) -> Engine:
    return db.engine


def tables_of(db: Database) -> set[str]:
    return set(inspect(db.engine).get_table_names())


def test_migrating_makes_all_tables_and_a_second_time_changes_nothing(db: Database) -> None:
    with pytest.raises(SchemaMissing, match="thermowell migrate"):
        check_schema(db)
    migrate(db)
    check_schema(db)
    made = tables_of(db)
    assert {table.name for table in metadata.sorted_tables} | {VERSION_TABLE} <= made
    assert {"studies", "trials", "alembic_version"} <= made
    migrate(db)
    assert tables_of(db) == made


def test_indexes_and_keys_are_those_of_the_code(db: Database) -> None:
    migrate(db)
    with db.read() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or name.startswith(PREFIX)}
        context = Alembic.configure(connection, opts=options | {"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


def test_optunas_tables_may_be_there_before(db: Database) -> None:
    study.create_optuna_tables(db)
    before = tables_of(db)
    migrate(db)
    check_schema(db)
    assert before < tables_of(db)


def test_going_back_leaves_optunas_tables(db: Database, alembic_runner: MigrationContext) -> None:
    migrate(db)
    alembic_runner.migrate_down_to("base")
    left = tables_of(db)
    assert {name for name in left if name.startswith(PREFIX)} == {VERSION_TABLE}
    assert "studies" in left
    with pytest.raises(SchemaMissing):
        check_schema(db)
    migrate(db)
    check_schema(db)


def test_another_version_is_refused(db: Database) -> None:
    migrate(db)
    with db.write() as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaMissing, match="9999"):
        check_schema(db)
