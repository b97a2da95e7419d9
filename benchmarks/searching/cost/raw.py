"""Runs, made a few at a time by two processes, so that they can be stopped and gone on with.

Each piece of work is a file below .cache/search, named by what its outcome depends on: the table, and the code.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.common import checkouts, peers
from benchmarks.common.facts import ROOT
from benchmarks.searching.cost import coverage, methods, played, side
from benchmarks.searching.cost.ground import Ground, open_ground
from benchmarks.searching.cost.spec import job_spec
from benchmarks.searching.cost.steps import Step
from search.surrogate.axes import axes
from trainers.replay.world import names

ROOM = "benchmarks/searching/cost"
COMMON = (f"{ROOM}/ground.py", f"{ROOM}/steps.py", f"{ROOM}/side.py")
"""Files and folders that outcomes depend on; a peer's steps depend on its own file and the common ones alone."""
CONFIRMING = (
    "search/claims/planner.py", "search/claims/racing.py", "search/analysis/job/finalists.py",
    "search/analysis/job/joint_surface.py", "search/surrogate",
    f"{ROOM}/jobs.py", f"{ROOM}/played.py",
)  # fmt: skip
WHOLE = (f"{ROOM}/whole.py", "benchmarks/searching/whole_jobs.py", "search/analysis/job", "search/surrogate")
SEARCHING = (
    *(
        f"search/samplers/{name}.py"
        for name in ("sampler_factory", "space", "tpe", "gaussian_process", "listed", "advised")
    ),
    *(f"search/pruners/{name}.py" for name in ("pruner_factory", "stratified", "extrapolation")),
)
BEGINNING = ("search/analysis/priors", f"{ROOM}/history.py")
COVERING = (
    "search/analysis/job/fits.py", "search/analysis/job/profile.py", "search/analysis/job/response.py",
    "search/analysis/job/gains.py", "search/analysis/job/shortfall.py", f"{ROOM}/coverage.py",
)  # fmt: skip
SPEC = {"space", "training", "objective", "sampler", "pruner", "warm_start", "budget", "baselines", "confirmation"}
"""The parts of a job's spec that a simulated job heeds: their values, not their code, name what was made with them."""
COVERAGE = "coverage"
TWICE = (methods.WHOLE, methods.OURS, COVERAGE)
"""Methods that get twice the time of others, since more than one figure is made of them."""
HALF = (
    methods.PEERS["bohb"], methods.PEERS["smac"], methods.NOISELESS, methods.MISLED, methods.DEFAULT,
    methods.DEFAULT_BEFORE,
)  # fmt: skip
"""Methods that get half of it: a goal far away, or the one that matters less."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Runs `first` to `last` - 1 of a method, or of the searches whose jobs' coverage is looked at, in a context."""

    context: str
    real: bool
    method: str
    first: int
    last: int

    @property
    def group(self) -> tuple[str, bool, str]:
        """The pieces that make one figure."""
        return self.context, self.real, self.method


@dataclass(frozen=True, slots=True)
class Done:
    """A piece's rows and the CPU seconds that it took, or why there are none."""

    piece: Piece
    rows: Sequence[dict[str, Any]]
    seconds: float
    missed: str | None = None


def pieces(contexts: Sequence[str], chosen: Sequence[methods.Method], jobs: int, real: bool) -> list[Piece]:
    """All that is to be done: each method's runs, and at least so many whole jobs, in chunks; the first of these in all
    contexts before those of the next method.
    """
    sizes = [(method.name, method.runs, method.chunk, method.unsealed) for method in chosen]
    if jobs:
        sizes.insert(1, (COVERAGE, -(-jobs // coverage.CONFIRMATIONS), 10, False))
    return [
        Piece(context, real, name, first, min(first + chunk, runs))
        for name, runs, chunk, unsealed in sizes
        for context in contexts
        if not (unsealed and open_ground(context).world.sealed)
        for first in range(0, runs, chunk)
    ]


def make(todo: Sequence[Piece], processes: int, seconds: float, before: Path | None = None) -> list[Done]:
    """The pieces that are there, and those that can be begun within so many seconds: always one of the method and
    context that has had the least CPU time for its share, so that slow ones get as much as others, and fewer runs.
    `before` is the checkout of the commit before.
    """
    done = [found for piece in todo if (found := kept(piece, before)) is not None]
    there = {one.piece for one in done}
    waiting: dict[tuple[str, bool, str], list[Piece]] = {}
    for piece in todo:
        if piece not in there:
            waiting.setdefault(piece.group, []).append(piece)
    spent = dict.fromkeys((piece.group for piece in todo), 0.0)
    for ended in done:
        spent[ended.piece.group] += ended.seconds
    end = time.monotonic() + seconds
    running: dict[Future[Done], float] = {}
    with ProcessPoolExecutor(processes) as pool:
        while running or (waiting and time.monotonic() < end):
            while waiting and len(running) < processes and time.monotonic() < end:
                group = min(waiting, key=lambda group: spent[group] / group_share(*group))
                piece = waiting[group].pop(0)
                if not waiting[group]:
                    del waiting[group]
                guess = _expected(done, piece)
                spent[group] += guess
                running[pool.submit(one, piece, before)] = guess
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                ended, guess = future.result(), running.pop(future)
                spent[ended.piece.group] += ended.seconds - guess
                done.append(ended)
                if ended.missed is not None:
                    waiting = {group: pieces for group, pieces in waiting.items() if group[2] != ended.piece.method}
    return sorted(done, key=lambda ended: (ended.piece.group, ended.piece.first))


def group_share(context: str, real: bool, method: str) -> float:
    """How much CPU time a figure gets beside others: ours is in every ratio; recorded students are a second look."""
    return (0.25 if real else 1.0) * (2.0 if method in TWICE else 0.5 if method in HALF else 1.0)


def kept(piece: Piece, before: Path | None = None) -> Done | None:
    """A piece that was made earlier."""
    path = peers.CACHE / "search" / _key(piece, before)
    if not path.is_file():
        return None
    lines = path.read_text().splitlines()
    return Done(piece, [json.loads(line) for line in lines[1:]], float(lines[0]))


def one(piece: Piece, before: Path | None = None) -> Done:
    """A piece, made now."""
    folder = peers.CACHE / "search"
    path, begun = folder / _key(piece, before), _cpu()
    try:
        rows = _rows(piece, before)
    except peers.PeerMissing as error:
        return Done(piece, [], 0.0, str(error))
    seconds = _cpu() - begun
    _keep(path, "\n".join([f"{seconds:.3f}", *(json.dumps(row) for row in rows)]) + "\n")
    return Done(piece, rows, seconds)


def _rows(piece: Piece, before: Path | None) -> list[dict[str, Any]]:
    ground = open_ground(piece.context, piece.real)
    runs = range(piece.first, piece.last)
    if piece.method == COVERAGE:
        return [row for number in runs for row in coverage.covered(ground, number)]
    method = methods.BY_NAME[piece.method]
    if method.home == "before":
        if before is None:
            raise ValueError(f"{method.name} needs the checkout of the commit before: --before CHECKOUT")
        return _elsewhere(piece, before)
    if method.home == "ours":
        return [played.ours(ground, method, run) for run in runs]
    return [played.theirs(ground, method, run, steps) for run, steps in _searched(piece, method, ground).items()]


def _elsewhere(piece: Piece, before: Path) -> list[dict[str, Any]]:
    given = [piece.method, piece.context, str(piece.first), str(piece.last)]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.searching.cost.elsewhere", *given]
    with checkouts.played_with(before) as (folder, environment):
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if ended.returncode != 0:
        raise RuntimeError(f"the service of {before} ended with {ended.returncode}: {ended.stderr[-800:]}")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def _searched(piece: Piece, method: methods.Method, ground: Ground) -> dict[int, list[Step]]:
    """A peer's own steps by run, which do not depend on what we make of them, and so are kept by themselves."""
    path = peers.CACHE / "search" / f"steps-{_key(piece, peer=True)}"
    if not path.is_file():
        _keep(path, _steps(piece, method, ground))
    told = [json.loads(line) for line in path.read_text().splitlines()]
    return {run["run"]: [Step(*step) for step in run["steps"]] for run in told}


def _steps(piece: Piece, method: methods.Method, ground: Ground) -> str:
    """A peer's searches, made now; one that has an environment of its own is asked there."""
    epochs = _most(ground, method)
    if method.home == "here":
        return "".join(
            f"{line}\n"
            for line in side.told(method.search or method.name, ground, range(piece.first, piece.last), epochs)
        )
    given = [
        method.search or method.name,
        piece.context,
        "real" if piece.real else "drawn",
        str(piece.first),
        str(piece.last),
    ]
    ended = subprocess.run(
        [peers.python(method.home), "-W", "ignore", "-m", "benchmarks.searching.cost.side", *given, str(epochs)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    if ended.returncode != 0:
        raise peers.PeerMissing(ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else "it died")
    return ended.stdout


def _most(ground: Ground, method: methods.Method) -> int:
    """Epochs that a method may spend; without a budget it ends by itself."""
    return ground.length * (method.most or 10**6)


def _cpu() -> float:
    """Seconds of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def _keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)


def _key(piece: Piece, before: Path | None = None, peer: bool = False) -> str:
    ground = open_ground(piece.context, piece.real)
    parts: list[Any] = [ground.fingerprint, repr(piece)]
    code: tuple[str, ...] = COMMON
    given: dict[str, Any] = {}
    method = methods.BY_NAME.get(piece.method)
    if method is None:
        code += CONFIRMING + SEARCHING + COVERING
        parts.append([coverage.TRIALS, coverage.CONFIRMATIONS])
    else:
        parts.append([method.most, method.warm, method.noiseless])
        deciding = CONFIRMING if method.kind == "cost" else (*CONFIRMING, *WHOLE)
        if method.home in ("ours", "before"):
            code += deciding + SEARCHING + (BEGINNING if method.warm else ())
            given = played.fitting(ground, method.parts)
        else:
            code += (
                f"{ROOM}/{side.ROOMS[method.search or method.name]}.py",
                *(() if peer else CONFIRMING if method.kind == "cost" else (f"{ROOM}/whole.py",)),
            )
        if method.home == "before" and before is not None:
            parts.append(_code_of(before))
        if method.warm == "warm":  # the history is the other open contexts
            parts.append([open_ground(name).fingerprint for name in names(sealed=False)])
    if not peer:
        spec = job_spec(ground, 0, 1, method is None, **given)
        parts.append(spec.model_dump(mode="json", include=SPEC))
        parts.append([repr(axes(spec.space, name)) for name in spec.space.optimizers()])
    if method is not None and not peer:
        parts.append([methods.budgets(method), method.confirmed])
    digest = hashlib.sha256(json.dumps([*parts, _code(*code)], sort_keys=True).encode()).hexdigest()[:16]
    name = "real" if piece.real else "drawn"
    return f"{piece.context}-{name}-{piece.method}-{piece.first:04}-{digest}.jsonl"


@functools.cache
def _code_of(checkout: Path) -> str:
    """Changes with what another checkout's service searches by."""
    digest = hashlib.sha256()
    for file in sorted((checkout / "search").rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@functools.cache
def _code(*names: str) -> str:
    digest = hashlib.sha256()
    for name in names:
        path = ROOT / name
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _expected(done: Sequence[Done], piece: Piece) -> float:
    """CPU seconds, as the method's other pieces took."""
    alike = [one.seconds for one in done if one.piece.method == piece.method and one.missed is None]
    return sum(alike) / len(alike) if alike else 10.0
