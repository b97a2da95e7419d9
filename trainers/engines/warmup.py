"""Measurement of each engine form's speed in short epochs, dearer forms only where the job is long enough to be worth
it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from torch import nn

from trainers import disk
from trainers.engines import bank_batched, memory
from trainers.engines.bank import has_compiler
from trainers.engines.forms import Form, open_form
from trainers.order import batches
from trainers.registry import optimizers
from trainers.spec import Assignment, Configuration, Optimizer
from trainers.teaching.prepared import Prepared
from trainers.training import threads
from trainers.zoo import models

SECONDS = 0.3  # that a measured epoch is to last
EPOCHS = 3  # are measured after the first one, of which the fastest counts
SHARE = 0.15  # of the time that the job would take in the best form known, which all measuring may take
START_SECONDS = 6.0  # that processes take to start
MOST_LANES = {"cpu": 64, "cuda": 256}
A_BANK = "a bank"
"""Under this name a bank of any kind is refused."""
LADDER = (4, 16, 64, 256)
FAR_BEHIND = 3.0  # times slower than the best: not worth a second look
RISE = 1.1  # by which more lanes must be faster for still more to be tried


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured of one form: student images per second, all lanes together, with validation in proportion;
    and by how many seconds its first epoch took longer than the next, which is to compile it or to start it.
    """

    form: Form
    images_per_second: float
    start_seconds: float

    def job_seconds(self, images: float) -> float:
        """How long so many student images take, the start included."""
        return self.start_seconds + images / self.images_per_second


@dataclass(slots=True)
class Figures:
    """All figures of one kind of problem, and what could not be measured, with the reason, by the form's words."""

    measured: list[Figure] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def of(self, form: Form) -> Figure | None:
        """The form's figure, if it has one."""
        return next((figure for figure in self.measured if figure.form == form), None)

    def best(self, engines: tuple[str, ...] = ("loop", "processes", "bank")) -> Figure | None:
        """The fastest figure of those engines, its start not counted."""
        figures = [figure for figure in self.measured if figure.form.engine in engines]
        return max(figures, key=lambda figure: figure.images_per_second, default=None)


Measure = Callable[[Prepared, Form, float], Figure]
"""From a prepared problem, a form and the images per second to expect of it: its figure."""
Announce = Callable[[str, float | None], None]
"""Takes what is done now, in words, and about how many seconds it takes."""
MEASURING = "measuring which engine trains it fastest"
COMPILING = "compiling"


def silent(_words: str, _seconds: float | None) -> None:
    """Announces nothing."""


def complete(
    figures: Figures,
    prepared: Prepared,
    most_lanes: int,
    most_threads: int,
    images: float,
    measure: Measure,
    announce: Announce = silent,
) -> bool:
    """Measures what is missing and worth measuring for a job of so many student images; whether anything was.

    A form is measured where that is expected to end within SHARE of the time that the job would take in the best form
    known, all that was spent so far included; the first, a loop on one thread, always, which takes a few steps.
    """
    start = time.perf_counter()
    new = False
    for form, seconds in _missing_forms(figures, prepared, most_lanes, most_threads):
        best = figures.best()
        if figures.of(form) is not None or str(form) in figures.refused:
            continue
        if best is not None:
            allowed = SHARE * images / best.images_per_second
            if time.perf_counter() - start + seconds > allowed:
                continue
        new = True
        announce(COMPILING if form.compiled else MEASURING, seconds if form.compiled else None)
        try:
            figures.measured.append(measure(prepared, form, best.images_per_second if best else 0.0))
        except Exception as error:
            if form.engine == "loop" or disk.fault_of(error) is not None:
                raise  # then no engine can train this student, or the disk lets nobody say
            figures.refused[str(form)] = "memory does not suffice" if memory.ran_out(error) else _line(error)
        if str(form) in figures.refused:
            memory.give_back()
    return new


def _missing_forms(
    figures: Figures, prepared: Prepared, most_lanes: int, most_threads: int
) -> Iterator[tuple[Form, float]]:
    """The forms to look at, cheapest first, and how many seconds each is expected to take; figures come in between."""
    device = prepared.device.type
    counts = sorted({1, most_threads}) if device == "cpu" else [most_threads]
    for count in counts:
        yield Form("loop", 1, count), _measuring_seconds(figures, prepared, 1)
    if most_lanes > 1 and not prepared.views.streams and A_BANK not in figures.refused:
        yield from _banks(figures, prepared, min(most_lanes, MOST_LANES.get(device, 64)), counts)
    if device == "cpu" and min(most_lanes, most_threads) > 1:
        processes = min(most_lanes, most_threads)
        seconds = START_SECONDS + _measuring_seconds(figures, prepared, processes)
        yield Form("processes", processes, most_threads, processes=processes), seconds
    bank, rival = figures.best(("bank",)), figures.best(("loop", "processes"))
    if bank is None or bank.form.compiled or not has_compiler():
        return
    if rival is None or bank.images_per_second > rival.images_per_second / 2:
        seconds = compile_seconds(prepared) + _measuring_seconds(figures, prepared, bank.form.lanes)
        yield replace(bank.form, compiled=True, batched=False), seconds


def _measuring_seconds(figures: Figures, prepared: Prepared, lanes: int) -> float:
    """How long a form of so many lanes is measured, as fast as the best one known: epochs are whole at the most."""
    best = figures.best()
    epoch = SECONDS if best is None else min(SECONDS, lanes * prepared.images / best.images_per_second)
    return epoch * (EPOCHS + 2)


def _banks(figures: Figures, prepared: Prepared, most: int, counts: list[int]) -> Iterator[tuple[Form, float]]:
    """Banks that are not compiled, of more and more lanes while that pays; the best of them on more threads too."""
    fewer, batched = 0.0, batched_refusal(prepared) is None
    for lanes in [rung for rung in LADDER if rung < most] + [most]:
        form = Form("bank", lanes, counts[0], batched=batched)
        yield form, _measuring_seconds(figures, prepared, lanes)
        figure = figures.of(form)
        if figure is None or figure.images_per_second < RISE * fewer:
            break
        fewer = figure.images_per_second
    best = figures.best(("bank",))
    if best is not None and not best.form.compiled:
        for count in counts[1:]:
            yield replace(best.form, threads=count), _measuring_seconds(figures, prepared, best.form.lanes)


def batched_refusal(prepared: Prepared) -> str | None:
    """Why a bank of these students is not written out layer by layer; None where it is."""
    return bank_batched.refusal(_student(prepared), prepared)


def compile_seconds(prepared: Prepared) -> float:
    """About how long a bank takes to compile: by the number of the student's tensors, as was measured on two cores."""
    return 4.0 + 1.0 * len(list(_student(prepared).parameters()))


def suited_threads(prepared: Prepared, lanes: int, most_threads: int) -> int:
    """On how many threads so many students at once are trained where nothing is measured: by the size of a step."""
    batch = batches(prepared.images, prepared.problem.training.batch_size)
    operations = threads.step_operations(_student(prepared), prepared.channels, prepared.size, batch.size)
    return 1 if lanes * operations < threads.WORTH_SHARING else most_threads


def timed(prepared: Prepared, form: Form, expected: float) -> Figure:
    """Opens the form, fills it with students and times epochs of about SECONDS, of a form that competes with
    `expected` images per second.

    Two steps come first, and are all where they show a form far behind: threads that are called on a busy machine may
    take a hundred times as long as none. What is compiled would compile twice, and goes without.
    """
    batch = batches(prepared.images, prepared.problem.training.batch_size)
    with threads.exactly(form.threads):
        rate = expected
        if not form.compiled or not expected:
            probe = _time(prepared, form, steps=2, epochs=1)
            if probe.images_per_second < expected / FAR_BEHIND:
                return probe
            rate = probe.images_per_second
        steps = round(SECONDS * rate / (form.lanes * batch.size))
        return _time(prepared, form, min(max(2, steps), batch.steps), EPOCHS)


def _time(prepared: Prepared, form: Form, steps: int, epochs: int) -> Figure:
    short = short_epochs(prepared, steps)
    start = time.perf_counter()
    engine = open_form(short, form)
    try:
        for lane in range(form.lanes):
            engine.admit(Assignment(str(lane), _PLAIN, seed=lane))
        durations = []
        engine.step_epoch()
        first = time.perf_counter() - start
        for _ in range(epochs):
            start = time.perf_counter()
            engine.step_epoch()
            durations.append(time.perf_counter() - start)
    finally:
        engine.close()
    return Figure(form, form.lanes * short.images / min(durations), max(0.0, first - min(durations)))


_PLAIN = Configuration(
    temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=Optimizer(optimizers.DEFAULT, 1e-3, momentum=0.9)
)


def short_epochs(prepared: Prepared, steps: int) -> Prepared:
    """The same problem in epochs of so many steps, with validation in proportion. The tensors stay as they are, so that
    a compiled program fits both.
    """
    plan = batches(prepared.images, prepared.problem.training.batch_size)
    steps = min(steps, plan.steps)
    judged = math.ceil(len(prepared.validation_labels) * steps / plan.steps)
    training = replace(prepared.problem.training, epochs=1000)  # more than are measured
    return replace(
        prepared,
        problem=replace(prepared.problem, training=training),
        images=steps * plan.size if steps < plan.steps else prepared.images,
        validation_images=prepared.validation_images[:judged],
        validation_labels=prepared.validation_labels[:judged],
        validation_logits=prepared.validation_logits[:judged],
    )


def _student(prepared: Prepared) -> nn.Module:
    return models.build(prepared.problem.student, prepared.channels, prepared.size, prepared.classes, seed=0)


def _line(error: Exception) -> str:
    first = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
    return f"{type(error).__name__}: {first}"
