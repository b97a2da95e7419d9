"""The page of one job: its possible moves, its running trials, the best so far, and its events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from search import units
from search.errors import Unreadable
from search.records import Event, Job, Trial, Trouble
from search.states import TERMINAL_JOBS, JobState
from search.storage.stored import readable
from service.pages.jobs_page import metric_of
from trainers.registry import optimizers

EVENTS = 12
LEFT_OUT = ("trial_started",)  # a bank begins many at once, and the page shows what is in training
BEST = 5
LANES = 12


TITLES: Mapping[str, str] = {
    "response": "Quality over temperature",
    "best": "Best value so far",
    "lanes": "Learning curves of the trials in training",
    "gains": "Gains over the baselines",
    "curves": "Learning curves by temperature",
    "optimizers": "Temperature response by optimizer",
    "interactions": "Temperature with each other setting",
    "pareto": "Accuracy against calibration",
    "parallel": "Settings of the trials",
    "seeds": "Spread between seeds",
    "softness": "Softness of the teacher",
    "importances": "What decided whether a trial was good",
}


def pictures(job: Job) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The plots that a job's page shows at once, and those behind a press, each with what it is."""
    first = ["response", "best", "gains"] if job.state is JobState.COMPLETED else ["response", "best", "lanes"]
    if job.state in TERMINAL_JOBS:
        first = [name for name in first if name != "lanes"]
    rest = [name for name in TITLES if name not in first and name != "lanes"]
    return [(name, TITLES[name]) for name in first], [(name, TITLES[name]) for name in rest]


@dataclass(frozen=True, slots=True)
class Action:
    """One of the moves that need no more than a press of a button."""

    name: str
    label: str
    means: str
    sure: bool = False  # asks again before it is done
    of: str = "this job"


_UNDER_WAY = (JobState.QUEUED, JobState.RUNNING, JobState.CONFIRMING)
_EXTENDABLE = (*_UNDER_WAY, JobState.PAUSED, JobState.COMPLETED)
_PAUSE = Action("pause", "Pause", "Hands out no more trials; running ones end. Paused time does not count.")
_RESUME = Action("resume", "Resume", "Goes on where it was.")
_STOP = Action("stop", "Stop the search", "No new trials are searched; what there is gets confirmed and answered.")
_OPEN = Action(
    "open-test",
    "Open the test part",
    "Nothing is decided, so that nobody has read it: the answer is worked out again, with test figures. An extension "
    "after that is marked as having seen them.",
    sure=True,
    of="of this job",
)
_CANCEL = Action("cancel", "Cancel", "Ends the job now: running trials are dropped and nothing is answered.", sure=True)
_DELETE = Action("delete", "Delete", "Forgets the job: its trials, its studies, its answer and its files.", sure=True)

DONE: Mapping[str, str] = {
    "submitted": "Submitted. A worker takes it from here.",
    "pause": "Paused. Running trials end; no more are handed out.",
    "resume": "Resumed.",
    "stop": "The search is stopped. What there is gets confirmed.",
    "cancel": "Cancelled.",
    "extend": "Extended.",
    "open-test": "The test part is opened. The answer is worked out again.",
    "delete": "Deleted.",
}


def actions(job: Job) -> list[Action]:
    """What the job's state allows; what it would refuse is not offered."""
    resume = [_RESUME] if job.resumable else []
    if job.state in TERMINAL_JOBS:
        sealed = job.state == JobState.COMPLETED and job.test_opened_at is None
        return [*resume, *([_OPEN] if sealed else []), _DELETE]
    stop = [_STOP] if job.state in (JobState.QUEUED, JobState.RUNNING) and not job.search_stopped else []
    pause = [_PAUSE] if job.state in (*_UNDER_WAY, JobState.ANALYSING) else []
    return [*resume, *pause, *stop, _CANCEL]


def troubles(job: Job) -> list[str]:
    """What could not be done for the job beside its training, in words."""
    entries = (
        ("Its plots and report could not be drawn", job.undrawn),
        ("MLflow could not be told of it", job.untracked),
    )
    return [f"{sentence}, {_tried(trouble)}: {trouble.detail}" for sentence, trouble in entries if trouble is not None]


def _tried(trouble: Trouble) -> str:
    times = "once" if trouble.attempts == 1 else f"{trouble.attempts} times"
    if trouble.again_at is None:
        return f"tried {times}, and again when the job changes"
    return f"tried {times}, and again at {trouble.again_at:%H:%M} UTC"


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit that can be raised."""

    name: str
    label: str
    total: float
    step: str

    @property
    def said(self) -> str:
        return f"{self.total:,g}"

    @property
    def least(self) -> str:
        return f"{self.total + 1:g}"


def budgets(job: Job) -> list[Budget]:
    """The limits of a job that can be extended; none where it cannot."""
    if job.state not in _EXTENDABLE:
        return []
    limits = [
        ("trials", "Search trials", job.budget_trials, "1"),
        ("epochs", "Epochs of the search", job.budget_epochs, "1"),
        ("seconds", "Seconds of the search", job.budget_seconds, "any"),
    ]
    return [Budget(name, label, total, step) for name, label, total, step in limits if total is not None]


@dataclass(frozen=True, slots=True)
class Clock:
    """A time and what it is of."""

    value: str
    words: str


def clock(job: Job, phase: str) -> Clock:
    """How long it may still take, or how long it took; what is done meanwhile."""
    if job.ended_at is not None and job.started_at is not None:
        return Clock(units.duration((job.ended_at - job.started_at).total_seconds()), f"from start to end; {phase}")
    remaining, rate = job.progress.seconds_left, job.progress.epochs_per_second
    if remaining is None or not rate:
        return Clock("-", phase)
    return Clock(f"about {units.duration(remaining)}", f"left at {units.number(rate, 2)} epochs/s; {phase}")


@dataclass(frozen=True, slots=True)
class Lane:
    """One trial, in training or ended, as a row of a table."""

    number: int
    stage: str
    temperature: str
    optimizer: str
    learning_rate: str
    weight_decay: str
    kd_weight: str
    epoch: int
    epochs: int
    value: str


def lanes(job: Job, trials: Sequence[Trial]) -> list[Lane]:
    """Trials as rows; a running one's value is that of its last epoch."""
    return [_lane(job, trial) for trial in trials]


def _lane(job: Job, trial: Trial) -> Lane:
    metric, drawn = metric_of(job), trial.configuration
    optimizer: Mapping[str, Any] = {} if drawn is None else drawn["optimizer"] or {}
    value = trial.value if trial.value is not None else (trial.metrics or {}).get(metric.name)
    return Lane(
        number=trial.number,
        stage=_stage(trial),
        temperature="" if drawn is None else units.number(drawn["temperature"], 3),
        optimizer=units.OPTIMIZERS.get(optimizer["name"], optimizer["name"]) if optimizer else "",
        learning_rate=units.number(optimizer["learning_rate"], 2) if optimizer else "",
        weight_decay=units.number(optimizer["weight_decay"], 2) if optimizer else "",
        kd_weight="" if drawn is None else units.number(drawn["kd_weight"], 2),
        epoch=trial.epoch,
        epochs=_epochs(job),
        value="" if value is None else units.level(metric, value),
    )


def _epochs(job: Job) -> int:
    """Of each of its trials; 0 where its spec cannot be read."""
    with suppress(Unreadable), readable(f"the spec of job {job.id}"):
        return int(job.spec["training"]["epochs"])
    return 0


def _stage(trial: Trial) -> str:
    if trial.imported is not None:
        return f"{trial.stage}: imported"
    if trial.advice is not None:
        return f"{trial.stage}: {units.ADVISED[trial.advice['origin']]}"
    arm = units.ARMS.get(str(trial.arm), str(trial.arm))
    return str(trial.stage) if arm == units.ARMS["joint"] else f"{trial.stage}: {arm}"


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event in words."""

    number: int
    at: datetime
    words: str


def happenings(job: Job, events: Sequence[Event]) -> list[EventLine]:
    """Events in words, in the order given."""
    return [EventLine(event.number, event.at, _words(job, event)) for event in events]


def _words(job: Job, event: Event) -> str:
    say, words = _SAY.get(event.kind), event.kind.replace("_", " ")
    if say is not None:
        with suppress(Unreadable), readable(f"event {event.number} of job {job.id}"):
            return say(job, event.payload)
    return words


def _trial_end(verb: str) -> Callable[[Job, Mapping[str, Any]], str]:
    def say(job: Job, payload: Mapping[str, Any]) -> str:
        value, reason = payload.get("value"), payload.get("reason")
        words = f"trial {payload['trial']} {verb} at epoch {payload['epoch']}"
        words += "" if value is None else f" with {units.level(metric_of(job), value)}"
        return words if reason is None else f"{words}: {reason['detail']}"

    return say


def _state(job: Job, payload: Mapping[str, Any]) -> str:
    reason = payload.get("reason")
    return f"{payload['from']}, now {payload['to']}" + ("" if reason is None else f": {reason['detail']}")


def _best(job: Job, payload: Mapping[str, Any]) -> str:
    temperature = units.number(payload["configuration"]["temperature"], 3)
    return (
        f"best so far: {units.level(metric_of(job), payload['value'])} at T = {temperature} (trial {payload['trial']})"
    )


def _teacher(job: Job, payload: Mapping[str, Any]) -> str:
    return units.teacher_ready(payload)


_SAY: Mapping[str, Callable[[Job, Mapping[str, Any]], str]] = {
    "submitted": lambda job, payload: "submitted",
    "state": _state,
    "stopped": lambda job, payload: "asked to stop the search",
    "extended": lambda job, payload: (
        "extended to " + ", ".join(f"{total:,g} {name}" for name, total in payload.items())
    ),
    "allotted": lambda job, payload: f"its study hands it {payload['trials']:,} trials more",
    "allotment_refused": lambda job, payload: (
        f"its study has {payload['trials']:,} trials more for it, of which its owner's quota has no room"
    ),
    "teacher_ready": _teacher,
    "trial_started": lambda job, payload: f"trial {payload['trial']} began ({payload['stage']})",
    "trial_finished": _trial_end("ended"),
    "trial_pruned": _trial_end("stopped early"),
    "trial_failed": _trial_end("failed"),
    "trial_cancelled": _trial_end("cancelled"),
    "trial_lost": lambda job, payload: f"a worker was lost; trial {payload['trial']} goes to another",
    "trial_returned": lambda job, payload: f"a worker gave trial {payload['trial']} back",
    "best": _best,
    "choosing": lambda job, payload: "the configurations worth training again are being chosen",
    "finalists": lambda job, payload: f"chose {sum(map(len, payload.values()))} finalists, to be raced on fresh seeds",
    "choosing_lost": lambda job, payload: "a worker was lost while it chose the finalists; another does",
    "closing_lost": lambda job, payload: "a worker was lost while it worked out the answer; another does",
    "closing": lambda job, payload: "the answer is being worked out",
    "closing_failed": lambda job, payload: f"the answer could not be worked out: {payload['error']}",
    "choosing_failed": lambda job, payload: f"the finalists could not be chosen: {payload['error']}",
    "preparing_failed": lambda job, payload: f"a worker could not make data and teacher ready: {payload['error']}",
    "test_opened": lambda job, payload: (
        "the test part is opened" if payload.get("asked") else "the test part is read, once"
    ),
    "artifact": lambda job, payload: f"kept the file {payload['name']}",
}


def trial_settings(trial: Trial) -> list[tuple[str, str]]:
    """The trial's configuration, row by row; nothing before it has one."""
    configuration = trial.configuration
    if configuration is None:
        return []
    rows = [("temperature", units.temperature(configuration["temperature"], configuration.get("final_temperature")))]
    for name in ("student_temperature", "kd_weight", "label_weight"):
        if configuration.get(name) is not None:
            rows.append((name if "kd" in name else name.replace("_", " "), units.number(configuration[name])))
    optimizer = configuration.get("optimizer")
    if optimizer is not None:
        rows.append(("optimizer", units.OPTIMIZERS.get(optimizer["name"], optimizer["name"])))
        for name in optimizers.SETTINGS:
            if name in optimizers.COMMON or optimizers.has(optimizer["name"], name):
                rows.append((name.replace("_", " "), units.value(optimizer[name])))
    rows += [(name, units.value(value)) for name, value in (configuration.get("parameters") or {}).items()]
    return [*rows, ("seed", str(trial.seed))]


def trial_measures(job: Job, trial: Trial) -> list[tuple[str, str, str]]:
    """Each metric on validation and on the test part, where they are known."""
    rows = []
    validation, test = trial.metrics or {}, trial.test_metrics or {}
    for name in dict.fromkeys([*validation, *test]):
        display = units.measure_in(job.spec, name)
        reached, tested = validation.get(name), test.get(name)
        rows.append(
            (
                display.label.replace("_", " "),
                "" if reached is None else units.level(display, reached),
                "" if tested is None else units.level(display, tested),
            )
        )
    return rows
