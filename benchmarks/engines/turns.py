"""A fair race of several programs on one machine. Each is built and warmed up in processes of its own, then they
take turns within one run, so that whatever else the machine does meets all of them alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from benchmarks.common.facts import ROOT
from benchmarks.common.repetitions import median, spread

TAIL_LINES = 12


class SideFailed(Exception):
    """A side ended before it was told to; the message has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Side:
    """A program that races: a command for each process, which together are one side."""

    name: str
    commands: Sequence[Sequence[str]]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Racer:
    """A side that is running. `facts` are its first process's own words; `rates` are of its turns so far."""

    side: Side
    processes: list[subprocess.Popen[str]]
    errors: list[IO[str]]
    facts: dict[str, Any] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)

    def turn(self, seconds: float) -> None:
        """One turn of all processes at once; its rate is the sum of theirs, in images per second."""
        answers = self._ask({"do": "turn", "seconds": seconds})
        self.rates.append(sum(answer["images"] / answer["seconds"] for answer in answers))

    def profile(self, top: int = 12) -> list[dict[str, Any]]:
        """The operators that take most of the first process's time."""
        self._say(self.processes[0], {"do": "profile", "top": top})
        operators: list[dict[str, Any]] = self._hear(0)["operators"]
        return operators

    def summary(self) -> dict[str, Any]:
        """As plain JSON: median, spread and each turn's own rate."""
        rates = [round(rate, 2) for rate in self.rates]
        said = {key: value for key, value in self.facts.items() if key != "ready"}
        return {"side": self.side.name, "images_per_s": median(rates), "spread": spread(rates), "turns": rates, **said}

    def wait(self) -> None:
        """Until all its processes are ready."""
        answers = [self._hear(i) for i in range(len(self.processes))]
        self.facts = answers[0]
        self.facts["compile_s"] = max(answer["first_epoch_s"] - answer["epoch_s"] for answer in answers)

    def end(self) -> None:
        """Ends all its processes."""
        for process in self.processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        for file in self.errors:
            file.close()

    def _ask(self, what: dict[str, Any]) -> list[dict[str, Any]]:
        for process in self.processes:
            self._say(process, what)
        return [self._hear(i) for i in range(len(self.processes))]

    def _say(self, process: subprocess.Popen[str], what: dict[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()

    def _hear(self, number: int) -> dict[str, Any]:
        pipe = self.processes[number].stdout
        assert pipe is not None
        line = pipe.readline()
        while line and not line.startswith("{"):  # what a library prints while it is imported
            line = pipe.readline()
        if not line:
            self.processes[number].wait()
            self.errors[number].seek(0)
            tail = "".join(self.errors[number].readlines()[-TAIL_LINES:])
            raise SideFailed(f"{self.side.name} ended by itself:\n{tail}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def started(side: Side, log: Any) -> Iterator[Racer]:
    """The side, built and warmed up; its processes end with the block. `log()` opens a file for what they print."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **side.environment}
    racer = Racer(side, [], [])
    try:
        for command in side.commands:
            error = log()
            racer.errors.append(error)
            racer.processes.append(
                subprocess.Popen(
                    list(command),
                    cwd=ROOT,
                    env=environment,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=error,
                )
            )
        racer.wait()
        yield racer
    finally:
        racer.end()


def command(module: str, options: Mapping[str, Any], python: str = sys.executable) -> list[str]:
    """How a module is started as one process of a side."""
    return [python, "-m", module, json.dumps(options)]


def race(racers: Sequence[Racer], rounds: int, seconds: float) -> None:
    """So many rounds, in each of which every side has one turn; every other round in reverse order."""
    for number in range(rounds):
        for racer in racers if number % 2 == 0 else reversed(racers):
            racer.turn(seconds)
