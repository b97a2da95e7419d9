"""Weights that are known by a name and not by a digest: `package:NAME`, files of installed packages and of caches, as a
worker finds them when it starts (`trainers.zoo.packaged`), and `hf:PATH`, those of a local model. Free of torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thermowell.plugin import Argument
from trainers.registry import local_models
from trainers.registry.files import file_digest

PACKAGE = "package:"
NAME = r"package:[A-Za-z0-9][A-Za-z0-9_.-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9_.-]{0,99})?"
_PINNED = "@"
WAY_IN = (
    "`thermowell weights list` names those that are there; a package is installed beside each worker, which looks for "
    "them when it starts (docs/teachers.md)"
)


@dataclass(frozen=True, slots=True)
class NamedWeights:
    """A file of weights, the model that they fill, and how its images are prepared, as JSON has it.

    `source` is the distribution or cache that it comes from; `sha256` what the file must be, where that is known.
    """

    name: str
    path: Path
    model: str
    source: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    preprocessing: Mapping[str, Any] | None = None
    sha256: str | None = None

    def digest(self) -> str:
        """sha256 of the file. OSError."""
        return file_digest(self.path)

    def document(self) -> dict[str, Any]:
        """As plain JSON, for a worker's heartbeat. OSError."""
        return {
            "name": self.name,
            "model": self.model,
            "arguments": dict(self.arguments),
            "source": self.source,
            "sha256": self.digest(),
        }


_present: dict[str, NamedWeights] = {}


def note(weights: Iterable[NamedWeights]) -> None:
    """Notes what was found, in place of what was found before."""
    found_by_name = {entry.name: entry for entry in weights}
    _present.clear()
    _present.update(found_by_name)


def present() -> Mapping[str, NamedWeights]:
    """What this process has found, by name."""
    return _present


def is_name(reference: str) -> bool:
    """Whether it names weights of a package, a cache or a local model, and is no digest."""
    return reference.startswith((PACKAGE, local_models.PREFIX))


def digest_of(name: str) -> str | None:
    """The digest of the weights of that name; None where this process has none, or cannot read them."""
    if local_models.is_local(name):
        return local_models.fingerprint(name)
    weights = _present.get(name)
    try:
        return None if weights is None else weights.digest()
    except OSError:
        return None


def pinned(name: str, digest: str) -> str:
    """The name with the digest that it has to have."""
    return f"{name}{_PINNED}{digest}"


def parts(reference: str) -> tuple[str, str | None]:
    """A name and the digest that it was pinned to, if it was."""
    name, _, digest = reference.partition(_PINNED)
    return name, digest or None


def valid(reference: str) -> bool:
    """Whether it is written as a name is."""
    return re.fullmatch(f"{NAME}|{local_models.NAME}", reference) is not None
