"""A browser's session opens what its key opens, and ends when it should."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update

from search.records import Principal
from search.requests import keys, sessions
from search.storage import tables
from search.storage.db import Database

HOUR = 3600.0


def begin(db: Database, presented: str) -> str:
    token = sessions.begin_session(db, presented, HOUR)
    assert token is not None
    return token


def test_a_session_may_what_its_key_may(db: Database) -> None:
    key, secret = keys.create_key(db, "ci", ["submit"])
    token = begin(db, secret)
    assert sessions.session_principal(db, token) == Principal(key.id, "ci", frozenset({"submit"}))
    assert begin(db, secret) != token


def test_only_a_good_key_begins_one(db: Database) -> None:
    key, secret = keys.create_key(db, "ci", ["read"])
    keys.revoke_key(db, key.id)
    for presented in (secret, "", "tw_000000000000_" + "x" * 30, "\ud800"):
        assert sessions.begin_session(db, presented, HOUR) is None


@pytest.mark.parametrize("guess", ["", "x", "\x00", "\ud800", "a" * 10_000])
def test_any_string_may_be_asked_for(db: Database, guess: str) -> None:
    assert sessions.session_principal(db, guess) is None
    sessions.end_session(db, guess)


def test_the_token_is_not_kept(db: Database) -> None:
    token = begin(db, keys.create_key(db, "ci", ["read"])[1])
    with db.read() as connection:
        row = connection.execute(select(tables.sessions)).one()
    assert all(token not in str(column) for column in row)
    assert sessions.session_principal(db, row.token_hash) is None


def test_it_ends_when_told_to_and_leaves_others(db: Database) -> None:
    secret = keys.create_key(db, "ci", ["read"])[1]
    mine, other = begin(db, secret), begin(db, secret)
    sessions.end_session(db, mine)
    sessions.end_session(db, mine)
    assert sessions.session_principal(db, mine) is None
    assert sessions.session_principal(db, other) is not None


def test_it_ends_with_its_key(db: Database) -> None:
    key, secret = keys.create_key(db, "ci", ["read"])
    token = begin(db, secret)
    keys.revoke_key(db, key.id)
    assert sessions.session_principal(db, token) is None


def test_it_ends_with_its_time_and_is_swept_away(db: Database) -> None:
    secret = keys.create_key(db, "ci", ["read"])[1]
    old, young = begin(db, secret), begin(db, secret)
    with db.write() as connection:
        mine = tables.sessions.c.token_hash == sessions._hash(old)
        connection.execute(update(tables.sessions).where(mine).values(expires_at=1.0))
    assert sessions.session_principal(db, old) is None
    begin(db, secret)
    with db.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.sessions)).scalar_one() == 2
    assert sessions.session_principal(db, young) is not None
