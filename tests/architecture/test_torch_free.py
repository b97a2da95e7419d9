"""Does the service start where torch is not installed?"""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ["torch", "torchvision", "timm", "safetensors", "sklearn", "scipy", "cmaes"]

# Stands in for an installation without the worker extra: importing any of these fails as if it were not there.
SCRIPT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {heavy}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
import importlib
importlib.import_module({module!r})
print(sorted(set({heavy}) & set(sys.modules)))
"""


@pytest.mark.parametrize("module", ["service.app", "service.cli", "search.public"])
def test_imports_without_the_worker_extra(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(heavy=HEAVY, module=module)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
