"""Agents that tests start beside a service, and what is waited for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.requests import trials
from search.states import TrialState
from tests.claimed import Program
from tests.processes import Processes, Started
from tests.search.factories import ME

SCRIPT = Path(__file__).with_name("script.py")


class Agents:
    """Starts agents against a service."""

    def __init__(self, own: Program, processes: Processes, folder: Path) -> None:
        self.own, self.processes, self.folder = own, processes, folder

    def start(self, *arguments: str, **environment: str) -> Started:
        command = [sys.executable, "-m", "thermowell.agent", "--folder", str(self.folder), *arguments]
        return self.processes.start(*command, env={"THERMOWELL_URL": str(self.own.client.base_url), **environment})

    def train(self, job: str, mode: str, *more: str, slots: int = 1, **environment: str) -> Started:
        script = [sys.executable, str(SCRIPT), "{config}", mode, *more]
        return self.start(job, "--grace", "0.5", "--slots", str(slots), "--", *script, **environment)


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, what
        time.sleep(0.01)
    return value


def one(own: Program, job: str, number: int = 0) -> Any:
    return trials.get_trial(own.db, job, number, ME)[0]


def trials_of(own: Program, job: str) -> int:
    return len(list(trials.iter_trials(own.db, job, ME)))


def ended(own: Program, job: str, number: int = 0, seconds: float = 60.0) -> Any:
    """A trial that has ended."""
    over = (TrialState.COMPLETED, TrialState.FAILED, TrialState.PRUNED)
    eventually(
        lambda: trials_of(own, job) > number and one(own, job, number).state in over, "the trial does not end", seconds
    )
    return one(own, job, number)
