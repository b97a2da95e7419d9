"""Artifacts of jobs: each file lies once, where its digest says, whoever refers to it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Connection, Row, exists, insert, or_, select, text, update

from search.claims import leases
from search.errors import ArtifactCorrupt, NotFound, StoreUnavailable, ThermowellError
from search.records import Artifact, Principal
from search.spec.teacher import MOST_MEMBERS
from search.storage import disk_faults
from search.storage.access import visible_job
from search.storage.db import Database, now_sql
from search.storage.events import emit
from search.storage.rows import moment
from search.storage.store import Store
from search.storage.tables import artifacts, jobs, trials

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_log = structlog.get_logger(__name__)
WORK = "work"  # the key of the folder with all jobs' folders


def place(sha256: str) -> str:
    """The key of the file with this digest. ValueError for what is no digest."""
    if not _DIGEST.fullmatch(sha256):
        raise ValueError("a digest is 64 hexadecimal digits")
    return f"{sha256[:2]}/{sha256}"


def work(job_id: str) -> str:
    """The key of the folder where a job's workers keep files for each other until it is closed; no record speaks of
    them.
    """
    return f"{WORK}/{job_id}"


def digest_of(path: Path) -> str:
    """sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(files: Store, path: Path) -> str:
    """Copies a file into the store, atomically, and answers its digest; a teacher's weights come in by this way."""
    sha256 = digest_of(path)
    files.put(place(sha256), path)
    return sha256


def store(
    db: Database, files: Store, token: str, name: str, media_type: str, path: Path, trial_id: int | None = None
) -> Artifact:
    """Copies a file into the store and records it as the job's, in place of an earlier one of that name.

    Fenced by a lease of the job. LeaseLost; ValueError for a name that could be more than a name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"an artifact's name has letters, digits, dots and dashes alone, not {name!r}")
    with _copied(db, files, path) as values, db.write() as connection:
        _, lease = leases.hold_with_job(connection, token)
        values |= {"media_type": media_type, "trial_id": trial_id}
        artifact, replaced = _record(connection, files, path, lease.job_id, name, values)
        emit(connection, lease.job_id, "artifact", {"name": name, "sha256": artifact.sha256, "size": artifact.size})
    _forget_replaced(db, files, replaced)
    return artifact


def publish(db: Database, files: Store, job_id: str, name: str, media_type: str, content: bytes) -> Artifact | None:
    """Records what is made from a job's answer as its file, in place of an earlier one of that name.

    No lease guards it, since the same answer makes the same file. No event speaks of it: the job has not changed.
    None where there is no such job any more.
    """
    with disk_faults.scratch() as folder:
        path = folder / name
        path.write_bytes(content)
        with _copied(db, files, path) as values, db.write() as connection:
            job = connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update(key_share=True))
            artifact, replaced = None, [values["sha256"]]
            if job.one_or_none() is not None:
                values |= {"media_type": media_type, "trial_id": None}
                artifact, replaced = _record(connection, files, path, job_id, name, values)
    _forget_replaced(db, files, replaced)
    return artifact


def _forget_replaced(db: Database, files: Store, digests: Iterable[str]) -> None:
    """The record stands already: a file that cannot be deleted now is left, which costs room alone."""
    try:
        delete_unreferenced(db, files, digests)
    except StoreUnavailable as error:
        _log.warning("a file that was replaced is not deleted", error=str(error))


@contextmanager
def _copied(db: Database, files: Store, path: Path) -> Iterator[dict[str, Any]]:
    """Puts a file in its place before any lock is taken, since that may take long; in the block it is written down.

    Yields what the record says of its content. Where the block fails, the file is forgotten again.
    """
    sha256 = keep(files, path)
    try:
        yield {"sha256": sha256, "size": path.stat().st_size}
    except BaseException:
        with suppress(ThermowellError, OSError):
            delete_unreferenced(db, files, [sha256])
        raise


def _record(
    connection: Connection, files: Store, path: Path, job_id: str, name: str, values: dict[str, Any]
) -> tuple[Artifact, list[str]]:
    """Writes down the file that was put in its place; what it replaces, if anything, is to be forgotten afterwards."""
    of_name = (artifacts.c.job_id == job_id) & (artifacts.c.name == name)
    before = connection.execute(select(artifacts.c.sha256).where(of_name)).scalar_one_or_none()
    lock_digest(connection, values["sha256"])  # nobody forgets this file between now and the commit
    if not files.exists(place(values["sha256"])):  # forgotten between then and this lock
        files.put(place(values["sha256"]), path)
    values |= {"created_at": now_sql()}
    if before is None:
        connection.execute(insert(artifacts).values(job_id=job_id, name=name, **values))
    else:
        connection.execute(update(artifacts).where(of_name).values(**values))
    replaced = [] if before in (None, values["sha256"]) else [str(before)]
    return _artifact(connection.execute(_with_number().where(of_name)).one()), replaced


def list_artifacts(db: Database, job_id: str, principal: Principal) -> list[Artifact]:
    """A job's files by name. NotFound."""
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        query = _with_number().where(artifacts.c.job_id == job_id).order_by(artifacts.c.name)
        return [_artifact(row) for row in connection.execute(query)]


@contextmanager
def open_artifact(
    db: Database, files: Store, job_id: str, name: str, principal: Principal
) -> Iterator[tuple[Artifact, Path]]:
    """A job's file by name: its record, and where it can be read within the block, after its digest has been checked.

    NotFound; ArtifactCorrupt where the file is missing or is not what was recorded.
    """
    with db.read() as connection:
        visible_job(connection, job_id, principal)
        query = _with_number().where(artifacts.c.job_id == job_id, artifacts.c.name == name)
        row = connection.execute(query).one_or_none() if _NAME.fullmatch(name) else None
    if row is None:
        raise NotFound(f"the job has no such artifact: look at /v1/jobs/{job_id}/artifacts")
    with ExitStack() as opened:
        path = None
        with suppress(FileNotFoundError):
            path = opened.enter_context(files.reading(place(row.sha256)))
        if path is None or digest_of(path) != row.sha256:
            raise ArtifactCorrupt(
                f"the file of {name} is missing or was changed since: put the file with the sha256 {row.sha256} back"
            )
        yield _artifact(row), path


def digests_of(connection: Connection, job_id: str) -> list[str]:
    """The digests of a job's files."""
    return list(connection.scalars(select(artifacts.c.sha256).where(artifacts.c.job_id == job_id).distinct()))


def delete_unreferenced(db: Database, files: Store, digests: Iterable[str]) -> None:
    """Deletes those of the files to which neither a job's record nor a job's spec refers any more."""
    for sha256 in digests:
        with db.write() as connection:
            lock_digest(connection, sha256)
            if not is_referred(connection, sha256):
                files.delete(place(sha256))


def is_referred(connection: Connection, sha256: str) -> bool:
    """Whether a job's record, or a job's spec, refers to a file."""
    of_one: tuple[tuple[str | int, ...], ...] = (("artifact",), ("origin", "weights"))
    teachers = [("teacher",), *(("teacher", "members", number) for number in range(MOST_MEMBERS))]
    places = [(*teacher, *part) for teacher in teachers for part in of_one] + [("student", "initial", "artifact")]
    of_specs = exists().where(or_(*(jobs.c.spec[path].as_string() == sha256 for path in places)))
    referred = or_(exists().where(artifacts.c.sha256 == sha256), of_specs)
    return bool(connection.execute(select(referred)).scalar_one())


def lock_digest(connection: Connection, sha256: str) -> None:
    """Nobody else stores or forgets this file until the transaction ends; on SQLite no other writer is there."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": int(sha256[:15], 16)})


def _with_number() -> Any:
    joined = artifacts.outerjoin(trials, trials.c.id == artifacts.c.trial_id)
    return select(artifacts, trials.c.number).select_from(joined)


def _artifact(row: Row[Any]) -> Artifact:
    return Artifact(
        name=row.name,
        media_type=row.media_type,
        sha256=row.sha256,
        size=row.size,
        trial=row.number,
        created_at=moment(row.created_at),
    )
