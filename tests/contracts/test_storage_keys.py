"""A key opens what it should and nothing else, and nobody can read it back."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from sqlalchemy import select, update

from search.errors import NotFound
from search.records import Principal
from search.requests import keys
from search.storage import tables
from search.storage.db import Database
from tests.search.factories import at_once


def test_a_key_opens_what_its_scopes_say(db: Database) -> None:
    assert not keys.any_keys(db)
    key, secret = keys.create_key(db, "ci", ["submit", "read"])
    assert keys.any_keys(db)
    assert secret.startswith(f"tw_{key.id}_")
    assert keys.verify_key(db, secret) == Principal(key.id, "ci", frozenset({"read", "submit"}))
    assert keys.list_keys(db)[0].scopes == frozenset({"read", "submit"})


def test_the_secret_cannot_be_read_back(db: Database) -> None:
    key, secret = keys.create_key(db, "ci", ["read"])
    with db.read() as connection:
        row = connection.execute(select(tables.keys)).one()
    assert row.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert all(secret[len(key.id) + 4 :] not in str(column) for column in row)


def test_nothing_else_opens(db: Database) -> None:
    key, secret = keys.create_key(db, "ci", ["read"])
    other, other_secret = keys.create_key(db, "other", ["admin"])
    tail = other_secret.removeprefix(f"tw_{other.id}_")
    guesses = [secret[:-1], secret + "A", secret.upper(), secret.swapcase(), f"tw_{key.id}_{tail}", f"tw_{key.id}_"]
    for guess in [*guesses, "", "x", "\x00", "\ud800", "tw_\x00_" + "x" * 30, "x" * 100_000, key.id]:
        assert keys.verify_key(db, guess) is None, guess


def test_comparing_takes_the_same_time_for_all(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    constant_time = hmac.compare_digest

    def compare(ours: str, theirs: str) -> bool:
        compared.append((ours, theirs))
        return constant_time(ours, theirs)

    key, secret = keys.create_key(db, "ci", ["read"])
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for presented in (secret, f"tw_{key.id}_{'x' * 43}", f"tw_{'0' * 12}_{'x' * 43}", "nonsense"):
        keys.verify_key(db, presented)
    assert len(compared) == 4
    assert {(len(ours), len(theirs)) for ours, theirs in compared} == {(64, 64)}


def test_a_revoked_key_opens_nothing(db: Database) -> None:
    key, secret = keys.create_key(db, "ci", ["read"])
    revoked = keys.revoke_key(db, key.id)
    assert revoked.revoked_at is not None
    assert keys.verify_key(db, secret) is None
    assert keys.revoke_key(db, key.id).revoked_at == revoked.revoked_at
    assert keys.any_keys(db)  # else revoking the last one would open the service to everybody
    for key_id in ("", "\x00", "0" * 12, "x" * 1000):
        with pytest.raises(NotFound):
            keys.revoke_key(db, key_id)


def test_a_secret_from_a_file_is_registered_once(db: Database) -> None:
    presented = "correct-horse-battery-staple"
    registered = at_once([lambda: keys.register_key(db, "admin", ["admin"], presented)] * 4)
    assert len({key.id for key in registered}) == len(keys.list_keys(db)) == 1
    principal = keys.verify_key(db, presented)
    assert principal is not None
    assert principal.may("dashboard")


def test_names_are_short_and_printable(db: Database) -> None:
    for name in ("", "x" * 101, "a\x00b", "\ud800"):
        with pytest.raises(ValueError, match="name"):
            keys.create_key(db, name, ["read"])


def test_an_id_that_is_taken_is_refused(db: Database) -> None:
    key, _ = keys.create_key(db, "ci", ["read"])
    with pytest.raises(ValueError, match="another key"):
        keys.register_key(db, "admin", ["admin"], f"tw_{key.id}_{'x' * 43}")


def test_guessable_secrets_and_unknown_scopes_are_refused(db: Database) -> None:
    with pytest.raises(ValueError, match="20 to"):
        keys.register_key(db, "admin", ["admin"], "short")
    for scopes in ([], ["root"]):
        with pytest.raises(ValueError, match="read, submit"):
            keys.create_key(db, "ci", scopes)  # type: ignore[arg-type]


def test_use_is_noted_once_a_minute(db: Database) -> None:
    _, secret = keys.create_key(db, "ci", ["read"])
    assert keys.list_keys(db)[0].last_used_at is None
    keys.verify_key(db, secret)
    first = keys.list_keys(db)[0].last_used_at
    assert first is not None
    keys.verify_key(db, secret)
    assert keys.list_keys(db)[0].last_used_at == first
    with db.write() as connection:
        connection.execute(update(tables.keys).values(last_used_at=tables.keys.c.last_used_at - 61))
    keys.verify_key(db, secret)
    last = keys.list_keys(db)[0].last_used_at
    assert last is not None
    assert last >= first
