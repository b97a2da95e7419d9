"""A command looked over before a job is trained by it: `python -m thermowell.agent.check`, or `thermowell trial check`.

It trains an epoch of each trial group, and twice on one seed, on this machine alone: no trial is claimed, and no
service is told of any. Then it says whether temperature, weights and seed are obeyed.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermowell.agent import processes
from thermowell.agent.attempt import Attempt
from thermowell.agent.commands import OwnCommand
from thermowell.agent.door import Document, Door
from thermowell.agent.folder import TrialFolder
from thermowell.errors import AgentError, Refused, ThermowellError
from thermowell.plain import plain
from thermowell.sync.client import Client
from thermowell.trial import defaults
from thermowell.trial.loop import SPEC_SUFFIXES

OBEYED, NOT_OBEYED, USAGE, REFUSED, UNREACHABLE = 0, 1, 2, 3, 4
SEED, OTHER_SEED = 118_351, 240_007
RUNS = {
    "joint": ("joint", SEED, "default settings"),
    "again": ("joint", SEED, "the same, once more"),
    "seed": ("joint", OTHER_SEED, "another seed"),
    "t1": ("t1", SEED, "T = 1"),
    "t4": ("t4", SEED, "T = 4"),
    "label_only": ("label_only", SEED, "labels alone"),
}
"""By name, what is trained for an epoch: the trial group, the seed, and what that is in words."""
_TIMING = re.compile(r"time|second|per_sec|speed|memory")
_DESCRIPTION = """\
Train one epoch of each trial group by a command, and twice on one seed, and say whether T, weights and seed are obeyed.

  thermowell trial check JOB -- python train.py {config}

JOB is a spec's file, or the id or the name of a job of the service. No trial is claimed.
"""


@dataclass(frozen=True)
class Outcome:
    """What one epoch came to: its metrics, or why there are none."""

    metrics: Mapping[str, float]
    failure: str | None = None

    def differs(self, outcome: Outcome) -> bool:
        """Whether any metric that both have is another one; how long something took is none."""
        names = [name for name in self.metrics.keys() & outcome.metrics.keys() if not _TIMING.search(name)]
        return any(self.metrics[name] != outcome.metrics[name] for name in names)


@dataclass(frozen=True)
class Finding:
    """One thing that is obeyed or not, how that shows, and what to do."""

    name: str
    obeyed: bool
    words: str
    remedy: str = ""


class Notebook(Door):
    """Takes down what an attempt says of its trial, where nobody else is to hear it."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.failure: str | None = None
        self.complete = False

    def say(self, claim: Mapping[str, Any], verb: str, document: Mapping[str, Any]) -> Document:
        """Notes it; the training is to go on."""
        if verb == "reports":
            self.metrics.update(document["reports"][-1]["metrics"])
        elif verb == "complete":
            self.complete = True
            self.metrics.update(document["metrics"])
        else:
            self.failure = f"{document.get('type', 'given back')}: {document.get('detail', 'by exit code 75')}"
        return {"stop": None}

    def keep(self, claim: Mapping[str, Any], file: Path) -> None:
        """Keeps nothing."""


def outcomes(spec: Mapping[str, Any], argv: list[str], folder: Path) -> Iterator[tuple[str, Outcome]]:
    """Trains each of RUNS for an epoch by a command, below a folder; by name, what it came to, one after the other."""
    command = OwnCommand(argv=argv, directory=Path.cwd())
    for name in RUNS:
        notes, claim = Notebook(), claim_of(spec, name)
        attempt = Attempt(notes, claim, command, TrialFolder(folder / name, claim["objective"]), os.environ)
        attempt.run()
        failure = notes.failure or (None if notes.complete else "the command ended without a result")
        yield name, Outcome(notes.metrics, failure)


def claim_of(spec: Mapping[str, Any], name: str) -> Document:
    """The claim of one of RUNS, as a service would send it."""
    arm, seed, _ = RUNS[name]
    metric, direction = defaults.objective_of(spec)
    trainer = spec.get("trainer") or {}
    return {
        "job": "check",
        "trial": list(RUNS).index(name),
        "attempt": 1,
        "token": "",
        "stage": "search" if arm == "joint" else "baseline",
        "arm": arm,
        "seed": seed,
        "configuration": defaults.configuration_of(spec, arm),
        "objective": metric,
        "direction": direction,
        "epochs": 1,
        "rungs": [],
        "resume": None,
        "test": False,
        "command": trainer.get("command"),
        "arguments": dict(trainer.get("arguments") or {}),
    }


def findings(results: Mapping[str, Outcome], metric: str) -> list[Finding]:
    """What the outcomes show, where every run has one."""
    joint, repeat, reseeded = results["joint"], results["again"], results["seed"]
    repeats = not joint.differs(repeat)
    near = repeats or _distance(joint, repeat, metric) < _distance(joint, reseeded, metric) / 10
    return [
        Finding(
            "temperature",
            results["t1"].differs(results["t4"]),
            "T = 1 against T = 4 on one seed",
            "divide both logits by configuration.temperature before the softmax, and multiply the term by T squared",
        ),
        Finding(
            "weights",
            results["t1"].differs(results["label_only"]),
            "kd_weight and label_weight as given against labels alone (0 and 1), at T = 1",
            "loss = kd_weight * distillation + label_weight * cross entropy, both from the configuration",
        ),
        Finding(
            "seed repeats",
            near,
            "one seed twice" + ("" if repeats or not near else ": nearly, by a tenth of what another seed changes"),
            "set every generator from trial.seed, and leave nothing to the order of threads",
        ),
        Finding(
            "seed counts",
            joint.differs(reseeded),
            "one seed against another",
            "initial weights, the order of the data and dropout must follow trial.seed",
        ),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Checks a command and prints what is obeyed; the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = _parser()
    options, argv = parser.parse_args(arguments[:split]), arguments[split + 1 :]
    if not argv:
        parser.error("give a command after --, such as: -- python train.py {config}")
    logging.getLogger("thermowell.agent").setLevel(logging.ERROR)
    try:
        return _check(spec_of(options.job, options.url), argv)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return REFUSED
    except (AgentError, ImportError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return USAGE
    except ThermowellError as error:
        print(error, file=sys.stderr)
        return UNREACHABLE


def spec_of(job: str, url: str | None) -> Document:
    """The spec in a file, or of a job of the service by its id or its name."""
    if job.endswith(SPEC_SUFFIXES):
        return defaults.read_spec(Path(job))
    with Client(url) as client:
        names = [entry.id for entry in client.jobs(name=job)]
        return dict(client.job(names[0] if names else job).spec)


def _check(spec: Mapping[str, Any], argv: list[str]) -> int:
    processes.adopt_and_hide()
    metric, _ = defaults.objective_of(spec)
    results: dict[str, Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="thermowell-check-") as folder:
        for name, outcome in outcomes(spec, argv, Path(folder)):
            results[name] = outcome
            value = outcome.metrics.get(metric)
            words = outcome.failure or (f"{metric} {value:.6g}" if value is not None else "")
            print(plain(f"trained {RUNS[name][2]}: {words}"), flush=True)
    if any(outcome.failure for outcome in results.values()):
        print("\nEvery run must end with a result before anything can be said: the first failure shows what is wrong.")
        return NOT_OBEYED
    verdicts = findings(results, metric)
    print()
    for finding in verdicts:
        print(f"{'obeyed    ' if finding.obeyed else 'NOT OBEYED'}  {finding.name:13} {finding.words}")
        if not finding.obeyed:
            print(f"            what to do: {finding.remedy}")
    return OBEYED if all(finding.obeyed for finding in verdicts) else NOT_OBEYED


def _distance(first: Outcome, second: Outcome, metric: str) -> float:
    return abs(first.metrics.get(metric, 0.0) - second.metrics.get(metric, 0.0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="thermowell trial check", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("job", metavar="JOB", help="a spec's file, or a job's id or name; its command follows after --")
    parser.add_argument("--url", help="where the service is [env THERMOWELL_URL; the key: THERMOWELL_KEY]")
    return parser


if __name__ == "__main__":
    sys.exit(main())
