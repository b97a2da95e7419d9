"""The process that keeps plots fresh outlives its child's faults, ends at once, and leaves the API alone meanwhile."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from structlog.testing import capture_logs

from search.analysis.job import question
from search.claims import artifacts
from search.claims.artifacts import list_artifacts, open_artifact
from search.errors import StoreUnavailable
from search.optuna_bridge.dashboard import Files
from search.requests.job_view import get_job_view
from search.requests.jobs import cancel_job, delete_job, extend_job, get_job
from search.requests.plot_queue import DRAWINGS, claim_showing, fail_showing, fail_tracking
from search.storage.db import Database
from search.storage.events import read_events
from search.storage.folder import Folder
from search.storage.store import open_store
from service import drawing, plot_refresh
from service.drawing import REPORT
from service.plot_refresh import PlotRefresher
from service.settings import Settings
from tests.service.server_fixtures import LOCAL, Jobs
from thermowell.sync.client import Client

SOON = 20.0
PATIENCE = 90.0  # seconds; children that load much are started on a machine that may be busy


def shower(db: Database, settings: Settings) -> tuple[PlotRefresher, asyncio.Event]:
    stopping = asyncio.Event()
    quick = settings.model_copy(update={"show_seconds": 0.01})
    return PlotRefresher(db, quick, open_store(settings), stopping), stopping


@pytest.mark.slow
def test_every_job_that_began_is_shown_once(db: Database, settings: Settings, jobs: Jobs) -> None:
    """The furnished jobs have no study in Optuna's tables: their reports are made all the same."""

    async def until_done() -> int:
        shows, _ = shower(db, settings)
        count = 0
        while await shows.show_one():
            count += 1
        return count

    assert asyncio.run(until_done()) == 2  # completed and running; the others never began
    completed = get_job_view(db, jobs.completed.id, LOCAL)
    names = [file.name for file in list_artifacts(db, jobs.completed.id, LOCAL)]
    assert names == [REPORT, "student.safetensors"]
    with open_artifact(db, open_store(settings), jobs.completed.id, REPORT, LOCAL) as (file, path):
        page = path.read_text()
    assert file.media_type == "text/html; charset=utf-8"
    assert completed.result is not None
    assert "best candidate" in page
    running = get_job_view(db, jobs.running.id, LOCAL)
    assert running.importances is not None, "computed aside, and kept"
    assert running.importances.evaluator == "too few trials"
    assert claim_showing(db, 60.0) is None


def test_without_the_numerics_the_trials_are_shown_as_they_are(
    db: Database, settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(question, "interim_possible", lambda: False)
    drawn = drawing.draw(db, jobs.running.id)
    assert drawn is not None
    assert (drawn.interim, drawn.report, drawn.beside) == (None, None, None)
    assert drawn.event == get_job_view(db, jobs.running.id, LOCAL).event


@pytest.mark.parametrize("program", ["import sys; sys.exit('no such figure')", "print('no json')"])
def test_a_child_that_fails_is_told_and_tried_again_later(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(plot_refresh, "DRAWING", ("-c", program))

    async def twice() -> None:
        shows, _ = shower(db, settings)
        for _ in range(2):
            with pytest.raises((RuntimeError, ValueError), match=r"no such figure|json"):
                await shows.show_one()
        assert not await shows.show_one(), "both jobs rest"

    asyncio.run(twice())


BROKEN = """
import sys
def draw():
    try:
        {}["figure"]
    except KeyError as error:
        raise ValueError("no such figure at\\nhttps://me:hunter2@host" + "!" * 5000) from error
print("a word before", file=sys.stderr)
try:
    draw()
finally:
    print("a word after" + "." * 5000, file=sys.stderr)
"""


def test_a_job_that_can_never_be_drawn_is_given_up_and_its_cause_is_told(
    db: Database, settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its pauses are left out here."""
    monkeypatch.setattr(plot_refresh, "FAILED_SECONDS", 0.0)
    monkeypatch.setattr(plot_refresh, "DRAWING", ("-c", BROKEN))
    cancel_job(db, jobs.running.id, LOCAL)
    both = {jobs.running.id, jobs.completed.id}

    async def until_given_up(shows: PlotRefresher) -> int:
        attempts = 0
        while True:
            with suppress(plot_refresh.NotShown):
                if not await shows.show_one():
                    return attempts
            attempts += 1

    async def serve() -> list[int]:
        shows, _ = shower(db, settings)
        first = await until_given_up(shows)
        extend_job(db, jobs.completed.id, LOCAL, trials=99)
        cancel_job(db, jobs.completed.id, LOCAL)
        return [first, await until_given_up(shows)]

    with capture_logs() as said:
        assert asyncio.run(serve()) == [2 * DRAWINGS, DRAWINGS]
    assert {one["job_id"] for one in said} == both
    assert {one["log_level"] for one in said} == {"warning"}
    cause = said[0]["detail"]
    assert cause.startswith("ValueError: no such figure at https://***@host!!!")
    assert len(cause) <= drawing.LONGEST_CAUSE
    assert [one["again"] for one in said].count("when the job changes") == 3
    job = get_job(db, jobs.running.id, LOCAL)
    assert job.undrawn is not None
    assert (job.undrawn.detail, job.undrawn.attempts, job.undrawn.again_at) == (cause, DRAWINGS, None)


def test_why_a_job_is_not_drawn_stands_in_the_api_and_on_its_page(
    client: httpx.Client, db: Database, jobs: Jobs
) -> None:
    while (job_id := claim_showing(db, 60.0)) != jobs.running.id:
        assert job_id is not None
    assert client.get(f"/v1/jobs/{job_id}").json()["undrawn"] is None
    fail_showing(db, job_id, 1, "ValueError: no <such> figure", 60.0)
    fail_tracking(db, job_id, 1, "OSError: refused", 60.0)
    found = client.get(f"/v1/jobs/{job_id}").json()
    assert (found["undrawn"]["detail"], found["undrawn"]["attempts"]) == ("ValueError: no <such> figure", 1)
    assert found["undrawn"]["again_at"] > found["undrawn"]["at"]
    assert found["untracked"]["detail"] == "OSError: refused"
    page = client.get(f"/jobs/{job_id}", headers={"Accept": "text/html"}).text
    assert "could not be drawn, tried once, and again at" in page
    assert "ValueError: no &lt;such&gt; figure" in page
    assert "MLflow could not be told of it, tried once" in page
    with Client(str(client.base_url)) as thermowell:
        job = thermowell.job(job_id)
        assert job.undrawn is not None
        assert job.undrawn.detail == "ValueError: no <such> figure"


def test_a_store_that_is_away_is_no_fault_of_the_job(
    db: Database, settings: Settings, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailable("no room on the device")

    monkeypatch.setattr(PlotRefresher, "_write", away)
    monkeypatch.setattr(plot_refresh, "DRAWING", ("-c", "print('{}')"))

    async def once() -> None:
        shows, _ = shower(db, settings)
        with pytest.raises(StoreUnavailable):
            await shows.show_one()

    with capture_logs() as said:
        asyncio.run(once())
    [warning] = said
    assert warning["detail"] == "no room on the device"
    assert get_job(db, warning["job_id"], LOCAL).undrawn is None


@pytest.mark.parametrize(
    ("complained", "status", "told"),
    [
        (b"", 3, "status 3, without a word"),
        (b"", -9, "signal SIGKILL, without a word"),
        (b"warning\nno such figure\n", 1, "no such figure"),
        (b'Traceback (most recent call last):\n  File "x", line 1\n    y\n    ^\nKeyError: 1\n', 1, "KeyError: 1"),
        (
            b"Traceback (most recent call last):\n  File\nOSError: first\n\nDuring handling ...\n\n"
            b"Traceback (most recent call last):\n  File\nValidationError: 2 errors\n  field\n    why\n",
            1,
            "ValidationError: 2 errors field why",
        ),
        (b"Traceback (most recent call last):\n  File\n", 1, "status 1, without a word"),
        (b"\xff\xfe", 1, "\ufffd\ufffd"),
    ],
)
def test_by_which_error_a_program_has_ended(complained: bytes, status: int, told: str) -> None:
    assert drawing.cause(complained, status) == told


def test_an_analysis_that_fails_tells_its_own_error(db: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "-c", "import sys; sys.stdin.read(); raise ArithmeticError('singular')"
    monkeypatch.setattr(question, "PROGRAM", program)
    with pytest.raises(RuntimeError, match="the analysis ended by ArithmeticError: singular"):
        drawing.draw(db, jobs.running.id)


def test_its_task_outlives_faults_and_ends_at_once(
    db: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first child fails; the next one hangs, and goes with the service."""
    failed, started = settings.var / "failed", settings.var / "hangs"
    program = (
        f"import pathlib, sys, time; failed = pathlib.Path({str(failed)!r})\n"
        "if not failed.exists():\n    failed.touch(); sys.exit(1)\n"
        f"pathlib.Path({str(started)!r}).touch(); time.sleep(600)"
    )
    monkeypatch.setattr(plot_refresh, "DRAWING", ("-c", program))

    async def serve() -> float:
        shows, stopping = shower(db, settings)
        task = asyncio.create_task(shows.run())
        await until(started.exists)
        assert failed.exists()
        assert not task.done()
        stopping.set()
        begun = time.monotonic()
        await asyncio.wait_for(task, SOON)
        return time.monotonic() - begun

    assert asyncio.run(serve()) < SOON / 2
    assert claim_showing(db, 60.0) is not None, "what was broken off is given back"


async def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_the_report_is_a_file_of_the_job_like_others(db: Database, settings: Settings, jobs: Jobs) -> None:
    files, root, job = open_store(settings), settings.artifact_root, jobs.completed
    events = read_events(db, job.id, LOCAL, limit=10_000)
    first = artifacts.publish(db, files, job.id, REPORT, "text/html", b"one")
    assert first is not None
    assert artifacts.publish(db, files, job.id, REPORT, "text/html", b"one") is not None
    with open_artifact(db, files, job.id, REPORT, LOCAL) as (_, path):
        assert path.read_bytes() == b"one"
    artifacts.publish(db, files, job.id, REPORT, "text/html", b"two")
    assert not path.exists(), "nothing refers to it any more"
    with open_artifact(db, files, job.id, REPORT, LOCAL) as (_, path):
        assert path.read_bytes() == b"two"
    assert read_events(db, job.id, LOCAL, limit=10_000) == events, "the job has not changed"
    delete_job(db, job.id, LOCAL, files)
    assert not path.exists()
    assert artifacts.publish(db, files, job.id, REPORT, "text/html", b"three") is None
    assert [found for found in root.rglob("*") if found.is_file()] == []


def test_optunas_store_reads_our_files_and_keeps_others_beside(tmp_path: Path) -> None:
    (tmp_path / "ours").write_bytes(b"weights")
    store = Folder(tmp_path)
    digest = artifacts.keep(store, tmp_path / "ours")
    files = Files(store)
    with files.open_reader(digest) as reader:
        assert reader.read() == b"weights"
    files.remove(digest)
    with files.open_reader(digest) as reader:
        assert reader.read() == b"weights", "a job's record refers to it"
    for unknown in ("0" * 64, "x" * 64, "1-2-3"):
        with pytest.raises(ArtifactNotFound):
            files.open_reader(unknown)
    files.write("1-2-3", io.BytesIO(b"an upload"))
    with files.open_reader("1-2-3") as reader:
        assert reader.read() == b"an upload"
    files.remove("1-2-3")
    with pytest.raises(ArtifactNotFound):
        files.open_reader("1-2-3")


def test_the_api_loads_neither_numerics_nor_the_dashboard_for_it() -> None:
    heavy = {"sklearn", "scipy", "optuna_dashboard", "plotly"}
    program = f"import service.plot_refresh, service.app, sys; print(sorted(set(sys.modules) & {heavy}))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
