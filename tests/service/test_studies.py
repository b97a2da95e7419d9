"""Studies over HTTP: what is sent and answered, what a client makes of it, and what cells say once they are done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import yaml

from search.errors import NotReady
from search.requests.jobs import get_job
from search.requests.studies import get_guidance, submit_study
from search.storage.db import Database
from search.studies.records import StudyDetail
from search.studies.spec import StudySpec
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.problems import refused
from thermowell.errors import Refused
from thermowell.sync.client import Client

YAML = {"Content-Type": "application/yaml"}


def document(**changes: Any) -> dict[str, Any]:
    """Two cells that differ in the training's length."""
    base = server_fixtures.document(budget={"trials": server_fixtures.ENOUGH})
    del base["name"]
    return {"name": "lengths", "base": base, "factors": {"training.epochs": [2, 3]}} | changes


def answered(db: Database, settings: Settings, study: StudyDetail) -> None:
    """Trains and closes the jobs of a study."""
    for cell in study.cells:
        job = get_job(db, cell.job_id, server_fixtures.LOCAL)
        server_fixtures.train(db, job)
        server_fixtures.close(db, settings.artifact_root, job)


def test_submitting_reading_extending_and_cancelling(client: httpx.Client) -> None:
    made = client.post("/v1/studies", content=yaml.safe_dump(document()), headers=YAML)
    assert made.status_code == 201
    study = made.json()
    assert made.headers["location"] == f"/v1/studies/{study['id']}"
    assert client.get(made.headers["location"]).json() == study
    assert [cell["levels"] for cell in study["cells"]] == [{"training.epochs": "2"}, {"training.epochs": "3"}]
    job = client.get(f"/v1/jobs/{study['cells'][1]['job_id']}").json()
    assert (job["study"], job["labels"]["training.epochs"], job["spec"]["training"]["epochs"]) == (study["id"], "3", 3)
    [listed] = client.get("/v1/studies").json()["items"]
    assert listed == {name: study[name] for name in listed}
    larger = client.post(f"/v1/studies/{study['id']}/extend", json={"factors": {"teacher.label_smoothing": [0, 0.1]}})
    assert larger.status_code == 200
    assert [cell["job_id"] for cell in larger.json()["cells"]][:2] == [cell["job_id"] for cell in study["cells"]]
    assert larger.json()["jobs"] == {"queued": 4}
    ended = client.post(f"/v1/studies/{study['id']}/cancel").json()
    assert (ended["state"], ended["jobs"]) == ("cancelled", {"cancelled": 4})


def test_the_same_request_makes_one_study(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "once"}
    first, second = (client.post("/v1/studies", json=document(), headers=key) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    refused(client.post("/v1/studies", json=document(replicates=2), headers=key), 422, "idempotency-mismatch")


@pytest.mark.parametrize(
    ("change", "path", "words"),
    [
        ({"factors": {"training.epochs": [2, -1]}}, "factors.training.epochs.-1", "in the cell training.epochs = -1"),
        ({"base": {}}, "base.dataset", "is missing"),
        ({"surprise": 1}, "surprise", "unknown field"),
    ],
)
def test_what_is_refused_is_named(client: httpx.Client, change: dict[str, Any], path: str, words: str) -> None:
    before = [job["id"] for job in client.get("/v1/jobs").json()["items"]]
    problem = refused(client.post("/v1/studies", json=document(**change)), 422, "spec-invalid")
    assert words in next(error["message"] for error in problem["errors"] if error["path"] == path)
    assert [job["id"] for job in client.get("/v1/jobs").json()["items"]] == before, "all or nothing"


@pytest.mark.parametrize("hostile", ["x", "..%2f..", "%00", "'%20OR%201=1--", "a" * 3000])
def test_there_is_no_such_study(client: httpx.Client, hostile: str) -> None:
    refused(client.get(f"/v1/studies/{hostile}"), 404, "not-found")
    refused(client.get(f"/v1/studies/{hostile}/guidance"), 404, "not-found")
    refused(client.post(f"/v1/studies/{hostile}/cancel"), 404, "not-found")
    refused(client.post(f"/v1/studies/{hostile}/extend", json={"replicates": 2}), 404, "not-found")


def test_studies_of_other_keys_are_as_good_as_none(client: httpx.Client, key: Callable[..., dict[str, str]]) -> None:
    mine, theirs, admin = key("submit"), key("submit"), key("admin")
    study = client.post("/v1/studies", json=document(), headers=mine).json()
    for method, path in (("GET", ""), ("GET", "/guidance"), ("GET", "/report"), ("POST", "/cancel")):
        refused(client.request(method, f"/v1/studies/{study['id']}{path}", headers=theirs), 404, "not-found")
    assert client.get("/v1/studies", headers=theirs).json()["items"] == []
    assert client.get(f"/v1/studies/{study['id']}", headers=admin).json() == study


def test_a_body_of_another_type_is_refused(client: httpx.Client) -> None:
    for path in ("/v1/studies", "/v1/studies/ab/extend"):
        refused(
            client.post(path, content=b"name: x", headers={"Content-Type": "text/plain"}), 415, "media-type-unsupported"
        )


def test_answered_cells_tell_their_best_temperature_and_guide(db: Database, settings: Settings) -> None:
    study, _ = submit_study(db, StudySpec.model_validate(document()), server_fixtures.LOCAL)
    with pytest.raises(NotReady):
        get_guidance(db, study.id, server_fixtures.LOCAL)
    answered(db, settings, study)
    with server_fixtures.serving(settings) as url, Client(url) as client:
        told = client.study(study.id)
        assert (told.state, told.jobs, told.ended) == ("completed", {"completed": 2}, True)
        for cell in told.cells:
            assert cell.best_temperature == pytest.approx(4, rel=0.5)
            assert cell.best is not None
            assert any(low <= cell.best_temperature <= high for low, high in cell.best.intervals)
            assert cell.gain is not None
            assert (cell.gain.over, cell.gain.variant) == ("t4", "tuned")
            assert cell.quality is not None
        guidance = client.guidance(told)
        assert "epochs" in {factor.name for factor in guidance.factors}
        assert guidance == get_guidance(db, study.id, server_fixtures.LOCAL)
        page = httpx.get(f"{url}/v1/studies/{study.id}/report", trust_env=False)
        assert page.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "Best temperature by epochs" in page.text


def test_a_client_submits_lists_extends_and_cancels(settings: Settings, tmp_path: Any) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(document()))
    with server_fixtures.serving(settings) as url, Client(url) as client:
        study = client.submit_study(file, idempotency_key="once")
        assert client.submit_study(str(file), idempotency_key="once") == study
        assert [one.id for one in client.studies()] == [study.id]
        assert client.job(study.cells[0].job_id).study == study.id
        assert len(client.extend_study(study, {"replicates": 2}).cells) == 4
        with pytest.raises(Refused) as caught:
            client.guidance(study)
        assert caught.value.slug == "not-ready"
        assert client.cancel_study(study).state == "cancelled"
