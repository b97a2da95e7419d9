"""Copies of a job's teacher and given files, kept below this machine's artifact root."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

from search import tracing
from search.claims import artifacts
from search.storage import disk_faults
from search.storage.bucket import Bucket
from search.storage.disk_faults import guarded
from search.worker.context import Context
from trainers import derived, run
from trainers.errors import StorageFault, TeacherInvalid
from trainers.registry import named
from trainers.spec import Problem


def prepare(context: Context, problem: Problem) -> run.Ready:
    """Makes a problem ready, with what other machines have made of it. Raises a TrainingError, StoreUnavailable."""
    of_problem = {
        "thermowell.dataset.name": problem.data.name,
        "thermowell.teacher.fingerprint": problem.teacher_fingerprint()[:12],
        "thermowell.student.name": problem.student.name,
    }
    context.files.check_presence()
    with tracing.span("prepare teacher", of_problem):
        try:
            return _prepare(context, problem)
        except StorageFault as error:
            raise disk_faults.unavailable(error) or error from error


def _prepare(context: Context, problem: Problem) -> run.Ready:
    settings, files = context.settings, context.files
    disk_bytes = None if settings.disk_gb is None else int(settings.disk_gb * 10**9)
    if not isinstance(files, Bucket):  # then all of them see this folder
        return run.prepare(problem, run.Roots(settings.data_root, settings.artifact_root, None, disk_bytes))
    shared = Shared(files, settings.artifact_root)
    for sha256 in artifact_digests(problem):
        shared.bring(sha256)
    return run.prepare(problem, run.Roots(settings.data_root, settings.artifact_root, shared, disk_bytes))


def artifact_digests(problem: Problem) -> set[str]:
    """The digests of the files that a problem takes out of the artifact store."""
    digests = {problem.initial.artifact}
    for teacher in (problem.teacher, *problem.teacher.members):
        digests |= {teacher.artifact, teacher.origin}
    return {sha256 for sha256 in digests if sha256 is not None and not named.is_name(sha256)}


class Shared:
    """A `trainers.teaching.weight_cache.Shared`: files below `root` that have their like in the bucket."""

    def __init__(self, files: Bucket, root: Path) -> None:
        self.files, self.root = files, root
        self._brought: dict[str, str] = {}  # entity tags of what was fetched

    def bring(self, sha256: str) -> None:
        """Brings an artifact here, unless it is. TeacherInvalid where the bucket's is not what its name says."""
        path = self.root / artifacts.place(sha256)
        with guarded(f"the copy of the artifact {sha256} cannot be kept"):
            if path.is_file() and artifacts.digest_of(path) == sha256:
                return
            path.unlink(missing_ok=True)
            if self.fetch(path) and (actual := artifacts.digest_of(path)) != sha256:
                path.unlink()
                raise TeacherInvalid(f"the artifact {sha256} in the bucket is damaged: its content has sha256 {actual}")

    def fetch(self, path: Path) -> bool:
        """Brings the file, whole, with its digest if it has one; False where no machine has made it."""
        key = self._key(path)
        self._brought.pop(key, None)
        try:
            tag, sha256 = self.files.described(key)
            with self.files.reading(key) as copy, guarded(f"{path.name} cannot be written"):
                path.parent.mkdir(parents=True, exist_ok=True)
                partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
                try:
                    shutil.copyfile(copy, partial)
                    derived.unseal(path)
                    os.replace(partial, path)
                    if sha256:
                        derived.seal(path, sha256)
                finally:
                    partial.unlink(missing_ok=True)
        except FileNotFoundError:
            return False
        self._brought[key] = tag
        return True

    def settle(self, source: Path, path: Path) -> None:
        """Puts what was made here in its place, for all; where another machine was faster, theirs takes it.

        A damaged file that was fetched last makes way, unless it has done so for another machine's already.
        """
        key = self._key(path)
        tag = self._brought.get(key)
        first = self.files.put_new(key, source) if tag is None else self.files.replace(key, source, tag)
        if first or not self.fetch(path):
            with guarded(f"{path.name} cannot be written"):
                derived.unseal(path)
                os.replace(source, path)
                derived.seal(path)
        else:
            with guarded(f"{source.name} cannot be removed"):
                source.unlink()

    def _key(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()
