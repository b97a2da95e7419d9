"""Callbacks under the real Trainers of Hugging Face, Lightning and Keras, alone and on two ranks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.thermowell.callbacks.models import EPOCHS
from tests.thermowell.trial import folders
from thermowell.trial.folder import read_lines

FRAMEWORKS = ["huggingface", "lightning", "keras"]
STOPS_AT = 2
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
pytestmark = pytest.mark.slow


def run(folder: Path, framework: str, *launcher: str, stop: bool) -> list[str]:
    """What a script prints that trains under an agent, which stops it at an epoch or lets it train."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THERMOWELL")}
    environment |= {"THERMOWELL_TRIAL": str(folder), "KERAS_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    command = [*(launcher or [sys.executable]), "-m", "tests.thermowell.callbacks.models", framework, str(folder)]
    with folders.deciding(folder, lambda report: "pruned" if stop and report["epoch"] >= STOPS_AT else None):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return sorted(
        re.findall(r"rank \d: \d epochs, (?:None|pruned)", done.stdout)
    )  # ranks write into one another's lines


def epochs(folder: Path) -> list[int]:
    """The epochs that were reported, each once."""
    return sorted({report["epoch"] for report in read_lines(folder / "reports.jsonl")})


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_trial_stops_where_it_is_told_to_and_a_later_attempt_goes_on(framework: str, tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "trial", objective="accuracy")
    assert run(folder, framework, stop=True) == [f"rank 0: {STOPS_AT} epochs, pruned"]
    assert not (folder / "result.json").exists()
    resumes = [report["resume"] for report in read_lines(folder / "reports.jsonl") if report.get("resume")]
    assert resumes
    assert Path(resumes[-1]["at"]).exists()
    assert epochs(folder) == [1, STOPS_AT]
    for name in ("reports.jsonl", "decisions.jsonl"):
        (folder / name).unlink()
    folders.make(folder, objective="accuracy", resume=resumes[-1], attempt=2)
    assert run(folder, framework, stop=False) == [f"rank 0: {EPOCHS} epochs, None"]
    assert resumes[-1]["epoch"] < epochs(folder)[0] <= STOPS_AT + 1
    reports = list(read_lines(folder / "reports.jsonl"))
    assert all(0 <= report["metrics"]["accuracy"] <= 1 for report in reports)
    result = folders.result(folder)
    assert (result["epoch"], result["metrics"]) == (EPOCHS, reports[-1]["metrics"])


@pytest.mark.parametrize("framework", ["huggingface", "lightning"])
def test_two_ranks_stop_together(framework: str, tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "trial", objective="accuracy")
    ranks = run(folder, framework, *TORCHRUN, stop=True)
    assert ranks == [f"rank {rank}: {STOPS_AT} epochs, pruned" for rank in (0, 1)]
    assert [report["epoch"] for report in read_lines(folder / "reports.jsonl") if not report.get("resume")] == [1, 2]
