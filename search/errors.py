"""What can go wrong while asking and remembering. `slug` is stable and becomes the problem type over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ThermowellError(Exception):
    """Base of all that a caller may have to handle; the message says what to do."""

    slug = "error"


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One field of a document that was refused: its dotted path, what is wrong and what is allowed."""

    path: str
    message: str
    line: int | None = None


class SpecInvalid(ThermowellError):
    """The spec was refused; `problems` names each field."""

    slug = "spec-invalid"

    def __init__(self, problems: Sequence[FieldProblem], title: str | None = None) -> None:
        self.problems = tuple(problems)
        self.title = title  # where it was no spec that was refused
        super().__init__("; ".join(f"{p.path}: {p.message}" for p in self.problems))


class NotFound(ThermowellError):
    """No such job, trial, artifact or key, or it is another owner's."""

    slug = "not-found"


class IllegalMove(ThermowellError):
    """The job's state does not allow this move."""

    slug = "illegal-move"


class NotReady(ThermowellError):
    """The answer does not exist yet; ask again when the job has gone further."""

    slug = "not-ready"


class IdempotencyConflict(ThermowellError):
    """This Idempotency-Key was used with another body."""

    slug = "idempotency-mismatch"


class QuotaExceeded(ThermowellError):
    """The key's quota does not allow this now; the message says what it allows and who can raise it."""

    slug = "quota-exceeded"


class CursorInvalid(ThermowellError):
    """This cursor was not issued by this list."""

    slug = "cursor-invalid"


class LeaseLost(ThermowellError):
    """The lease expired or was taken over: the holder must drop the work and write nothing. Never retried."""

    slug = "lease-lost"


class TrialEnded(ThermowellError):
    """The trial has ended in another way than its holder says: nothing is left to tell. Never retried."""

    slug = "trial-ended"


class ReportRefused(ThermowellError):
    """What a program says of a trial cannot be taken: the message names what is wrong and what is allowed."""

    slug = "report-refused"


class WeightsRefused(ThermowellError):
    """A file of weights cannot be taken: the message says what is wrong with it."""

    slug = "weights-refused"


class ConverterMissing(ThermowellError):
    """The service lacks what converts weights: the message says how to add it, and what it takes without."""

    slug = "converter-missing"


class ImportRefused(ThermowellError):
    """Such a job takes no such rows from elsewhere; the message says what it takes."""

    slug = "import-refused"


class ProposerMissing(ThermowellError):
    """The API cannot ask what to train next: its `analysis` extra is missing. `pip install "thermowell[analysis]"`."""

    slug = "proposer-missing"


class SchemaMissing(ThermowellError):
    """The database has no schema, or another version's: `thermowell migrate` brings it up to date."""

    slug = "schema-missing"


class DatabaseUnavailable(ThermowellError):
    """The database does not answer; the caller may retry."""

    slug = "database-unavailable"


class StoreUnavailable(ThermowellError, OSError):
    """The artifact store does not answer, or refuses; the caller may retry. It is an OSError, as a full disk is.

    `waits_for` is what is waited for, as a job says it that cannot go on meanwhile.
    """

    slug = "store-unavailable"
    waits_for = "the artifact store"


class StoreFull(StoreUnavailable):
    """There is no room on the artifact store, or the quota on it is used up."""

    waits_for = "room on the artifact store"


class ScratchUnavailable(StoreUnavailable):
    """The machine's temporary folder has no room, or cannot be written to."""

    waits_for = "room in the temporary folder"


class ArtifactCorrupt(ThermowellError):
    """The artifact in the store does not have the digest on record."""

    slug = "artifact-corrupt"


class Unreadable(ThermowellError):
    """What is stored cannot be read by this version: the message names it and what is wrong with it."""

    slug = "unreadable"


class SettingsInvalid(ThermowellError):
    """A setting of the environment cannot be what it is; the message names each variable and what is allowed."""

    slug = "settings-invalid"


class NotStorable(ThermowellError, ValueError):
    """A document that nobody could read again: it is not stored."""

    slug = "not-storable"


class LiteratureInvalid(ThermowellError):
    """The operator's table of the literature cannot be read: the message names the file and the row."""

    slug = "literature-invalid"
