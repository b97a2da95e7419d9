"""docs/architecture.md names files that exist, and rooms that import-linter knows."""

from __future__ import annotations

import ast
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


CHANGES = {
    "an optimizer": {
        "trainers/registry/optimizers.py": "OPTIMIZERS",
        "trainers/training/optim.py": "BINDINGS",
        "trainers/engines/bank_kernels.py": "BINDINGS",
    },
    "a loss": {"trainers/registry/losses.py": "LOSSES", "trainers/training/methods.py": "TERMS"},
    "a model": {"trainers/registry/models.py": "MODELS"},
    "a data set": {"trainers/registry/datasets.py": "DATASETS"},
    "a sampler": {"search/samplers/sampler_factory.py": "build_sampler", "search/spec/job.py": "SamplerSpec"},
    "a pruner": {"search/pruners/pruner_factory.py": "build_pruner", "search/spec/job.py": "PrunerSpec"},
    "a route": {"service/app.py": "create_app"},
    "a plot": {"service/plots/names.py": "PLOTS"},
    "a setting of the service, or of the worker": {"service/settings.py": "Settings", "search/settings.py": "Settings"},
    "a method of the client": {"thermowell/aio/client.py": "AsyncClient"},
    "a column of a table": {"search/storage/tables.py": "trials"},
}
"""Changes, and of the files that the page names for each what in them is added to."""


@pytest.mark.parametrize("change", CHANGES)
def test_the_page_alone_says_where_a_change_goes(change: str) -> None:
    [files] = [files for name, files in ROWS if name == change]
    for path, name in CHANGES[change].items():
        assert f"`{path}`" in files
        assert name in _defined(ROOT / path), f"{path} has no {name} to add to"


def _defined(path: Path) -> set[str]:
    """The names that a module defines at its top."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


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
