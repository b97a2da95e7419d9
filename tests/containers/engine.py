"""A Docker engine for as long as the tests run, where one can be had.

`python -m tests.containers.engine` answers with its exit status, and says what is missing.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.processes import die_with_parent

START_SECONDS = 60.0


class NoEngine(Exception):
    """What the containers run on cannot be had on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers, by way of its command lines."""

    docker_command: str
    compose_command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)

    def docker(self, *arguments: str | Path, timeout: float = 60.0, stdin: bytes | None = None) -> str:
        """What `docker` prints. AssertionError, with all that it said, where it fails."""
        return _said([self.docker_command, *map(str, arguments)], self.environment, timeout, stdin)

    def compose(
        self, *arguments: str | Path, environment: Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> str:
        """What `docker-compose` prints. AssertionError, with all that it said, where it fails."""
        command = [*self.compose_command, *map(str, arguments)]
        return _said(command, {**self.environment, **(environment or {})}, timeout)

    def has_image(self, tag: str) -> bool:
        """Whether this engine holds an image of that name."""
        command = [self.docker_command, "image", "inspect", tag]
        return subprocess.run(command, env=dict(self.environment), capture_output=True, check=False).returncode == 0

    def address_of_this_machine(self) -> str:
        """Under which address a container, and a build, reaches the machine that the engine runs on."""
        network = self.docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}").strip()
        return str(next(ipaddress.ip_network(network).hosts()))


def _said(command: list[str], environment: Mapping[str, str], timeout: float, stdin: bytes | None = None) -> str:
    __tracebackhide__ = True  # a report of pytest's would show the environment
    done = subprocess.run(
        command, env=dict(environment), input=stdin, capture_output=True, timeout=timeout, check=False,
    )  # fmt: skip
    said = done.stdout.decode(errors="replace")
    everything = f"{' '.join(command)} ended with {done.returncode}:\n{said}\n{done.stderr.decode(errors='replace')}"
    assert done.returncode == 0, everything[-20_000:]
    return said


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine that runs here, or one that is started and stopped again. NoEngine."""
    found = _commands()
    if _answers(found):
        yield found
        return
    with _daemon(found):
        yield found


def _commands() -> Engine:
    # Debian's own client builds with BuildKit as it is; a newer one found elsewhere may lack the plugin for it.
    path = f"/usr/bin:{os.environ.get('PATH', '')}"
    docker = shutil.which("docker", path=path)
    if docker is None:
        raise NoEngine("there is no docker (Debian and Ubuntu: apt-get install docker.io)")
    environment = {**os.environ, "PATH": path, "DOCKER_BUILDKIT": "1"}
    for compose in ([shutil.which("docker-compose", path=path) or "docker-compose"], [docker, "compose"]):
        with suppress(FileNotFoundError):
            if subprocess.run([*compose, "version"], env=environment, capture_output=True, check=False).returncode == 0:
                return Engine(docker, tuple(compose), environment)
    raise NoEngine("there is no docker-compose (Debian and Ubuntu: apt-get install docker-compose)")


def _answers(engine: Engine) -> bool:
    command = [engine.docker_command, "info"]
    asked = subprocess.run(command, env=dict(engine.environment), capture_output=True, timeout=60, check=False)
    return asked.returncode == 0


@contextmanager
def _daemon(engine: Engine) -> Iterator[None]:
    """An engine of our own. It ends with this process, whatever becomes of it."""
    program = shutil.which("dockerd", path=f"/usr/sbin:{engine.environment['PATH']}")
    if program is None:
        raise NoEngine(
            "no engine answers, and there is no dockerd to start (Debian and Ubuntu: apt-get install docker.io)"
        )
    if os.geteuid() != 0:
        raise NoEngine("no engine answers, and only root may start one")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [program, "--storage-driver", "overlay2"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM),
        )  # fmt: skip
        try:
            end = time.monotonic() + START_SECONDS
            while not _answers(engine):
                if process.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    raise NoEngine(f"dockerd does not start: {log.read().decode(errors='replace')[-2000:]}")
                time.sleep(0.5)
            yield
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> int:
    """0 where an engine can be had."""
    try:
        with engine() as found:
            print(found.docker("version", "--format", "Docker engine {{.Server.Version}}").strip())
    except NoEngine as missing:
        print(missing)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
