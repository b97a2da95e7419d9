"""Ranks of one training against a real service: torchrun's, before and behind a process group, and Lightning's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.requests import trials
from search.states import TrialState
from tests.claimed import Program
from tests.search.factories import ME
from tests.thermowell.trial.ranks_script import EPOCHS, TRIALS

TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
PRUNER = {"name": "median", "min_epochs": 1, "reduction_factor": 2, "startup_trials": 1}
pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("kind", "launcher"), [("torchrun", TORCHRUN), ("lightning", [])])
def test_ranks_stop_together_and_one_speaks(own: Program, tmp_path: Path, kind: str, launcher: list[str]) -> None:
    job = own.submit(pruner=PRUNER, budget={"trials": TRIALS}, baselines={"share": 0}, training={"epochs": EPOCHS})
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CUDA")}
    environment |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, *launcher, "-m", "tests.thermowell.trial.ranks_script", kind, "q", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank-{rank}.json").read_text()) for rank in (0, 1))
    assert first["trials"] == second["trials"]
    assert [(one["epochs"], one["stopped"]) for one in first["trials"]] == [
        (list(range(1, EPOCHS + 1)), None), ([1], "pruned"), ([1], "pruned"),
    ]  # fmt: skip
    assert second["requests"] == []
    ends = [name for name in first["requests"] if name != "renew"]
    assert ends == ["claims", *["reports"] * EPOCHS, "complete", *["claims", "reports"] * (TRIALS - 1)]
    rows = list(trials.iter_trials(own.db, job.id, ME))
    assert [(row.state, row.attempt) for row in rows[:TRIALS]] == [
        (TrialState.COMPLETED, 1), (TrialState.PRUNED, 1), (TrialState.PRUNED, 1),
    ]  # fmt: skip
    assert rows[0].value == pytest.approx(0.9)
