"""Trains students side by side, each process a loop on one thread: the engine for students that fill a core by
themselves and gain nothing from being stacked.
"""

from __future__ import annotations

import atexit
import itertools
import multiprocessing
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from trainers import disk
from trainers.engines import process_child, shared_tensors
from trainers.engines.process_child import Answer, Request
from trainers.registry import local_models, plugins
from trainers.spec import Assignment, EpochReport, LaneFailure
from trainers.teaching.prepared import Prepared

PATIENCE = 5.0  # seconds that a child is given to end before it is killed


class ChildDied(RuntimeError):
    """A process that trained students has ended, killed perhaps: the engine is closed, and its students are lost."""


class _Child:
    """One process and the lanes that it serves: lane i of the engine is the child's lane lanes.index(i)."""

    def __init__(self, process: ForkServerProcess, pipe: Connection, lanes: range) -> None:
        self.process, self.pipe, self.lanes = process, pipe, lanes
        self.occupied: set[int] = set()


class ProcessesEngine:
    """An `engine.Engine`: children of one thread each, every one a `LoopEngine` with its share of the lanes.

    A student's numbers are those of the loop on one thread, to the bit. The prepared problem is written once below the
    store and mapped by all children. They end with this process, however it ends, and take no notice of signals to
    stop: who drives the engine decides. A child that dies closes the engine, and so does a `step_epoch` that is broken
    off, since nobody knows where its students stand then: every call from there on but `close` raises ChildDied.
    """

    def __init__(self, prepared: Prepared, lanes: int, processes: int) -> None:
        if lanes < 1:
            raise ValueError(f"an engine needs one lane or more, not {lanes}")
        if processes < 1:
            raise ValueError(f"at least one process is needed, not {processes}")
        if prepared.device.type != "cpu":
            raise ValueError(f"processes train on the CPU, not on {prepared.device}")
        self.processes = min(processes, lanes)
        self._lanes = lanes
        self._lost: str | None = None  # how the children were lost
        self._numbers = itertools.count()
        self._children: list[_Child] = []
        atexit.register(self.close)  # multiprocessing would wait for them for ever
        path = prepared.roots.store / f".shared-{uuid.uuid4().hex}"
        try:
            with disk.guarded("what training processes share cannot be written", path):
                content = shared_tensors.save_tensors(prepared, path)
            for number in range(self.processes):
                self._children.append(_start(range(number, lanes, self.processes), path, content))
            for child in self._children:
                self._receive(child, number=-1)  # it has mapped the file
        except BaseException:
            self.close()
            raise
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    @property
    def lanes(self) -> int:
        """How many students fit."""
        return self._lanes

    def pids(self) -> list[int]:
        """The children's process ids, for whoever watches them."""
        return [child.process.pid or 0 for child in self._children]

    def free(self) -> int:
        """How many lanes are free."""
        return self._lanes - sum(len(child.occupied) for child in self._children)

    def admit(self, assignment: Assignment, checkpoint: Path | None = None) -> int:
        """Puts a student into a lane of the child that has the fewest; RuntimeError when none is free."""
        self._check()
        with_room = [child for child in self._children if len(child.occupied) < len(child.lanes)]
        if not with_room:
            raise RuntimeError(f"all {self._lanes} lanes are occupied")
        child = min(with_room, key=lambda candidate: len(candidate.occupied))
        lane: int = child.lanes[self._ask(child, "admit", assignment, checkpoint)]
        child.occupied.add(lane)
        return lane

    def step_epoch(self) -> Sequence[EpochReport | LaneFailure]:
        """Trains each occupied, unfinished lane for one epoch; as long as the busiest child takes.

        `seconds` of a report is the share of the epoch's wall-clock that its student's own seconds are of all.
        """
        self._check()
        busy = [child for child in self._children if child.occupied]
        try:
            requests = [(child, self._send(child, "step_epoch", ())) for child in busy]
            answers = [(child, self._receive(child, number)) for child, number in requests]
        except BaseException as error:
            self._lost = self._lost or f"training was broken off by {type(error).__name__}"
            self.close()
            raise
        wall = max((answer.seconds for _, answer in answers), default=0.0)
        results = [replace(item, lane=child.lanes[item.lane]) for child, answer in answers for item in answer.value]
        total = sum(item.seconds for item in results if isinstance(item, EpochReport)) or 1.0
        return [
            replace(item, seconds=item.seconds * wall / total) if isinstance(item, EpochReport) else item
            for item in sorted(results, key=lambda item: item.lane)
        ]

    def save_lane(self, lane: int, folder: Path) -> None:
        """Writes the lane's checkpoint; RuntimeError where it is free or has failed, FileExistsError."""
        child = self._occupied(lane)
        self._ask(child, "save_lane", child.lanes.index(lane), folder)

    def save_student(self, lane: int, path: Path) -> None:
        """Writes the lane's weights and buffers as safetensors, atomically, names as in `state_dict`."""
        child = self._occupied(lane)
        self._ask(child, "save_student", child.lanes.index(lane), path)

    def evict(self, lane: int) -> None:
        """Frees the lane; RuntimeError when it is free already."""
        child = self._occupied(lane)
        self._ask(child, "evict", child.lanes.index(lane))
        child.occupied.discard(lane)

    def close(self) -> None:
        """Ends the children, in the middle of an epoch if need be."""
        atexit.unregister(self.close)
        for child in self._children:
            child.pipe.close()
            child.occupied.clear()
            child.process.kill()  # they hold nothing that would have to be put in order
        for child in self._children:
            child.process.join(PATIENCE)
            child.process.close()
        self._children = []

    def _check(self) -> None:
        if self._lost is not None:
            raise ChildDied(self._lost)

    def _occupied(self, lane: int) -> _Child:
        self._check()
        for child in self._children:
            if lane in child.occupied:
                return child
        raise RuntimeError(f"lane {lane} is not occupied")

    def _ask(self, child: _Child, method: str, *arguments: Any) -> Any:
        return self._receive(child, self._send(child, method, arguments)).value

    def _send(self, child: _Child, method: str, arguments: tuple[Any, ...]) -> int:
        number = next(self._numbers)
        try:
            child.pipe.send(Request(number, method, arguments))
        except OSError as error:
            raise self._died(child) from error
        return number

    def _receive(self, child: _Child, number: int) -> Answer:
        """The child's answer to that request; raises what the request raised there, ChildDied where it has ended."""
        while True:
            try:
                answer: Answer = child.pipe.recv()
            except (EOFError, OSError) as error:
                raise self._died(child) from error
            if answer.number == number:  # others belong to a call that was broken off
                break
        if answer.error is not None:
            raise answer.error
        return answer

    def _died(self, child: _Child) -> ChildDied:
        child.process.join(PATIENCE)
        code, lanes = child.process.exitcode, sorted(child.occupied)
        self.close()
        cause = f"by signal {-code}" if code is not None and code < 0 else f"with status {code}"
        self._lost = f"a training process ended {cause}; lanes {lanes} were on it"
        return ChildDied(self._lost)


def _start(lanes: range, path: Path, content: bytes) -> _Child:
    # From a server that has imported torch already and holds nothing else: the first child takes seconds, others none.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([process_child.__name__])
    ours, theirs = context.Pipe()
    arguments = (theirs, path, content, len(lanes), plugins.loaded().enabled, local_models.root())
    process = context.Process(target=process_child.serve, args=arguments, daemon=True)
    process.start()
    theirs.close()  # so that the pipe ends when the child does
    return _Child(process, ours, lanes)
