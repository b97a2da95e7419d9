"""Activities of a process, second by second: its main thread's stack is looked at a hundred times a second, and each
look counts for one.

    python -m benchmarks.engines.timeline FILE MODULE [ARGUMENTS]

Runs MODULE as `python -m` does and writes FILE, JSON, when it ends. Free of torch, so that imports are seen too.
"""

from __future__ import annotations

import json
import runpy
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

INTERVAL = 0.01  # seconds between two looks
Place = tuple[str, str]
"""A module's name and a function's, as a frame has them."""

RULES: tuple[tuple[str, tuple[Place, ...]], ...] = (
    # activity, and the places of which one is on the stack; a function of "" is any
    ("imports", (("importlib._bootstrap", ""), ("importlib._bootstrap_external", ""))),
    ("measure engines", (("trainers.engines.choose", ""),)),
    ("compile", (("torch._dynamo", ""), ("torch._inductor", ""), ("torch._functorch.aot_autograd", ""))),
    ("teacher", (("search.worker.shared_files", "prepare"),)),
    ("answer", (("search.worker.job_finalizer", ""),)),
    ("finalists", (("search.worker.finalists", ""),)),
    (
        "evaluate",
        (("trainers.training.evaluate", ""), ("trainers.engines", "_measure"), ("trainers.training", "predict")),
    ),
    ("admit", (("search.worker.engine_cache", "admit"), ("search.worker.engine_cache", "open"))),
    ("train", (("search.worker.engine_cache", "step"),)),
    ("propose", (("search.optuna_bridge", "propose"), ("search.samplers", ""))),
    ("write", (("search.worker.training_loop", "_write"), ("search.worker.trial_finisher", ""))),
    ("claim", (("search.worker.admission", ""),)),
    ("start and end", (("search.worker.process", ""),)),
)
"""Activities from the outermost purpose to the innermost: the first that fits is counted."""
ACTIVITIES = (*(activity for activity, _ in RULES), "other")
TRAINING = "train"


def activity(stack: Sequence[Place]) -> str:
    """What a stack is busy with."""
    for name, places in RULES:
        if any(_within(place, known) for place in stack for known in places):
            return name
    return "other"


def _within(place: Place, known: Place) -> bool:
    module, function = known
    return (place[0] == module or place[0].startswith(f"{module}.")) and function in ("", place[1])


@dataclass(slots=True)
class Timeline:
    """Looks of a process: in each second since it began, how many of each activity."""

    began: float = field(default_factory=time.time)
    seconds: dict[int, Counter[str]] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)  # seconds of its core that each activity took
    used: float = 0.0

    def look(self, frame: FrameType | None, used: float) -> None:
        """Counts what the thread of a frame does now; `used` are the seconds of a core that it took so far."""
        stack: list[Place] = []
        while frame is not None:
            stack.append((frame.f_globals.get("__name__", ""), frame.f_code.co_name))
            frame = frame.f_back
        name = activity(stack)
        self.seconds.setdefault(int(time.time() - self.began), Counter())[name] += 1
        self.processor[name] = self.processor.get(name, 0.0) + used - self.used
        self.used = used

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        processor = {name: round(self.processor[name], 3) for name in ACTIVITIES if name in self.processor}
        return {
            "began": self.began,
            "seconds": {str(second): counts for second, counts in self.seconds.items()},
            "processor_seconds": processor,
        }


def shares(document: dict[str, Any]) -> list[tuple[int, dict[str, float]]]:
    """Of each second of a timeline's document: the share of each activity in it, those that are not 0."""
    answer = []
    for second, counts in sorted(document["seconds"].items(), key=lambda pair: int(pair[0])):
        looks = sum(counts.values())
        answer.append((int(second), {name: counts[name] / looks for name in ACTIVITIES if counts.get(name)}))
    return answer


def totals(document: dict[str, Any]) -> dict[str, float]:
    """Seconds of each activity over the whole timeline, by its seconds' shares."""
    answer: Counter[str] = Counter()
    for _, parts in shares(document):
        answer.update(parts)
    return {name: round(answer[name], 2) for name in ACTIVITIES if answer[name]}


def rows(document: dict[str, Any]) -> list[list[str]]:
    """A row for each second: its number and what was done in it, the longest first."""
    return [[f"{second:4}  {_words(parts.items())}"] for second, parts in shares(document)]


def spent(document: dict[str, Any]) -> list[list[str]]:
    """A row for each activity: its seconds, and how many of them the thread had a core. The rest it waited."""
    processor = document["processor_seconds"]
    return [[name, f"{took:.1f}", f"{processor.get(name, 0.0):.1f}"] for name, took in totals(document).items()]


def _words(parts: Iterable[tuple[str, float]]) -> str:
    ordered = sorted(parts, key=lambda part: -part[1])
    return ", ".join(f"{name} {100 * share:.0f}" for name, share in ordered if share >= 0.005)


def main(arguments: Sequence[str]) -> None:
    """Runs a module under observation."""
    file, module, *rest = arguments
    timeline, over = Timeline(), threading.Event()
    thread = threading.main_thread().ident or 0
    clock = time.pthread_getcpuclockid(thread)

    def observe() -> None:
        while not over.wait(INTERVAL):
            timeline.look(sys._current_frames().get(thread), time.clock_gettime(clock))

    observer = threading.Thread(target=observe, name="timeline", daemon=True)
    observer.start()
    sys.argv = [module, *rest]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        over.set()
        observer.join()
        Path(file).write_text(json.dumps(timeline.document()))


if __name__ == "__main__":
    main(sys.argv[1:])
