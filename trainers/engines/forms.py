"""The engine forms in which a problem can be trained on this machine, and their construction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from trainers.engines.bank import BankEngine
from trainers.engines.engine import Engine
from trainers.engines.loop import LoopEngine
from trainers.engines.processes import ProcessesEngine
from trainers.teaching.prepared import Prepared

EngineName = Literal["loop", "processes", "bank", "replay"]


@dataclass(frozen=True, slots=True)
class Form:
    """An engine with all that it is opened with; `threads` are torch's in this process while it trains."""

    engine: EngineName
    lanes: int
    threads: int
    processes: int = 0
    compiled: bool = False
    batched: bool = False

    def __str__(self) -> str:
        if self.engine == "bank":
            program = "compiled" if self.compiled else "layer by layer" if self.batched else "not compiled"
            return f"a bank of {_count(self.lanes, 'lane')}, {program}, on {_count(self.threads, 'thread')}"
        if self.engine == "processes":
            return f"{self.processes} processes of one thread"
        return f"a loop on {_count(self.threads, 'thread')}"


def open_form(prepared: Prepared, form: Form) -> Engine:
    """The form's engine; torch's threads are the caller's to set."""
    if form.engine == "bank":
        return BankEngine(prepared, form.lanes, compiled=form.compiled, batched=form.batched)
    if form.engine == "processes":
        return ProcessesEngine(prepared, form.lanes, form.processes)
    return LoopEngine(prepared, form.lanes)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
