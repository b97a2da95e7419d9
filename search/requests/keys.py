"""API keys: shown once, stored as a hash, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Row, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from search.claims.quotas import columns_of, current_quota, quota_of
from search.errors import DatabaseUnavailable, NotFound, Unreadable
from search.records import SCOPES, Key, Principal, Quota, Scope
from search.storage.cursors import is_text
from search.storage.db import Database, now_sql
from search.storage.rows import moment, moment_or_none
from search.storage.stored import readable
from search.storage.tables import keys

SHORTEST_SECRET = 20  # characters of a secret that the operator brings: it is hashed once, so it must not be guessable
_LONGEST_SECRET = 1024
_LONGEST_NAME = 100
_USED_SECONDS = 60.0  # how exactly `last_used_at` is kept: not every request should write
_FORM = re.compile(r"tw_([0-9a-f]{12})_[A-Za-z0-9_-]{20,}")
_OWNER = re.compile(r"[0-9a-f]{1,16}|local")
_NOBODY = "0" * 64
_UNLIMITED = Quota()


def create_key(
    db: Database, name: str, scopes: Iterable[Scope], quota: Quota = _UNLIMITED, trains_for: str | None = None
) -> tuple[Key, str]:
    """A new key, and the secret `tw_<id>_<secret>` that nobody can read again.

    With `trains_for`, an owner's id, it may train that owner's trials, and nothing else at all.
    ValueError for an unknown scope, for a quota below 1, and for other scopes than train beside `trains_for`.
    """
    if trains_for is not None:
        if set(scopes := list(scopes)) != {"train"}:
            raise ValueError("a key that trains for another owner has the scope train alone")
        if not _OWNER.fullmatch(trains_for):
            raise ValueError("an owner is a key's id (`thermowell keys list`), or local")
    key_id = secrets.token_hex(6)
    presented = f"tw_{key_id}_{secrets.token_urlsafe(32)}"
    return _insert(db, key_id, name, scopes, presented, quota, trains_for), presented


def register_key(db: Database, name: str, scopes: Iterable[Scope], presented: str) -> Key:
    """A key whose secret the operator brings (read from a file); registering the same one again changes nothing.

    ValueError where it is shorter than 20 characters, and for an unknown scope.
    """
    if not SHORTEST_SECRET <= len(presented) <= _LONGEST_SECRET:
        raise ValueError(f"a key's secret has {SHORTEST_SECRET} to {_LONGEST_SECRET} characters: draw a random one")
    return _insert(db, _id_of(presented), name, scopes, presented)


def list_keys(db: Database) -> list[Key]:
    """All keys, revoked ones too, the oldest first."""
    with db.read() as connection:
        return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created_at, keys.c.id))]


def get_key(db: Database, key_id: str) -> Key:
    """One key. NotFound."""
    with db.read() as connection:
        row = connection.execute(select(keys).where(keys.c.id == _checked_id(key_id))).one_or_none()
    if row is None:
        raise NotFound("there is no such key: `thermowell keys list` shows those that there are")
    return _key(row)


def set_quota(db: Database, key_id: str, quota: Quota) -> Key:
    """Gives a key another quota, for what it asks from now on; what it has already stays. NotFound; ValueError."""
    with db.write() as connection:
        changed = update(keys).where(keys.c.id == _checked_id(key_id)).values(**columns_of(quota)).returning(keys)
        row = connection.execute(changed).one_or_none()
    if row is None:
        raise NotFound("there is no such key: `thermowell keys list` shows those that there are")
    return _key(row)


def get_quota(db: Database, owner: str) -> Quota:
    """What an owner may have at once; nothing is limited for whoever uses an open service."""
    row = _find(db, owner)
    return _UNLIMITED if row is None else quota_of(row)


def quota_use(db: Database, owner: str) -> Quota:
    """How much an owner has of what a quota limits, now."""
    with db.read() as connection:
        return current_quota(connection, owner)


def revoke_key(db: Database, key_id: str) -> Key:
    """Ends a key at once and for good; revoking twice changes nothing. NotFound."""
    with db.write() as connection:
        criteria = keys.c.id == _checked_id(key_id)
        connection.execute(update(keys).where(criteria, keys.c.revoked_at.is_(None)).values(revoked_at=now_sql()))
        row = connection.execute(select(keys).where(criteria)).one_or_none()
    if row is None:
        raise NotFound("there is no such key: `thermowell keys list` shows those that there are")
    return _key(row)


def verify_key(db: Database, presented: str) -> Principal | None:
    """Whose key this is; None where it is nobody's or was revoked. `presented` may be any string at all.

    Hashing and comparing happen whether the key's id is known or not, so that time tells nothing of either.
    """
    stale = or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < now_sql() - _USED_SECONDS)
    with db.look() as connection:
        query = select(keys, stale.label("stale")).where(keys.c.id == _id_of(presented))
        row = connection.execute(query).one_or_none()
    matches = hmac.compare_digest(row.secret_hash if row is not None else _NOBODY, _hash(presented))
    if row is None or not matches or row.revoked_at is not None:
        return None
    if row.stale:
        with suppress(DatabaseUnavailable), db.write() as connection:  # no reason to turn the caller away
            connection.execute(update(keys).where(keys.c.id == row.id, stale).values(last_used_at=now_sql()))
    return Principal(id=row.id, name=row.name, scopes=scopes_of(row), trains_for=row.trains_for)


def any_keys(db: Database) -> bool:
    """Whether a key was ever made: revoking the last one must not open the service to everybody."""
    with db.look() as connection:
        return bool(connection.execute(select(exists().where(keys.c.id.is_not(None)))).scalar_one())


def _insert(
    db: Database,
    key_id: str,
    name: str,
    scopes: Iterable[Scope],
    presented: str,
    quota: Quota = _UNLIMITED,
    trains_for: str | None = None,
) -> Key:
    if not 0 < len(name) <= _LONGEST_NAME or not is_text(name):
        raise ValueError(f"a key's name must have 1 to {_LONGEST_NAME} characters")
    criteria = set(scopes)
    if not criteria or not criteria <= set(SCOPES):
        raise ValueError(f"scopes are one or more of {', '.join(SCOPES)}")
    values: dict[str, Any] = {"id": key_id, "name": name, "secret_hash": _hash(presented), "created_at": now_sql()}
    values |= {"scopes": [scope for scope in SCOPES if scope in criteria], **columns_of(quota)}
    values["trains_for"] = trains_for
    insert_or_ignore = (sqlite if db.dialect == "sqlite" else postgresql).insert(keys)
    with db.write() as connection:
        connection.execute(insert_or_ignore.values(**values).on_conflict_do_nothing())
        row = connection.execute(select(keys).where(keys.c.id == key_id)).one()
    if not hmac.compare_digest(row.secret_hash, _hash(presented)):
        raise ValueError("another key has this id: draw another secret")
    return _key(row)


def scopes_of(row: Any) -> frozenset[Scope]:
    """What a key may do; nothing where that cannot be read."""
    with suppress(Unreadable), readable(f"the scopes of key {row.id}"):
        if isinstance(row.scopes, list):
            return frozenset(scope for scope in SCOPES if scope in row.scopes)
        raise TypeError(f"got {str(row.scopes)[:40]}")
    return frozenset()


def _find(db: Database, key_id: str) -> Row[Any] | None:
    with db.read() as connection:
        return connection.execute(select(keys).where(keys.c.id == key_id)).one_or_none()


def _checked_id(key_id: str) -> str:
    """An id that the database may be asked for; the empty one, which nobody has, for what cannot be one."""
    return key_id if re.fullmatch("[0-9a-f]{1,16}", key_id) else ""


def _id_of(presented: str) -> str:
    """The id within a key of our own form; a secret that the operator brought is found by the head of its hash."""
    form = _FORM.fullmatch(presented)
    return form[1] if form else _hash(presented)[:12]


def _hash(presented: str) -> str:
    return hashlib.sha256(presented.encode("utf-8", "surrogatepass")).hexdigest()


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        name=row.name,
        scopes=scopes_of(row),
        quota=quota_of(row),
        created_at=moment(row.created_at),
        last_used_at=moment_or_none(row.last_used_at),
        revoked_at=moment_or_none(row.revoked_at),
        trains_for=row.trains_for,
    )
