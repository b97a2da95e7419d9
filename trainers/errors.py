"""What can go wrong while training, each with the way out in its message. A slug is stable: it is a problem type."""

from __future__ import annotations

import errno

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class TrainingError(Exception):
    """Base: the job cannot be trained as specified; retrying the same thing elsewhere does not help."""

    slug = "training-failed"


class NameUnknown(TrainingError):
    """No such optimizer, distillation method, schedule or augmentation: a newer version may know it."""

    slug = "name-unknown"


class TooFewClasses(TrainingError):
    """A distillation method says nothing with so few classes; choose another one, or finer classes."""

    slug = "too-few-classes"


class TargetsUnsuited(TrainingError):
    """A distillation method makes no sense with labels of this kind; choose another one."""

    slug = "targets-unsuited"


class DatasetMissing(TrainingError):
    """The data set is not below the data root; `thermowell data fetch NAME` puts it there."""

    slug = "dataset-missing"


class DatasetInvalid(TrainingError):
    """The files are there but are not what the spec says (shape, type, labels, size)."""

    slug = "dataset-invalid"


class ModelUnavailable(TrainingError):
    """This worker has no such model (an extra such as timm is not installed) or it does not take these arguments."""

    slug = "model-unavailable"


class TeacherInvalid(TrainingError):
    """The teacher's weights or logits are missing, or do not fit the model or the data."""

    slug = "teacher-invalid"


class TestSplitSealed(TrainingError):
    """Somebody asked for the test part without the seal's key: it is opened once, after confirmation."""

    __test__ = False  # not a test class, whatever its name makes pytest believe

    slug = "test-split-sealed"


class DiskBudgetExceeded(TrainingError):
    """What a job needs on disk is more than the operator lets it have; fewer or smaller views and images need less."""

    slug = "disk-budget-exceeded"


class OffGrid(TrainingError):
    """A table of recorded runs has no such configuration; only the values of its grid can be asked for."""

    slug = "off-grid"


class CheckpointInvalid(Exception):
    """A half-trained student cannot go on from this checkpoint; it can be started over, so that no job fails by it."""

    slug = "checkpoint-invalid"


class StorageFault(OSError):
    """The disk below a file has failed: full, read-only, gone or not answering. No job's fault: it may be retried."""

    slug = "store-unavailable"

    @property
    def full(self) -> bool:
        """Whether room is what it lacks."""
        return self.errno in NO_ROOM
