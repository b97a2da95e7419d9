"""Seeds in blocks, measured: whole jobs whose search draws its seeds from a small pool, with a surface that knows what
luck runs of one seed share and without, beside the default sampler with a seed for each trial, on open contexts alone.

    python -m benchmarks.searching.blocks [--minutes M] [--runs N] [--only NAMES] [--methods NAMES] [--worlds NAMES]
        [--log FILE] [--tiny] [--keep NAME]

In the world of benchmarks ("shared"), and on recorded students, of which methods see two seeds and the truth is made of
the others ("real"): there each method has these two. Rows that the log has are not made again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np

from benchmarks.common import facts, output
from benchmarks.searching import paired_runs
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
from trainers.replay.world import names

BUDGETS = (16, 32, 64)
RUNS = 20


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


def runs_of(
    contexts: Sequence[str], worlds: Sequence[str], methods: Sequence[Method], runs: int
) -> Iterator[paired_runs.Key]:
    """Which runs are made, in their order."""
    for run, name, world, method in product(range(runs), contexts, worlds, methods):
        if world != "real" or method.pool <= 4:  # of two seeds there are no larger pools
            yield world, name, method.name, run


def main(arguments: Sequence[str]) -> int:
    """Prints the luck that is shared, and by how much each measure is more than as shipped; and one JSON object."""
    options = paired_runs.parser_of(__doc__, RUNS).parse_args(arguments)
    known = (TRY,) if options.tiny else names(sealed=False)
    contexts = options.only.split(",") if options.only else known
    methods = {one.name: one for one in METHODS if not options.methods or one.name in options.methods.split(",")}
    worlds = options.worlds.split(",")
    budgets, runs = ((11, 12), 2) if options.tiny else (BUDGETS, options.runs)
    before = facts.gather()
    print(facts.in_words(before))
    lucks = {
        name: (luck_of(other for other in known if other != name or options.tiny), luck_of([name])) for name in contexts
    }
    body = [[name, *(f"{value:.2f}" for value in asdict(of_others).values())] for name, (of_others, _) in lucks.items()]
    output.table("Luck that runs of one seed share, by the other contexts", ["", *SharedLuck.__slots__], body)

    def measure(ground: Ground, name: str, method: str, run: int) -> dict[str, float]:
        return measured(ground, run, methods[method], lucks[name][methods[method].own], budgets)

    with paired_runs.log_of(options.log) as log:
        keys = runs_of(contexts, worlds, list(methods.values()), runs)
        rows = paired_runs.make(keys, measure, options.minutes, log)
    details: dict[str, Any] = {"luck": {name: [asdict(one) for one in both] for name, both in lucks.items()}}
    headline: dict[str, Any] = {"benchmark": "blocks", **before}
    for world in worlds:
        details[world] = paired_runs.summarised(rows, world, contexts, [method.name for method in METHODS])
        headline[world] = paired_runs.over_contexts(details[world])
        for measure_name, of in headline[world].items():
            body = [[name, paired_runs.words(part)] for name, part in of.items()]
            output.table(f"{world}: {measure_name}, and what it is more than as shipped", ["", "all contexts"], body)
    output.conclude(options.keep, headline, details)
    return 0


def luck_of(contexts: Iterable[str]) -> SharedLuck:
    """What recorded runs of these contexts share."""
    return fitted([open_ground(name).world for name in contexts])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
