"""Watching a job: what stands on a terminal's screen, at 80 columns and at 40; what a pipe gets; and how it ends."""

from __future__ import annotations

import io
import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from rich.console import Console

from search import records
from search.claims import claiming, reporting
from search.requests.jobs import cancel_job, get_job, pause_job
from search.storage.db import Database
from service.settings import Settings
from service.terminal import following, screen
from service.terminal.console import Exit
from service.terminal.drawing import undisturbed
from service.terminal.following import Throughput, follow
from tests.processes import Processes
from tests.service import server_fixtures
from tests.service.server_fixtures import serving
from tests.terminals import terminal
from thermowell.api.jobs import Event, Job
from thermowell.api.trials import TrialDetail
from thermowell.sync.client import Client
from trainers.spec import EpochReport, Metrics

CURVE = (0.5, 0.7, 0.8, 0.85, 0.8725)
EPOCHS = 10


@pytest.fixture
def going(db: Database) -> records.Job:
    """A job with a trial that has ended and one halfway through."""
    job = server_fixtures.submit(db, name="under-watch", training={"epochs": EPOCHS})
    server_fixtures.train(db, job, trials=1)
    claim = server_fixtures.claim_one(db, job)
    assert claim is not None
    for epoch in range(1, len(CURVE) + 1):
        report(db, claim, epoch)
    return job


def report(db: Database, claim: claiming.Claim, epoch: int) -> None:
    """What a worker says after an epoch."""
    metrics = Metrics(CURVE[epoch - 1], 0.4, 0.05, 0.9, 1.2)
    reporting.report(
        db, claim.token, claim.trial_id, EpochReport(0, str(claim.trial_id), epoch, 0.5, 0.1, 0.01, metrics)
    )


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    with serving(settings) as address:
        yield address


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_waits_for_the_end_of_a_picture() -> None:
    """Else the picture that it breaks off stays on the screen, above the one that is drawn last."""
    drawn = []

    def draw() -> None:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGINT)
            drawn.append("whole")

    with pytest.raises(KeyboardInterrupt):
        draw()
    assert drawn == ["whole"]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("columns", [80, pytest.param(40, marks=pytest.mark.slow)])
def test_the_screen_shows_lanes_and_ctrl_c_leaves_the_job(
    url: str, db: Database, going: records.Job, columns: int
) -> None:
    with terminal("watch", going.id, "--url", url, columns=columns) as seen:
        seen.until(lambda text: "87.2 %" in text and "trials/min" in text)
        before = seen.lines()
        assert before[0] == "under-watch  searching"
        [lane] = [line for line in before if "5/10" in line]
        number, *settings, curve, reached, _ = lane.split()
        assert (number, curve, reached) == ("1", "▁▅▇██", "87.2")
        assert ("search" in settings) == (columns == 80)
        assert any(re.search(r"^Search +\S+ 1/4$", line) for line in before)
        assert any(re.match(r"Best.* \d\d\.\d % at T = 1 ", line) for line in before)
        seen.press(b"\x03")
        assert seen.wait() == Exit.INTERRUPTED
        after = [line for line in seen.lines() if line]
        assert after[-2:] == ["The job goes on. Follow it again with:", f"  thermowell watch {going.id}"]
        assert sum("under-watch" in line for line in after) == 1, "what was drawn last stays, once"
        assert seen.screen.cursor.hidden is False
    assert get_job(db, going.id, server_fixtures.LOCAL).state == "running"


@pytest.mark.parametrize(
    ("end", "code"), [("completed", Exit.OK), pytest.param("cancelled", Exit.FAILED, marks=pytest.mark.slow)]
)
def test_the_screen_ends_with_the_job(url: str, settings: Settings, db: Database, end: str, code: Exit) -> None:
    job = server_fixtures.submit(db, name="brief")
    with terminal("watch", job.id, "--url", url) as seen:
        seen.until(lambda text: "brief  waiting for a worker" in text)
        if end == "completed":
            server_fixtures.train(db, job)
            server_fixtures.close(db, settings.artifact_root, job)
        else:
            cancel_job(db, job.id, server_fixtures.LOCAL)
        assert seen.wait() == code
        assert seen.lines()[0] == f"brief  {end}"
        assert (f"thermowell result {job.id}" in seen.text()) == (end == "completed")
        assert screen.HINT not in seen.text()


def test_the_screen_bears_a_service_that_goes_away(
    settings: Settings, db: Database, going: records.Job, free_port: int
) -> None:
    with terminal("watch", going.id, "--url", f"http://127.0.0.1:{free_port}") as seen:
        with serving(settings, free_port):
            seen.until(lambda text: "5/10" in text)
        seen.until(lambda text: "has not answered" in text)
        server_fixtures.train(db, going, trials=1)
        with serving(settings, free_port):
            seen.until(lambda text: " 2/4" in text and "has not answered" not in text)
            cancel_job(db, going.id, server_fixtures.LOCAL)
            assert seen.wait() == Exit.FAILED


@pytest.mark.slow
def test_many_lanes_fit_a_short_terminal(url: str, db: Database, going: records.Job) -> None:
    for _ in range(2):
        server_fixtures.claim_one(db, going)
    with terminal("watch", going.id, "--url", url, lines=screen.BESIDE_LANES + 1) as seen:
        seen.until(lambda text: "and 2 more" in text)
        assert seen.lines()[0] == "under-watch  searching", "nothing has scrolled away"


@pytest.mark.usefixtures("interruptible")
def test_a_pipe_gets_plain_lines(url: str, processes: Processes, db: Database, going: records.Job) -> None:
    watching = processes.thermowell("watch", going.id, "--url", url, env={"COLUMNS": "40"})
    while "search 1/4" not in watching.output():
        assert watching.process.poll() is None, watching.output()
    pause_job(db, going.id, server_fixtures.LOCAL)
    while "paused" not in watching.output():
        assert watching.process.poll() is None, watching.output()
    watching.signal(signal.SIGINT)
    assert watching.wait() == Exit.INTERRUPTED
    said = watching.output()
    assert "\x1b" not in said
    assert all(
        re.match(r"\d\d:\d\d:\d\d (searching|paused), search 1/4, trials 1/", line) for line in said.splitlines()[:2]
    )
    assert get_job(db, going.id, server_fixtures.LOCAL).state == "paused"


def test_a_lane_waits_in_its_place_for_the_next_trial(url: str, db: Database, going: records.Job) -> None:
    with Client(url) as client:
        views = follow(client, going.id, room=lambda: 4)
        view = next(views)
        assert [(lane.number, lane.trial.state) for lane in view.lanes] == [(1, "running")]
        server_fixtures.claim_one(db, going)
        assert [lane.number for lane in next(views).lanes] == [1, 2]
        cancel_job(db, going.id, server_fixtures.LOCAL)
        assert list(views)[-1].lanes == []


def test_a_curve_is_asked_for_again_only_where_epochs_were_missed(
    url: str, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = server_fixtures.claim_one(db, server_fixtures.submit(db, name="followed", training={"epochs": EPOCHS}))
    assert claim is not None
    asked: list[int] = []
    whole = Client.trial

    def counted(client: Client, job: str | Job, number: int) -> TrialDetail:
        asked.append(number)
        return whole(client, job, number)

    monkeypatch.setattr(Client, "trial", counted)
    with Client(url) as client:
        views = follow(client, claim.job_id, room=lambda: 4)
        for said, times in (((1,), 1), ((2,), 1), ((3, 4), 2), ((), 2)):
            for epoch in said:
                report(db, claim, epoch)
            [lane] = next(views).lanes
            assert lane.curve == dict(enumerate(CURVE[: lane.trial.epoch], start=1))
            assert len(asked) == times
        assert lane.trial.epoch == 4


def test_pace_counts_the_last_minute_or_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1000.0
    monkeypatch.setattr(following, "time", SimpleNamespace(monotonic=lambda: clock))
    begun, pace = datetime(2026, 1, 1, tzinfo=UTC), Throughput()

    def hear(kind: str, second: float) -> None:
        pace.hear(Event(number=1, kind=kind, at=begun + timedelta(seconds=second), payload={}))

    hear("trial_started", 0)
    assert pace.per_minute() is None
    for second in range(10, 40, 5):
        hear("trial_finished", second)
    assert pace.per_minute() == pytest.approx(60 * 6 / 35), "over the 35 seconds that there were"
    clock += 265
    assert pace.per_minute() == pytest.approx(60 * 6 / 300), (
        "too few within a minute: over the 5 minutes that there were"
    )
    clock += 700
    assert pace.per_minute() is None


@pytest.mark.parametrize(
    ("values", "epochs", "width", "drawn"),
    [
        ([0.0, 0.5, 1.0], 3, 20, "▁▅█"),
        ([0.0, 0.0, 1.0, 1.0], 8, 4, "▁█"),
        ([0.0, None, 1.0], 6, 6, "▁▁█"),
        ([0.25], 5, 5, "▃"),
        ([], 5, 5, ""),
        ([float("nan")], 5, 5, ""),
    ],
)
def test_sparklines(values: list[float | None], epochs: int, width: int, drawn: str) -> None:
    assert screen.sparkline(dict(enumerate(values, start=1)), 0.0, 1.0, epochs, width) == drawn


def test_sparklines_of_a_flat_curve_are_in_the_middle() -> None:
    assert screen.sparkline({1: 0.3, 2: 0.3}, 0.3, 0.3, 2, 5) == "▅▅"


def test_news_are_shown_for_a_while(url: str, going: records.Job) -> None:
    def shown(view: following.View) -> str:
        console = Console(width=80, record=True, file=io.StringIO())
        console.print(screen.page(view, 80))
        return console.export_text()

    with Client(url) as client:
        views = follow(client, going.id, room=lambda: 0)
        view = next(view for view in views if view.notice is not None)
        assert view.notice is not None
        assert "the teacher is ready: 97.0 % on validation" in shown(view)
        view.notice = (view.notice[0], view.pace.now() - screen.NEWS_SECONDS)
        assert "the teacher is ready" not in shown(view)
        views.close()
