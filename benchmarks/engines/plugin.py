"""Speed of the plugin example's students, in a loop and in banks of more and more lanes.

    python -m benchmarks.engines.plugin [--quick] [--keep NAME]

`examples/plugin` is installed into a folder of its own from its own sources. Words a second of one core: processor time
counts, on one thread, so that what else runs on the machine says little. A figure is the best of the epochs measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.common.preparation import prepare
from tests import distributions
from trainers import plugin_codes, run
from trainers.engines import bank_probe, warmup
from trainers.engines.forms import Form, open_form
from trainers.spec import Assignment, Configuration, Data, Model, Optimizer, Problem, Teacher, Training
from trainers.teaching.prepared import Prepared

STUDENTS = (Model("text/gru", {"width": 8}), Model("text/transformer", {"width": 16, "depth": 1}))
FORMS = (Form("loop", 1, 1), *(Form("bank", lanes, 1) for lanes in (4, 16, 64)))
STEPS = 8
_RATE = Optimizer("adamw", 3e-3, 0.01)
_SETTINGS = Configuration(temperature=4.0, kd_weight=0.5, label_weight=0.5, optimizer=_RATE)


def measure(quick: bool) -> dict[str, Any]:
    """Words a second of each student and form, and how much faster than the loop the best bank of the first one is."""
    rows: list[dict[str, Any]] = []
    forms = FORMS[:3:2] if quick else FORMS
    with tempfile.TemporaryDirectory(prefix="thermowell-bench-") as folder, _installed(Path(folder)):
        for student in STUDENTS:
            prepared = _prepared(student, Path(folder))
            agreement = bank_probe.compare(prepared) or "agrees with the loop"
            for form in forms:
                row = {"student": student.name, "engine": form.engine, "lanes": form.lanes, "bank": agreement}
                rows.append({**row, "words_per_core_s": _words_per_second(prepared, form, 2 if quick else 6)})
    of_first = [row for row in rows if row["student"] == STUDENTS[0].name]
    best = max(row["words_per_core_s"] for row in of_first if row["engine"] == "bank")
    return {"bank_vs_loop": best / of_first[0]["words_per_core_s"], "rows": rows}


@contextmanager
def _installed(folder: Path) -> Iterator[None]:
    """Within, the example is installed from its own wheel, without network, and its plugins are loaded."""
    with distributions.importable(distributions.install_example(folder)) as load:
        if errors := load("thermowell-text").errors:
            raise SystemExit(f"Nothing was measured: {errors}")
        yield


def _prepared(student: Model, folder: Path) -> Prepared:
    teacher = Teacher(model=STUDENTS[1], training=Training(1, 64), optimizer=_RATE)
    problem = Problem(Data("text/languages"), teacher, student, Training(1000, 64))
    return prepare(plugin_codes.complete(problem), run.Roots(folder / "data", folder / "store"), "cpu")


def _words_per_second(prepared: Prepared, form: Form, epochs: int) -> float:
    """Of all lanes together, for a second of processor time; the first epoch does not count."""
    run.set_threads(1)
    short = warmup.short_epochs(prepared, STEPS)
    engine = open_form(short, form)
    seconds = []
    try:
        for lane in range(form.lanes):
            engine.admit(Assignment(str(lane), _SETTINGS, seed=lane))
        for _ in range(epochs + 1):
            start = time.process_time()
            engine.step_epoch()
            seconds.append(time.process_time() - start)
    finally:
        engine.close()
    return form.lanes * short.images / min(seconds[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints the table and concludes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two forms, two epochs: says little")
    parser.add_argument("--keep", metavar="NAME", help="write the figures to benchmarks/results/NAME.json")
    options = parser.parse_args(arguments)
    about = facts.gather()
    print(facts.in_words(about))
    measured = measure(options.quick)
    rows = [[row["student"], f"{row['engine']}, {row['lanes']}", output.rate(row["words_per_core_s"]), row["bank"]]
            for row in measured["rows"]]  # fmt: skip
    output.table("words a second of a core", ["student", "engine, lanes", "words/s", "a bank"], rows)
    headline = {"benchmark": "plugin", "bank_vs_loop": round(measured["bank_vs_loop"], 2), **about}
    output.conclude(options.keep, headline, measured)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
