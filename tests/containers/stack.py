"""The compose file, brought up here: the same file, with the base images and names that an override gives it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.containers.engine import Engine
from tests.containers.standins import Bases
from tests.processes import free_port
from thermowell.sync.client import Client

ROOT = Path(__file__).parents[2]
PROJECT = "thermowell-tests"
IMAGES = {"migrate": "api", "api": "api", "worker": "worker", "data": "worker", "agent": "worker"}
LEASE_SECONDS = "10"
BUILD_SECONDS = 700.0


@dataclass(frozen=True)
class Stack:
    """One compose project, its secrets and the port it is reached by. Containers are named by their id."""

    engine: Engine
    directory: Path
    port: int
    secrets: Mapping[str, str] = field(repr=False)

    def compose(self, *arguments: str, files: tuple[Path, ...] = (), timeout: float = 120.0) -> str:
        """Runs docker-compose on the compose file, the override, and `files`."""
        named = [ROOT / "docker-compose.yml", self.directory / "override.yml", *files]
        options = [each for file in named for each in ("--file", str(file))]
        environment = {
            "PUBLISH_ADDRESS": f"127.0.0.1:{self.port}",
            "TORCH_INDEX_URL": "",
            "THERMOWELL_LEASE_SECONDS": LEASE_SECONDS,
            "THERMOWELL_ENGINE": "loop",
            "THERMOWELL_LANES": "2",
            "AGENT_FOLDER": str(self.directory / "agent"),
        }
        return self.engine.compose("-p", PROJECT, *options, *arguments, environment=environment, timeout=timeout)

    def build(self) -> None:
        """Builds all images."""
        self.compose("build", "api", "worker", timeout=BUILD_SECONDS)

    def up(self, workers: int) -> None:
        """Starts everything and returns once the API is ready."""
        self.compose("up", "--detach", "--scale", f"worker={workers}", timeout=180)

    def down(self, *options: str) -> None:
        """Removes the containers; the volumes stay unless `--volumes` says otherwise."""
        self.compose("down", "--timeout", "60", "--remove-orphans", *options, timeout=240)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, running or not."""
        found = self.engine.docker(
            "ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=com.docker.compose.project={PROJECT}",
            "--filter", f"label=com.docker.compose.service={service}",
        )  # fmt: skip
        return found.split()

    def only(self, service: str) -> str:
        """The id of a service's one container."""
        [container] = self.containers(service)
        return container

    def inspect(self, container: str) -> dict[str, Any]:
        """All that the engine says of a container."""
        [document] = json.loads(self.engine.docker("inspect", container))
        return dict(document)

    def within(self, container: str, *command: str, timeout: float = 60.0) -> str:
        """What a command prints inside of a running container. AssertionError where it fails."""
        return self.engine.docker("exec", container, *command, timeout=timeout)

    def client(self) -> Client:
        """A client with the admin's key, outside of all containers."""
        return Client(f"http://127.0.0.1:{self.port}", self.secrets["admin_key"])


def prepared(engine: Engine, bases: Bases, directory: Path) -> Stack:
    """A project that is not up yet, with secrets of its own."""
    known = {name: secrets.token_hex(32) for name in ("admin_key", "database_password")}
    for name, secret in known.items():
        (directory / name).write_text(secret)
        (directory / name).chmod(0o644)
    services: dict[str, Any] = {
        name: {"image": f"{PROJECT}/{target}", "build": {"args": {"BASE": bases.python}}}
        for name, target in IMAGES.items()
    }
    override = {
        "services": services | {"postgres": {"image": bases.postgres}},
        "secrets": {name: {"file": str(directory / name)} for name in (*known, "agent_key")},
    }
    (directory / "override.yml").write_text(yaml.safe_dump(override))
    return Stack(engine, directory, free_port(), known)
