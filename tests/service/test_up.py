"""`thermowell up`: tables, service and workers by one command in one terminal."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import click.testing
import pytest
from rich.console import Console
from typer.testing import CliRunner

from service import cli
from service.terminal import programs
from service.terminal.console import Exit
from tests.service import server_fixtures
from tests.terminals import terminal
from thermowell.errors import Unreachable
from thermowell.sync.client import Client

SMALL = {"dataset": {"name": "digits", "train_size": 100}, "baselines": {"share": 0.0}, "confirmation": "none"}


@pytest.mark.slow
def test_one_command_brings_a_service_and_its_workers_and_ctrl_c_ends_them(tmp_path: Path, free_port: int) -> None:
    env = {"THERMOWELL_VAR": str(tmp_path), "THERMOWELL_PORT": str(free_port), "THERMOWELL_POLL_SECONDS": "0.1"}
    url = f"http://127.0.0.1:{free_port}"
    with terminal("up", "--workers", "2", env=env) as up, Client(url) as client:
        up.until(lambda text: f"Ready: {url}/jobs" in text)
        job = client.wait(client.submit(server_fixtures.document(**SMALL)), timeout=120)
        assert job.state == "completed"
        assert len([worker for worker in client.workers() if worker.alive]) == 2
        up.press(b"\x03")
        assert up.wait() == Exit.INTERRUPTED
        with pytest.raises(Unreachable):
            client.job(job)


def test_what_cannot_begin_is_said_at_once(tmp_path: Path, free_port: int) -> None:
    """A port that is taken, and a place for data that is no folder: for each command that would need them."""

    def run(command: str, env: dict[str, str]) -> click.testing.Result:
        return CliRunner().invoke(cli.build(), [command], env=env)

    (tmp_path / "file").touch()
    file = {"THERMOWELL_VAR": str(tmp_path / "file")}
    for command in ("up", "serve", "migrate"):
        done = run(command, env=file | {"THERMOWELL_PORT": str(free_port)})
        assert done.exit_code in (Exit.USAGE, Exit.UNREACHABLE)
        assert "let THERMOWELL_VAR name one that may be written to" in done.stderr, command
        assert "Traceback" not in done.stderr
    with socket.create_server(("127.0.0.1", free_port)):
        for command in ("up", "serve"):
            done = run(command, env={"THERMOWELL_VAR": str(tmp_path), "THERMOWELL_PORT": str(free_port)})
            assert done.exit_code == Exit.USAGE
            assert "stop what listens there, or choose another port by THERMOWELL_PORT" in done.stderr, command


@pytest.mark.slow
def test_a_part_that_ends_is_shown_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THERMOWELL_VAR", str(tmp_path))
    monkeypatch.setenv("THERMOWELL_DATABASE_URL", f"sqlite:///{tmp_path}")
    assert programs.stay_up(1, Console(file=io.StringIO())) == Exit.UNREACHABLE
