"""Plugins over HTTP: the catalogue has what workers have published, and a spec may name no other."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from search.claims.workers import worker_seen
from search.spec.job import JobSpec
from search.storage.db import Database
from tests import distributions
from tests.service import server_fixtures

PLUGGED = {"dataset": {"name": "acme/words"}, "student": {"name": "acme/bag", "arguments": {"width": 4}}}

OF_ARITHMETIC = {
    "dataset": {"name": "digits", "augmentation": "acme/grain"},
    "distillation": {"method": "acme/soft", "alpha": 2},
    "space": {"optimizer": {"acme/heavy": None, "sgd": None}, "parameters": {"alpha": [0.5, 1]}},
}
WEIGHTS = {"name": "package:net", "model": "cnn", "arguments": {}, "source": "net 1.0", "sha256": "7" * 64}


@pytest.fixture(autouse=True)
def published(db: Database, tmp_path: Path) -> None:
    """A worker that has plugins, none of which this process has."""
    folder = tmp_path / "site"
    folder.mkdir()
    distributions.write(folder, "acme-kd", distributions.TABLE)
    distributions.write(folder, "sums-kd", distributions.ARITHMETIC)
    with distributions.importable(folder) as load:
        documents = [record.document() for record in load("acme-kd", "sums-kd").records.values()]
    capabilities = {"device": "cpu", "plugins": documents, "plugin_errors": {"gone-kd": "there is none"}}
    capabilities |= {"weights": [WEIGHTS], "local_models": ["hf:vit"]}
    worker_seen(db, "plugged", host="here", pid=2, lanes=1, capabilities=capabilities)


def test_the_catalogue_has_them(client: httpx.Client) -> None:
    found = client.get("/v1/catalogue").json()
    (bag,) = [model for model in found["models"] if model["name"] == "acme/bag"]
    assert (bag["source"], bag["summary"], bag["arguments"]["width"]["high"]) == ("acme-kd", "a bag", 64)
    (words,) = [entry for entry in found["datasets"] if entry["name"] == "acme/words"]
    assert (words["classes"], words["fetched_by"]) == (2, "plugin")
    assert {entry["fingerprint"] for entry in found["plugins"]}
    assert found["plugin_errors"] == {"gone-kd": "there is none"}


def test_the_catalogue_has_losses_optimizers_and_augmentations(client: httpx.Client) -> None:
    catalogue = client.get("/v1/catalogue").json()
    assert catalogue["losses"]["acme/soft"] == "kl as the project has it, alpha times"
    assert catalogue["optimizers"]["acme/heavy"] == ["learning_rate", "weight_decay", "momentum"]
    assert catalogue["augmentations"]["acme/grain"] == "grey levels off by up to 8"


def test_a_spec_may_name_losses_optimizers_and_augmentations(client: httpx.Client) -> None:
    submitted = client.post("/v1/jobs", json=server_fixtures.document(**OF_ARITHMETIC))
    assert submitted.status_code == 201, submitted.text
    spec = client.get(f"/v1/jobs/{submitted.json()['id']}").json()["spec"]
    heavy = spec["space"]["optimizer"]["acme/heavy"]
    assert heavy["learning_rate"] == {"low": 0.001, "high": 1.0, "log": True}
    assert (heavy["weight_decay"], heavy["momentum"]) == (0.0, 0.9)
    stored = JobSpec.model_validate(spec)  # as a process reads it that knows no plugin
    assert stored.space.optimizers().keys() == {"acme/heavy", "sgd"}
    document = stored.model_dump(mode="json", exclude_none=True)
    assert document["space"]["optimizer"] == spec["space"]["optimizer"]


def test_a_spec_may_name_them(client: httpx.Client) -> None:
    verdict = client.post("/v1/spec/validate", json=server_fixtures.document(**PLUGGED)).json()
    assert (verdict["valid"], verdict["errors"]) == (True, [])
    assert not {"no-worker", "data-missing"} & {warning["type"] for warning in verdict.get("warnings", ())}
    assert client.post("/v1/jobs", json=server_fixtures.document(**PLUGGED)).status_code == 201


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"student": {"name": "acme/bug"}}, "student.name", "did you mean acme/bag"),
        ({"student": {"name": "acme/bug"}}, "student.name", "THERMOWELL_PLUGINS"),
        ({"student": {"name": "acme/bug"}}, "student.name", "gone-kd could not be loaded: there is none"),
        ({"dataset": {"name": "acme/wards"}}, "dataset.name", "did you mean acme/words"),
        ({"student": {"name": "acme/bag", "arguments": {"width": 1}}}, "student.arguments.width", "between 2 and 64"),
        ({"student": {"name": "acme/bag", "arguments": {"depth": 1}}}, "student.arguments.depth", "did you mean width"),
        ({"distillation": {"method": "zscore"}}, "distillation.method", "3 or more"),
        ({"distillation": {"method": "acme/sift"}}, "distillation.method", "did you mean acme/soft"),
        ({"distillation": {"method": "acme/soft", "beta": 1}}, "distillation.beta", "acme/soft has none"),
        ({"dataset": {"name": "acme/sums", "arguments": {"rows": 1}}}, "dataset.arguments.rows", "between 10 and 1000"),
        ({"dataset": {"name": "digits", "arguments": {"rows": 1}}}, "dataset", "takes no arguments"),
        ({"dataset": {"name": "digits", "augmentation": "acme/grein"}}, "dataset.augmentation", "acme/grain"),
        ({"space": {"optimizer": {"acme/heavi": {}}}}, "space.optimizer", "did you mean acme/heavy"),
        ({"space": {"optimizer": {"acme/heavy": {"learning_rate": -1}}}}, "space.optimizer", "learning_rate"),
        ({"space": {"optimizer": {"acme/normed": {"momentum": 0.5}}}}, "space.optimizer", "momentum"),
    ],
)
def test_what_they_have_not_is_refused(client: httpx.Client, changes: dict[str, object], path: str, words: str) -> None:
    verdict = client.post("/v1/spec/validate", json=server_fixtures.document(**(PLUGGED | changes))).json()
    (error,) = verdict["errors"]
    assert error["path"] == path
    assert words in error["message"]


def test_weights_and_local_models_that_workers_have(client: httpx.Client) -> None:
    assert client.get("/v1/catalogue").json()["weights"] == [WEIGHTS]
    for named, missing in (("package:net", None), ("package:nut", "the weights package:nut")):
        teacher = {"source": "weights", "model": {"name": "cnn"}, "artifact": named}
        assert waits_for(client, teacher=teacher) == missing
    for model, missing in (("hf:vit", None), ("hf:bit", "the model hf:bit")):
        assert waits_for(client, teacher={"source": "weights", "model": {"name": model}}) == missing
        assert waits_for(client, student={"name": model}) == missing
        head = {"model": {"name": "cnn"}, "training": {}, "optimizer": {}, "origin": {"weights": model}}
        assert waits_for(client, teacher=head) == missing


def waits_for(client: httpx.Client, **changes: object) -> str | None:
    """What no living worker has for a spec; None where one has all of it."""
    verdict = client.post("/v1/spec/validate", json=server_fixtures.document(**changes)).json()
    assert (verdict["valid"], verdict["errors"]) == (True, [])
    warnings = [warning["detail"] for warning in verdict["preflight"]["warnings"] if warning["type"] == "no-worker"]
    return warnings[0].split(" has ")[1].split(", so the job")[0] if warnings else None
