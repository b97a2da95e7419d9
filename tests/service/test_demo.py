"""The demo on a spec so small that it ends at once; and how it ends when something is in its way."""

from __future__ import annotations

import os
import re
import select
import signal
from pathlib import Path

import httpx
import pytest
import yaml

from benchmarks.newcomer import DEMO, MARKS, OWN, TRAINING
from service.terminal import programs
from service.terminal.console import Exit
from tests.processes import Processes, Started
from tests.service import server_fixtures


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    file = tmp_path / "spec.yaml"
    small = {"dataset": {"name": "digits", "train_size": 100}, "student": {"name": "mlp", "arguments": {"width": 4}}}
    file.write_text(yaml.safe_dump(server_fixtures.document("tiny", training={"epochs": 1}, **small)))
    return file


def start(processes: Processes, spec_file: Path, *options: str) -> tuple[Started, Path]:
    """The demo, and the folder it works in."""
    directory = spec_file.parent / "demo"
    environment = {"THERMOWELL_THREADS": "1", "COLUMNS": "80"}
    return processes.thermowell("demo", "--spec", spec_file, "--dir", directory, *options, env=environment), directory


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(started: Started, words: str) -> None:
    while words not in started.output():
        assert started.process.poll() is None, started.output()


def assert_gone(pids: list[int]) -> None:
    """All of these end soon, if they have not."""
    assert pids
    for pid in pids:
        try:
            waiting = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([waiting], [], [], 30)[0], f"{pid} is still there"
        finally:
            os.close(waiting)


@pytest.mark.slow
def test_the_main_job_from_start_to_answer(processes: Processes, spec_file: Path) -> None:
    running, directory = start(processes, spec_file, "--keep")
    wait_for(running, "The service stays up")
    said = running.output()
    for words in (
        "What could be used",
        "Best candidate tried",
        "Temperature response",
        "Gain over",
        "API documentation",
    ):
        assert words in said
    for address in re.findall(r"http://127\.0\.0\.1:\d+/\S+", said):
        assert httpx.get(address).status_code == 200, address
    assert "<html" in (directory / "report.html").read_text()
    for mark in ("installed", "first job submitted", "answer"):
        assert any(MARKS[mark].search(line) for line in said.splitlines()), f"the newcomer's path waits for {mark}"
    programs = children(running.pid)
    running.signal(signal.SIGTERM)
    assert running.wait() == Exit.OK
    assert_gone(programs)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_its_programs_end_with_it(processes: Processes, spec_file: Path, number: signal.Signals) -> None:
    running, _ = start(processes, spec_file)
    wait_for(running, "Submitted")
    programs = children(running.pid)
    assert len(programs) == 2
    running.signal(number)
    assert running.wait(60) == (-number if number == signal.SIGKILL else Exit.INTERRUPTED)
    assert_gone(programs)


@pytest.mark.slow
def test_a_worker_that_dies_is_shown_with_its_last_words(processes: Processes, spec_file: Path) -> None:
    running, _ = start(processes, spec_file)
    wait_for(running, "Submitted")
    worker = next(pid for pid in children(running.pid) if "worker" in Path(f"/proc/{pid}/cmdline").read_text())
    os.kill(worker, signal.SIGKILL)
    assert running.wait(60) == Exit.UNREACHABLE
    assert "`thermowell worker` has ended with -9" in running.output()
    assert "--- the end of" in running.output()


def test_a_refused_spec_is_explained(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: x\n")
    running, _ = start(processes, file)
    assert running.wait(150) == Exit.REFUSED
    assert "dataset (line 1): is missing" in running.output()


def test_it_empties_no_folder_but_its_own(processes: Processes, spec_file: Path) -> None:
    precious = spec_file.parent / "demo" / "precious"
    precious.mkdir(parents=True)
    running, directory = start(processes, spec_file)
    assert running.wait(60) == Exit.USAGE
    assert str(directory) in running.output().replace("\n", "")
    assert precious.is_dir()


def test_its_programs_keep_how_much_they_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they work is this run's own business; how many threads they take, and how often they draw, the user's."""
    monkeypatch.setenv("THERMOWELL_THREADS", "1")
    monkeypatch.setenv("THERMOWELL_SHOW_SECONDS", "600")
    monkeypatch.setenv("THERMOWELL_DATABASE_URL", "sqlite:///somewhere-else.db")
    environment = programs.Programs(tmp_path, {"THERMOWELL_VAR": "here"}).environment
    told = {name: value for name, value in environment.items() if name.startswith("THERMOWELL_")}
    assert told == {
        "THERMOWELL_THREADS": "1", "THERMOWELL_SHOW_SECONDS": "600", "THERMOWELL_STUDENT_PROGRAMS": "false",
        "THERMOWELL_VAR": "here",
    }  # fmt: skip


def test_it_needs_a_spec(processes: Processes, tmp_path: Path) -> None:
    running, _ = start(processes, tmp_path / "none.yaml")
    assert running.wait(60) == Exit.USAGE
    assert not (tmp_path / "demo").exists()
    assert programs.MARK.startswith("."), "the mark is no file that one would look at"


def test_a_newcomer_types_what_the_readme_says() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    for command in (DEMO[-1], *OWN, *TRAINING):
        assert command in readme, "benchmarks/newcomer.py measures a way that nobody is shown"
