"""The environment that OpenMP and BLAS read: how threads wait, and how many there are, unless it says so itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from search.settings import SPINS, let_threads_sleep, use_one_thread

STAND_IN = """
import gc, os, runpy, sys, types
os.environ.pop("GOMP_SPINCOUNT", None), os.environ.pop("OMP_WAIT_POLICY", None)
process = types.ModuleType("search.worker.process")
frozen = lambda: gc.isenabled() and gc.get_freeze_count() > 1000
process.main = lambda: int("torch" in sys.modules or "GOMP_SPINCOUNT" not in os.environ or not frozen())
sys.modules["search.worker.process"] = process
runpy.run_module("search.worker", run_name="__main__")
"""

SERVE = """
import os, sys, types
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.pop(name, None)
from search import settings
set_threads = settings.use_one_thread
def noted():
    early.append("numpy" not in sys.modules)
    set_threads()
early, settings.use_one_thread = [], noted
server = types.ModuleType("service.server")
server.AddressTaken = OSError
server.run = lambda _: sys.exit(early != [True] or os.environ["OPENBLAS_NUM_THREADS"] != "1")
sys.modules["service.server"] = server
from service.terminal import cli_operate
cli_operate.serve(None, None)
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


@pytest.mark.parametrize(
    ("environment", "threads"),
    [({}, "1"), ({"OPENBLAS_NUM_THREADS": "4"}, "4"), ({"OMP_NUM_THREADS": "2"}, None)],
)
def test_the_service_computes_on_one_thread(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], threads: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(environment))
    use_one_thread()
    assert os.environ.get("OPENBLAS_NUM_THREADS") == threads


def test_a_service_says_so_before_numpy_is_imported() -> None:
    assert subprocess.run([sys.executable, "-c", SERVE], check=False).returncode == 0


def test_a_worker_sets_it_before_torch_is_imported() -> None:
    """What the worker's module imports before it has set the environment brings no torch along; a stand-in for what it
    runs then sees both.
    """
    assert subprocess.run([sys.executable, "-c", STAND_IN], check=False).returncode == 0
