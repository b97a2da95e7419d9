"""Is docker-compose.yml valid, and does it start what it promises? `make compose-config` asks docker-compose itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = ["migrate", "api", "worker"]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<kind>:[-?])(?P<text>[^}]*)\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services with each variable at its default, and the password, which has none, at `secret`."""

    def value(found: re.Match[str]) -> str:
        return "secret" if found["name"] == "POSTGRES_PASSWORD" else found["text"]

    text = VARIABLE.sub(value, (ROOT / "docker-compose.yml").read_text())
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.gpu.yml"])
def test_follows_the_compose_specification(file: str) -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [check, "--builtin-schema", "vendor.compose-spec", ROOT / file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


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
    uses = [each for each in VARIABLE.finditer((ROOT / "docker-compose.yml").read_text()) if "PASSWORD" in each["name"]]
    assert {each["kind"] for each in uses} == {":?"}  # refused when unset or empty, with a word on where to set it
    assert {each["text"] for each in uses} == {"set POSTGRES_PASSWORD in .env"}


def test_only_the_migration_sees_the_admin_key(services: dict[str, Any]) -> None:
    assert services["migrate"]["environment"]["THERMOWELL_ADMIN_KEY_FILE"] == "/run/secrets/admin_key"
    assert [name for name, service in services.items() if service.get("secrets")] == ["migrate"]


def test_volumes_outlive_the_containers(services: dict[str, Any]) -> None:
    assert "artifacts" in str(services["api"]["volumes"])
    assert "artifacts" in str(services["worker"]["volumes"])
    assert "data" in str(services["worker"]["volumes"])
    assert "database" in str(services["postgres"]["volumes"])


def test_unset_settings_are_left_to_the_worker(services: dict[str, Any]) -> None:
    assert services["worker"]["environment"]["THERMOWELL_LANES"] is None


def test_gpus_are_an_addition(services: dict[str, Any]) -> None:
    assert "deploy" not in services["worker"]
    gpu = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]
    [device] = gpu["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "capabilities": ["gpu"]}
