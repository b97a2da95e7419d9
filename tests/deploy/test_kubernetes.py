"""API server and KEDA take the manifests, which are as locked up as compose's services, with the right query."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import sqlalchemy
import yaml
from cloudcoil.models.keda import v1alpha1
from pydantic import ValidationError

from search.requests import jobs
from search.schema import migrate
from search.spec.job import JobSpec
from search.storage.db import Database, open_database
from tests.search.factories import ME

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
CORE = ("ConfigMap", "PersistentVolumeClaim", "Deployment", "Service")
KEDA = ("TriggerAuthentication", "ScaledObject")


def documents() -> Iterator[dict[str, Any]]:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(each.name for each in FOLDER.iterdir())
    for name in listed:
        yield from yaml.safe_load_all((FOLDER / name).read_text())


ALL = list(documents())
DEPLOYMENTS = {each["metadata"]["name"]: each["spec"] for each in ALL if each["kind"] == "Deployment"}
SCALED = {each["metadata"]["name"]: each["spec"] for each in ALL if each["kind"] == "ScaledObject"}


def named(document: dict[str, Any]) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


@pytest.mark.parametrize("document", ALL, ids=named)
def test_follows_its_schema(document: dict[str, Any]) -> None:
    if document["kind"] in CORE:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    else:
        assert document["kind"] in KEDA
        getattr(v1alpha1, document["kind"]).model_validate(document)


def test_a_wrong_word_would_be_found() -> None:
    deployment = copy.deepcopy(next(each for each in ALL if each["kind"] == "Deployment"))
    deployment["spec"]["template"]["spec"]["containers"][0]["readOnlyRootFileSystem"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, kubernetes_validate.latest_version(), strict=True)
    scaled = copy.deepcopy(next(each for each in ALL if each["kind"] == "ScaledObject"))
    del scaled["spec"]["scaleTargetRef"]
    with pytest.raises(ValidationError):
        v1alpha1.ScaledObject.model_validate(scaled)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_nobody_is_root_and_nothing_of_the_system_can_be_changed(name: str) -> None:
    pod = DEPLOYMENTS[name]["template"]["spec"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert pod["automountServiceAccountToken"] is False
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        locked = container["securityContext"]
        assert locked["readOnlyRootFilesystem"]
        assert locked["allowPrivilegeEscalation"] is False
        assert locked["capabilities"] == {"drop": ["ALL"]}
    assert not [each for each in pod["containers"] if any("secret" in str(entry) for entry in each.get("env", []))]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_what_is_mounted_is_there(name: str) -> None:
    pod = DEPLOYMENTS[name]["template"]["spec"]
    volumes = {each["name"] for each in pod["volumes"]}
    claims = {each["metadata"]["name"] for each in ALL if each["kind"] == "PersistentVolumeClaim"}
    assert {
        each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"] if "persistentVolumeClaim" in each
    } <= claims
    mounted = {
        mount["name"] for each in [*pod["containers"], *pod.get("initContainers", [])] for mount in each["volumeMounts"]
    }
    assert mounted == volumes


def test_each_class_of_workers_is_scaled_and_given_time_to_drain() -> None:
    workers = {name for name in DEPLOYMENTS if name.startswith("worker-")}
    assert {each["scaleTargetRef"]["name"] for each in SCALED.values()} == workers
    for name in workers:
        assert "replicas" not in DEPLOYMENTS[name]  # whose number would be KEDA's no more with every `apply`
        pod = DEPLOYMENTS[name]["template"]["spec"]
        environment = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        assert float(environment["THERMOWELL_GRACE_SECONDS"]) < pod["terminationGracePeriodSeconds"]


@pytest.fixture
def database(fresh_postgres_url: str) -> Iterator[Database]:
    opened = open_database(fresh_postgres_url)
    migrate(opened)
    yield opened
    opened.close()


def wanted(database: Database, name: str) -> int:
    """What KEDA would read: one number."""
    [trigger] = SCALED[name]["triggers"]
    with database.read() as connection:
        return int(connection.execute(sqlalchemy.text(trigger["metadata"]["query"])).scalar_one())


def job(database: Database, trials: int, **fleet: Any) -> None:
    document = {
        "name": "scaled",
        "dataset": {"name": "digits"},
        "teacher": {
            "model": {"name": "mlp"},
            "training": {"epochs": 1},
            "optimizer": {"name": "adamw", "learning_rate": 0.01},
        },
        "student": {"name": "mlp"},
        "budget": {"trials": trials},
        "fleet": fleet,
    }
    jobs.submit(database, JobSpec.model_validate(document), ME)


def test_as_many_workers_are_wanted_as_the_open_jobs_keep_busy(database: Database) -> None:
    assert (wanted(database, "worker-cpu"), wanted(database, "worker-gpu")) == (0, 0)
    job(database, 64)
    job(database, 2)
    assert (wanted(database, "worker-cpu"), wanted(database, "worker-gpu")) == (16 + 1, 0)
    job(database, 400, labels=["gpu"], parallel=3)
    assert (wanted(database, "worker-cpu"), wanted(database, "worker-gpu")) == (16 + 1, 3)
    with database.write() as connection:
        connection.execute(sqlalchemy.text("UPDATE tw_jobs SET state = 'completed' WHERE budget_trials = 64"))
        connection.execute(sqlalchemy.text("UPDATE tw_jobs SET state = 'paused' WHERE budget_trials = 400"))
    assert (wanted(database, "worker-cpu"), wanted(database, "worker-gpu")) == (1, 0)
