"""Agents beside a real service: real processes train trials, and something goes wrong with each."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from search.requests import jobs, keys, results, trials
from search.states import JobState, TrialState
from tests.claimed import Program, expire
from tests.processes import Started
from tests.search.factories import EPOCHS, ME
from tests.thermowell.agent.running import SCRIPT, Agents, ended, eventually, one, trials_of
from thermowell.agent import supervisor
from thermowell.agent.commands import ALWAYS


def failed(own: Program, agents: Agents, mode: str, **changes: Any) -> Any:
    job = own.submit(**changes).id
    agents.train(job, mode)
    return ended(own, job)


@pytest.mark.slow
def test_a_whole_job_is_trained_and_answered(own: Program, agents: Agents) -> None:
    job = own.submit().id
    agent = agents.train(job, "result", slots=2)
    assert agent.wait(90) == 0, agent.output()
    assert jobs.get_job(own.db, job, ME).state is JobState.COMPLETED
    result = results.get_result(own.db, job, ME)
    assert result.winner.test is not None
    assert result.winner.test["accuracy"].mean == 0.125
    assert own.client.get(f"/v1/jobs/{job}/artifacts/trial-0-student.bin").content == b"weights"
    assert [report.epoch for report in trials.get_trial(own.db, job, 0, ME)[1]] == list(range(1, EPOCHS + 1))
    assert one(own, job).train_seconds == 0.5 * EPOCHS
    assert not list((agents.folder / "trials").iterdir())  # nobody needs them any more


def test_a_script_that_reports_the_last_epoch_need_write_no_result(own: Program, agents: Agents) -> None:
    trial = failed(own, agents, "plain")
    assert (trial.state, trial.value, trial.epoch) == (TrialState.COMPLETED, 0.5, EPOCHS)


def test_a_misnamed_metric_fails_at_once_and_names_what_is_near(own: Program, agents: Agents) -> None:
    trial = failed(own, agents, "misnamed")
    assert (trial.state, trial.reason.type) == (TrialState.FAILED, "crashed")
    assert "reported acuracy: did you mean acuracy? Report it as accuracy" in trial.reason.detail


def test_a_crash_has_its_last_words_and_its_log(own: Program, agents: Agents) -> None:
    trial = failed(own, agents, "crash")
    assert trial.reason.type == "crashed"
    assert trial.reason.detail == "the command ended with 1: RuntimeError: no such data set"
    assert trial.log_tail.startswith("attempt 1\n")
    assert "Traceback" in trial.log_tail


def test_a_script_may_say_that_a_configuration_cannot_be(own: Program, agents: Agents) -> None:
    trial = failed(own, agents, "infeasible")
    assert (trial.reason.type, trial.reason.detail) == ("infeasible", "too large for this GPU")


def test_a_value_that_is_no_number_has_diverged(own: Program, agents: Agents) -> None:
    trial = failed(own, agents, "nan")
    assert (trial.reason.type, trial.reason.detail) == ("diverged", "accuracy is nan at epoch 1")


def test_a_command_that_is_not_there_crashes_with_words(own: Program, agents: Agents) -> None:
    job = own.submit().id
    agents.start(job, "--", "no-such-program", "{config}")
    assert "cannot start 'no-such-program'" in ended(own, job).reason.detail
    paused = eventually(lambda: jobs.get_job(own.db, job, ME).problem, "three crashes pause no job")
    assert "3 trials in a row crashed" in paused.detail


def test_a_placeholder_that_the_job_does_not_have_is_named(own: Program, agents: Agents) -> None:
    job = own.submit().id
    agents.start(job, "--", "true", "--rate={rate}")
    assert "asks for {rate}, but there is arm" in ended(own, job).reason.detail


def test_exit_code_75_gives_the_trial_back(own: Program, agents: Agents) -> None:
    job = own.submit(fleet={"parallel": 1}).id
    agent = agents.train(job, "busy")
    eventually(lambda: trials_of(own, job) and one(own, job).attempt >= 2, "it is not tried again")
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert one(own, job).state is TrialState.WAITING
    assert "given back" in agent.output()


def test_pruned_trials_end_where_they_are(own: Program, agents: Agents) -> None:
    pruner = {"name": "median", "min_epochs": 1, "reduction_factor": 2, "startup_trials": 1}
    job = own.submit(pruner=pruner, budget={"trials": 4}, objective={"metric": "nll", "direction": "minimize"}).id
    agents.train(job, "plain")
    assert ended(own, job, 1).state is TrialState.PRUNED


def hanging(own: Program, agents: Agents, tmp_path: Path, mode: str = "hang") -> tuple[str, Started, int]:
    """A job whose first trial hangs: the job, the agent, and the script's process."""
    job = own.submit().id
    (tmp_path / "pids").mkdir()
    agent = agents.train(job, mode, str(tmp_path / "pids"))
    [pid] = eventually(lambda: list((tmp_path / "pids").iterdir()), "no script begins")
    return job, agent, int(pid.name)


def test_sigterm_gives_trials_back(own: Program, agents: Agents, tmp_path: Path) -> None:
    job, agent, pid = hanging(own, agents, tmp_path)
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert one(own, job).state is TrialState.WAITING
    assert pid not in supervisor.processes()


def test_a_killed_agent_leaves_no_process_and_its_successor_takes_up_its_trial(
    own: Program, agents: Agents, tmp_path: Path
) -> None:
    job, agent, pid = hanging(own, agents, tmp_path)
    agent.signal(signal.SIGKILL)
    eventually(lambda: pid not in supervisor.processes(), "the script outlives its agent")
    assert one(own, job).state is TrialState.RUNNING
    agents.train(job, "plain")
    trial = ended(own, job)
    assert (trial.state, trial.attempt) == (TrialState.COMPLETED, 2)


def test_a_killed_script_is_a_crash(own: Program, agents: Agents, tmp_path: Path) -> None:
    job, _, pid = hanging(own, agents, tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert ended(own, job).reason.detail.startswith("signal 9 ended the command")


@pytest.mark.slow
def test_a_cancelled_job_ends_its_scripts(own: Program, agents: Agents, tmp_path: Path) -> None:
    job, agent, pid = hanging(own, agents, tmp_path)
    jobs.cancel_job(own.db, job, ME)
    assert agent.wait(60) == 0
    assert pid not in supervisor.processes()


def test_a_lease_that_was_reaped_is_taken_again_by_a_report(own: Program, agents: Agents, tmp_path: Path) -> None:
    """As after a laptop's sleep: nobody else has begun, so that nothing is lost."""
    job, _, _ = hanging(own, agents, tmp_path, "gate")
    expire(own.db)
    own.reap()
    assert one(own, job).state is TrialState.WAITING
    (tmp_path / "pids" / "go").touch()
    trial = ended(own, job)
    assert (trial.state, trial.attempt) == (TrialState.COMPLETED, 1)


def test_a_script_has_neither_the_key_nor_the_token(own: Program, agents: Agents, tmp_path: Path) -> None:
    job = own.submit(budget={"trials": 1}).id
    (tmp_path / "dumps").mkdir()
    _, secret = keys.create_key(own.db, "node", frozenset({"train"}), trains_for=ME.id)
    agents.train(job, "dump", str(tmp_path / "dumps"), THERMOWELL_KEY=secret, MINE="1")
    eventually(
        lambda: (tmp_path / "dumps" / "0.json").exists() and one(own, job).state is TrialState.COMPLETED, "no end"
    )
    dump = json.loads((tmp_path / "dumps" / "0.json").read_text())
    assert dump["environment"]["MINE"] == "1"
    assert [name for name in dump["environment"] if name.startswith("THERMOWELL_")] == ["THERMOWELL_TRIAL"]
    assert "token" not in dump["trial"]
    assert dump["trial"]["objective"] == "accuracy"


def test_an_operators_command_trains_the_jobs_that_name_it(own: Program, agents: Agents, tmp_path: Path) -> None:
    argv = [sys.executable, str(SCRIPT), "{config}", "{mode}", str(tmp_path)]
    rules = {"mode": {"choices": ["dump", "plain"]}}
    terms = {"argv": argv, "arguments": rules, "directory": str(tmp_path), "code": [str(SCRIPT)]}
    terms["environment"] = {"pass": ["MINE"], "set": {"YOURS": "2"}}
    (tmp_path / "commands.yaml").write_text(json.dumps({"own": terms}))
    job = own.submit(trainer={"command": "own", "arguments": {"mode": "dump"}}, budget={"trials": 1}).id
    agent = agents.start("--commands", str(tmp_path / "commands.yaml"), MINE="1", SECRET="s")
    assert ended(own, job).state is TrialState.COMPLETED
    dump = json.loads((tmp_path / "0.json").read_text())
    assert dump["cwd"] == str(tmp_path)
    assert set(dump["environment"]) - {"LC_CTYPE"} <= {*ALWAYS, "MINE", "YOURS", "THERMOWELL_TRIAL"}
    assert (dump["environment"]["MINE"], dump["environment"]["YOURS"]) == ("1", "2")
    [offer] = own.client.get("/v1/agents").json()["items"]
    assert (offer["command"], offer["arguments"]) == ("own", rules)
    agent.signal(signal.SIGTERM)
    assert agent.wait() == 0
    assert own.client.get("/v1/agents").json()["items"] == []


def test_arguments_that_the_operator_does_not_allow_run_nothing(own: Program, agents: Agents, tmp_path: Path) -> None:
    terms = {"argv": ["touch", str(tmp_path / "{name}")], "arguments": {"name": {"type": "text", "pattern": "[a-z]+"}}}
    (tmp_path / "commands.json").write_text(json.dumps({"own": terms}))
    job = own.submit(trainer={"command": "own", "arguments": {"name": "../a"}}).id
    agents.start("--commands", str(tmp_path / "commands.json"))
    trial = ended(own, job)
    assert "argument name must be a text like [a-z]+" in trial.reason.detail
    assert not (tmp_path.parent / "a").exists()


def test_two_agents_do_not_share_a_folder(own: Program, agents: Agents, tmp_path: Path) -> None:
    job, _, _ = hanging(own, agents, tmp_path)
    second = agents.train(job, "plain")
    assert second.wait() == 2
    assert "another agent runs in" in second.output()


def test_a_job_that_is_not_there_ends_the_agent_with_words(agents: Agents) -> None:
    agent = agents.train("0" * 16, "plain")
    assert agent.wait() == 3
    assert "no such job" in agent.output()
