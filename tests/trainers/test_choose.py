"""Which engine is chosen: from figures that are made up here, and once from real ones."""

from __future__ import annotations

import dataclasses
import json
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch

from tests.trainers.problems import assignment, problem
from trainers import run
from trainers.engines import bank, choose, warmup
from trainers.engines.forms import Form
from trainers.engines.loop import LoopEngine
from trainers.engines.warmup import Figure
from trainers.spec import Data, Model
from trainers.teaching import supervised

Chosen = Callable[..., choose.Choice]
LONG = 10**7
LOOP, TWO = Form("loop", 1, 1), Form("loop", 1, 2)
SIDE_BY_SIDE = Form("processes", 2, 2, processes=2)


class Machine:
    """Measures nothing: says of each form what it was told, and remembers what it was asked."""

    def __init__(self, rates: Mapping[Form, float | Exception], compiling: float = 8.0) -> None:
        self.rates, self.compiling, self.asked = dict(rates), compiling, list[Form]()

    def __call__(self, prepared: run.Prepared, form: Form, expected: float) -> Figure:
        self.asked.append(form)
        rate = self.rates.get(form, 1000.0)
        if isinstance(rate, Exception):
            raise rate
        return Figure(form, rate, self.compiling if form.compiled else 0.0)


def bank_of(lanes: int, threads: int = 1, compiled: bool = False) -> Form:
    return Form("bank", lanes, threads, compiled=compiled, batched=not compiled)


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A C++ compiler, whatever this machine has."""
    monkeypatch.setattr(bank.shutil, "which", lambda name: f"/usr/bin/{name}")


@pytest.fixture
def chosen(ready: run.Prepared, tmp_path: Path) -> Chosen:
    def one(
        machine: Machine, work: int = LONG, most_lanes: int = 16, threads: int = 2, **more: object
    ) -> choose.Choice:
        return choose.choose(
            ready, most_lanes=most_lanes, work=work, store=tmp_path, threads=threads, measure=machine, **more
        )

    return one


def test_each_form_wins_where_it_is_the_fastest(ready: run.Prepared, tmp_path: Path) -> None:
    compiled = bank_of(16, compiled=True)
    for winner in (LOOP, TWO, SIDE_BY_SIDE, bank_of(4), bank_of(16), compiled):
        rates: dict[Form, float | Exception] = {winner: 10_000.0}
        if winner.compiled:
            rates[bank_of(16)] = 2000.0
        choice = choose.choose(
            ready, most_lanes=16, work=LONG, store=tmp_path / str(winner), threads=2, measure=Machine(rates)
        )
        assert choice.form() == winner
        assert choice.reason.startswith(str(winner))
        assert "10,000 student images a second" in choice.reason
        json.dumps(dataclasses.asdict(choice))


def test_what_is_measured_is_announced(chosen: Chosen) -> None:
    announced: list[tuple[str, float | None]] = []
    machine = Machine({bank_of(16, compiled=True): 10_000.0, bank_of(16): 2000.0})
    chosen(machine, announce=lambda words, seconds: announced.append((words, seconds)))
    assert set(announced[:-1]) == {("measuring which engine trains it fastest", None)}
    words, seconds = announced[-1]
    assert words == "compiling"
    assert seconds is not None
    assert seconds > 4


def test_a_simpler_form_is_taken_where_it_is_about_as_fast(chosen: Chosen) -> None:
    assert chosen(Machine({LOOP: 1000.0, TWO: 1050.0, SIDE_BY_SIDE: 1080.0, bank_of(16): 1090.0})).form() == LOOP


def test_compiling_must_be_earned_back(ready: run.Prepared) -> None:
    eager, compiled = Figure(bank_of(16), 1000.0, 0.0), Figure(bank_of(16, compiled=True), 3000.0, 30.0)
    figures = warmup.Figures([Figure(LOOP, 100.0, 0.0), eager, compiled])
    for images, form in ((30_000, eager.form), (60_000, compiled.form)):
        choice = choose.decide(figures, 16, 2, images, 300)
        assert choice.form() == form
    assert "after 30 s to start" in choice.reason


def test_small_jobs_are_not_measured_much(chosen: Chosen) -> None:
    """300 images an epoch at 1,000 a second: 15% of the job's time may be spent."""
    short = warmup.SECONDS * (warmup.EPOCHS + 2)
    tiny = Machine({})
    assert chosen(tiny, work=10).form() == LOOP  # 3 s, of which .45 may be spent
    assert tiny.asked == [LOOP]
    assert short > 0.45
    small = Machine({})
    chosen(small, work=60)  # 18 s, of which 2.7
    assert not any(form.compiled or form.engine == "processes" for form in small.asked)
    assert bank_of(4) in small.asked
    large = Machine({bank_of(4): 900.0})
    chosen(large, work=LONG)
    assert SIDE_BY_SIDE in large.asked
    assert large.asked[-1].compiled  # the dearest comes last


def test_wide_banks_are_measured_for_a_small_job_of_short_epochs(chosen: Chosen) -> None:
    """300 images an epoch at 100,000 a second and more: an epoch of 16 lanes takes .05 s, and of the 6 s that the job
    would take .9 may be spent, which five epochs of SECONDS would exceed.
    """
    machine = Machine({LOOP: 100_000.0, TWO: 100_000.0, bank_of(4): 400_000.0, bank_of(16): 900_000.0})
    assert warmup.SHARE * 6 < warmup.SECONDS * (warmup.EPOCHS + 2)
    assert chosen(machine, work=2000).form() == bank_of(16)
    assert bank_of(16, threads=2) in machine.asked
    assert SIDE_BY_SIDE not in machine.asked


def test_figures_are_kept_and_completed_when_a_larger_job_comes(chosen: Chosen) -> None:
    first, second, third = Machine({}), Machine({}), Machine({})
    chosen(first, work=60)
    chosen(second, work=LONG)
    assert not set(first.asked) & set(second.asked)
    assert any(form.compiled for form in second.asked)
    again = chosen(third, work=LONG)
    assert third.asked == []
    assert len(again.figures) == len(first.asked) + len(second.asked)


def test_figures_are_of_one_kind_of_problem_and_machine(ready: run.Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    student = dataclasses.replace(ready.problem, student=Model("mlp", {"width": 33}))
    larger = dataclasses.replace(ready.problem, training=dataclasses.replace(ready.problem.training, batch_size=64))
    prints = {choose.fingerprint(dataclasses.replace(ready, problem=one), 2) for one in (student, larger)}
    prints |= {choose.fingerprint(ready, threads) for threads in (1, 2)}
    longer = dataclasses.replace(ready.problem, training=dataclasses.replace(ready.problem.training, epochs=99))
    assert choose.fingerprint(dataclasses.replace(ready, problem=longer), 2) in prints  # takes no longer per image
    monkeypatch.setattr(choose, "machine", lambda device: "another")
    prints.add(choose.fingerprint(ready, 2))
    monkeypatch.setattr(torch, "__version__", "9.9")
    prints.add(choose.fingerprint(ready, 2))
    assert len(prints) == 6


def test_a_damaged_file_of_figures_is_measured_again(chosen: Chosen, tmp_path: Path) -> None:
    chosen(Machine({}), work=10)
    (kept,) = (tmp_path / "engines").glob("*.json")
    for content in ("", "[]", '{"measured": [{"form": {"engine": "loop"}}], "refused": {}}'):
        kept.write_text(content)
        machine = Machine({})
        chosen(machine, work=10)
        assert machine.asked == [LOOP]


def test_one_measures_and_others_wait(ready: run.Prepared, tmp_path: Path) -> None:
    machine, begun, gate = Machine({}), threading.Event(), threading.Event()

    def slow(prepared: run.Prepared, form: Form, expected: float) -> Figure:
        begun.set()
        assert gate.wait(60)
        return machine(prepared, form, expected)

    def ask() -> None:
        choose.choose(ready, most_lanes=16, work=LONG, store=tmp_path, threads=2, measure=slow)

    workers = [threading.Thread(target=ask) for _ in range(2)]
    for worker in workers:
        worker.start()
    assert begun.wait(60)
    gate.set()
    for worker in workers:
        worker.join(60)
    assert len(machine.asked) == len(set(machine.asked)) > 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "memory does not suffice"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "memory does not suffice"),
        (RuntimeError("Batching rule not implemented for aten::x\nlong story"), "RuntimeError: Batching rule not"),
    ],
)
def test_what_cannot_be_measured_is_dropped_with_the_reason(chosen: Chosen, error: Exception, words: str) -> None:
    machine = Machine({bank_of(4): 5000.0, bank_of(16): error})
    choice = chosen(machine)
    assert choice.form() == bank_of(4)
    assert f"{bank_of(16)}: {words}" in choice.reason
    again = Machine({})
    assert f"{bank_of(16)}: {words}" in chosen(again).reason
    assert bank_of(16) not in again.asked


def test_a_student_that_cannot_be_trained_at_all_says_so(chosen: Chosen) -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        chosen(Machine({LOOP: RuntimeError("shapes do not fit")}))


def test_more_lanes_are_tried_while_they_pay(chosen: Chosen) -> None:
    flat = Machine({bank_of(4): 1000.0, bank_of(16): 1000.0})
    chosen(flat, most_lanes=64)
    assert bank_of(64) not in flat.asked
    assert max(form.lanes for form in flat.asked) == 16


def test_a_grouped_convolution_that_loses_is_not_compiled(chosen: Chosen) -> None:
    losing = Machine({bank_of(lanes, threads): 400.0 for lanes in (4, 16) for threads in (1, 2)})
    assert chosen(losing).engine == "loop"
    assert not any(form.compiled for form in losing.asked)


def test_no_more_lanes_than_the_job_bears(chosen: Chosen) -> None:
    fast = {bank_of(16): 10_000.0, bank_of(4): 5000.0}
    assert chosen(Machine(fast)).lanes == 16
    assert chosen(Machine(fast), most_lanes=5).lanes <= 5  # the figure of 16 is known, and not for this job
    with pytest.raises(ValueError, match="lane"):
        chosen(Machine(fast), most_lanes=0)


def test_without_a_compiler_nothing_is_compiled_and_the_reason_says_so(
    chosen: Chosen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    machine = Machine({bank_of(16): 10_000.0, bank_of(16, compiled=True): 90_000.0})
    choice = chosen(machine)
    assert choice.form() == bank_of(16)
    assert "no C++ compiler" in choice.reason
    assert not any(form.compiled for form in machine.asked)
    assert "no C++ compiler" in chosen(machine, force="bank").reason
    monkeypatch.setenv("CXX", "/nowhere/g++")
    assert not chosen(machine, force="bank").compiled


def test_a_forced_engine_measures_nothing(chosen: Chosen, tmp_path: Path) -> None:
    machine = Machine({})
    assert chosen(machine, force="loop").form() == LOOP  # its steps are too small to be shared out
    assert chosen(machine, force="processes").form() == SIDE_BY_SIDE
    assert chosen(machine, force="processes", threads=8, most_lanes=3).processes == 3
    assert chosen(machine, force="bank").form() == bank_of(16, compiled=True)
    assert chosen(machine, force="bank", work=10).form() == bank_of(16)
    assert "settings ask for bank" in chosen(machine, force="bank", most_lanes=7).reason
    assert machine.asked == []
    assert not list(tmp_path.iterdir())


def test_large_steps_use_all_threads_where_nothing_is_measured(ready: run.Prepared) -> None:
    assert warmup.suited_threads(ready, 1, 2) == 1
    assert warmup.suited_threads(ready, 1000, 2) == 2


class Watch:
    """Stands in for the timing of a form: each call says how fast it is found to be."""

    def __init__(self, *rates: float) -> None:
        self.rates, self.steps = list(rates), list[int]()

    def __call__(self, prepared: run.Prepared, form: Form, steps: int, epochs: int) -> Figure:
        self.steps.append(steps)
        return Figure(form, self.rates[len(self.steps) - 1], 0.0)


@pytest.mark.parametrize(
    ("form", "expected", "rates", "steps"),
    [
        (LOOP, 0.0, (320.0, 400.0), [2, 3]),  # .3 s at 320 images a second and 32 a step
        (LOOP, 0.0, (1e6, 1e6), [2, 9]),  # never more than an epoch has
        (TWO, 1000.0, (300.0,), [2]),  # far behind: two steps were enough
        (bank_of(4, compiled=True), 1000.0, (5000.0,), [2]),  # as the bank that is not compiled; no program twice
    ],
)
def test_how_long_a_form_is_looked_at(
    ready: run.Prepared,
    monkeypatch: pytest.MonkeyPatch,
    form: Form,
    expected: float,
    rates: tuple[float, ...],
    steps: list[int],
) -> None:
    watch = Watch(*rates)
    monkeypatch.setattr(warmup, "_time", watch)
    assert warmup.timed(ready, form, expected).images_per_second == rates[-1]
    assert watch.steps == steps


def test_nothing_is_measured_where_there_is_nothing_to_choose(chosen: Chosen) -> None:
    machine = Machine({})
    assert chosen(machine, most_lanes=1, threads=1).form() == LOOP
    assert machine.asked == []


def test_a_bank_is_written_out_where_it_can_be_and_says_why_not(chosen: Chosen, roots: run.Roots) -> None:
    written_out = Machine({})
    assert choose.LAYER_BY_LAYER + ":" not in chosen(written_out).reason
    assert {form.batched for form in written_out.asked if form.engine == "bank" and not form.compiled} == {True}
    cnn = run.prepare(problem(data=Data("digits", train_size=64), student=Model("cnn", {"width": 4})), roots, "cpu")
    machine = Machine({})
    choice = choose.choose(cnn, most_lanes=16, work=LONG, store=roots.store, threads=2, measure=machine)
    assert not any(form.batched for form in machine.asked)
    assert f"{choose.LAYER_BY_LAYER}: cnn is not written out layer by layer" in choice.reason


def test_data_that_streams_has_no_bank(roots: run.Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "fits", lambda images, device: False)
    streams = run.prepare(problem(data=Data("digits", train_size=64)), roots, "cpu")
    machine = Machine({})
    choose.choose(streams, most_lanes=16, work=LONG, store=roots.store, threads=2, measure=machine)
    assert {form.engine for form in machine.asked} == {"loop", "processes"}


def test_lowered_lanes_keep_no_idle_process() -> None:
    choice = choose.Choice("processes", 8, False, 8, 8, (), "")
    assert dataclasses.replace(choice, lanes=3).form() == Form("processes", 3, 8, processes=3)


def test_a_real_warm_up(ready: run.Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bank is looked at on however busy a machine, and nothing that takes seconds to start."""
    monkeypatch.setattr(warmup, "SECONDS", 0.02)
    monkeypatch.setattr(warmup, "SHARE", math.inf)
    monkeypatch.setattr(warmup, "has_compiler", lambda: False)
    before = torch.get_num_threads(), torch.get_rng_state()
    choice = run.choose(ready, most_lanes=4, work=100, store=tmp_path, threads=1)
    assert torch.get_num_threads() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert {figure["form"]["engine"] for figure in choice.figures} >= {"loop", "bank"}
    assert all(figure["images_per_second"] > 0 for figure in choice.figures)
    engine = run.open_engine(ready, choice)
    assert engine.lanes == choice.lanes
    engine.admit(assignment())
    assert len(engine.step_epoch()) == 1
    engine.close()


def test_short_epochs_are_the_problem_s_own(ready: run.Prepared) -> None:
    short = warmup.short_epochs(ready, steps=2)
    assert short.images == 64
    assert len(short.validation_labels) == -(-359 * 2 // 9)
    assert short.train_logits is ready.train_logits
    assert warmup.short_epochs(ready, steps=100).images == ready.images
    engine = LoopEngine(short)
    engine.admit(assignment())
    assert len([engine.step_epoch() for _ in range(5)][-1]) == 1  # more epochs than the job has
