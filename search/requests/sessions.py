"""Browser sessions: a random token, stored as a hash, that ends on sign-out, at its time, or with its key."""

from __future__ import annotations

import hashlib
import secrets

from sqlalchemy import delete, insert, select

from search.records import Principal
from search.requests.keys import scopes_of, verify_key
from search.storage.db import Database, now_sql
from search.storage.tables import keys, sessions


def begin_session(db: Database, presented: str, seconds: float) -> str | None:
    """A new session's token for who presents a key; None where the key is nobody's or was revoked.

    Sessions whose time is over are swept away here: nothing else would ever touch them.
    """
    principal = verify_key(db, presented)
    if principal is None:
        return None
    token = secrets.token_urlsafe(32)
    values = {"token_hash": _hash(token), "key_id": principal.id, "created_at": now_sql()}
    with db.write() as connection:
        connection.execute(delete(sessions).where(sessions.c.expires_at <= now_sql()))
        connection.execute(insert(sessions).values(**values, expires_at=now_sql() + seconds))
    return token


def session_principal(db: Database, token: str) -> Principal | None:
    """Whose session this is, with what the key may do now; None where it has ended. `token` may be any string."""
    valid = (
        select(keys.c.id, keys.c.name, keys.c.scopes)
        .join(sessions, sessions.c.key_id == keys.c.id)
        .where(sessions.c.token_hash == _hash(token), sessions.c.expires_at > now_sql(), keys.c.revoked_at.is_(None))
    )
    with db.read() as connection:
        row = connection.execute(valid).one_or_none()
    return None if row is None else Principal(id=row.id, name=row.name, scopes=scopes_of(row))


def end_session(db: Database, token: str) -> None:
    """Ends a session at once; ending it twice changes nothing."""
    with db.write() as connection:
        connection.execute(delete(sessions).where(sessions.c.token_hash == _hash(token)))


def _hash(token: str) -> str:
    # a token has 256 random bits: one round of hashing hides it, and looking it up by its hash tells no time
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
