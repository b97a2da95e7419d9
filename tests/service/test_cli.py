"""The command line: what it prints, for people and for machines, and with which code it ends."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import numpy as np
import pytest
import safetensors.numpy
import torch
import yaml
from sqlalchemy import select, update
from typer.testing import CliRunner

from search.requests.jobs import get_job, list_jobs
from search.requests.keys import any_keys, verify_key
from search.requests.results import get_result
from search.storage.db import Database, open_database
from search.storage.tables import analyses
from search.storage.tables import jobs as job_table
from search.worker import process
from service import cli
from service.settings import Settings
from service.terminal import cli_agent, cli_operate
from service.terminal.console import Exit
from tests.processes import Processes
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving
from thermowell.errors import NotReady
from thermowell.sync.client import Client
from trainers.spec import Model
from trainers.zoo import models

Run = Callable[..., click.testing.Result]


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, on the test's own database and without a service."""
    monkeypatch.setenv("THERMOWELL_VAR", str(settings.var))
    monkeypatch.setenv("COLUMNS", "80")
    return lambda *arguments, **options: CliRunner().invoke(cli.build(), [str(part) for part in arguments], **options)


@pytest.fixture
def url(settings: Settings, run: Run, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running service, which the commands find by themselves."""
    with serving(settings) as address:
        monkeypatch.setenv("THERMOWELL_URL", address)
        yield address


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(server_fixtures.document("from-a-file")))
    return file


@pytest.mark.usefixtures("url")
class TestWithAService:
    def test_student_brings_its_files(self, run: Run, jobs: Jobs, tmp_path: Path) -> None:
        done = run("student", jobs.completed.id, "-o", tmp_path / "student")
        assert done.exit_code == Exit.OK
        assert [path.name for path in (tmp_path / "student").iterdir()] == ["student.safetensors"]
        assert "student.safetensors" in done.stderr
        nothing = run("student", jobs.running.id, "-o", tmp_path / "none")
        assert nothing.exit_code == Exit.FAILED
        assert "no student: it has not ended" in nothing.stderr

    def test_submit_prints_the_id_alone(self, run: Run, db: Database, spec_file: Path) -> None:
        done = run("submit", spec_file)
        assert done.exit_code == Exit.OK
        assert get_job(db, done.stdout.strip(), server_fixtures.LOCAL).name == "from-a-file"
        assert f"thermowell watch {done.stdout.strip()}" in done.stderr

    def test_submit_reads_json_and_the_standard_input(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "spec.json").write_text(json.dumps(server_fixtures.document("as-json")))
        assert json.loads(run("submit", tmp_path / "spec.json", "--json").stdout)["name"] == "as-json"
        piped = run("submit", "-", "--json", input=yaml.safe_dump(server_fixtures.document("piped")))
        assert json.loads(piped.stdout)["name"] == "piped"

    def test_the_same_key_is_the_same_job(self, run: Run, spec_file: Path) -> None:
        first, second = (run("submit", spec_file, "--idempotency-key", "once").stdout for _ in range(2))
        assert first == second

    def test_submit_shows_each_field_that_is_wrong(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "bad.yaml"
        file.write_text("name: x\nstudent: {name: mlpp}\n")
        done = run("submit", file)
        assert (done.exit_code, done.stdout) == (Exit.REFUSED, "")
        assert "student.name (line 2): unknown model 'mlpp': did you mean mlp?" in done.stderr
        for_machines = run("submit", file, "--json")
        assert json.loads(for_machines.stderr)["type"] == "/problems/spec-invalid"

    def test_list(self, run: Run, jobs: Jobs) -> None:
        done = run("list")
        lines = done.stdout.splitlines()
        assert [line.split()[0] for line in lines[1:5]] == [
            jobs.queued.id, jobs.cancelled.id, jobs.running.id, jobs.completed.id,
        ]  # fmt: skip
        assert max(map(len, lines[:5])) <= 80
        before = f"behind going (priority {jobs.running.priority}); its own priority is {jobs.queued.priority}"
        assert lines[5:] in (
            [],
            [f"{jobs.queued.id} queued: waits for a free lane, {before}"],
        )  # once it has waited for a moment
        assert done.stdout.splitlines()[1].split()[4] == str(jobs.queued.priority)
        [only] = json.loads(run("list", "--json", "--state", "completed").stdout)["items"]
        assert only["id"] == jobs.completed.id

    def test_result(self, run: Run, db: Database, jobs: Jobs) -> None:
        done = run("result", jobs.completed.id)
        assert done.exit_code == Exit.OK
        summary = get_result(db, jobs.completed.id, server_fixtures.LOCAL).summary
        for words in (
            "What could be used",
            "Best candidate tried",
            "Temperature response",
            "Gain over",
            "T = 4",
            "no distillation",
            "Cautions",
        ):
            assert words in done.stdout
        assert " ".join(summary.split()) in " ".join(done.stdout.split()), "the verdict first, then what it rests on"
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert json.loads(run("result", jobs.completed.id, "--json").stdout)["job_id"] == jobs.completed.id

    def test_result_of_an_unfinished_job(self, run: Run, jobs: Jobs) -> None:
        done = run("result", jobs.running.id)
        assert (done.exit_code, done.stdout) == (Exit.NOT_READY, "")
        assert "no result yet" in done.stderr

    def test_first_characters_are_enough(self, run: Run, jobs: Jobs) -> None:
        assert run("result", jobs.completed.id[:10], "--json").exit_code == Exit.OK
        assert "no job has the name zz or an id that begins so" in run("result", "zz").stderr
        assert run("cancel", "").exit_code == Exit.REFUSED, "all of them begin so"

    def test_steering(self, run: Run, db: Database, jobs: Jobs) -> None:
        job = jobs.running.id
        for command, state in (
            ("pause", "paused"),
            ("resume", "running"),
            ("stop", "running"),
            ("cancel", "cancelled"),
        ):
            done = run(command, job)
            assert (done.exit_code, get_job(db, job, server_fixtures.LOCAL).state) == (Exit.OK, state)
            assert f"is {state}" in done.stderr
        assert run("resume", job).exit_code == Exit.REFUSED
        assert run("delete", job).exit_code == Exit.OK
        assert run("delete", job).exit_code == Exit.REFUSED

    def test_extend(self, run: Run, jobs: Jobs) -> None:
        assert run("extend", jobs.completed.id).exit_code == Exit.USAGE
        assert run("extend", jobs.completed.id, "--trials", "3").exit_code == Exit.REFUSED
        extended = run("extend", jobs.completed.id, "--trials", "40", "--json")
        assert json.loads(extended.stdout)["budget_trials"] == 40

    def test_extend_to_decide(self, run: Run, jobs: Jobs, db: Database) -> None:
        decided = run("extend", jobs.completed.id, "--to-decide")
        assert decided.exit_code == Exit.USAGE
        assert "is decided: " in decided.stderr
        assert run("extend", jobs.completed.id, "--to-decide", "--trials", "99").exit_code == Exit.USAGE
        of_job = (analyses.c.job_id == jobs.completed.id) & (analyses.c.kind == "result")
        with db.write() as connection:
            document = json.loads(connection.execute(select(analyses.c.document).where(of_job)).scalar_one())
            old = document | {"verdict": None}
            connection.execute(update(analyses).where(of_job).values(document=json.dumps(old)))
        before = run("extend", jobs.completed.id, "--to-decide")
        assert before.exit_code == Exit.USAGE
        assert "before verdicts were given" in before.stderr
        document["verdict"] |= {"kind": "undecided", "missing": {"seeds": 9, "trials": 7}}
        with db.write() as connection:
            connection.execute(update(analyses).where(of_job).values(document=json.dumps(document)))
        extended = run("extend", jobs.completed.id, "--to-decide", "--json")
        assert json.loads(extended.stdout)["budget_trials"] == server_fixtures.ENOUGH + 7

    def test_open_test(self, run: Run, jobs: Jobs, db: Database) -> None:
        assert "completed" in run("open-test", jobs.completed.id).stderr, "it is open already"
        with db.write() as connection:
            connection.execute(update(job_table).where(job_table.c.id == jobs.completed.id).values(test_opened_at=None))
        opened = run("open-test", jobs.completed.id, "--json")
        assert json.loads(opened.stdout)["state"] == "analysing"
        assert run("open-test", jobs.cancelled.id).exit_code == Exit.REFUSED

    def test_watching_an_ended_job_ends_as_it_did(self, run: Run, jobs: Jobs) -> None:
        done = run("watch", jobs.completed.id)
        assert done.exit_code == Exit.OK
        assert f"completed, search {server_fixtures.ENOUGH}/{server_fixtures.ENOUGH}" in done.stderr
        assert run("watch", jobs.cancelled.id).exit_code == Exit.FAILED
        assert run("watch", "0" * 16).exit_code == Exit.REFUSED

    def test_watching_for_machines_is_a_line_per_event(self, run: Run, jobs: Jobs) -> None:
        events = [json.loads(line) for line in run("watch", jobs.completed.id, "--json").stdout.splitlines()]
        assert [event["number"] for event in events] == list(range(1, len(events) + 1))
        assert events[-1]["payload"]["to"] == "completed"

    @pytest.mark.parametrize("as_json", [False, True])
    def test_submit_and_watch_ends_with_the_answer(
        self, run: Run, db: Database, settings: Settings, spec_file: Path, as_json: bool
    ) -> None:
        def work() -> None:
            while not (found := list_jobs(db, server_fixtures.LOCAL, name="from-a-file").items):
                pass
            server_fixtures.train(db, found[0])
            server_fixtures.close(db, settings.artifact_root, found[0])

        worker = threading.Thread(target=work)
        worker.start()
        done = run("submit", spec_file, "--watch", *(["--json"] if as_json else []))
        worker.join()
        assert done.exit_code == Exit.OK
        if as_json:
            assert json.loads(done.stdout.splitlines()[-1])["winner"]["arm"] == "joint"
        else:
            assert "Best candidate tried" in done.stdout
            assert "search 4/4" in done.stderr


@pytest.mark.usefixtures("interruptible")
def test_interrupting_the_watch_leaves_the_job(
    processes: Processes, settings: Settings, db: Database, jobs: Jobs
) -> None:
    with serving(settings) as url:
        watching = processes.thermowell("watch", jobs.running.id, "--json", "--url", url)
        while not watching.output():
            assert watching.process.poll() is None, watching.output()
        watching.signal(signal.SIGINT)
        assert watching.wait() == Exit.INTERRUPTED
    assert "The job goes on" in watching.output()
    assert f"thermowell watch {jobs.running.id}" in watching.output()
    assert get_job(db, jobs.running.id, server_fixtures.LOCAL).state == "running"


def test_no_service(run: Run, spec_file: Path, free_port: int) -> None:
    nowhere = f"http://127.0.0.1:{free_port}"
    for command in (("list",), ("submit", spec_file), ("watch", "0" * 16)):
        done = run(*command, "--url", nowhere)
        assert done.exit_code == Exit.UNREACHABLE
        assert "thermowell serve" in done.stderr


def test_usage(run: Run, tmp_path: Path) -> None:
    assert run("submit").exit_code == Exit.USAGE
    assert run("explode").exit_code == Exit.USAGE
    done = run("submit", tmp_path / "none.yaml")
    assert done.exit_code == Exit.USAGE
    assert "none.yaml" in done.stderr
    assert run("--version").stdout.strip() == "0.1.0"


def test_keys(run: Run, db: Database) -> None:
    made = run("keys", "create", "laptop", "--scope", "read", "--scope", "dashboard")
    principal = verify_key(db, made.stdout.strip())
    assert principal is not None
    assert (principal.name, principal.scopes) == ("laptop", {"read", "dashboard"})
    assert "dashboard, read" in run("keys", "list").stdout
    [listed] = json.loads(run("keys", "list", "--json").stdout)["items"]
    assert made.stdout.strip() not in json.dumps(listed)
    assert run("keys", "revoke", principal.id).exit_code == Exit.OK
    assert verify_key(db, made.stdout.strip()) is None
    assert run("keys", "revoke", "unknown").exit_code == Exit.REFUSED
    assert run("keys", "create", "x", "--scope", "root").exit_code == Exit.USAGE
    assert run("keys", "create", "").exit_code == Exit.USAGE
    assert json.loads(run("keys", "create", "x", "--json").stdout)["scopes"] == ["read", "submit"]


def test_a_new_key_has_the_usual_quota_unless_told_otherwise(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def quota(*options: str) -> list[int | None]:
        return list(json.loads(run("keys", "create", "x", "--json", *options).stdout)["quota"].values())

    assert quota() == [None, None, None]
    monkeypatch.setenv("THERMOWELL_KEY_JOBS", "3")
    monkeypatch.setenv("THERMOWELL_KEY_PARALLEL", "8")
    assert quota() == [3, None, 8]
    assert quota("--jobs", "5", "--trials", "9") == [5, 9, 8]
    assert quota("--unlimited", "--trials", "9") == [None, 9, None]
    monkeypatch.setenv("THERMOWELL_KEY_JOBS", "0")
    done = run("keys", "create", "x")
    assert done.exit_code == Exit.USAGE
    assert "THERMOWELL_KEY_JOBS" in done.stderr


def test_the_proxy_wants_grpc_and_a_schema(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = run("optuna-proxy", env={"THERMOWELL_VAR": str(tmp_path / "empty")})
    assert done.exit_code == Exit.REFUSED
    assert "thermowell migrate" in done.stderr
    monkeypatch.setattr(cli_operate.importlib.util, "find_spec", lambda name: None)
    done = run("optuna-proxy")
    assert done.exit_code == Exit.USAGE
    assert "pip install 'thermowell[proxy]'" in done.stderr


def test_migrate_makes_the_first_admin_key_once(run: Run, tmp_path: Path) -> None:
    elsewhere = {"THERMOWELL_VAR": str(tmp_path / "new"), "THERMOWELL_HOST": "0.0.0.0"}
    first = run("migrate", env=elsewhere)
    db = open_database(f"sqlite:///{tmp_path / 'new' / 'thermowell.db'}")
    admin = verify_key(db, first.stdout.strip())
    db.close()
    assert admin is not None
    assert admin.may("admin")
    assert run("migrate", env=elsewhere).stdout == ""


def test_migrate_on_loopback_makes_a_key_when_asked(run: Run, db: Database) -> None:
    assert (run("migrate").stdout, any_keys(db)) == ("", False)
    assert verify_key(db, run("migrate", "--admin-key").stdout.strip()) is not None


def test_migrate_takes_the_admin_key_from_a_file(run: Run, db: Database, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    environment = {"THERMOWELL_ADMIN_KEY_FILE": str(file)}
    assert run("migrate", env=environment).exit_code == Exit.USAGE, "there is no such file"
    file.write_text("short\n")
    assert run("migrate", env=environment).exit_code == Exit.USAGE
    file.write_text("a-secret-of-the-operator-0123456789\n")
    assert run("migrate", env=environment).stdout == ""
    assert run("migrate", env=environment).exit_code == Exit.OK
    admin = verify_key(db, "a-secret-of-the-operator-0123456789")
    assert admin is not None
    assert admin.scopes == {"admin"}


def test_serve_refuses_to_be_open_to_others(run: Run) -> None:
    done = run("serve", "--host", "0.0.0.0", "--port", "0")
    assert done.exit_code == Exit.REFUSED
    assert "thermowell keys create" in done.stderr


def test_settings_that_cannot_be(run: Run) -> None:
    done = run("migrate", env={"THERMOWELL_DATABASE_URL": "mysql://x", "THERMOWELL_PORT": "many"})
    assert done.exit_code == Exit.USAGE
    assert "THERMOWELL_PORT: must be a valid integer" in done.stderr
    assert "THERMOWELL_LANE is no setting" in run("keys", "list", env={"THERMOWELL_LANE": "3"}).stderr


def test_a_worker_with_a_setting_that_cannot_be(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THERMOWELL_LEASE_SECONDS", "soon")
    assert process.main([]) == Exit.USAGE
    assert "THERMOWELL_LEASE_SECONDS: must be a valid number" in capsys.readouterr().err


def test_a_database_that_is_away(run: Run, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    done = run("keys", "list", env={"THERMOWELL_DATABASE_URL": f"sqlite:///{tmp_path / 'folder'}"})
    assert done.exit_code == Exit.UNREACHABLE
    done = run("keys", "list", env={"THERMOWELL_DATABASE_URL": f"sqlite:///{tmp_path / 'empty.db'}"})
    assert done.exit_code == Exit.REFUSED
    assert "thermowell migrate" in done.stderr


def test_spec_prints_a_spec_that_is_fine(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(run("spec").stdout)
    assert run("spec", "check", file).exit_code == Exit.OK
    assert json.loads(run("spec", "check", file, "--json").stdout)["valid"] is True
    assert json.loads(run("spec", "schema").stdout)["properties"]["schema_version"]["const"] == 1


def test_spec_check_says_what_is_wrong(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "spec.yaml"
    file.write_text(yaml.safe_dump(server_fixtures.document() | {"seed": -1}))
    done = run("spec", "check", file)
    assert done.exit_code == Exit.FAILED
    assert "seed (line" in done.stderr
    assert json.loads(run("spec", "check", file, "--json").stdout)["errors"][0]["path"] == "seed"


@pytest.mark.parametrize("command", [("worker",), ("data", "list"), ("data", "fetch", "digits"), ("demo",)])
def test_without_torch_it_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.setattr(cli_operate.importlib.util, "find_spec", lambda name: None)
    done = run(*command)
    assert done.exit_code == Exit.USAGE
    assert "pip install 'thermowell[worker]'" in done.stderr


@pytest.mark.slow  # processes of their own, each with torch
def test_files_of_others_are_converted_checked_and_kept(run: Run, settings: Settings, tmp_path: Path) -> None:
    state = {
        f"module.{name}": tensor for name, tensor in models.build(Model("cnn"), 1, (8, 8), 7, 0).state_dict().items()
    }
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "own.pth")
    command = ("weights", "add", tmp_path / "own.pth", "--channels", "1", "--preprocessing", "half")
    done = run(*command, "--model", "cnn")
    assert done.exit_code == Exit.OK, done.stderr
    digest = done.stdout.strip()
    for words in ("matched: ", "unwrapped: state_dict, module.", "classes: 7", "preprocessing: half"):
        assert words in done.stderr
    assert (settings.artifact_root / digest[:2] / digest).is_file()
    refused = run(*command, "--model", "cnn", "--arguments", '{"depth": 2}')
    assert refused.exit_code == Exit.REFUSED
    assert "does not fill cnn" in refused.stderr


@pytest.mark.slow  # processes of their own, each with torch
def test_a_teacher_elsewhere_is_asked(run: Run, settings: Settings, tmp_path: Path) -> None:
    spec = server_fixtures.document() | {"dataset": {"name": "digits", "train_size": 50}}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(spec))
    done = run("teacher", "inputs", tmp_path / "spec.yaml", "-o", tmp_path / "inputs")
    assert done.exit_code == Exit.OK, done.stderr
    manifest = done.stdout.strip()
    assert "train: [1, 50, 1, 8, 8]" in done.stderr
    with np.load(tmp_path / "inputs" / "inputs.npz") as file:
        answers = {name: np.zeros((len(file[name].reshape(-1, 64)), 10), np.float32) for name in file.files}
    np.savez(tmp_path / "answers.npz", **answers)
    taken = run("teacher", "logits", manifest, tmp_path / "answers.npz")
    assert taken.exit_code == Exit.OK, taken.stderr
    assert "caution: that is near chance" in taken.stderr
    digest = taken.stdout.strip()
    assert (settings.artifact_root / digest[:2] / digest).is_file()
    refused = run("teacher", "logits", tmp_path / "answers.npz", tmp_path / "answers.npz")
    assert refused.exit_code == Exit.REFUSED
    assert "is no manifest" in refused.stderr


def test_a_teachers_weights_go_into_the_store(run: Run, settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "teacher.safetensors"
    assert run("data", "keep", file).exit_code == Exit.USAGE
    content = safetensors.numpy.save({"head.weight": np.zeros((3, 2), np.float32)})
    for damaged, words in (
        (b"weights", "is no safetensors"),
        (content[:-1], "not whole"),
        (content + b" ", "not whole"),
    ):
        file.write_bytes(damaged)
        refused = run("data", "keep", file)
        assert refused.exit_code == Exit.USAGE
        assert words in refused.stderr
        assert "thermowell weights add" in refused.stderr
    file.write_bytes(content)
    digest = run("data", "keep", file).stdout.strip()
    assert digest == hashlib.sha256(content).hexdigest()
    assert (settings.artifact_root / digest[:2] / digest).read_bytes() == content


@pytest.mark.slow
def test_a_worker_without_work_may_end_by_itself(processes: Processes, tmp_path: Path, run: Run) -> None:
    environment = {"THERMOWELL_VAR": str(tmp_path / "empty")}
    assert run("migrate", env=environment).exit_code == Exit.OK
    assert processes.thermowell("worker", "--threads", "1", "--exit-when-idle", env=environment).wait() == Exit.OK


@pytest.mark.slow
def test_commands_of_other_rooms_take_over_the_process(processes: Processes, settings: Settings) -> None:
    environment = {"THERMOWELL_VAR": str(settings.var)}
    fetching = processes.thermowell("data", "fetch", "digits", env=environment)
    unknown = processes.thermowell("data", "fetch", "digitz", env=environment)
    assert fetching.wait() == Exit.OK
    assert "digits needs no fetching" in fetching.output()
    assert unknown.wait() == Exit.USAGE


@pytest.mark.usefixtures("url")
class TestReadingAndNames:
    def test_a_job_is_named_by_its_name_too(self, run: Run, jobs: Jobs, db: Database) -> None:
        assert json.loads(run("result", "done", "--json").stdout)["job_id"] == jobs.completed.id
        assert run("cancel", "waiting").exit_code == Exit.OK
        assert get_job(db, jobs.queued.id, server_fixtures.LOCAL).state == "cancelled"
        missing = run("result", "nothing")
        assert missing.exit_code == Exit.REFUSED
        assert "`thermowell list` shows what there is" in missing.stderr.replace("\n", " ")
        server_fixtures.submit(db, name="going")
        twice = run("watch", "going")
        assert twice.exit_code == Exit.REFUSED
        assert "2 jobs have the name going" in twice.stderr

    def test_trials_response_and_report(self, run: Run, jobs: Jobs, tmp_path: Path) -> None:
        listed = run("trials", "going")
        assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [
            ["0", "search", "completed"],
            ["1", "search", "completed"],
            ["2", "search", "running"],
        ]
        assert len(json.loads(run("trials", "done", "--json", "--limit", "3").stdout)["items"]) == 3
        assert run("trials", "done", "--csv").stdout.startswith("number,stage")
        curve = run("response", "done")
        assert curve.exit_code == Exit.OK
        assert curve.stdout.split()[:4] == ["T", "accuracy", "low", "high"]
        assert json.loads(run("response", "done", "--json").stdout)["job_id"] == jobs.completed.id
        assert run("response", "going").exit_code == Exit.NOT_READY
        for name in ("done", "going"):
            assert run("report", name, "--out", tmp_path / f"{name}.html").exit_code == Exit.OK
            assert "<svg" in (tmp_path / f"{name}.html").read_text()

    def test_a_failed_job_says_why_everywhere(self, run: Run, db: Database, jobs: Jobs, url: str) -> None:
        why = "the data set is not below the data root"
        server_fixtures.fail(db, jobs.queued.id, why)
        with Client(url) as client:
            assert why in str(client.wait(jobs.queued.id, progress=False).problem)
            with pytest.raises(NotReady, match=why):
                client.result(jobs.queued.id)
            *_, last = client.events(jobs.queued.id)
            assert why in str(last.payload)
        followed = run("watch", "waiting", "--json")
        assert followed.exit_code == run("watch", "waiting").exit_code == Exit.FAILED
        assert why in followed.stdout.splitlines()[-1]
        for command in (("list",), ("result", "waiting"), ("watch", "waiting")):
            done = run(*command)
            assert "the data set is not below the data root" in (done.stdout + done.stderr).replace("\n", " "), command
        assert run("result", "waiting").exit_code == Exit.FAILED
        refused = run("result", "waiting", "--json")
        assert "the data set is not below the data root" in refused.stderr

    def test_an_agent_takes_a_name_where_its_key_may_look_it_up(
        self, run: Run, jobs: Jobs, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun: list[tuple[str, ...]] = []
        monkeypatch.setattr(cli_agent, "become", lambda *arguments: begun.append(arguments))
        command = ("--url", url, "--", "python", "train.py", "--url", "x")
        assert run("agent", "going", *command).exit_code == Exit.OK
        assert run("agent", "nothing", *command).exit_code == Exit.REFUSED
        run("agent", jobs.running.id, "--", "true")
        run("agent", "--commands", "file")
        monkeypatch.setenv("THERMOWELL_KEY", "tw_wrong")
        run("agent", "going", *command)
        named = [jobs.running.id, jobs.running.id, "--commands", "going"]
        assert [arguments[:2] for arguments in begun] == [("thermowell.agent", name) for name in named]

    def test_a_shell_completes_commands(self, run: Run) -> None:
        env = {"_ROOT_COMPLETE": "complete_bash", "COMP_WORDS": "thermowell stu", "COMP_CWORD": "1"}
        assert run(env=env).stdout.split() == ["student", "study"]

    def test_open_prints_the_address(self, run: Run, jobs: Jobs, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
        opened: list[str] = []
        monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
        assert run("open", "done").stdout.strip() == f"{url}/jobs/{jobs.completed.id}"
        assert run("open").exit_code == Exit.OK
        assert opened == [f"{url}/jobs/{jobs.completed.id}", f"{url}/jobs"]

    def test_an_address_needs_no_scheme(self, run: Run, jobs: Jobs, url: str) -> None:
        assert jobs.completed.id in run("list", "--url", url.removeprefix("http://")).stdout

    def test_a_study_for_a_job_and_the_reverse_are_told(self, run: Run, tmp_path: Path, spec_file: Path) -> None:
        base = server_fixtures.document()
        del base["name"]
        study = tmp_path / "study.yaml"
        study.write_text(yaml.safe_dump({"name": "s", "base": base, "factors": {"training.epochs": [2, 3]}}))
        wrong = run("submit", study)
        assert wrong.exit_code == Exit.REFUSED
        assert "submit it with `thermowell study submit FILE`" in wrong.stderr.replace("\n", " ")
        reverse = run("study", "submit", spec_file)
        assert reverse.exit_code == Exit.REFUSED
        assert "submit it with `thermowell submit FILE`" in reverse.stderr.replace("\n", " ")
        checked = run("study", "check", study)
        assert checked.exit_code == Exit.OK
        assert "2 jobs, 8 search trials in all" in checked.stderr
        assert run("study", "check", spec_file).exit_code == Exit.FAILED


def test_the_first_key_warns_that_loopback_closes(run: Run) -> None:
    first = run("keys", "create", "mine")
    assert "This is the first key" in first.stderr
    assert "the first key" not in run("keys", "create", "second").stderr
