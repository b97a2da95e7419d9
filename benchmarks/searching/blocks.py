"""Seeds in blocks, measured: whole jobs whose search draws its seeds from a small pool, with a surface that knows what
luck runs of one seed share and without, beside the default sampler with a seed for each trial, on open contexts alone.

    python -m benchmarks.searching.blocks [--minutes M] [--runs N] [--only NAMES] [--methods NAMES] [--worlds NAMES]
        [--log FILE] [--tiny] [--keep NAME]

In the world of benchmarks ("shared"), and on recorded students, of which methods see two seeds and the truth is made of
the others ("real"): there each method has these two. Rows that the log has are not made again.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import facts, output
from benchmarks.common.repetitions import paired
from benchmarks.searching.cost import coverage
from benchmarks.searching.cost.ground import TRY, Ground, open_ground
from benchmarks.searching.cost.jobs import Ended, Job, Search
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.shared_luck import LuckSampler, LuckSurface, Noise, SharedLuck, fitted
from search import configurations
from search.analysis.job import field
from search.analysis.job.joint_surface import answer_surface, distilled, joint_of, points_of
from search.claims.contestants import trial_seed
from search.records import Trial
from search.samplers import sampler_factory, space
from search.samplers.gaussian_process import GaussianSampler
from search.spec.job import JobSpec
from search.states import Arm, TrialState
from search.surrogate.slices import Slice
from search.surrogate.surface import MEMBERS
from search.surrogate.threads import one_thread
from trainers.replay.world import World, load, names

BUDGETS = (16, 32, 64)
RUNS = 20
WORLDS = ("shared", "real")


@dataclass(frozen=True, slots=True)
class Method:
    """A way to give trials their seeds: of a `pool` of so many (none: each has its own), in turn unless they are
    `chosen`; with `luck` the surfaces of sampler, finalists and answer know what these share, by the other contexts or,
    `own`, by this one itself, which nobody could know.
    """

    name: str
    pool: int = 0
    luck: bool = False
    chosen: bool = False
    own: bool = False


METHODS = (
    Method("shipped"),
    Method("turn 4", 4),
    Method("luck 4", 4, luck=True),
    Method("chosen 4", 4, luck=True, chosen=True),
    Method("luck 8", 8, luck=True),
    Method("chosen 8", 8, luck=True, chosen=True),
    Method("known 4", 4, luck=True, chosen=True, own=True),
    Method("answer", luck=True),
)
Key = tuple[str, str, str, int]
Rows = dict[Key, dict[str, float]]
"""Measures of a world's context's run of a method."""


@dataclass
class BlockSearch(Search):
    """A search whose trials have seeds of a pool."""

    method: Method = METHODS[0]
    luck: SharedLuck | None = None

    def _train(self, place: int, number: int, searches: Mapping[Arm, Search]) -> Ended:
        if not self.method.pool:
            return super()._train(place, number, searches)
        pool = pool_of(self.ground, self.spec, self.method.pool)
        tried = [ended.seed for ended in self.ended]
        in_turn = pool[place % len(pool)]
        base = sampler_factory.build_sampler(
            self.spec.sampler, self.spec.space, self.arm, self.spec.seed, number, arm_trials=[]
        )
        if self.method.luck:
            assert isinstance(base, GaussianSampler)
            assert self.luck is not None
            base = LuckSampler(base, self.luck, tried, pool if self.method.chosen else [in_turn])
        self._study.sampler = base
        trial = self._study.ask()
        configuration = space.suggest(trial, self.spec.space, self.arm)
        stored = configurations.to_json(configuration)
        chosen = base.seed if isinstance(base, LuckSampler) else None
        seed = self._untried(stored, pool, place, number) if chosen is None else chosen
        curve = self.ground.curve(self.ground.grid.index(configuration), seed)
        value = self.ground.value(curve, self.ground.length)
        self._study.tell(trial, value)
        return Ended(stored, seed, TrialState.COMPLETED, value, self.ground.length)

    def _untried(self, stored: Mapping[str, Any], pool: Sequence[int], place: int, number: int) -> int:
        """The next seed of the pool that this configuration has not had; where it has had all, one of its own."""
        had = {ended.seed for ended in self.ended if ended.configuration == stored}
        in_turn = (pool[(place + step) % len(pool)] for step in range(len(pool)))
        own = trial_seed(self.spec.seed, number)
        return next((seed for seed in in_turn if seed not in had), own)


def pool_of(ground: Ground, spec: JobSpec, size: int) -> list[int]:
    """The seeds of a search: none of them is one of a race or of estimates; of recorded students all that are seen."""
    if ground.real:
        return list(range(len(ground.real)))
    return [trial_seed(spec.seed, place) for place in range(size)]


def identity(ground: Ground, seed: int) -> int:
    """The seed whose luck a run has: of recorded students there are few."""
    return seed % len(ground.real) if ground.real else seed


def surface_over(
    ground: Ground, spec: JobSpec, luck: SharedLuck, joint: Any, trials: Sequence[Trial], points: Any,
    rng: np.random.Generator, members: int,
) -> LuckSurface:  # fmt: skip
    """The surface over trials at `points` [n, d] of an encoding; a run that was made twice counts once."""
    numbers = {(repr(trial.configuration), identity(ground, trial.seed)): number for number, trial in enumerate(trials)}
    places = sorted(numbers.values())
    seeds = np.array([identity(ground, trials[place].seed) for place in places])
    values = np.array([float(trials[place].value or 0.0) for place in places])
    return LuckSurface(points[places], values, seeds, Noise.of(luck, joint), rng, members, joint.lengths)


def luck_answer(ground: Ground, spec: JobSpec, luck: SharedLuck, trials: Sequence[Trial]) -> LuckSurface:
    """The surface that a job's answer is read off."""
    chosen, joint = distilled(trials), joint_of(spec, labels=False)
    points = points_of(joint, [trial.configuration or {} for trial in chosen])
    with one_thread():
        rng = np.random.default_rng([spec.seed, 0, 4])
        return surface_over(ground, spec, luck, joint, chosen, points, rng, MEMBERS)


@contextmanager
def knowing(ground: Ground, luck: SharedLuck | None) -> Iterator[None]:
    """Within it finalists are chosen by surfaces that know of shared luck; with None the product is untouched."""
    if luck is None:
        yield
        return

    def whole_surface(
        spec: JobSpec, trials: Sequence[Trial], rng: np.random.Generator, members: int = MEMBERS
    ) -> LuckSurface:
        cube = Slice(spec.space, Arm.JOINT, spec.distillation.method)
        points = np.array([field.point_of(spec, cube, trial, trial.arm) for trial in trials])
        return surface_over(ground, spec, luck, cube, trials, points, rng, members)

    product: Any = field
    before = product.whole_surface
    product.whole_surface = whole_surface
    try:
        yield
    finally:
        product.whole_surface = before


def measured(ground: Ground, run: int, method: Method, luck: SharedLuck, budgets: Sequence[int]) -> dict[str, float]:
    """Regret in points of a job's answer and of its search's first finalist, after each budget of one search; after the
    last of them what the response's sets and bands hold, and how wide the sets are as a share of the range of log T;
    the processor's seconds.
    """
    before = time.process_time()
    search: Search | None = None
    found: dict[str, float] = {}
    for budget in budgets:
        spec = job_spec(ground, run, budget, False)
        search = search or BlockSearch(ground, spec, Arm.JOINT, method=method, luck=luck)
        with knowing(ground, luck if method.luck else None):
            job = Job(ground, spec, search).run()
        assert job.winner is not None  # each of its trials is trained to the end
        assert job.chosen is not None
        found[f"winner, {budget}"] = ground.regret(job.winner)
        found[f"leader, {budget}"] = ground.regret(job.cell(job.trials[job.chosen.finalists[Arm.JOINT][0]]))
    surface = luck_answer(ground, spec, luck, job.trials) if method.luck else answer_surface(spec, job.trials)
    response = coverage._set(ground, spec, job, surface)
    if response:
        held, of = response["band_holds"]
        found |= {"set holds": float(response["set_holds"]), "set, width": response["set_width"]}
        found["bands hold"] = held / of
    return found | {"seconds": round(time.process_time() - before, 2)}


def split(name: str, run: int) -> Ground:
    """Recorded students of two seeds, judged by the others: another pair of them in each run."""
    if name == TRY:
        return Ground(World(open_ground(TRY).world.runs, held_out=(0, 1)), real=(0, 1))
    count = load(name).runs.seeds
    return _split(name, list(combinations(range(count), 2))[run % (count * (count - 1) // 2)])


@functools.lru_cache(64)
def _split(name: str, seen: tuple[int, int]) -> Ground:
    return Ground(load(name, held_out=seen), real=seen)


def read(log: Path) -> Rows:
    """The rows of a log; none where there is no file."""
    if not log.is_file():
        return {}
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    return {(row["world"], row["context"], row["method"], row["run"]): row["measures"] for row in rows}


def make(
    contexts: Sequence[str], worlds: Sequence[str], methods: Sequence[Method], runs: int, budgets: Sequence[int],
    lucks: Mapping[str, tuple[SharedLuck, SharedLuck]], end: float, log: Path,
) -> None:  # fmt: skip
    """Adds the rows that the log lacks, run by run, until the time is up."""
    made = read(log)
    todo = [
        (run, name, world, method)
        for run in range(runs)
        for name in contexts
        for world in worlds
        for method in methods
        if world != "real" or method.pool <= 4  # of two seeds there are no larger ones
    ]
    with log.open("a", encoding="utf-8") as file:
        for run, name, world, method in todo:
            if time.monotonic() > end:
                return
            if (world, name, method.name, run) not in made:
                ground = split(name, run) if world == "real" else open_ground(name)
                measures = measured(ground, run, method, lucks[name][method.own], budgets)
                row = {"world": world, "context": name, "method": method.name, "run": run, "measures": measures}
                file.write(json.dumps(row) + "\n")
                file.flush()


def compared(
    rows: Rows, world: str, context: str, method: str, measure: str, beside: str = METHODS[0].name
) -> dict[str, float] | None:
    """The mean of a measure, by how much it is more than that of the method `beside` in the same runs, with a 95 % t
    interval and a standard error; None with fewer than two pairs.
    """
    runs = sorted(run for (*where, run) in rows if where == [world, context, method])
    pairs = [(rows[world, context, method, run], rows.get((world, context, beside, run), {})) for run in runs]
    both = [(own[measure], base[measure]) for own, base in pairs if measure in own and measure in base]
    if len(both) < 2:
        return None
    own, base = zip(*both, strict=True)
    off = paired(own, base)
    ends = {"low": off.low, "high": off.high}
    return {
        "mean": statistics.fmean(own),
        "off": off.mean,
        **ends,
        "error": off.deviation / off.pairs**0.5,
        "pairs": off.pairs,
    }


def pool(found: Sequence[Mapping[str, float] | None]) -> dict[str, float] | None:
    """Over contexts, each as much as another: the mean, by how much it is more, and two standard errors around that."""
    parts = [part for part in found if part is not None]
    if not parts:
        return None
    error = sum(part["error"] ** 2 for part in parts) ** 0.5 / len(parts)
    means = {key: statistics.fmean(part[key] for part in parts) for key in ("mean", "off")}
    pairs = sum(part["pairs"] for part in parts)
    return {**means, "low": means["off"] - 2 * error, "high": means["off"] + 2 * error, "pairs": pairs}


def words(part: Mapping[str, Any] | None) -> str:
    """A mean, and by how much it is more, from and to."""
    return "-" if part is None else f"{part['mean']:.2f} {part['off']:+.2f} ({part['low']:+.2f} {part['high']:+.2f})"


def main(arguments: Sequence[str]) -> int:
    """Prints the luck that is shared, and by how much each measure is more than as shipped; and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin nothing new after that")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--only", help="contexts that are searched, by commas")
    parser.add_argument("--methods", help="by commas")
    parser.add_argument("--worlds", default=",".join(WORLDS), help="by commas")
    parser.add_argument("--log", type=Path, help="a file of rows, which is gone on with")
    parser.add_argument("--tiny", action="store_true", help="two short runs on a world from a formula")
    parser.add_argument("--keep", metavar="NAME", help="write results/NAME.json")
    options = parser.parse_args(arguments)
    known = (TRY,) if options.tiny else names(sealed=False)
    contexts = options.only.split(",") if options.only else known
    methods = [one for one in METHODS if not options.methods or one.name in options.methods.split(",")]
    budgets, runs = ((11, 12), 2) if options.tiny else (BUDGETS, options.runs)
    before = facts.gather()
    print(facts.in_words(before))
    lucks = {
        name: (luck_of(other for other in known if other != name or options.tiny), luck_of([name])) for name in contexts
    }
    body = [[name, *(f"{value:.2f}" for value in asdict(of_others).values())] for name, (of_others, _) in lucks.items()]
    output.table("Luck that runs of one seed share, by the other contexts", ["", *SharedLuck.__slots__], body)
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder) / "rows.jsonl"
        end = time.monotonic() + 60 * options.minutes
        make(contexts, options.worlds.split(","), methods, runs, budgets, lucks, end, log)
        rows = read(log)
    details: dict[str, Any] = {"luck": {name: [asdict(one) for one in both] for name, both in lucks.items()}}
    headline: dict[str, Any] = {"benchmark": "blocks", **before}
    for world in options.worlds.split(","):
        details[world] = by_context = summarised(rows, world, contexts)
        headline[world] = {
            measure: {name: pool([*parts.values()]) for name, parts in of.items()} for measure, of in by_context.items()
        }
        for measure, of in headline[world].items():
            body = [[name, words(part)] for name, part in of.items()]
            output.table(f"{world}: {measure}, and what it is more than as shipped", ["", "all contexts"], body)
    output.conclude(options.keep, headline, details)
    return 0


def summarised(rows: Rows, world: str, contexts: Sequence[str]) -> dict[str, dict[str, dict[str, Any]]]:
    """Of one world, by measure, method and context, what `compared` finds; nothing where it finds none."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for measure in dict.fromkeys(name for row in rows.values() for name in row):
        for method in METHODS:
            parts = {name: compared(rows, world, name, method.name, measure) for name in contexts}
            if any(parts.values()):
                of_method = {name: part for name, part in parts.items() if part}
                found.setdefault(measure, {})[method.name] = of_method
    return found


def luck_of(contexts: Iterable[str]) -> SharedLuck:
    """What recorded runs of these contexts share."""
    return fitted([open_ground(name).world for name in contexts])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
