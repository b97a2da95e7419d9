"""Display names of searched settings."""

from __future__ import annotations

from search import units


def setting(name: str) -> str:
    """A searched setting's name for people: `NAME.learning_rate` is that optimizer's."""
    owner, _, part = name.rpartition(".")
    words = part if part.endswith("kd_weight") or part == "label_weight" else part.replace("_", " ")
    return f"{units.OPTIMIZERS.get(owner, owner)} {words}" if owner else words
