"""Examples of trainings of one's own, as an agent runs them: two ranks, and another language."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from search.requests import jobs, trials
from search.spec.parsing import parse_spec
from search.states import TrialState
from tests.claimed import Program
from tests.search.factories import ME
from tests.thermowell.agent.running import Agents, ended

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]  # as `torchrun`, wherever that stands
STARTUP = 120.0
"""Seconds within which a trial of two processes ends, each of which loads torch first, beside other tests."""
EXAMPLES = Path(__file__).parents[3] / "examples" / "own"


def submitted(own: Program, name: str) -> str:
    spec = parse_spec((EXAMPLES / name / "job.yaml").read_bytes(), "yaml")
    return jobs.submit(own.db, spec, ME)[0].id


def test_a_shell_script_with_awk_trains(own: Program, agents: Agents) -> None:
    job = submitted(own, "shell")
    settings = ["{seed}", "{temperature}", "{kd_weight}", "{label_weight}", "{learning_rate}", "{epochs}"]
    agents.start(job, "--", "sh", str(EXAMPLES / "shell" / "train.sh"), *settings)
    trial = ended(own, job)
    assert trial.state is TrialState.COMPLETED, trial.reason
    assert 0.5 < trial.value < 1
    values = [report.metrics["accuracy"] for report in trials.get_trial(own.db, job, 0, ME)[1]]
    assert len(values) == 4
    assert values[-1] == trial.value


@pytest.mark.slow
def test_all_ranks_stop_at_the_same_epoch(own: Program, agents: Agents) -> None:
    """The pruner compares at epoch 2; of sixteen trials some are stopped there, on both ranks."""
    job = submitted(own, "torchrun")
    script = str(EXAMPLES / "torchrun" / "train.py")
    agents.start(job, "--slots", "2", "--", *TORCHRUN, "--nproc-per-node", "2", script)
    first = ended(own, job, seconds=STARTUP)
    assert (first.state, first.value > 0.5) == (TrialState.COMPLETED, True)
    stopped = next(number for number in range(1, 16) if ended(own, job, number, STARTUP).state is TrialState.PRUNED)
    assert trials.get_trial(own.db, job, stopped, ME)[0].epoch == 2


@pytest.mark.parametrize("name", ["shell", "torchrun"])
def test_each_example_says_how_it_is_run(name: str) -> None:
    words = (EXAMPLES / name / "README.md").read_text()
    assert re.search(rf"thermowell agent JOB -- .*examples/own/{name}/train", words)
