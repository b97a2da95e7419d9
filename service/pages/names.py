"""Display names of searched settings."""

from __future__ import annotations

from search.public import units


def setting(name: str) -> str:
    """A searched setting's name for people: `NAME.learning_rate` is that optimizer's."""
    owner, _, own = name.rpartition(".")
    words = own if own.endswith("kd_weight") or own == "label_weight" else own.replace("_", " ")
    return f"{units.OPTIMIZERS.get(owner, owner)} {words}" if owner else words
