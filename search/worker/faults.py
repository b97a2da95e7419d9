"""Classification of errors: this machine's faults, and the job's own, which it would come to on every machine."""

from __future__ import annotations

from collections.abc import Iterator

from search.claims.attempts import Failure
from trainers.engines import memory
from trainers.errors import (
    DatasetInvalid,
    DatasetMissing,
    DiskBudgetExceeded,
    ModelUnavailable,
    TeacherInvalid,
    TrainingError,
)

# what was there when the job's trials were trained
_LACKS = (DatasetMissing, DiskBudgetExceeded, ModelUnavailable, TeacherInvalid)
_COMPUTED = (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, AssertionError, NotImplementedError)


def of_machine(error: BaseException) -> bool:
    """Whether a machine makes such errors: no room, no memory, files that cannot be read, or that others have.

    Also where it was put in other words. An OSError that came of no call of the system, as of a picture that is none,
    is only that where nobody put it in other words.
    """
    if isinstance(error, OSError):
        return True
    return any(
        isinstance(cause, _LACKS) or memory.ran_out(cause) or (isinstance(cause, OSError) and cause.errno is not None)
        for cause in _causes(error)
    )


def failure(error: BaseException) -> Failure:
    """An error of the work on a whole job, as it is written down. What is not known to last is tried again."""
    lasting = isinstance(error, _COMPUTED) and not of_machine(error)
    return Failure(words(error), lasting)


def lasting(error: TrainingError) -> bool:
    """Whether a job that was made ready cannot be closed by this error, wherever it is tried."""
    return not of_machine(error)


def only_here(error: TrainingError) -> bool:
    """Whether a job that cannot be made ready by this error could be elsewhere, if trials of it were trained."""
    return isinstance(error, DatasetInvalid) or of_machine(error)


def words(error: BaseException) -> str:
    """An error in one text."""
    return f"{type(error).__name__}: {error}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
