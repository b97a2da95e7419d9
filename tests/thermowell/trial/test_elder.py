"""The script's side under a real Python 3.9, the oldest that it is offered for: by hand, in files, and over HTTP."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from search.requests import trials
from search.states import TrialState
from tests.claimed import Program
from tests.search.factories import EPOCHS, ME
from tests.thermowell.trial import folders

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("elder_script.py")


def elder() -> str | None:
    """A Python 3.9: on the PATH, or of pyenv."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    kept = (str(path) for path in sorted(versions.glob("3.9.*/bin/python3.9")))
    for path in filter(None, (shutil.which("python3.9"), *kept)):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:  # pyenv's shims may not
            return path
    return None


PYTHON = elder()
pytestmark = pytest.mark.skipif(
    PYTHON is None, reason="no Python 3.9 on the PATH or in pyenv: `pyenv install 3.9` gets one"
)


def run(cwd: Path, *arguments: str, **variables: str) -> list[str]:
    """The lines that the script prints; nothing of the environment or of installed packages reaches it."""
    assert PYTHON is not None
    done = subprocess.run(
        [PYTHON, "-I", "-S", "-W", "error", str(SCRIPT), str(ROOT), *arguments],
        env=variables, cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_by_hand(tmp_path: Path) -> None:
    lines = run(tmp_path, "artifact", "optimize")
    assert "epoch 2: accuracy 0.275 (0.0 s)" in lines
    assert "student.bin (7 bytes) would be kept by the service" in lines
    assert "3.9: search None" in lines
    assert lines[-1] == "complete at epoch 1: accuracy 0.25"


@pytest.mark.parametrize("stop", [None, "pruned"])
def test_in_a_trials_folder(tmp_path: Path, stop: str | None) -> None:
    folder = folders.make(tmp_path / "trial", test=True, stage="estimate")
    with folders.deciding(folder, lambda _: stop):
        lines = run(tmp_path, "artifact", THERMOWELL_TRIAL=str(folder))
    assert lines[-1] == f"3.9: estimate {stop}"
    assert (folder / "artifacts" / "student.bin").exists() is (stop is None)
    if stop is None:
        assert folders.result(folder) == {"epoch": 4, "metrics": {"accuracy": 0.375}, "test": {"accuracy": 0.5}}


def test_over_http(own: Program, tmp_path: Path) -> None:
    pruner = {"name": "median", "min_epochs": 1, "reduction_factor": 2, "startup_trials": 1}
    space = {"kd_weight": {"low": 0.5, "high": 0.9}}
    job = own.submit(
        name="elder", budget={"trials": 4}, pruner=pruner, space=space, baselines={"share": 0}, seed=1,
        confirmation={"level": "none"},
    )  # fmt: skip
    lines = run(tmp_path, "artifact", THERMOWELL_URL=str(own.client.base_url))
    assert lines[-1] == "3.9: search pruned"
    first, reports = trials.get_trial(own.db, job.id, 0, ME)
    assert (first.state, [report.epoch for report in reports]) == (TrialState.COMPLETED, list(range(1, EPOCHS + 1)))
    assert first.configuration is not None
    assert first.value == first.configuration["kd_weight"] / 2
    assert own.client.get(f"/v1/jobs/{job.id}/artifacts/trial-0-student.bin").content == b"weights"
