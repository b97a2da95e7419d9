"""The compose file brought up: order, rights, secrets, a whole job, faults, data.

The tests of one stack stand in the order in which they are run: each leaves it up for the next.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml

from tests.containers.stack import PROJECT, ROOT, Stack
from thermowell.api.jobs import JobDetail
from thermowell.api.trials import Trial
from thermowell.errors import Unreachable
from thermowell.sync.client import Client

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

SHELL = ROOT / "examples" / "own" / "shell"
SERVICES = ("postgres", "migrate", "api", "worker")
API_MEGABYTES = 900  # with a base of 270; torch alone would be five times that
SPEC: dict[str, Any] = {
    "schema_version": 1,
    "name": "in containers",
    "dataset": {"name": "digits", "train_size": 400, "augmentation": "shift"},
    "teacher": {
        "model": {"name": "mlp", "arguments": {"width": 32}},
        "training": {"epochs": 2},
        "optimizer": {"name": "adamw", "learning_rate": 0.01},
        "views": 2,
    },
    "student": {"name": "mlp", "arguments": {"width": 16}},
    "training": {"epochs": 60, "batch_size": 16},
    "budget": {"trials": 24},
    "baselines": {"share": 0.1},
    "confirmation": {"finalists": 2, "select_seeds": 2, "estimate_seeds": 2},
}


def until(seconds: float, what: str, ask: Callable[[], Any]) -> Any:
    """The first true answer; what was waited for, where none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.3)
    raise AssertionError(f"{what}: not within {seconds:g} s")


def ready(stack: Stack) -> None:
    def asked() -> bool:
        return bool(stack.inspect(stack.only("api"))["State"]["Health"]["Status"] == "healthy")

    until(90, "the API is healthy", asked)


@pytest.fixture(scope="module")
def stack(built: Stack) -> Iterator[Stack]:
    """The whole service with two workers, from empty volumes; nothing is left of it but the images."""
    built.down("--volumes")
    try:
        built.up(workers=2)
        ready(built)
        yield built
    finally:
        print(built.compose("ps"))
        print(built.compose("logs", "--no-color", "--tail=40"))
        built.down("--volumes")


@pytest.fixture(scope="module")
def thermowell(stack: Stack) -> Iterator[Client]:
    with stack.client() as client:
        yield client


def test_the_api_s_image_is_small_and_cannot_train(built: Stack) -> None:
    image = f"{PROJECT}/api"
    [said] = json.loads(built.engine.docker("image", "inspect", image))
    print(f"api image: {said['Size'] / 1e6:.0f} MB")
    assert said["Size"] < API_MEGABYTES * 1e6
    assert said["Config"]["User"] == "10001:10001"
    heavy = (
        "import importlib.util as u; print([each for each in ('torch', 'torchvision', 'triton') if u.find_spec(each)])"
    )
    assert built.engine.docker("run", "--rm", "--entrypoint", "python3", image, "-c", heavy).strip() == "[]"


def test_nothing_starts_before_the_database_is_migrated(built: Stack) -> None:
    broken = built.directory / "broken.yml"
    broken.write_text(yaml.safe_dump({"services": {"migrate": {"command": ["migrate", "--no-such-option"]}}}))
    built.down("--volumes")
    try:
        with pytest.raises(AssertionError, match="migrate"):
            built.compose("up", "--detach", files=(broken,), timeout=120)
        assert built.inspect(built.only("migrate"))["State"]["ExitCode"] == 2
        for service in ("api", "worker"):
            assert not [each for each in built.containers(service) if built.inspect(each)["State"]["Running"]]
    finally:
        built.down("--volumes")


def test_each_started_when_what_it_needs_was_there(stack: Stack, thermowell: Client) -> None:
    migrated = stack.inspect(stack.only("migrate"))["State"]
    assert (migrated["Status"], migrated["ExitCode"]) == ("exited", 0)
    started = {name: stack.inspect(stack.containers(name)[0])["State"]["StartedAt"] for name in SERVICES}
    assert started["postgres"] < started["migrate"] < migrated["FinishedAt"] < started["api"]
    assert len(stack.containers("worker")) == 2
    for worker in stack.containers("worker"):
        state = stack.inspect(worker)["State"]
        assert state["Running"]
        assert state["StartedAt"] > migrated["FinishedAt"]
    until(90, "both workers report", lambda: len([each for each in thermowell.workers() if each.alive]) == 2)
    assert [stack.inspect(worker)["RestartCount"] for worker in stack.containers("worker")] == [0, 0]


@pytest.mark.parametrize("service", ["postgres", "api", "worker"])
def test_nobody_is_root_and_nothing_of_the_system_can_be_changed(stack: Stack, service: str) -> None:
    container = stack.containers(service)[0]
    # The user of every process, as the kernel says it; the first is the init that hands signals on.
    users = stack.within(container, "sh", "-c", "cat /proc/[0-9]*/status | grep ^Uid:")
    assert {number for line in users.splitlines() for number in line.split()[1:]} in ({"10001"}, {"999"})
    capabilities = stack.within(container, "sh", "-c", "grep ^CapEff: /proc/1/status").split()[1]
    assert int(capabilities, 16) == 0
    for place in ("/", "/opt", "/etc", "/usr/local/bin", "/var/lib"):
        tried = stack.within(container, "sh", "-c", f"touch {place}/x 2>&1 || true")
        assert "Read-only file system" in tried, (place, tried)
    assert "NoNewPrivs:\t1" in stack.within(container, "cat", "/proc/1/status")


def test_secrets_are_nowhere_to_be_read(stack: Stack) -> None:
    documents = [json.dumps(stack.inspect(each)) for service in SERVICES for each in stack.containers(service)]
    documents.append(stack.compose("logs", "--no-color"))
    documents.append(stack.compose("config"))
    documents += [stack.engine.docker("history", "--no-trunc", f"{PROJECT}/{each}") for each in ("api", "worker")]
    for name, secret in stack.secrets.items():
        assert not [document for document in documents if secret in document], name
    worker = stack.containers("worker")[0]
    assert stack.within(worker, "ls", "/run/secrets").split() == ["database_password"]


def test_workers_reach_nothing_beyond(stack: Stack) -> None:
    knock = "import socket, sys; socket.create_connection((sys.argv[1], 8000), timeout=3); print('open')"
    worker = stack.containers("worker")[0]
    for container in (worker, stack.only("postgres")):
        for network in stack.inspect(container)["NetworkSettings"]["Networks"]:
            [said] = json.loads(stack.engine.docker("network", "inspect", network))
            assert said["Internal"], network
    # The API stands in both networks: what is served in the other one is beyond.
    doors = stack.inspect(stack.only("api"))["NetworkSettings"]["Networks"]
    inside, outside = (doors[f"{PROJECT}_{name}"]["IPAddress"] for name in ("inside", "outside"))
    assert stack.within(worker, "python3", "-c", knock, inside).strip() == "open"
    with pytest.raises(AssertionError, match=r"TimeoutError|timed out|unreachable|refused"):
        stack.within(worker, "python3", "-c", knock, outside)


def test_a_worker_compiles_into_the_volume(stack: Stack) -> None:
    script = (
        "import torch; torch.set_num_threads(1); "
        "print(float(torch.compile(lambda x: (x * 2 + 1).sin().sum(), fullgraph=True)(torch.ones(64))))"
    )
    worker, other = stack.containers("worker")
    said = stack.within(worker, "python3", "-c", script, timeout=180)
    assert float(said.splitlines()[-1]) == pytest.approx(64 * 0.14112, rel=1e-4)
    find = ("sh", "-c", 'find "$TORCHINDUCTOR_CACHE_DIR" -name "*.so"')
    assert stack.within(other, *find).split()  # the other worker sees it


def test_a_job_ends_although_a_worker_is_killed_and_the_other_is_stopped(stack: Stack, thermowell: Client) -> None:
    job = thermowell.submit(SPEC)
    first, second = stack.containers("worker")
    until(120, "both workers have trained", lambda: len(working(thermowell, job)) == 2)

    stack.engine.docker("kill", first)
    assert stack.inspect(first)["State"]["ExitCode"] == 137
    known = finished(thermowell, job)
    until(120, "the other goes on alone", lambda: finished(thermowell, job) > known)

    begun = time.monotonic()
    stack.engine.docker("stop", second, timeout=90)  # the compose file's own grace period
    assert time.monotonic() - begun < 55
    stopped = stack.inspect(second)["State"]
    assert (stopped["ExitCode"], stopped["OOMKilled"]) == (0, False)
    [signed_off] = [worker for worker in thermowell.workers() if worker.host == second[:12]]
    assert signed_off.stopped_at is not None
    assert not [trial for trial in thermowell.trials(job, state="running") if by(second, trial)]  # handed back

    stack.engine.docker("start", first)
    ended = thermowell.wait(job, timeout=300, progress=False)
    assert ended.state == "completed", ended
    result = thermowell.result(job)
    assert result.winner.configuration.temperature >= 1
    trials = list(thermowell.trials(job))
    states = Counter(trial.state for trial in trials)
    assert set(states) <= {"completed", "pruned"}, states
    assert Counter(trial.stage for trial in trials)["search"] == SPEC["budget"]["trials"]
    assert sum(trial.attempt > 1 for trial in trials) >= 1  # what the killed one held was done again


def test_the_answer_outlives_the_containers(stack: Stack, thermowell: Client) -> None:
    [job] = thermowell.jobs()
    answered = thermowell.result(job)
    before = set(stack.containers("api"))
    stack.down()
    with pytest.raises(Unreachable):
        thermowell.job(job)
    stack.up(workers=1)
    ready(stack)
    assert not before & set(stack.containers("api"))
    assert thermowell.result(job) == answered
    assert thermowell.report(job).startswith("<!doctype html>")


def test_an_agent_trains_by_the_operator_s_command(stack: Stack, thermowell: Client) -> None:
    """A shell script of the agent's folder, with a key that trains its owner's trials and does nothing else."""
    folder = stack.directory / "agent"
    shutil.copytree(SHELL, folder)
    settings = ["{seed}", "{temperature}", "{kd_weight}", "{label_weight}", "{learning_rate}", "{epochs}"]
    command = {"argv": ["sh", "/srv/agent/train.sh", *settings], "directory": "/srv/agent", "grace_seconds": 5}
    (folder / "commands.yaml").write_text(yaml.safe_dump({"ink": command}))
    (stack.directory / "agent_key").write_text(narrow_key(stack))
    (stack.directory / "agent_key").chmod(0o644)
    spec = yaml.safe_load((SHELL / "job.yaml").read_text()) | {"trainer": {"command": "ink"}, "budget": {"trials": 8}}
    job = thermowell.submit(spec)
    assert "an agent that offers the command ink" in str(thermowell.job(job).progress.waits_for)
    stack.compose("--profile", "agent", "up", "--detach", "--no-deps", "agent")
    try:
        ended = thermowell.wait(job, timeout=300, progress=False)
        assert ended.state == "completed", ended
        assert {trial.state for trial in thermowell.trials(job)} == {"completed"}
        agent = stack.only("agent")
        document = json.dumps(stack.inspect(agent)) + stack.compose("logs", "--no-color", "agent")
        assert (stack.directory / "agent_key").read_text() not in document
        assert stack.within(agent, "ls", "/run/secrets").split() == ["agent_key"]
    finally:
        stack.compose("--profile", "agent", "rm", "--stop", "--force", "agent")


def narrow_key(stack: Stack) -> str:
    """A key that trains the trials of the admin's jobs."""
    headers = {"Authorization": f"Bearer {stack.secrets['admin_key']}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.port}", headers=headers, timeout=30) as http:
        owner = http.get("/v1/me").raise_for_status().json()["id"]
        order = {"name": "agent", "scopes": ["train"], "trains_for": owner}
        return str(http.post("/v1/keys", json=order).raise_for_status().json()["secret"])


def working(thermowell: Client, job: JobDetail) -> set[str]:
    """The machines, here containers, whose workers have had a trial of the job."""
    return {trial.worker_id.split("-")[0] for trial in thermowell.trials(job) if trial.worker_id}


def finished(thermowell: Client, job: JobDetail) -> int:
    return sum(trial.state in ("completed", "pruned") for trial in thermowell.trials(job))


def by(container: str, trial: Trial) -> bool:
    """Whether the worker in this container holds the trial; its machine is named by the id's first letters."""
    return trial.worker_id is not None and trial.worker_id.startswith(container[:12])
