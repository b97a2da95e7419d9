"""Every threat of the threat model has the tests that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNPICKLERS = re.compile(r"(?<!safetensors\.)\b(torch\.load|(cloud)?pickle\.loads?|(joblib|dill)\.loads?|yaml\.load)\(")


def test_every_test_that_the_threat_model_names_exists() -> None:
    rows = [line for line in (ROOT / "docs" / "threat-model.md").read_text().splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 15
    here = {
        function.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, f"no test holds: {row}"
        assert set(named) <= here, f"gone: {sorted(set(named) - here)}"


def test_nothing_from_outside_is_unpickled() -> None:
    """What is read from files or requests is safetensors, JSON, YAML's plain data, or arrays without objects."""
    for package in ("service", "search", "trainers", "thermowell"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            for found in UNPICKLERS.finditer(text):
                assert "weights_only=True" in text[found.start() : found.start() + 200], f"{path}: {found.group()}"
            assert "allow_pickle=True" not in text, path
