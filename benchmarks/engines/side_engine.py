"""One of this project's engines as a side of a race: `python -m benchmarks.engines.side_engine OPTIONS`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from benchmarks.common.preparation import prepare
from benchmarks.engines import problems
from benchmarks.engines.child import Epoch, serve
from trainers import run
from trainers.engines import memory
from trainers.engines.forms import Form, open_form
from trainers.spec import EpochReport


def build(options: dict[str, Any]) -> tuple[Epoch, dict[str, Any]]:
    """The engine with all lanes occupied. Options: problem, images, root, engine, lanes, compiled,
    precision, threads, children (of the engine `processes`), first (student's number)."""
    run.set_threads(options["threads"])
    memory.keep_freed()  # as a worker does
    root = Path(options["root"])
    roots = run.Roots(root / "data", root / "store")
    measured = problems.make(options["problem"], options["images"], roots)
    prepared = prepare(dataclasses.replace(measured.problem, precision=options["precision"]), roots)
    form = Form(
        options["engine"], options["lanes"], options["threads"], options["children"], compiled=options["compiled"]
    )
    engine = open_form(prepared, form)
    for lane in range(options["lanes"]):
        engine.admit(problems.assignment(options["first"] + lane, measured.mixed))
    size = measured.problem.training.batch_size
    shown = len(prepared.train_labels) // size * size

    def epoch() -> int:
        said = engine.step_epoch()
        failed = [one for one in said if not isinstance(one, EpochReport)]
        if failed or len(said) != options["lanes"]:
            raise RuntimeError(f"not all lanes trained: {failed}")
        return shown * len(said)

    return epoch, {"images": shown, "device": str(prepared.device)}


if __name__ == "__main__":
    serve(build)
