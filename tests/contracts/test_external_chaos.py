"""Programs of others that are killed and cut off while they train: no trial is lost, and none told twice."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState as OptunaState

from search.claims import leases
from search.optuna_bridge import study
from search.requests import jobs, trials
from search.states import Stage, TrialState
from search.storage.db import Database
from search.storage.rows import optuna_study_name
from tests.claimed import Program, program
from tests.lines import Line
from tests.search.factories import EPOCHS, ME

CLIENT = """
import http.client, json, sys, time
host, port, name, epochs = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
connection = None

def post(path, document, token=None):
    global connection
    try:
        connection = connection or http.client.HTTPConnection(host, port, timeout=5)
        headers = {"Content-Type": "application/json"} | ({"Lease-Token": token} if token else {})
        connection.request("POST", path, json.dumps(document), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        connection = None
        time.sleep(0.05)
        return 0, {}

while True:
    order = {"queue": "q", "client": name, "lease_seconds": 5, "wait_seconds": 1, "take_up": True}
    status, answer = post("/v1/claims", order)
    if answer.get("done"):
        break
    for claim in answer.get("claims", []):
        place, token = f"/v1/jobs/{claim['job']}/trials/{claim['trial']}", claim["token"]
        value = claim["configuration"]["temperature"] / 100
        for epoch in range(1, epochs + 1):
            body = {"reports": [{"epoch": epoch, "metrics": {"accuracy": value}}]}
            while (status := post(f"{place}/reports", body, token)[0]) in (0, 503):
                pass
            if status != 200:
                break
        else:
            body = {"epoch": epochs, "metrics": {"accuracy": value}}
            while post(f"{place}/complete", body, token)[0] in (0, 503):
                pass
    if not answer.get("claims"):
        time.sleep(0.05)
"""


@contextmanager
def fleet(count: int, line: Line, script: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Clients as processes of their own, over a line."""
    script.write_text(CLIENT)
    programs = [start(script, line, f"client-{number}") for number in range(count)]
    try:
        yield programs
    finally:
        for each in programs:
            with suppress(ProcessLookupError):
                each.kill()
            each.wait()


def start(script: Path, line: Line, name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-S", str(script), "127.0.0.1", str(line.port), name, str(EPOCHS)])


def completed(own: Program, job_id: str) -> int:
    return jobs.get_job(own.db, job_id, ME).progress.search_done


def until(own: Program, job_id: str, count: int) -> None:
    """Waits until so many search trials have ended; what is silent for long is taken away meanwhile."""
    deadline = time.monotonic() + 120
    while completed(own, job_id) < count:
        assert time.monotonic() < deadline, f"{completed(own, job_id)} of {count} trials"
        leases.reap(own.db, leases.silent_others(1e9))
        time.sleep(0.1)


def check(own: Program, job_id: str, budget: int) -> None:
    """Exactly the budget was trained, each trial ended once, and Optuna was told the same, once."""
    every = list(trials.iter_trials(own.db, job_id, ME))
    searched = [trial for trial in every if trial.stage is Stage.SEARCH]
    assert Counter(trial.state for trial in searched) == {TrialState.COMPLETED: budget}
    assert len({trial.optuna_number for trial in searched}) == budget
    for trial in searched:
        assert trial.configuration is not None
        assert trial.value == pytest.approx(trial.configuration["temperature"] / 100)
        _, curve = trials.get_trial(own.db, job_id, trial.number, ME)
        assert [report.epoch for report in curve] == list(range(1, EPOCHS + 1))
    storage = study.optuna_storage(own.db)
    mirrored = storage.get_all_trials(storage.get_study_id_from_name(optuna_study_name(job_id)))
    study.close_storage(storage)
    values = {trial.number: trial.value for trial in mirrored if trial.state is OptunaState.COMPLETE}
    assert values == {trial.optuna_number: trial.value for trial in searched}


def job_of(own: Program, budget: int) -> Any:
    return own.submit(
        budget={"trials": budget}, baselines={"share": 0}, confirmation={"level": "none"},
        trainer={"external": {"queue": "q", "stall_seconds": 5}},
    )  # fmt: skip


def test_clients_that_are_killed_and_cut_off_lose_no_trial(db: Database, tmp_path: Path) -> None:
    """At full size, and with everything else that can befall them: tests/acceptance/test_external_chaos.py."""
    budget = 8
    with program(db, tmp_path / "var") as own:
        job, url = job_of(own, budget), own.client.base_url
        line = Line(url.host, [url.port or 80])
        with fleet(2, line, tmp_path / "client.py") as programs:
            until(own, job.id, 2)
            programs[0].kill()
            line.cut()
            until(own, job.id, budget // 2)
            programs[0].wait()
            programs.append(start(tmp_path / "client.py", line, "client-0"))  # takes its own up again
            line.cut()
            until(own, job.id, budget)
        line.close()
        check(own, job.id, budget)
