"""docker-compose.yml is valid and starts what it promises. `make compose-config` asks docker-compose itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = ["migrate", "api", "worker", "optuna-proxy"]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?P<kind>:?[-?])(?P<text>[^}]*)\}")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services with each variable at its default."""
    text = VARIABLE.sub(lambda found: found["text"], (ROOT / "docker-compose.yml").read_text())
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    return services


@pytest.mark.parametrize("file", ["docker-compose.yml", "docker-compose.gpu.yml", "docker-compose.s3.yml"])
def test_follows_the_compose_specification(file: str) -> None:
    check = Path(sys.executable).with_name("check-jsonschema")
    command = [check, "--builtin-schema", "vendor.compose-spec", ROOT / file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_services(services: dict[str, Any]) -> None:
    assert sorted(services) == ["agent", "api", "data", "migrate", "optuna-proxy", "postgres", "worker"]
    asked_for = {name: service["profiles"] for name, service in services.items() if "profiles" in service}
    assert asked_for == {"agent": ["agent"], "data": ["tools"], "optuna-proxy": ["proxy"]}  # not started by `up`


def test_each_waits_for_what_it_needs(services: dict[str, Any]) -> None:
    def waits(name: str) -> dict[str, str]:
        return {other: how["condition"] for other, how in services[name]["depends_on"].items()}

    assert waits("migrate") == {"postgres": "service_healthy"}
    assert waits("api") == waits("worker") == waits("optuna-proxy") == {"migrate": "service_completed_successfully"}
    assert waits("agent") == {"api": "service_healthy"}
    assert "pg_isready" in str(services["postgres"]["healthcheck"]["test"])
    assert services["migrate"]["restart"] == "no"


def test_worker_can_be_scaled(services: dict[str, Any]) -> None:
    assert not {"ports", "container_name", "hostname"} & services["worker"].keys()


def test_logs_do_not_fill_the_disk(services: dict[str, Any]) -> None:
    assert all(service["logging"]["options"]["max-size"] for service in services.values())


def test_root_is_read_only_and_nothing_is_privileged(services: dict[str, Any]) -> None:
    assert all(service["read_only"] for service in services.values())
    assert all(service["cap_drop"] == ["ALL"] for service in services.values())
    assert services["postgres"]["user"] == "postgres"
    assert all("no-new-privileges:true" in service["security_opt"] for service in services.values())


def test_database_is_shared_and_its_password_is_in_a_file(services: dict[str, Any]) -> None:
    urls = {services[name]["environment"]["THERMOWELL_DATABASE_URL"] for name in OURS}
    assert urls == {"postgresql+psycopg://thermowell@postgres:5432/thermowell"}
    files = {services[name]["environment"]["THERMOWELL_DATABASE_PASSWORD_FILE"] for name in OURS}
    assert (
        files == {services["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"]} == {"/run/secrets/database_password"}
    )
    assert not [
        name for service in services.values() for name in service.get("environment", {}) if name.endswith("WORD")
    ]


def test_only_the_migration_sees_the_admin_key(services: dict[str, Any]) -> None:
    assert services["migrate"]["environment"]["THERMOWELL_ADMIN_KEY_FILE"] == "/run/secrets/admin_key"
    assert [name for name, service in services.items() if "admin_key" in service.get("secrets", [])] == ["migrate"]


def test_who_reaches_beyond(services: dict[str, Any]) -> None:
    networks = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["networks"]
    assert networks["inside"] == {"internal": True}
    beyond = {name for name, service in services.items() if "outside" in service["networks"]}
    assert beyond == {"api", "data"}  # who answers from outside, and who fetches
    assert "secrets" not in services["data"]
    assert "inside" not in services["data"]["networks"]


def test_volumes_outlive_the_containers(services: dict[str, Any]) -> None:
    assert "artifacts" in str(services["api"]["volumes"])
    assert "artifacts" in str(services["worker"]["volumes"])
    assert "data" in str(services["worker"]["volumes"])
    assert "database" in str(services["postgres"]["volumes"])


def test_what_was_compiled_outlives_the_worker_and_may_be_run(services: dict[str, Any]) -> None:
    (place,) = re.findall(r"TORCHINDUCTOR_CACHE_DIR=(\S+)", (ROOT / "Dockerfile").read_text())
    assert f"compiled:{place}" in services["worker"]["volumes"]  # without `:ro`
    options = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]["compiled"]
    assert options is None  # a plain volume, which is mounted without `noexec`
    assert "/tmp:exec,mode=1777" in services["worker"]["tmpfs"]


def test_a_worker_is_through_with_stopping_before_it_is_killed(services: dict[str, Any]) -> None:
    worker = services["worker"]
    assert float(worker["environment"]["THERMOWELL_GRACE_SECONDS"]) < float(worker["stop_grace_period"].rstrip("s"))


def test_unset_settings_are_left_to_the_worker(services: dict[str, Any]) -> None:
    environment = services["worker"]["environment"]
    names = ("THERMOWELL_ENGINE", "THERMOWELL_LANES", "THERMOWELL_LEASE_SECONDS")
    assert {environment[name] for name in names} == {None}


def test_traces_are_asked_for_by_the_shell(services: dict[str, Any]) -> None:
    for name in ("api", "worker"):
        wanted = {key: value for key, value in services[name]["environment"].items() if key.startswith("OTEL_")}
        assert {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER"} <= wanted.keys()
        assert set(wanted.values()) == {None}
    assert "shared = extras['s3'] + extras['tracing']" in (ROOT / "Dockerfile").read_text(), "nothing else traces"


def test_the_proxy_is_for_workers_alone(services: dict[str, Any]) -> None:
    proxy = services["optuna-proxy"]
    assert proxy["command"][0] == "optuna-proxy"
    assert proxy["networks"] == ["inside"], "it knows no keys"
    assert "ports" not in proxy
    assert services["worker"]["environment"]["THERMOWELL_OPTUNA_PROXY"] is None  # who has none set reaches the database


def test_an_agent_knows_one_narrow_key_and_no_database(services: dict[str, Any]) -> None:
    agent = services["agent"]
    assert agent["environment"] == {
        "THERMOWELL_URL": "http://api:8000",
        "THERMOWELL_KEY_FILE": "/run/secrets/agent_key",
    }
    assert (agent["secrets"], agent["networks"]) == (["agent_key"], ["inside"])
    assert "ports" not in agent
    assert any(volume.endswith(":/srv/agent:ro") for volume in agent["volumes"])
    (place,) = [volume.split(":")[1] for volume in agent["volumes"] if volume.startswith("trials:")]
    assert place == agent["command"][agent["command"].index("--folder") + 1]
    assert place in (ROOT / "Dockerfile").read_text(), "a new volume takes over the owner of the image's folder"


def test_gpus_are_an_addition(services: dict[str, Any]) -> None:
    assert "deploy" not in services["worker"]
    gpu = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]
    [device] = gpu["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "capabilities": ["gpu"]}


def test_a_bucket_is_an_addition_and_its_credentials_are_a_file(services: dict[str, Any]) -> None:
    added = yaml.safe_load((ROOT / "docker-compose.s3.yml").read_text())["services"]
    assert sorted(added) == ["api", "worker"]
    for name, service in added.items():
        assert service["environment"]["AWS_SHARED_CREDENTIALS_FILE"] == "/run/secrets/aws"
        assert not any("KEY" in each for each in service["environment"])
        assert service["secrets"] == ["aws"]
        assert "outside" in services[name]["networks"] + service.get("networks", []), "the bucket is there"


def test_the_plain_worker_is_for_processors_and_the_one_with_gpus_for_cuda(services: dict[str, Any]) -> None:
    assert services["worker"]["build"]["args"]["TORCH_INDEX_URL"] == CPU_INDEX
    assert f"ARG TORCH_INDEX_URL={CPU_INDEX}\n" in (ROOT / "Dockerfile").read_text()
    gpu = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]["worker"]
    assert gpu["build"]["args"]["TORCH_INDEX_URL"] == "${CUDA_TORCH_INDEX_URL-}"  # pip's own index offers CUDA
    assert gpu["image"] != services["worker"]["image"]
