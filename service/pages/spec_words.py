"""How is a job's spec written down for people to keep, and to send again?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from search.public import Job


def spec_yaml(job: Job) -> str:
    """The spec as YAML, in the order of its fields."""
    return yaml.safe_dump(_plain(job.spec), sort_keys=False, allow_unicode=True)


def _plain(value: Any) -> Any:
    """Mappings and sequences as YAML's own."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
