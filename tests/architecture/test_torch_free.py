"""The service starts where the worker extra, torch above all, is not installed."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
EXTRA = {re.split(r"[<>=\[]", each)[0] for each in PROJECT["project"]["optional-dependencies"]["worker"]}
HEAVY = sorted(
    module for module, owners in packages_distributions().items() if EXTRA & {each.lower() for each in owners}
)

# Stands in for an installation without the extra: importing any of its modules fails as if it were not there.
SCRIPT = """
import importlib, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
if {absent}:
    sys.meta_path.insert(0, Absent())
importlib.import_module({module!r})
print(sorted(set({heavy}) & set(sys.modules)))
"""


def imported(module: str, absent: bool) -> str:
    """The extra's modules that importing this one brings along, as a list in brackets."""
    script = SCRIPT.format(heavy=HEAVY, module=module, absent=absent)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_extra_is_known_by_its_modules() -> None:
    assert {"torch", "torchvision", "sklearn", "scipy", "safetensors"} <= set(HEAVY)
    assert imported("PIL.Image", absent=False) == "['PIL']"


MODULES = ["service.app", "service.cli"]


@pytest.mark.parametrize("module", MODULES)
def test_service_starts_without_the_extra(module: str) -> None:
    assert imported(module, absent=True) == "[]"


@pytest.mark.parametrize("module", MODULES)
def test_service_leaves_torch_alone_where_it_is_installed(module: str) -> None:
    assert "torch" not in imported(module, absent=False)  # Optuna's dashboard takes scikit-learn where it finds it


def test_the_contract_names_the_whole_extra() -> None:
    [contract] = [each for each in PROJECT["tool"]["importlinter"]["contracts"] if each["id"] == "torch-free"]
    belong_to_torch = {"functorch", "torchgen"}
    assert set(HEAVY) - belong_to_torch <= set(contract["forbidden_modules"])
