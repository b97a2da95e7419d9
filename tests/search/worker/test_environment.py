"""The environment that OpenMP reads: threads that wait give the core to others soon, unless it says how they wait."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from search.settings import SPINS, let_threads_sleep

STAND_IN = """
import os, runpy, sys, types
os.environ.pop("GOMP_SPINCOUNT", None), os.environ.pop("OMP_WAIT_POLICY", None)
process = types.ModuleType("search.worker.process")
process.main = lambda: int("torch" in sys.modules or "GOMP_SPINCOUNT" not in os.environ)
sys.modules["search.worker.process"] = process
runpy.run_module("search.worker", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("environment", "spins"),
    [
        ({}, str(SPINS)),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, None),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, None),
    ],
)
def test_threads_wait_as_one_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], spins: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(environment))
    let_threads_sleep()
    assert os.environ.get("GOMP_SPINCOUNT") == spins


def test_a_worker_sets_it_before_torch_is_imported() -> None:
    """What the worker's module imports before it has set the environment brings no torch along; a stand-in for what it
    runs then sees both.
    """
    assert subprocess.run([sys.executable, "-c", STAND_IN], check=False).returncode == 0
