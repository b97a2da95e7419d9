"""What `pruner: auto` saves and loses: whole jobs at equal trials, beside the same jobs with none and with `curve`,
on open contexts alone.

    python -m benchmarks.searching.pruned [--minutes M] [--runs N] [--only NAMES] [--worlds NAMES] [--methods NAMES]
        [--log FILE] [--tiny] [--keep NAME]

In the world of benchmarks ("shared"), and on recorded students, of which methods see two seeds and the truth is made of
the others ("real"). Rows that the log has are not made again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import facts, output
from benchmarks.searching.blocks import Rows, compared, pool, read, split, words
from benchmarks.searching.cost import coverage
from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from benchmarks.searching.cost.jobs import Job, Search
from benchmarks.searching.cost.spec import job_spec
from search.analysis.job.joint_surface import answer_surface
from search.records import Trial
from search.states import Arm, Stage, TrialState
from trainers.replay.world import names

BUDGETS = (16, 32, 64)
RUNS = 400
WORLDS = ("shared", "real")
METHODS = ("none", "auto", "curve")


def measured(ground: Ground, run: int, method: str, budgets: Sequence[int]) -> dict[str, float]:
    """Of a job's answer after each budget of one search, in points: its regret, and by how much that is more than with
    the search's stopped trials trained to their end; which share of the search's epochs was saved, and how many of
    its finalists, and its winner, would then have been trials that were stopped.

    After the last of the budgets what the response's sets and bands hold, and how wide the sets are as a share of the
    range of log T; the processor's seconds.
    """
    before = time.process_time()
    search: Search | None = None
    found: dict[str, float] = {}
    for budget in budgets:
        spec = job_spec(ground, run, budget, False, pruner={"name": method})
        search = search or Search(ground, spec, Arm.JOINT)
        job = Job(ground, spec, search).run()
        assert job.winner is not None  # some trials have ended
        found |= {f"{name}, {budget}": value for name, value in _of_stopping(ground, job, job.winner).items()}
    response = coverage._set(ground, spec, job, answer_surface(spec, job.trials))
    if response:
        held, of = response["band_holds"]
        found |= {"set holds": float(response["set_holds"]), "set, width": response["set_width"]}
        found["bands hold"] = held / of
    return found | {"seconds": round(time.process_time() - before, 2)}


def _of_stopping(ground: Ground, job: Job, winner: int) -> dict[str, float]:
    """What stopping saved one job and what it lost it."""
    searched = [trial for trial in job.trials if trial.stage is Stage.SEARCH]
    stopped = {trial.number for trial in searched if trial.state is TrialState.PRUNED}
    whole = len(searched) * ground.length
    saved = 1 - sum(trial.epoch for trial in searched) / whole
    regret = ground.regret(winner)
    found = {"winner": regret, "saved": saved, "stopped": len(stopped) / len(searched)}
    if not stopped:
        return found | {"loss": 0.0, "finalists": 0.0, "winners": 0.0}
    spared = Job(ground, job.spec, job.search, [trained(ground, job, trial) for trial in searched]).run()
    assert spared.winner is not None
    assert spared.chosen is not None
    first = next(trial for trial in spared.trials if trial.variant == "winner")
    return found | {
        "loss": regret - ground.regret(spared.winner),
        "finalists": float(len(stopped & set(spared.chosen.finalists[Arm.JOINT]))),
        "winners": float(first.origin in stopped),
    }


def trained(ground: Ground, job: Job, trial: Trial) -> Trial:
    """A trial of the search, trained to its end with the seed it had."""
    value = ground.value(ground.curve(job.cell(trial), trial.seed), ground.length)
    metrics = {"accuracy": value}
    return replace(trial, state=TrialState.COMPLETED, value=value, epoch=ground.length, metrics=metrics)


def make(
    contexts: Sequence[str], worlds: Sequence[str], methods: Sequence[str], runs: int, budgets: Sequence[int],
    end: float, log: Path,
) -> None:  # fmt: skip
    """Adds the rows that the log lacks, run by run, until the time is up."""
    made = read(log)
    todo = [(run, name, world, method) for run in range(runs) for name in contexts for world in worlds
            for method in methods]  # fmt: skip
    with log.open("a", encoding="utf-8") as file:
        for run, name, world, method in todo:
            if time.monotonic() > end:
                return
            if (world, name, method, run) not in made:
                ground = split(name, run) if world == "real" else open_ground(name)
                measures = measured(ground, run, method, budgets)
                row = {"world": world, "context": name, "method": method, "run": run, "measures": measures}
                file.write(json.dumps(row) + "\n")
                file.flush()


def summarised(rows: Rows, world: str, contexts: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Of one world, by measure, method and context, what `compared` finds; nothing where it finds none."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for measure in dict.fromkeys(name for row in rows.values() for name in row):
        for method in METHODS:
            parts = {name: compared(rows, world, name, method, measure, METHODS[0]) for name in contexts}
            if any(parts.values()):
                found.setdefault(measure, {})[method] = {name: part for name, part in parts.items() if part}
    return found


def main(arguments: Sequence[str]) -> int:
    """Prints each measure, and by how much it is more than with no pruner; and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing new after that")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", help="contexts that are searched, by commas")
    parser.add_argument("--worlds", default=",".join(WORLDS), help="by commas")
    parser.add_argument("--methods", default=",".join(METHODS), help="by commas")
    parser.add_argument("--log", type=Path, help="a file of rows, which is gone on with")
    parser.add_argument("--tiny", action="store_true", help="two short runs on a world from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    known = (TRY,) if options.tiny else names(sealed=False)
    contexts = options.only.split(",") if options.only else known
    budgets, runs = ((8, 24), 2) if options.tiny else (BUDGETS, options.runs)
    before = facts.gather()
    print(facts.in_words(before))
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "rows.jsonl"
        end = time.monotonic() + 60 * options.minutes
        make(contexts, options.worlds.split(","), options.methods.split(","), runs, budgets, end, log)
        rows = read(log)
    details: dict[str, Any] = {}
    headline: dict[str, Any] = {"benchmark": "pruned", **before}
    for world in options.worlds.split(","):
        details[world] = by_context = summarised(rows, world, contexts)
        headline[world] = {
            measure: {name: pool([*parts.values()]) for name, parts in of.items()} for measure, of in by_context.items()
        }
        for measure, of in by_context.items():
            _show(f"{world}: {measure}, and what it is more than with none", headline[world][measure], of)
    output.conclude(options.keep, headline, details)
    return 0


def _show(title: str, over_all: Mapping[str, Any], by_context: Mapping[str, Mapping[str, Any]]) -> None:
    body = []
    for method, parts in by_context.items():
        body.append([method, "all", words(over_all[method])])
        body += [["", name, words(part)] for name, part in parts.items()]
    output.table(title, ["", "context", ""], body)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
