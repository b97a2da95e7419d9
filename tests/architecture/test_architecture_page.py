"""docs/architecture.md names files that exist, and rooms that import-linter knows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ROWS = re.findall(r"^\| (a[^|]+) \| (.+) \|$", PAGE, re.MULTILINE)
PATHS = sorted(set(re.findall(r"`((?:service|search|trainers|thermowell|tests)/[\w/.]+)`", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_files_exist(path: str) -> None:
    assert (ROOT / path).exists(), f"docs/architecture.md names {path}, which is not there"


def test_changes_have_their_files() -> None:
    assert len(ROWS) >= 11
    for change, files in ROWS:
        assert re.findall(r"`[\w/.]+`", files), change


@pytest.mark.parametrize(
    ("path", "imported"),
    [
        ("search/samplers/sampler_factory.py", "search.samplers.gaussian_process"),
        ("search/pruners/pruner_factory.py", "search.pruners.stratified"),
        ("search/worker/admission.py", "search.claims"),
        ("search/worker/job_finalizer.py", "search.analysis.job.build"),
        ("search/optuna_bridge/proposals.py", "search.samplers"),
        ("service/drawing.py", "service.pages"),
        ("service/app.py", "service.routes"),
    ],
)
def test_the_ways_of_the_data_import_what_they_say(path: str, imported: str) -> None:
    text = (ROOT / path).read_text()
    package, _, name = imported.rpartition(".")
    assert re.search(rf"from {re.escape(imported)}(\.\w+)* import|from {re.escape(package)} import .*\b{name}\b", text)


def test_rooms_are_those_of_the_contracts() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in contracts:
        if contract["id"] in ("search-layers", "trainers-layers"):
            for room in {name for layer in contract["layers"] for name in re.split(r" [:|] ", layer)}:
                if (ROOT / contract["containers"][0] / room).is_dir():
                    assert room in PAGE, f"docs/architecture.md does not name the room {room}"
