"""A service with SQLite and workers of one's own, in a folder: they end with who started them, however that ends."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from service.settings import Settings
from service.terminal.console import Exit, fail, say_problem, stderr
from thermowell.errors import Refused, Unreachable
from thermowell.sync.client import Client

MARK = ".thermowell-demo"
KEPT_SETTINGS = (
    "THERMOWELL_ENGINE", "THERMOWELL_LANES", "THERMOWELL_THREADS", "THERMOWELL_SHOW_SECONDS",
    "THERMOWELL_STUDENT_PROGRAMS",
)  # fmt: skip
START_SECONDS = 60.0
STOP_SECONDS = 15.0
TAIL_LINES = 25
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def cores() -> int:
    """How many of the processor's cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _end_with_parent() -> Callable[[], None] | None:
    """What a child does first, on Linux: ask to be told to end when its parent is gone, even by `kill -9`."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before any fork
    return lambda: prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


class ProgramEnded(Exception):
    """A program that is needed has ended by itself."""


class Programs:
    """Programs of one's own, with what they say in files; they end with who started them, however that ends."""

    def __init__(self, directory: Path, settings: dict[str, str]) -> None:
        self.directory = directory
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("THERMOWELL_")}
        self.environment |= {name: os.environ[name] for name in KEPT_SETTINGS if name in os.environ} | settings
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.interrupted = False
        self.ends: set[str] = set()
        """Those that end by themselves when nothing is left to do."""
        self._first = _end_with_parent()

    def start(self, *command: str, name: str | None = None) -> subprocess.Popen[bytes]:
        """Starts one of `thermowell`'s commands in a group of its own: Ctrl-C is for us to pass on.

        `name` tells it apart from others of the same command; the command's own unless given.
        """
        name = name or command[0]
        with self.log(name).open("wb") as sink:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "service.cli", *command],
                stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT,
                env=self.environment, start_new_session=True, preexec_fn=self._first,
            )  # fmt: skip
        return self.running[name]

    def start_workers(self, count: int) -> None:
        """Starts workers, whose names have numbers where there are several."""
        for number in range(1, count + 1):
            self.start("worker", name="worker" if count == 1 else f"worker-{number}")

    def run(self, *command: str) -> None:
        """Runs one of `thermowell`'s commands to its end. Raises ProgramEnded where it fails."""
        self.start(*command).wait()
        if self.running[command[0]].returncode != 0:
            self.check()
        del self.running[command[0]]

    def check(self) -> None:
        """Raises KeyboardInterrupt where the user wants no more, and ProgramEnded where one of them has ended."""
        if self.interrupted:
            raise KeyboardInterrupt
        for name, process in self.running.items():
            if process.poll() is not None and not (name in self.ends and process.returncode == 0):
                raise ProgramEnded(f"`thermowell {name}` has ended with {process.returncode}")

    def stop(self) -> None:
        """Asks all to end, the worker first, and makes those that do not."""
        for process in reversed(self.running.values()):
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def log(self, name: str) -> Path:
        """Where a program's words go."""
        return self.directory / f"{name}.log"

    def show_tails(self, console: Console) -> None:
        """The last lines of each log, for who must find out what went wrong."""
        for name in self.running:
            lines = self.log(name).read_text(errors="replace").splitlines()[-TAIL_LINES:]
            console.print(f"\n--- the end of {self.log(name)}", style="dim", markup=False)
            console.print("\n".join(lines), markup=False, soft_wrap=True)


def alone(
    directory: Path,
    title: str,
    out: Console,
    work: Callable[[Programs, Client], Exit],
    trainer: str = "worker",
    workers: int = 1,
) -> Exit:
    """Does `work` beside a service and workers that are started for it, in a folder that is emptied first.

    Several workers share the processor's cores. Another `trainer` than a worker is started by `work` itself. `title` is
    what an interrupt interrupts; `out` is told what is started. What goes wrong is said on the error output, and
    answered as an exit code.
    """
    _make_fresh(directory)
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "THERMOWELL_VAR": str(directory.absolute()),
        "THERMOWELL_PORT": str(port),
        "THERMOWELL_DATA_ROOT": str(Settings().data_root.absolute()),
    }
    if workers > 1:
        settings["THERMOWELL_THREADS"] = str(max(1, cores() // workers))
    programs = Programs(directory, settings)
    started = f"one {trainer}" if workers == 1 else f"{workers} workers"
    out.print(f"Starting a service at {url} with SQLite, and {started}, in {directory}", markup=False)
    try:
        with _told_by_signals(programs):
            programs.run("migrate")
            programs.start("serve")
            if trainer == "worker":
                programs.start_workers(workers)
            with Client(url) as client:
                _wait_until_ready(client, programs)
                return work(programs, client)
    except KeyboardInterrupt:
        stderr().print(f"\nInterrupted: {title}'s service and {trainer} end with it.")
        return Exit.INTERRUPTED
    except Refused as refused:
        say_problem(refused.problem)
        return Exit.REFUSED
    except (ProgramEnded, Unreachable) as error:
        stderr().print(str(error), style="bold red", markup=False)
        programs.show_tails(stderr())
        return Exit.UNREACHABLE
    finally:
        programs.stop()


def stay_up(workers: int, out: Console) -> Exit:
    """Runs a service and so many workers on whatever is configured, until Ctrl-C or until one of them ends."""
    settings = Settings()
    logs = settings.var / "logs"
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        place = f"the folder {logs} cannot be made ({error.strerror})"
        fail(f"{place}: let THERMOWELL_VAR name one that may be written to", Exit.USAGE)
    configured = {name: value for name, value in os.environ.items() if name.startswith("THERMOWELL_")}
    programs = Programs(logs, configured)
    url = f"http://{'127.0.0.1' if settings.host in ('0.0.0.0', '::') else settings.host}:{settings.port}"
    out.print(f"Starting a service at {url} and {workers} worker{'' if workers == 1 else 's'}", markup=False)
    out.print(f"on {settings.safe_database_url}; what they say is in {logs}", markup=False, soft_wrap=True)
    try:
        with _told_by_signals(programs), Client(url) as client:
            programs.run("migrate")
            programs.start("serve")
            programs.start_workers(workers)
            _wait_until_ready(client, programs)
            out.print(f"Ready: {url}/jobs. Submit with `thermowell submit FILE`; Ctrl-C ends all of it.", markup=False)
            while True:
                programs.check()
                time.sleep(0.5)
    except KeyboardInterrupt:
        out.print("\nEnding the service and its workers.")
        return Exit.INTERRUPTED
    except (ProgramEnded, Unreachable) as error:
        stderr().print(str(error), style="bold red", markup=False)
        programs.show_tails(stderr())
        return Exit.UNREACHABLE
    finally:
        programs.stop()


def _wait_until_ready(client: Client, programs: Programs) -> None:
    """Raises ProgramEnded, or Unreachable where the service takes too long."""
    until = time.monotonic() + START_SECONDS
    while True:
        programs.check()
        try:
            client.http.request("GET", "/readyz")
            return
        except Unreachable:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _make_fresh(directory: Path) -> None:
    """Empties a folder that an earlier run has made; never another."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / MARK).exists():
            fail(f"{directory} holds other things than an earlier run: name another folder with --dir", Exit.USAGE)
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MARK).touch()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _told_by_signals(programs: Programs) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP end the run at its next step, with its programs; a second one ends it where it is."""

    def tell(_number: int, _frame: object) -> None:
        if programs.interrupted:
            raise KeyboardInterrupt
        programs.interrupted = True

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
