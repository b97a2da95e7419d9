"""Conversion of a document given as a mapping, a file or text into a request's body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SUFFIXES = (".yaml", ".yml", ".json")


def document(given: Mapping[str, Any] | Path | str | bytes) -> tuple[str | bytes, str]:
    """What to send, and its media type. A string is a file's name where it ends like one. OSError."""
    if isinstance(given, Mapping):
        return json.dumps(dict(given)), "application/json"
    if isinstance(given, Path) or (isinstance(given, str) and given.endswith(SUFFIXES) and "\n" not in given):
        file = Path(given)
        return file.read_bytes(), "application/json" if file.suffix == ".json" else "application/yaml"
    return given, "application/yaml"
