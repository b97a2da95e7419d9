"""Both clients against a real service: everything that can be asked of it, by one suite of tests."""

from __future__ import annotations

import importlib
import re
import sys
import threading
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import thermowell
from search.requests.jobs import cancel_job, get_job
from search.requests.keys import create_key
from search.requests.results import get_interactions, get_result
from search.storage.db import Database
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving
from tests.thermowell.conftest import Connect
from thermowell import IllegalMove, Invalid, NotFound, NotReady, Unauthenticated, Unreachable, errors, protocol
from thermowell.aio import client as aio_client
from thermowell.drawing import PlotlyMissing
from thermowell.frames import PandasMissing
from thermowell.sync import client as sync_client


@pytest.fixture
def asking(reader: httpx.Client, connect: Connect) -> Iterator[Any]:
    """A client of the service that no test changes."""
    with connect(str(reader.base_url)) as client:
        yield client


@pytest.fixture
def client(settings: Settings, connect: Connect) -> Iterator[Any]:
    """A client of the test's own service."""
    with serving(settings) as url, connect(url) as opened:
        yield opened


class TestAJob:
    def test_submit_takes_mappings_files_and_text(self, client: Any, tmp_path: Path) -> None:
        document = server_fixtures.document("given")
        file = tmp_path / "spec.yaml"
        file.write_text(yaml.safe_dump(document))
        for given in (document, file, str(file), yaml.safe_dump(document), yaml.safe_dump(document).encode()):
            assert client.submit(given).name == "given"
        first, second = (client.submit(document, idempotency_key="once") for _ in range(2))
        assert first.id == second.id
        with pytest.raises(FileNotFoundError):
            client.submit("nowhere.yaml")
        with pytest.raises(Invalid, match="dataset: is missing") as refused:
            client.submit({"name": "x"})
        assert (refused.value.slug, refused.value.status) == ("spec-invalid", 422)
        assert "dataset" in [error["path"] for error in refused.value.errors]

    def test_steering(self, client: Any, jobs: Jobs) -> None:
        job = client.job(jobs.running.id)
        assert client.pause(job).state == "paused"
        assert client.resume(job).state == "running"
        assert client.stop(job).search_stopped
        assert client.cancel(job).ended
        client.delete(job)
        with pytest.raises(NotFound) as refused:
            client.job(job)
        assert (refused.value.status, refused.value.problem["type"]) == (404, "/problems/not-found")
        with pytest.raises(IllegalMove):
            client.pause(jobs.completed.id)
        assert (
            client.extend(jobs.completed.id, trials=server_fixtures.ENOUGH + 1).budget_trials
            == server_fixtures.ENOUGH + 1
        )

    def test_wait_shows_a_bar_and_answers_the_job(
        self, client: Any, db: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        job = client.submit(server_fixtures.document("awaited"))
        record = get_job(db, job.id, server_fixtures.LOCAL)

        def work() -> None:
            server_fixtures.train(db, record)
            server_fixtures.close(db, settings.artifact_root, record)

        worker = threading.Thread(target=work)
        worker.start()
        ended = client.wait(job, timeout=60)
        worker.join()
        assert ended.state == "completed"
        bar = capsys.readouterr().err
        assert "awaited completed: 100%" in bar
        assert "best accuracy 0." in bar
        assert client.wait(ended, progress=False).id == job.id
        assert capsys.readouterr().err == ""

    def test_wait_gives_up_in_time_and_the_job_goes_on(self, client: Any, jobs: Jobs) -> None:
        with pytest.raises(TimeoutError, match="it goes on"):
            client.wait(jobs.running.id, timeout=0.0, progress=False)
        assert client.job(jobs.running.id).state == "running"

    def test_events_are_followed_to_the_end(self, asking: Any, jobs: Jobs) -> None:
        events = list(asking.events(jobs.completed.id))
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert events[-1].payload["to"] == "completed"
        assert events[0].at.tzinfo == UTC

    def test_lists(self, asking: Any, jobs: Jobs) -> None:
        assert [job.name for job in asking.jobs()] == ["waiting", "dropped", "going", "done"]
        assert [job.id for job in asking.jobs(label="team=vision")] == [jobs.completed.id]
        assert [worker.id for worker in asking.workers()] == ["w1"]

    def test_pages_are_turned(self, asking: Any, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = list(asking.trials(jobs.completed.id))
        for module in (sync_client, aio_client):
            monkeypatch.setattr(module, "PAGE", 7)
        assert list(asking.trials(jobs.completed.id)) == whole
        assert len(whole) == jobs.completed.progress.trials_done > 7
        best = next(asking.trials(jobs.completed.id, sort="-value", stage="search"))
        assert best.number == jobs.completed.progress.best_trial
        assert len(asking.trial(jobs.completed.id, best.number).curve) == server_fixtures.EPOCHS


class TestTheAnswer:
    def test_as_documents(self, asking: Any, db: Database, jobs: Jobs) -> None:
        result, stored = (
            asking.result(jobs.completed.id),
            get_result(db, jobs.completed.id, server_fixtures.LOCAL),
        )
        assert result == stored
        assert result.winner.configuration.temperature >= 1
        response = asking.response(jobs.completed.id)
        assert response.overall is not None
        assert response.overall.best_temperature in [point.temperature for point in response.overall.points]
        assert sum(asking.importances(jobs.completed.id).importances.values()) == pytest.approx(1)
        together = asking.interactions(jobs.completed.id)
        assert together == get_interactions(db, jobs.completed.id, server_fixtures.LOCAL)
        with pytest.raises(NotReady) as refused:
            asking.result(jobs.running.id)
        assert refused.value.status == 409

    def test_as_dataframes(self, asking: Any, jobs: Jobs) -> None:
        trials = thermowell.to_frame(asking.trials(jobs.completed.id))
        assert len(trials) == jobs.completed.progress.trials_done
        assert trials.index.name == "number"
        searched = trials[trials.stage == "search"]
        assert searched.value.idxmax() == jobs.completed.progress.best_trial
        assert set(searched.optimizer) == {"sgd", "adamw"}
        result = asking.result(jobs.completed.id)
        frame = thermowell.to_frame(result)
        winner = frame.loc[("joint", "winner")]
        assert winner.temperature == result.winner.configuration.temperature
        assert winner.validation == result.winner.validation.mean
        [gain] = [one.mean for one in result.gains if (one.over, one.variant) == ("t4", "tuned")]
        assert frame.loc[("t4", "tuned")].gain == gain
        assert len(frame) == 1 + len(result.baselines)
        points = thermowell.to_frame(asking.response(jobs.completed.id))
        overall = points[points.optimizer == "all"]
        assert (overall.low <= overall["mean"]).all()
        assert len(thermowell.to_frame(asking.trials(jobs.queued.id))) == 0

    def test_without_pandas_it_says_what_to_install(
        self, asking: Any, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        for read in (asking.trials, asking.result, asking.response):
            with pytest.raises(PandasMissing, match=re.escape("pip install 'thermowell-client[pandas]'")):
                thermowell.to_frame(read(jobs.completed.id))

    def test_as_figures_that_can_be_changed(self, asking: Any, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        figure = asking.figure(jobs.completed.id, "response")
        assert "temperature" in figure.layout.title.text.lower()
        assert {trace.type for trace in figure.data} == {"scatter"}
        figure.update_layout(title_text="mine")
        monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
        with pytest.raises(PlotlyMissing, match=re.escape("pip install 'thermowell-client[plots]'")):
            asking.figure(jobs.completed.id, "response")

    def test_as_pictures_pages_and_files(self, asking: Any, jobs: Jobs, tmp_path: Path) -> None:
        drawing = asking.plot(jobs.completed.id, "response")
        assert drawing._repr_svg_().lstrip().startswith("<svg")
        assert drawing.save(tmp_path / "response.svg").read_text() == drawing.svg
        assert "<html" in asking.report(jobs.completed.id)
        assert "KDLoss" in asking.export(jobs.completed.id, "torchdistill")
        [student] = [file for file in asking.artifacts(jobs.completed.id) if file.name == "student.safetensors"]
        kept = asking.download(jobs.completed.id, student.name, tmp_path)
        assert (kept.name, kept.stat().st_size) == (student.name, student.size)
        folder = asking.student(jobs.completed.id, tmp_path / "new" / "student")
        assert [path.name for path in folder.iterdir()] == ["student.safetensors"]
        assert (folder / "student.safetensors").read_bytes() == kept.read_bytes()


def test_address_and_key_come_from_the_environment(
    settings: Settings, db: Database, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = create_key(db, "notebook", frozenset({"read"}))
    with serving(settings) as url:
        monkeypatch.setenv("THERMOWELL_URL", url)
        with connect() as nobody, pytest.raises(Unauthenticated) as refused:
            list(nobody.jobs())
        assert refused.value.status == 401
        monkeypatch.setenv("THERMOWELL_KEY", secret)
        with connect() as client:
            assert client.http.get("/me")["name"] == "notebook"


def test_waiting_bears_a_service_that_goes_away(
    settings: Settings,
    db: Database,
    jobs: Jobs,
    free_port: int,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with connect(f"http://127.0.0.1:{free_port}") as client:
        back, checked = threading.Event(), protocol.trace_headers

        def headers() -> dict[str, str]:  # of each request that is about to be sent
            back.set()
            return checked()

        monkeypatch.setattr(protocol, "trace_headers", headers)
        waited: list[str] = []
        waiting = threading.Thread(target=lambda: waited.append(client.wait(jobs.queued.id, progress=False).state))
        waiting.start()
        assert back.wait(20), "it has asked while there was no service"
        with serving(settings, free_port):
            cancel_job(db, jobs.queued.id, server_fixtures.LOCAL)
            waiting.join(20)
        assert waited == ["cancelled"]
        monkeypatch.setattr(protocol, "PATIENCE_SECONDS", 0.0)
        with pytest.raises(Unreachable):
            client.wait(jobs.queued.id, progress=False)


def test_types_are_told_to_type_checkers() -> None:
    assert Path(thermowell.__file__).with_name("py.typed").is_file()


def test_refusals_of_the_service_are_the_kinds_that_the_client_knows() -> None:
    from service.errors import KINDS

    assert set(errors.KINDS) <= set(KINDS)
    assert {slug: errors.refusal({"type": f"/v1/problems/{slug}"}).slug for slug in KINDS} == {s: s for s in KINDS}


def test_the_old_name_warns_and_has_the_old_methods(reader: httpx.Client, jobs: Jobs) -> None:
    with pytest.warns(DeprecationWarning, match=r"use thermowell\.Client"):
        old = importlib.reload(importlib.import_module("service.client"))
    with old.Thermowell(str(reader.base_url)) as client:
        job = jobs.completed.id
        assert isinstance(client.job(job), old.JobDetail)
        assert len(client.trials_dataframe(job)) == len(list(client.trials(job)))
        assert len(client.result_dataframe(job)) == 1 + len(client.result(job).baselines)
        assert len(client.response_dataframe(job))
        assert client.response_plot(job) == client.plot(job, "response")
