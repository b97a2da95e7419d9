"""Is docker-compose.yml valid for the programs that read it, and does it start what the README says?"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = ["migrate", "api", "worker"]


def compose(*files: str, password: str | None = "secret") -> subprocess.CompletedProcess[str]:
    """What `docker-compose config` makes of these files."""
    command = next((each for each in (["docker", "compose"], ["docker-compose"]) if answers(each)), None)
    if command is None:
        pytest.fail("neither docker-compose nor `docker compose` is here; Debian: apt-get install docker-compose")
    environment = {name: value for name, value in os.environ.items() if name != "POSTGRES_PASSWORD"}
    return subprocess.run(
        [*command, *(part for file in files for part in ("-f", file)), "config"],
        cwd=ROOT, env=environment | ({"POSTGRES_PASSWORD": password} if password else {}),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def answers(command: list[str]) -> bool:
    if shutil.which(command[0]) is None:
        return False
    return subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    done = compose("docker-compose.yml")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return found


def test_services(services: dict[str, Any]) -> None:
    assert sorted(services) == ["api", "migrate", "postgres", "worker"]


def test_each_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    def waits(name: str) -> dict[str, str]:
        return {other: how["condition"] for other, how in services[name]["depends_on"].items()}

    assert waits("migrate") == {"postgres": "service_healthy"}
    assert waits("api") == waits("worker") == {"migrate": "service_completed_successfully"}
    assert "pg_isready" in str(services["postgres"]["healthcheck"]["test"])
    assert services["migrate"]["restart"] == "no"


def test_worker_can_be_scaled(services: dict[str, Any]) -> None:
    assert not {"ports", "container_name", "hostname"} & services["worker"].keys()


def test_root_is_read_only_and_nothing_is_privileged(services: dict[str, Any]) -> None:
    assert all(service["read_only"] for service in services.values())
    assert all(services[name]["cap_drop"] == ["ALL"] for name in OURS)
    assert all("no-new-privileges:true" in service["security_opt"] for service in services.values())


def test_database_is_shared_and_the_password_has_no_default(services: dict[str, Any]) -> None:
    urls = {services[name]["environment"]["THERMOWELL_DATABASE_URL"] for name in OURS}
    assert urls == {"postgresql+psycopg://thermowell:secret@postgres:5432/thermowell"}
    refused = compose("docker-compose.yml", password=None)
    assert refused.returncode != 0
    assert "POSTGRES_PASSWORD in .env" in refused.stderr


def test_only_the_migration_sees_the_admin_key(services: dict[str, Any]) -> None:
    assert services["migrate"]["environment"]["THERMOWELL_ADMIN_KEY_FILE"] == "/run/secrets/admin_key"
    assert [name for name, service in services.items() if service.get("secrets")] == ["migrate"]


def test_volumes_outlive_the_containers(services: dict[str, Any]) -> None:
    assert "artifacts" in str(services["api"]["volumes"])
    assert "artifacts" in str(services["worker"]["volumes"])
    assert "data" in str(services["worker"]["volumes"])
    assert "database" in str(services["postgres"]["volumes"])


def test_unset_settings_are_left_to_the_worker(services: dict[str, Any]) -> None:
    assert services["worker"]["environment"].get("THERMOWELL_LANES") is None


def test_gpus_are_an_addition(services: dict[str, Any]) -> None:
    assert "deploy" not in services["worker"]
    done = compose("docker-compose.yml", "docker-compose.gpu.yml")
    assert done.returncode == 0, done.stderr
    [device] = yaml.safe_load(done.stdout)["services"]["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
