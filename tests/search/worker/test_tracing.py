"""Tracing by itself: where it is off, where it is on, and where whoever should hear of it does not listen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from search import tracing
from search.optuna_bridge import proposals
from search.requests import jobs
from search.states import JobState, Stage, TrialState
from search.storage.db import Database
from search.worker import process as worker
from search.worker import training_loop
from tests.collector import collecting
from tests.search import factories
from tests.search.interrupted import rows, settings_for, stop_after, submitted

ROOT = Path(__file__).parents[3]
CLIENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, PARENT = CLIENT.split("-")[1:3]
Finish = Callable[[], dict[str, list[ReadableSpan]]]


@pytest.fixture
def finish() -> Iterator[Finish]:
    """Traces into memory; called, it ends that and answers the spans by name."""
    exporter = InMemorySpanExporter()
    tracing.trace_to(exporter, "test", "here-1")

    def done() -> dict[str, list[ReadableSpan]]:
        tracing.close(10.0)
        by_name: dict[str, list[ReadableSpan]] = {}
        for span in exporter.get_finished_spans():
            by_name.setdefault(span.name, []).append(span)
        return by_name

    yield done
    tracing.close(10.0)


def id_of(span: ReadableSpan) -> str:
    return f"{span.context.span_id:016x}"


def below(span: ReadableSpan) -> str:
    return "" if span.parent is None else f"{span.parent.span_id:016x}"


class TestOff:
    def test_nothing_happens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for environment in (
            {},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "true"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
            {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        ):
            with monkeypatch.context() as patch:
                for name, value in environment.items():
                    patch.setenv(name, value)
                tracing.configure("test")
            assert not tracing.enabled()
        span = tracing.begin("one", {"a": 1}, below=CLIENT, trial=("j", 0))
        with tracing.within(CLIENT), span.current(), tracing.span("two") as inner:
            inner.note({"b": 2})
            inner.event("three")
            inner.fail("four")
        span.end()
        assert (span.traceparent, inner.traceparent) == (None, None)
        assert tracing.log_ids(None, "info", {"job": "j", "trial": 0}) == {"job": "j", "trial": 0}
        tracing.close(1.0)

    @pytest.mark.parametrize(
        ("module", "costly"),
        [
            ("service.app", "opentelemetry.sdk', 'opentelemetry.exporter"),  # FastAPI itself imports the rest
            ("thermowell.sync.client", "opentelemetry"),
            pytest.param("search.worker.process", "opentelemetry", marks=pytest.mark.slow),  # with torch
        ],
    )
    def test_nothing_is_imported(self, module: str, costly: str) -> None:
        script = (
            f"import sys, {module}; from search import tracing; tracing.configure('x')\n"
            f"print([name for name in sys.modules if name.startswith(('{costly}',))])"
        )
        assert said(script) == ("[]\n", "")

    def test_a_missing_extra_is_said_in_one_line(self) -> None:
        script = (
            "import sys\nclass Absent:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name.startswith('opentelemetry'): raise ModuleNotFoundError(name=name)\n"
            "sys.meta_path.insert(0, Absent())\n"
            "import structlog; from search import tracing\n"
            "structlog.configure([structlog.processors.JSONRenderer()], "
            "logger_factory=structlog.PrintLoggerFactory(sys.stderr))\n"
            "tracing.configure('x'); print(tracing.enabled())"
        )
        out, complaint = said(script, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
        assert out == "False\n"
        [line] = complaint.splitlines()
        assert json.loads(line)["event"] == (
            "no traces: OTEL_EXPORTER_OTLP_ENDPOINT is set, but this needs pip install 'thermowell[tracing]'"
        )

    def test_a_protocol_that_is_not_spoken_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        with structlog.testing.capture_logs() as lines:
            tracing.configure("test")
        assert [line["event"] for line in lines] == [
            "no traces: grpc is not spoken here, set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
        ]
        assert not tracing.enabled()


def said(script: str, **environment: str) -> tuple[str, str]:
    """What a program printed on its two outputs; warnings are errors in it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


class TestSpans:
    def test_many_are_open_at_once_and_end_in_any_order(self, finish: Finish) -> None:
        spans = [tracing.begin("trial", {"number": number}, below=CLIENT) for number in range(3)]
        with tracing.within(CLIENT), tracing.span("teacher"):
            spans[1].end()
        spans[2].end()
        spans[0].end()
        told = finish()
        assert [span.attributes["number"] for span in told["trial"]] == [1, 2, 0]
        assert {below(span) for span in [*told["trial"], *told["teacher"]]} == {PARENT}
        assert {f"{span.context.trace_id:032x}" for spans in told.values() for span in spans} == {TRACE}

    def test_a_span_can_be_pointed_to_by_whoever_knows_its_words(self, finish: Finish) -> None:
        first, second = (tracing.span_parent(CLIENT, "job", "trial", 7, attempt) for attempt in (1, 2))
        tracing.begin("trial", below=CLIENT, traceparent=first).end()
        tracing.begin("trial", below=CLIENT, traceparent=second, after=first).end()
        one, two = finish()["trial"]
        assert [id_of(one), id_of(two)] == [str(first).split("-")[2], str(second).split("-")[2]]
        assert [link.context.span_id for link in two.links] == [one.context.span_id]
        assert one.links == ()
        assert tracing.span_parent(None, "job") is None

    @pytest.mark.parametrize("given", [None, "", "no traceparent", "00-" + "0" * 32 + "-b7ad6b7169203331-01"])
    def test_what_is_no_traceparent_begins_a_trace(self, finish: Finish, given: str | None) -> None:
        with tracing.span("request", below=given) as span:
            assert len(span.traceparent or "") == 55
        [told] = finish()["request"]
        assert told.parent is None

    def test_who_samples_decides_for_all_that_is_below(self, finish: Finish) -> None:
        with tracing.span("request", below=CLIENT[:-2] + "00") as span:
            stored = span.traceparent
        tracing.begin("trial", below=stored).end()
        assert finish() == {}

    def test_failures_tell_their_type_and_never_their_message(self, finish: Finish) -> None:
        with pytest.raises(ValueError, match="hunter2"), tracing.span("closing"):
            raise ValueError("postgresql://me:hunter2@host")
        [told] = finish()["closing"]
        assert (told.status.status_code.name, told.attributes) == ("ERROR", {"error.type": "ValueError"})
        assert "hunter2" not in told.to_json()

    def test_being_told_to_stop_is_no_failure(self, finish: Finish) -> None:
        with pytest.raises(KeyboardInterrupt), tracing.span("teacher"):
            raise KeyboardInterrupt
        [told] = finish()["teacher"]
        assert told.status.is_unset

    def test_log_lines_carry_ids(self, finish: Finish) -> None:
        trial = tracing.begin("trial", trial=("j", 3))
        line = {"job": "j", "trial": 3}
        assert tracing.log_ids(None, "info", dict(line)) == line | trial.ids
        assert tracing.log_ids(None, "info", {"job": "j", "trial": 4}) == {"job": "j", "trial": 4}
        with tracing.span("closing") as span:
            assert tracing.log_ids(None, "info", {"job": "j"}) == {"job": "j", **span.ids}
        trial.end()
        assert tracing.log_ids(None, "info", dict(line)) == line
        assert set(span.ids) == {"trace_id", "span_id"}

    @pytest.mark.parametrize(
        ("environment", "name"),
        [
            ({}, "test"),
            ({"OTEL_SERVICE_NAME": "ours"}, "ours"),
            ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs,team=vision"}, "theirs"),
        ],
    )
    def test_the_operator_names_the_service(
        self, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
    ) -> None:
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        exporter = InMemorySpanExporter()
        tracing.trace_to(exporter, "test", "here-1")
        tracing.begin("one").end()
        tracing.close(10.0)
        [span] = exporter.get_finished_spans()
        told = span.resource.attributes
        assert (told["service.name"], told["service.instance.id"]) == (name, "here-1")
        assert told.get("team") == ("vision" if name == "theirs" else None)


class Stuck(SpanExporter):
    """Takes spans and does not come back before it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        self.let_go.wait()
        return SpanExportResult.SUCCESS


def test_closing_waits_no_longer_than_it_may() -> None:
    exporter = Stuck()
    tracing.trace_to(exporter, "test")
    tracing.begin("open", trial=("j", 0))
    begun = time.monotonic()
    tracing.close(0.2)
    assert time.monotonic() - begun < 5.0  # the SDK's own would wait for 30 seconds
    exporter.let_go.set()
    assert not tracing.enabled()


class TestWorker:
    def test_a_job(self, db: Database, tmp_path: Path, finish: Finish, monkeypatch: pytest.MonkeyPatch) -> None:
        """One trace: of its trials one is given back and goes on, one is pruned, one diverges, one crashes."""
        stops_at, end, propose = (
            training_loop.TrainingLoop._stops_at,
            training_loop.TrainingLoop._end,
            proposals.propose,
        )
        with tracing.span("request", below=CLIENT):
            job = submitted(db, budget={"trials": 5})
        settings = settings_for(db, tmp_path, engine="loop")
        with monkeypatch.context() as patch:
            worker.run_worker(settings, interruption=stop_after(5, patch))

        def stops(self: Any, seat: Any, value: float) -> Any:
            return seat.claim.number == 1 or stops_at(self, seat, value)

        def diverges(self: Any, session: Any, lane: int, state: TrialState, **given: Any) -> None:
            if session.trials[lane].claim.number == 2:
                state, given = TrialState.FAILED, given | {"value": None, "metrics": None, "reason": factories.DIVERGED}
            end(self, session, lane, state, **given)

        def crashes(storage: Any, claim: Any, name: str = "") -> Any:
            if claim.number == 3:
                raise RuntimeError("hunter2")
            return propose(storage, claim, name)

        monkeypatch.setattr(training_loop.TrainingLoop, "_stops_at", stops)
        monkeypatch.setattr(training_loop.TrainingLoop, "_end", diverges)
        monkeypatch.setattr(proposals, "propose", crashes)
        worker.run_worker(settings, exit_when_idle=True)
        assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
        told = finish()
        assert {f"{span.context.trace_id:032x}" for spans in told.values() for span in spans} == {TRACE}
        assert "hunter2" not in "".join(span.to_json() for spans in told.values() for span in spans)

        [submission] = told["submit job"]
        assert (job.traceparent or "").split("-")[2] == id_of(submission)
        assert submission.attributes["thermowell.job.id"] == job.id
        of = {(span.attributes["thermowell.trial.number"], span.attributes["thermowell.trial.attempt"]): span
              for span in told["train trial"]}  # fmt: skip
        states = {of_trial: span.attributes["thermowell.trial.state"] for of_trial, span in of.items()}
        assert states[0, 1] == "returned"
        assert [states[of_trial] for of_trial in ((0, 2), (1, 1), (2, 1), (3, 1))] == [
            "completed", "pruned", "failed", "failed",
        ]  # fmt: skip
        assert [link.context.span_id for link in of[0, 2].links] == [of[0, 1].context.span_id]
        assert [(event.name, dict(event.attributes)) for event in of[0, 2].events] == [
            ("resumed", {"thermowell.trial.epoch": 5})
        ]
        assert [event.name for event in of[1, 1].events] == ["pruned"]
        assert of[1, 1].status.is_unset
        assert [of[number, 1].status.status_code.name for number in (2, 3)] == ["ERROR", "ERROR"]
        assert [of[number, 1].attributes["error.type"] for number in (2, 3)] == ["diverged", "RuntimeError"]
        assert of[2, 1].events[0].attributes == {"thermowell.reason": "diverged"}

        [choice] = told["choose finalists"]
        for row in rows(db, job):
            span = of[row.number, row.attempt]
            confirms = row.stage in (Stage.SELECT, Stage.ESTIMATE)
            assert below(span) == id_of(choice if confirms else submission)
            assert span.attributes["thermowell.trial.stage"] == row.stage
            if row.configuration is not None:
                assert span.attributes["thermowell.temperature"] == row.configuration["temperature"]
                assert span.attributes["thermowell.optimizer.name"] == row.configuration["optimizer"]["name"]
        [closing] = told["close job"]
        assert {below(span) for name in ("prepare teacher", "choose engine") for span in told[name]} >= {
            id_of(submission)
        }
        assert below(closing) == below(choice) == id_of(submission)
        names = ("store artifact", "analyse job", "evaluate test")
        assert {below(span) for name in names for span in told.get(name, ())} == {id_of(closing)}

    def test_a_problem_that_cannot_be_made_ready_is_told(self, db: Database, tmp_path: Path, finish: Finish) -> None:
        factories.submitted(db, dataset={"name": "CIFAR10"})
        worker.run_worker(settings_for(db, tmp_path), exit_when_idle=True)
        [span] = finish()["prepare teacher"]
        assert (span.status.status_code.name, span.attributes["error.type"]) == ("ERROR", "DatasetMissing")


@pytest.mark.parametrize("hangs", [True, False])
def test_a_collector_that_does_not_answer_delays_no_job(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_port: int, hangs: bool
) -> None:
    """Away, or hanging: the job is answered, the worker ends, and one line says so at most."""
    with collecting(hangs=True) as collector, structlog.testing.capture_logs() as lines:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url if hangs else f"http://127.0.0.1:{free_port}")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")  # so that it fails many times in so short a job
        job = submitted(db, budget={"trials": 2})
        monkeypatch.setattr(worker, "TRACES_SECONDS", (0.1, 0.1))
        worker.run_worker(settings_for(db, tmp_path, engine="loop"), exit_when_idle=True)
        assert collector.asked.is_set() is hangs
    assert jobs.get_job(db, job.id, factories.ME).state is JobState.COMPLETED
    complaints = [line for line in lines if "trace" in line["event"]]
    assert len(complaints) <= 1, complaints
    assert all("not delivered" in line["event"] for line in complaints)
