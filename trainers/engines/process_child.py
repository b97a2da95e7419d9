"""What runs in a child of `ProcessesEngine`: a loop on one thread that does what its parent asks, and ends with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch

from trainers.engines import memory, shared_tensors
from trainers.engines.loop import LoopEngine
from trainers.registry import local_models, plugins


@dataclass(frozen=True, slots=True)
class Request:
    """A call of a method of the child's engine."""

    number: int
    method: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the request of that number has answered or raised, and how many seconds it took."""

    number: int
    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0


def serve(
    pipe: Connection, path: Path, content: bytes, lanes: int, enabled: tuple[str, ...] = (), root: Path | None = None
) -> None:
    """Does what comes through the pipe until it ends. The first answer, -1, says that the child is ready.

    `enabled` are the plugins that its parent has loaded, and local models lie below `root`: a problem may name them.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a terminal's Ctrl-C reaches children too
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    memory.keep_freed()
    plugins.load(enabled)
    local_models.set_root(root)
    engine = LoopEngine(shared_tensors.load_tensors(content, path), lanes)
    pipe.send(Answer(-1))
    while True:
        try:
            request: Request = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(engine, request))


def _answer(engine: LoopEngine, request: Request) -> Answer:
    started = time.perf_counter()
    try:
        value = getattr(engine, request.method)(*request.arguments)
    except Exception as error:
        error.add_note(traceback.format_exc())  # the parent would not see where it was
        return Answer(request.number, error=error)
    return Answer(request.number, value, seconds=time.perf_counter() - started)


def _end_with_parent() -> None:
    """Ends this process at once, in the middle of a step if need be, when its parent is gone, killed or not."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
