"""The choice of the engine that trains a job's students soonest, compilation counted, by figures that are measured once
per kind of problem and machine and kept in the store.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainers import derived, disk
from trainers.engines import bank_probe, warmup
from trainers.engines.bank import has_compiler
from trainers.engines.forms import EngineName, Form
from trainers.engines.warmup import Announce, Figure, Figures, Measure, silent
from trainers.locks import locked
from trainers.spec import digest
from trainers.teaching.prepared import Prepared
from trainers.training.threads import usable

NOISE = 1.1  # a form must be better than a simpler one by more than this
FORCED_LANES = 16  # of a bank that is forced without a word on its lanes
WORTH_COMPILING = 10_000_000  # student images, for a bank that is forced, hence not measured
LAYER_BY_LAYER = "a bank, layer by layer"
A_BANK = warmup.A_BANK
_SIMPLEST_FIRST: tuple[EngineName, ...] = ("loop", "processes", "bank")


@dataclass(frozen=True, slots=True)
class Choice:
    """With what a problem is trained: as a `forms.Form`; the figures behind it, and the reason in words."""

    engine: EngineName
    lanes: int
    compiled: bool
    processes: int
    threads: int
    figures: tuple[dict[str, Any], ...]
    reason: str
    batched: bool = False

    def form(self) -> Form:
        """What to open; a choice whose lanes were lowered since keeps no more processes than lanes."""
        return Form(self.engine, self.lanes, self.threads, min(self.processes, self.lanes), self.compiled, self.batched)


def choose(
    prepared: Prepared,
    *,
    most_lanes: int,
    work: int,
    store: Path,
    force: EngineName | None = None,
    threads: int | None = None,
    measure: Measure = warmup.timed,
    announce: Announce = silent,
) -> Choice:
    """The engine for a job that has `work` epochs of students to train, of at most `most_lanes` students at once.

    `threads` is how many threads torch may use, as many as this process gets cores unless given. A forced engine
    measures nothing, nor does one that is without a rival. Figures are kept below `store`; one process measures, others
    wait for it. What is measured is announced.
    """
    if most_lanes < 1:
        raise ValueError(f"an engine needs one lane or more, not {most_lanes}")
    most_threads = threads or usable()
    images = float(work) * prepared.images
    refusal = bank_probe.refusal(prepared)
    if force is not None:
        form, reason = _forced(force, prepared, most_lanes, most_threads, images, refusal)
        return _choice(form, (), reason)
    if most_lanes == 1 and most_threads == 1:
        return _choice(Form("loop", 1, 1), (), "a loop on one thread: one lane and one thread leave nothing to choose")
    path = store / "engines" / f"{fingerprint(prepared, most_threads)}.json"
    with locked(path):
        figures = derived.read(path, lambda: _read_figures(path)) or Figures()
        figures.refused.pop(LAYER_BY_LAYER, None)
        if refusal is not None:
            figures.refused[A_BANK] = refusal
        if (refusal := warmup.batched_refusal(prepared)) is not None and most_lanes > 1:
            figures.refused[LAYER_BY_LAYER] = refusal
        if warmup.complete(figures, prepared, most_lanes, most_threads, images, measure, announce):
            _write(figures, path)
    return decide(figures, most_lanes, most_threads, images, prepared.images)


def decide(figures: Figures, most_lanes: int, most_threads: int, images: float, images_per_epoch: int) -> Choice:
    """The form that is through with so many student images first, a simpler one where it is about as fast."""
    allowed = [
        figure for figure in figures.measured if figure.form.lanes <= most_lanes and figure.form.threads <= most_threads
    ]
    seconds = {figure.form: figure.job_seconds(images) for figure in allowed}
    soonest = min(seconds.values())
    best = min((figure for figure in allowed if seconds[figure.form] <= NOISE * soonest), key=_simplicity)
    rest = sorted((figure for figure in allowed if figure != best), key=lambda figure: seconds[figure.form])
    words = [f"{best.form}: {_words(best, seconds[best.form])}, for {images / images_per_epoch:,.0f} epochs to train"]
    words += [f"{figure.form}: {_words(figure, seconds[figure.form])}" for figure in rest[:3]]
    words += [f"{form}: {why}" for form, why in figures.refused.items()]
    if not has_compiler():
        words.append("nothing was compiled: there is no C++ compiler (CXX, g++)")
    elif not any(figure.form.compiled for figure in figures.measured):
        words.append("nothing was compiled: the job is too small to earn it back, or no bank is fast enough")
    return _choice(best.form, tuple(dataclasses.asdict(figure) for figure in figures.measured), "; ".join(words))


def fingerprint(prepared: Prepared, most_threads: int) -> str:
    """Of all that a figure depends on: student, batch, images, classes, precision, this machine, threads and torch."""
    problem = prepared.problem
    return digest(
        [
            problem.student,
            [problem.training.batch_size, prepared.channels, *prepared.size, prepared.classes, prepared.images],
            [problem.precision, problem.data.augmentation, problem.views, prepared.views.streams],
            [machine(prepared.device), most_threads, torch.__version__],
            *([] if prepared.targets == "classes" else [prepared.targets]),
        ]
    )[:40]


def machine(device: torch.device) -> str:
    """The device in words: which accelerator, or which processor with how many cores."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}, {os.cpu_count()} cores"


def _forced(
    engine: EngineName, prepared: Prepared, most_lanes: int, most_threads: int, images: float, no_bank: str | None
) -> tuple[Form, str]:
    reason = f"the settings ask for {engine}; nothing was measured"
    if engine == "bank" and no_bank is not None:
        engine, reason = "loop", f"the settings ask for bank, in which these students are not trained: {no_bank}"
    if engine == "processes":
        processes = min(most_threads, most_lanes)
        return Form(engine, processes, most_threads, processes=processes), reason
    lanes = min(most_lanes, FORCED_LANES) if engine == "bank" else 1
    most_threads = warmup.suited_threads(prepared, lanes, most_threads)
    if engine == "loop":
        return Form(engine, 1, most_threads), reason
    batched = warmup.batched_refusal(prepared) is None
    if not has_compiler():
        form = Form(engine, lanes, most_threads, batched=batched)
        return form, f"{reason}; not compiled, for there is no C++ compiler (CXX, g++)"
    compiled = images >= WORTH_COMPILING
    compilation = (
        "compiled" if compiled else f"not compiled, since fewer than {WORTH_COMPILING:,} student images are left"
    )
    form = Form(engine, lanes, most_threads, compiled=compiled, batched=batched and not compiled)
    return form, f"{reason}; {compilation}"


def _choice(form: Form, figures: tuple[dict[str, Any], ...], reason: str) -> Choice:
    return Choice(form.engine, form.lanes, form.compiled, form.processes, form.threads, figures, reason, form.batched)


def _simplicity(figure: Figure) -> tuple[int, bool, int, int]:
    form = figure.form
    return _SIMPLEST_FIRST.index(form.engine), form.compiled, form.lanes, form.threads


def _words(figure: Figure, seconds: float) -> str:
    start = f" after {figure.start_seconds:.0f} s to start" if figure.start_seconds >= 1 else ""
    return f"{figure.images_per_second:,.0f} student images a second{start}, about {_duration(seconds)}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _read_figures(path: Path) -> Figures:
    """The figures of a file. ValueError, TypeError or KeyError where it is not one of ours."""
    document = json.loads(path.read_text())
    measured = [Figure(**(entry | {"form": Form(**entry["form"])})) for entry in document["measured"]]
    return Figures(measured, dict(document["refused"]))


def _write(figures: Figures, path: Path) -> None:
    with disk.whole(path, "how fast each engine is cannot be written") as partial:
        partial.write_text(json.dumps(dataclasses.asdict(figures)))
    derived.seal(path)
