"""Conversion of a document given as a mapping, a part of a spec, a file or text into a request's body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thermowell.parts import Part

SUFFIXES = (".yaml", ".yml", ".json")


def document(content: Mapping[str, Any] | Part | Path | str | bytes) -> tuple[str | bytes, str]:
    """What to send, and its media type. A string is a file's name where it ends like one. OSError."""
    if isinstance(content, Part):
        content = content.document()
    if isinstance(content, Mapping):
        return json.dumps(dict(content)), "application/json"
    if isinstance(content, Path) or (isinstance(content, str) and content.endswith(SUFFIXES) and "\n" not in content):
        file = Path(content)
        return file.read_bytes(), "application/json" if file.suffix == ".json" else "application/yaml"
    return content, "application/yaml"
