"""The client in Python speaks of all that the service has, and a job looks the same from there."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import sys
import threading
import types
import typing
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from search.requests.jobs import cancel_job, get_job
from search.requests.keys import create_key
from search.requests.results import get_interactions, get_result
from search.storage.db import Database
from service import client as front
from service.app import create_app
from service.client import Refused, Thermowell, Unreachable
from service.remote import advice, answers, documents, studies
from service.remote.frames import PandasMissing
from service.schemas import EventOut
from service.settings import Settings
from tests.service import server_fixtures
from tests.service.server_fixtures import Jobs, serving

# Our name, where the service's is another; and what we leave out: links are for those who read JSON.
SCHEMAS = {"Job": "JobOut", "JobDetail": "JobDetailOut", "EpochReport": "ReportOut"}
SCHEMAS |= {
    name: f"{name}Out"
    for name in (
        "Reason",
        "Progress",
        "Optimizer",
        "Configuration",
        "Trial",
        "TrialDetail",
        "Worker",
        "Artifact",
        "Event",
        "Advised",
        "FirstTrial",
        "JobAdvice",
        "Study",
        "StudyCell",
        "StudyDetail",
    )
}
LEFT_OUT = {"Job": {"links"}, "JobDetail": {"links"}}
DOCUMENTS = [
    kind
    for module in (documents, answers, advice, studies)
    for kind in vars(module).values()
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and kind.__module__ == module.__name__
]


@pytest.fixture(scope="session")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The service's OpenAPI document."""
    document: dict[str, Any] = create_app(
        Settings.model_validate({"var": tmp_path_factory.mktemp("described")})
    ).openapi()
    return document


@pytest.fixture(scope="module")
def asking(reader: httpx.Client) -> Iterator[Thermowell]:
    """A client of the service that no test changes."""
    with Thermowell(str(reader.base_url)) as client:
        yield client


@pytest.fixture
def client(settings: Settings) -> Iterator[Thermowell]:
    """A client of the test's own service."""
    with serving(settings) as url, Thermowell(url) as opened:
        yield opened


class TestAgainstTheDescription:
    @pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
    def test_documents_have_the_fields_of_their_schemas(self, kind: type, described: dict[str, Any]) -> None:
        schema = _schema(kind, described)
        said = set(schema["properties"]) - LEFT_OUT.get(kind.__name__, set())
        hints = typing.get_type_hints(kind)
        assert set(hints) == said
        for name, hint in hints.items():
            assert _nullable(schema["properties"][name]) == (type(None) in _arms(hint)), name

    @pytest.mark.parametrize("kind", DOCUMENTS, ids=lambda kind: kind.__name__)
    def test_words_are_those_of_the_schemas(self, kind: type, described: dict[str, Any]) -> None:
        schemas = described["components"]["schemas"]
        for name, hint in typing.get_type_hints(kind).items():
            if typing.get_origin(hint) is typing.Literal:
                field = _schema(kind, described)["properties"][name]
                if "$ref" in field:
                    field = schemas[field["$ref"].rpartition("/")[2]]
                assert set(typing.get_args(hint)) == set(field["enum"]), name

    def test_every_route_that_it_asks_exists(self, described: dict[str, Any]) -> None:
        asked = set(_routes())
        assert len(asked) > 15, "the source is read as it should be"
        known = {(method.upper(), path) for path, item in described["paths"].items() for method in item}
        assert asked <= known

    def test_formats_and_pictures_are_those_of_the_service(self, described: dict[str, Any]) -> None:
        paths = described["paths"]
        for path, name, words in (
            ("/v1/jobs/{job_id}/export", "format", front.Format),
            ("/v1/jobs/{job_id}/report/{picture}.svg", "picture", front.Picture),
        ):
            [parameter] = [one for one in paths[path]["get"]["parameters"] if one["name"] == name]
            assert set(typing.get_args(words)) == set(parameter["schema"]["enum"])


def _schema(kind: type, described: dict[str, Any]) -> dict[str, Any]:
    """The description of what a dataclass reads; that of events stands in the text of their stream alone."""
    if kind is documents.Event:
        return EventOut.model_json_schema()
    schema: dict[str, Any] = described["components"]["schemas"][SCHEMAS.get(kind.__name__, kind.__name__)]
    return schema


def _arms(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _nullable(schema: dict[str, Any]) -> bool:
    return any(arm.get("type") == "null" for arm in schema.get("anyOf", []))


def _routes() -> Iterator[tuple[str, str]]:
    """Method and path of each request in the client's source, with its parts as the description names them."""
    names = {
        "_path(job)": "/jobs/{job_id}",
        "verb": None,
        "number": "{number}",
        "picture": "{picture}",
        "name": "{name}",
    }
    tree = ast.parse(inspect.getsource(front))
    for call in (
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ):
        kind, given = call.func.attr, call.args
        if kind == "request":
            method, path, base = ast.literal_eval(given[0]), given[1], ""
        elif kind in ("get", "post", "_pages") and ast.unparse(call.func.value) in ("self.http", "self"):
            method, path, base = "POST" if kind == "post" else "GET", given[0], "/v1"
        elif kind == "_move":
            method, path, base = "POST", given[1], "/v1/jobs/{job_id}/"
        else:
            continue
        parts = path.values if isinstance(path, ast.JoinedStr) else [path]
        words = [
            ast.literal_eval(part)
            if isinstance(part, ast.Constant)
            else names.get(ast.unparse(getattr(part, "value", part)))
            for part in parts
        ]
        if None not in words:  # `path` and `verb` are handed on: counted where they are named
            yield method, base + "".join(map(str, words))


class TestAJob:
    def test_submit_takes_mappings_files_and_text(self, client: Thermowell, tmp_path: Path) -> None:
        document = server_fixtures.document("given")
        file = tmp_path / "spec.yaml"
        file.write_text(yaml.safe_dump(document))
        for given in (document, file, str(file), yaml.safe_dump(document), yaml.safe_dump(document).encode()):
            assert client.submit(given).name == "given"
        first, second = (client.submit(document, idempotency_key="once") for _ in range(2))
        assert first.id == second.id
        with pytest.raises(FileNotFoundError):
            client.submit("nowhere.yaml")
        with pytest.raises(Refused, match="dataset: is missing") as refused:
            client.submit({"name": "x"})
        assert refused.value.slug == "spec-invalid"

    def test_steering(self, client: Thermowell, jobs: Jobs) -> None:
        job = client.job(jobs.running.id)
        assert client.pause(job).state == "paused"
        assert client.resume(job).state == "running"
        assert client.stop(job).search_stopped
        assert client.cancel(job).ended
        client.delete(job)
        with pytest.raises(Refused) as refused:
            client.job(job)
        assert refused.value.slug == "not-found"
        assert (
            client.extend(jobs.completed.id, trials=server_fixtures.ENOUGH + 1).budget_trials
            == server_fixtures.ENOUGH + 1
        )

    def test_wait_shows_a_bar_and_answers_the_job(
        self, client: Thermowell, db: Database, settings: Settings, capsys: pytest.CaptureFixture[str]
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

    def test_wait_gives_up_in_time_and_the_job_goes_on(self, client: Thermowell, jobs: Jobs) -> None:
        with pytest.raises(TimeoutError, match="it goes on"):
            client.wait(jobs.running.id, timeout=0.0, progress=False)
        assert client.job(jobs.running.id).state == "running"

    def test_events_are_followed_to_the_end(self, asking: Thermowell, jobs: Jobs) -> None:
        events = list(asking.events(jobs.completed.id))
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert events[-1].payload["to"] == "completed"
        assert events[0].at.tzinfo == UTC

    def test_lists(self, asking: Thermowell, jobs: Jobs) -> None:
        assert [job.name for job in asking.jobs()] == ["waiting", "dropped", "going", "done"]
        assert [job.id for job in asking.jobs(label="team=vision")] == [jobs.completed.id]
        assert [worker.id for worker in asking.workers()] == ["w1"]

    def test_pages_are_turned(self, asking: Thermowell, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = list(asking.trials(jobs.completed.id))
        monkeypatch.setattr(front, "PAGE", 7)
        assert list(asking.trials(jobs.completed.id)) == whole
        assert len(whole) == jobs.completed.progress.trials_done > 7
        best = next(asking.trials(jobs.completed.id, sort="-value", stage="search"))
        assert best.number == jobs.completed.progress.best_trial
        assert len(asking.trial(jobs.completed.id, best.number).curve) == server_fixtures.EPOCHS


class TestTheAnswer:
    def test_as_dataclasses(self, asking: Thermowell, db: Database, jobs: Jobs) -> None:
        result, stored = (
            asking.result(jobs.completed.id),
            get_result(db, jobs.completed.id, server_fixtures.LOCAL),
        )
        assert dataclasses.asdict(result) == _with_defaults(stored.model_dump())
        assert result.winner.configuration.temperature == stored.winner.configuration["temperature"]
        response = asking.response(jobs.completed.id)
        assert response.overall is not None
        assert response.overall.best_temperature in [point.temperature for point in response.overall.points]
        assert sum(asking.importances(jobs.completed.id).importances.values()) == pytest.approx(1)
        together = asking.interactions(jobs.completed.id)
        assert together == documents.read_document(
            type(together), get_interactions(db, jobs.completed.id, server_fixtures.LOCAL).model_dump()
        )
        with pytest.raises(Refused) as refused:
            asking.result(jobs.running.id)
        assert refused.value.slug == "not-ready"

    def test_as_dataframes(self, asking: Thermowell, jobs: Jobs) -> None:
        trials = asking.trials_dataframe(jobs.completed.id)
        assert len(trials) == jobs.completed.progress.trials_done
        assert trials.index.name == "number"
        searched = trials[trials.stage == "search"]
        assert searched.value.idxmax() == jobs.completed.progress.best_trial
        assert set(searched.optimizer) == {"sgd", "adamw"}
        result, frame = asking.result(jobs.completed.id), asking.result_dataframe(jobs.completed.id)
        winner = frame.loc[("joint", "winner")]
        assert winner.temperature == result.winner.configuration.temperature
        assert winner.validation == result.winner.validation.mean
        [gain] = [one.mean for one in result.gains if (one.over, one.variant) == ("t4", "tuned")]
        assert frame.loc[("t4", "tuned")].gain == gain
        assert len(frame) == 1 + len(result.baselines)
        points = asking.response_dataframe(jobs.completed.id)
        overall = points[points.optimizer == "all"]
        assert (overall.low <= overall["mean"]).all()
        assert len(asking.trials_dataframe(jobs.queued.id)) == 0

    def test_without_pandas_it_says_what_to_install(
        self, asking: Thermowell, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "pandas", None)
        frames: list[Callable[[str], object]] = [
            asking.trials_dataframe, asking.result_dataframe, asking.response_dataframe,
        ]  # fmt: skip
        for frame in frames:
            with pytest.raises(PandasMissing, match=re.escape("pip install 'thermowell[pandas]'")):
                frame(jobs.completed.id)

    def test_as_pictures_pages_and_files(self, asking: Thermowell, jobs: Jobs, tmp_path: Path) -> None:
        drawing = asking.response_plot(jobs.completed.id)
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


def _with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """A stored result with each configuration as a client has it: with student_temperature, and all of an optimizer."""
    finalists = [finalist for selection in document["selection"] for finalist in selection["finalists"]]
    verdict = document["verdict"]
    for contestant in (document["winner"], *document["baselines"], *finalists, verdict, *verdict["alternatives"]):
        read = documents.read_document(documents.Configuration, contestant["configuration"])
        contestant["configuration"] = dataclasses.asdict(read)
    return document


def test_address_and_key_come_from_the_environment(
    settings: Settings, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = create_key(db, "notebook", frozenset({"read"}))
    with serving(settings) as url:
        monkeypatch.setenv("THERMOWELL_URL", url)
        with Thermowell() as nobody, pytest.raises(Refused) as refused:
            list(nobody.jobs())
        assert refused.value.slug == "unauthenticated"
        monkeypatch.setenv("THERMOWELL_KEY", secret)
        with Thermowell() as client:
            assert client.http.get("/me")["name"] == "notebook"


def test_waiting_bears_a_service_that_goes_away(
    settings: Settings, db: Database, jobs: Jobs, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Thermowell(f"http://127.0.0.1:{free_port}") as client:
        back = threading.Event()

        def absent(job: str) -> Any:
            back.set()
            return Thermowell.job(client, job)

        monkeypatch.setattr(client, "job", absent)
        waited: list[str] = []
        waiting = threading.Thread(target=lambda: waited.append(client.wait(jobs.queued.id, progress=False).state))
        waiting.start()
        assert back.wait(20), "it has asked while there was no service"
        with serving(settings, free_port):
            cancel_job(db, jobs.queued.id, server_fixtures.LOCAL)
            waiting.join(20)
        assert waited == ["cancelled"]
        monkeypatch.setattr(front, "PATIENCE_SECONDS", 0.0)
        with pytest.raises(Unreachable):
            client.wait(jobs.queued.id, progress=False)


def test_types_are_told_to_type_checkers() -> None:
    assert Path(front.__file__).with_name("py.typed").is_file()
