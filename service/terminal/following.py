"""The state of a job as a terminal follows it: events say when to ask again, the API is asked for what is shown."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from search import units
from thermowell.api.jobs import Event, JobDetail
from thermowell.api.trials import Trial
from thermowell.errors import Refused, Unreachable
from thermowell.sync.client import Client

REFRESH_SECONDS = 1.0
ENDS = ("trial_finished", "trial_pruned", "trial_failed")
WINDOWS = (60.0, 600.0)  # seconds; the longer where too few trials ended in the shorter
ENOUGH_ENDS = 5
SHORT_CURVE = 300  # epochs
News = Event | Exception | None  # None: there will be no more


@dataclass(slots=True)
class Throughput:
    """When trials ended, by the service's clock, of which every event tells a little."""

    ends: deque[float] = field(default_factory=lambda: deque(maxlen=10_000))
    first: float | None = None
    latest: tuple[float, float] = (0.0, 0.0)  # the latest event's time, and our own clock when it came

    def hear(self, event: Event) -> None:
        """Takes an event into account."""
        timestamp = event.at.timestamp()
        self.latest = (timestamp, time.monotonic())
        if event.kind == "trial_started" and self.first is None:
            self.first = timestamp
        if event.kind in ENDS:
            self.ends.append(timestamp)

    def now(self) -> float:
        """The service's clock, as far as it is known."""
        return self.latest[0] + time.monotonic() - self.latest[1]

    def per_minute(self) -> float | None:
        """Trials per minute, over the last minute or ten; None where none ended."""
        if self.first is None:
            return None
        current = self.now()
        for window in WINDOWS:
            count = sum(timestamp > current - window for timestamp in self.ends)
            if count >= ENOUGH_ENDS or (count and window == WINDOWS[-1]):
                return 60 * count / max(1.0, min(window, current - self.first))
        return None


@dataclass(slots=True)
class Lane:
    """A trial that is being trained, or was: `curve` is the objective by epoch, as far as it was asked for."""

    trial: Trial
    curve: dict[int, float | None]

    @property
    def number(self) -> int:
        """The trial's."""
        return self.trial.number


@dataclass(slots=True)
class View:
    """A job at a moment. Lanes keep their places: one whose trial has ended waits there for the next."""

    job: JobDetail
    best: Trial | None = None
    workers: int | None = None
    lanes: list[Lane] = field(default_factory=list)
    hidden: int = 0  # running trials for which there is no room
    notice: tuple[str, float] | None = None  # what is worth saying, and when it happened
    lost_at: float | None = None  # since when the service has not answered, by our clock
    pace: Throughput = field(default_factory=Throughput)


def follow(
    client: Client, job_id: str, room: Callable[[], int], check: Callable[[], None] = lambda: None
) -> Iterator[View]:
    """The job anew, once a second and at each change of its state, until it ends; the same view each time.

    `room` says how many lanes there is room for; `check` is called now and then and may raise.
    Raises Refused, and Unreachable once the service has been away for a minute.
    """
    view = View(client.job(job_id))
    news: queue.SimpleQueue[News] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(client, job_id, news), daemon=True)
    listener.start()
    over = False
    while True:
        check()
        _look(client, view, room())
        yield view
        if view.job.ended or over:
            listener.join(REFRESH_SECONDS)  # its stream ends with the job
            return
        over = _hear(news, view)
        try:
            view.job, view.lost_at = client.job(job_id), None
        except Unreachable:
            view.lost_at = view.lost_at or time.monotonic()  # the listener decides when to give up


def _listen(client: Client, job_id: str, news: queue.SimpleQueue[News]) -> None:
    try:
        for event in client.events(job_id):
            news.put(event)
        news.put(None)
    except (Refused, Unreachable) as error:
        news.put(error)


def _hear(news: queue.SimpleQueue[News], view: View) -> bool:
    """Takes in what happens within a second, or until the state changes; answers whether there is no more to come."""
    until = time.monotonic() + REFRESH_SECONDS
    while (remaining := until - time.monotonic()) > 0:
        try:
            event = news.get(timeout=remaining)
        except queue.Empty:
            return False
        if event is None:
            return True
        if isinstance(event, Exception):
            raise event
        view.pace.hear(event)
        if words := _notice(event):
            view.notice = (words, event.at.timestamp())
        if event.kind == "state" and news.empty():
            return False
    return False


def _notice(event: Event) -> str | None:
    """What is worth a line of its own."""
    trial = event.payload.get("trial")
    if event.kind == "teacher_ready":
        return units.teacher_ready(event.payload)
    if event.kind == "trial_lost":
        return f"a worker was lost; trial {trial} goes to another"
    if event.kind == "trial_failed":
        reason = event.payload.get("reason") or {}
        return f"trial {trial} failed: {reason.get('detail', 'no reason given')}"
    return None


def _look(client: Client, view: View, room: int) -> None:
    """What the job does not say itself: its best trial's settings, who works, and what each lane does."""
    job = view.job
    try:
        if job.progress.best_trial is not None and (view.best is None or view.best.number != job.progress.best_trial):
            view.best = client.trial(job, job.progress.best_trial)
        if job.ended:
            view.lanes, view.hidden = [], 0
            return
        view.workers = sum(worker.alive for worker in client.workers())
        if room:
            _look_at_lanes(client, view, room)
    except Unreachable:
        view.lost_at = view.lost_at or time.monotonic()


def _look_at_lanes(client: Client, view: View, room: int) -> None:
    running = {trial.number: trial for trial in client.trials(view.job, state="running")}
    waiting = [number for number in running if number not in {lane.number for lane in view.lanes}]
    lanes: list[Lane] = []
    for lane in view.lanes[:room]:
        if lane.number in running:
            lanes.append(_state_change(client, view.job, lane, running[lane.number]))
        elif waiting:
            lanes.append(_lane(client, view.job, waiting.pop(0)))
        else:  # it waits for its next trial, and shows what became of the last one
            lanes.append(_lane(client, view.job, lane.number) if lane.trial.state == "running" else lane)
    while waiting and len(lanes) < room:
        lanes.append(_lane(client, view.job, waiting.pop(0)))
    view.lanes, view.hidden = lanes, len(running) - sum(lane.number in running for lane in lanes)


def _state_change(client: Client, job: JobDetail, lane: Lane, trial: Trial) -> Lane:
    """The lane as it is now. A whole curve is asked for again only where epochs were missed and it is short."""
    again = trial.attempt != lane.trial.attempt or trial.epoch < lane.trial.epoch
    if again or (trial.epoch > lane.trial.epoch + 1 and trial.epoch <= SHORT_CURVE):
        return _lane(client, job, trial.number)
    if trial.epoch > lane.trial.epoch and trial.metrics is not None:
        lane.curve[trial.epoch] = trial.metrics[job.metric]
    return Lane(trial, lane.curve)


def _lane(client: Client, job: JobDetail, number: int) -> Lane:
    trial = client.trial(job, number)
    return Lane(trial, {report.epoch: getattr(report, job.metric) for report in trial.curve})


def elapsed(job: JobDetail) -> float | None:
    """Seconds from the first trial to now, or to the end."""
    if job.started_at is None:
        return None
    until = job.ended_at or datetime.now(job.started_at.tzinfo)
    return max(0.0, (until - job.started_at).total_seconds())
