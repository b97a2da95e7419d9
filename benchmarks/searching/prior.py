"""A prior mean for the default sampler, measured: the regret of whole jobs with and without it, on open contexts alone,
with a mean from tables of other data, and with one that says the contrary of the context's own truth.

    python -m benchmarks.searching.prior [--minutes M] [--runs N] [--only NAMES] [--methods NAMES] [--log FILE]
        [--real] [--tiny] [--keep NAME]

Rows that the log has are not made again; those of a run have one seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import facts, output
from benchmarks.common.repetitions import paired
from benchmarks.searching import prior_mean
from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from benchmarks.searching.cost.jobs import Job, Search
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.prior_mean import Effect
from search.states import Arm
from trainers.replay.world import names

BUDGETS = (8, 16, 32, 64)
"""Trials of a search after which its job is confirmed and answers."""
RUNS = 80
PARTS = {
    "rates": ("learning_rate",),
    "rates, T": ("learning_rate", "temperature"),
    "all": prior_mean.COORDINATES,
}


@dataclass(frozen=True, slots=True)
class Method:
    """A way to search: the trials before the surface, and whose mean it has."""

    name: str
    startup: int
    mean: str = ""


METHODS = (
    Method("shipped", 10),
    Method("four", 4),
    Method("mean", 4, "others"),
    Method("mean, ten", 10, "others"),
    Method("misled", 4, "mirror"),
)
Means = Mapping[str, Sequence[Effect] | None]
Rows = dict[tuple[str, str, int], dict[str, float]]
"""Regret by budget of a context's run of a method."""


def main(arguments: Sequence[str]) -> int:
    """Prints how the mean agrees with what it has not seen, a table for each context, and the figures as one object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing new after that")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", help="contexts that are searched, by commas")
    parser.add_argument("--methods", default=";".join(m.name for m in METHODS), help="by semicolons")
    parser.add_argument("--log", type=Path, help="a file of rows, which is gone on with")
    parser.add_argument("--real", action="store_true", help="recorded students; the truth is made of other seeds")
    parser.add_argument("--tiny", action="store_true", help="one run of eight trials on a world from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    grounds = [open_ground(TRY)] if options.tiny else [open_ground(n, options.real) for n in names(sealed=False)]
    methods = [method for method in METHODS if method.name in options.methods.split(";")]
    budgets, runs = (BUDGETS[:1], 2) if options.tiny else (BUDGETS, options.runs)
    before = facts.gather()
    print(facts.in_words(before))
    chosen = [ground for ground in grounds if not options.only or ground.name in options.only.split(",")]
    means = {ground.name: means_of(ground, others(ground, grounds)) for ground in chosen}
    agreed = {ground.name: agreement(ground, others(ground, grounds)) for ground in chosen}
    table = [[name, *(f"{value:.2f}" for value in values.values())] for name, values in agreed.items()]
    output.table("Correlation of the mean with the truth of data that it has not seen", ["", *PARTS], table)
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "rows.jsonl"
        make(chosen, means, methods, runs, budgets, time.monotonic() + 60 * options.minutes, log)
        rows = read(log)
    found = {ground.name: compared(rows, ground.name, budgets) for ground in chosen}
    for name, of_context in found.items():
        show(name, of_context, budgets)
    pooled = {method.name: {str(b): pool(found, method.name, str(b)) for b in budgets} for method in METHODS}
    output.conclude(options.keep, {"benchmark": "prior", "agreement": agreed, "off": pooled, **before}, {"rows": found})
    return 0


def others(ground: Ground, grounds: Sequence[Ground]) -> list[Ground]:
    """The contexts of other data; where there are none, its own, which is for trying the command out."""
    return [other for other in grounds if _data(other) != _data(ground)] or [ground]


def _data(ground: Ground) -> str:
    return str(ground.world.context.problem.get("data", {}).get("name", ground.world.context.data))


def agreement(ground: Ground, sources: Sequence[Ground]) -> dict[str, float]:
    """By the coordinates of the mean, its correlation with the context's standardized truth."""
    truth, cells = prior_mean.standardized(ground), prior_mean.soft_cells(ground)
    means = {name: prior_mean.worth(prior_mean.fit(sources, parts), cells) for name, parts in PARTS.items()}
    return {name: float(np.corrcoef(mean, truth)[0, 1]) for name, mean in means.items()}


def make(
    grounds: Sequence[Ground],
    means: Mapping[str, Means],
    methods: Sequence[Method],
    runs: int,
    budgets: Sequence[int],
    end: float,
    log: Path,
) -> None:
    """Adds the rows that the log lacks, run by run, until the time is up."""
    made = read(log)
    todo = [(run, ground, method) for run in range(runs) for ground in grounds for method in methods]
    with log.open("a", encoding="utf-8") as file:
        for run, ground, method in todo:
            if time.monotonic() > end:
                return
            if (ground.name, method.name, run) not in made:
                regret = regrets(ground, run, method, means[ground.name][method.mean], budgets)
                row = {"context": ground.name, "run": run, "method": method.name, "regret": regret}
                file.write(json.dumps(row) + "\n")
                file.flush()


def means_of(ground: Ground, sources: Sequence[Ground]) -> Means:
    """Whose a method's mean may be: nobody's, that of the sources' learning rates, or its own truth's contrary."""
    parts = PARTS["rates"]
    mirror = prior_mean.mirrored(prior_mean.fit([ground], parts))
    return {"": None, "others": prior_mean.fit(sources, parts), "mirror": mirror}


def regrets(
    ground: Ground, run: int, method: Method, mean: Sequence[Effect] | None, budgets: Sequence[int]
) -> dict[str, float]:
    """After each budget, how many points the answer of a whole job is behind the best."""
    search: Search | None = None
    answers = {}
    for budget in budgets:
        spec = job_spec(ground, run, budget, False, sampler={"startup_trials": method.startup})
        search = search or Search(ground, spec, Arm.JOINT)
        with prior_mean.departing_from(mean, ground, spec):
            winner = Job(ground, spec, search).run().winner
        assert winner is not None  # each of its trials is trained to the end
        answers[str(budget)] = ground.regret(winner)
    return answers


def read(log: Path) -> Rows:
    """The rows of a log; none where there is no file."""
    if not log.is_file():
        return {}
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return {(row["context"], row["method"], row["run"]): row["regret"] for row in rows}


def compared(rows: Rows, context: str, budgets: Sequence[int]) -> dict[str, dict[str, dict[str, float]]]:
    """By method and budget: mean regret, by how much it is more than the shipped one's in the same runs, the standard
    error of that, and the number of pairs.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    first = METHODS[0].name
    for method in METHODS:
        for budget in map(str, budgets):
            keys = [key for key in rows if key[:2] == (context, method.name) and (context, first, key[2]) in rows]
            pairs = [(rows[key], rows[context, first, key[2]]) for key in keys]
            pairs = [(own, base) for own, base in pairs if budget in own and budget in base]
            if len(pairs) > 1:
                off = paired([own[budget] for own, _ in pairs], [base[budget] for _, base in pairs])
                found.setdefault(method.name, {})[budget] = {
                    "regret": statistics.fmean(own[budget] for own, _ in pairs),
                    "off": off.mean,
                    "error": off.deviation / len(pairs) ** 0.5,
                    "pairs": len(pairs),
                }
    return found


def show(context: str, methods: Mapping[str, Mapping[str, Mapping[str, float]]], budgets: Sequence[int]) -> None:
    """A context's table."""
    body = [
        [name, *(_words(found.get(str(budget))) for budget in budgets), str(max(f["pairs"] for f in found.values()))]
        for name, found in methods.items()
    ]
    output.table(f"{context}: regret, and what it is more than as shipped", ["", *map(str, budgets), "runs"], body)


def _words(found: Mapping[str, float] | None) -> str:
    return "-" if found is None else f"{found['regret']:.2f} {found['off']:+.2f}±{found['error']:.2f}"


def pool(found: Mapping[str, Any], method: str, budget: str) -> list[float] | None:
    """Of all contexts, each as much as another: by how much the regret is more than as shipped, and the error."""
    parts = [of[method][budget] for of in found.values() if budget in of.get(method, {})]
    if not parts:
        return None
    error = sum(part["error"] ** 2 for part in parts) ** 0.5 / len(parts)
    return [round(statistics.fmean(part["off"] for part in parts), 3), round(error, 3)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
