"""Forms in which each problem is trained in a race: engines, numbers of lanes, processes, and the peers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.common import peers
from benchmarks.engines.turns import Side, command
from search.settings import SPINS
from trainers.spec import Precision

CORES = os.cpu_count() or 1
Kind = Literal["loop", "loops", "bank", "peer"]
"""`loop`: the plain one in one process; `loops`: in a process for each core; `bank`: any other form of ours."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a problem. `threads` are each process's; `lanes` counts the students of all processes."""

    kind: Kind
    engine: str
    lanes: int = 1
    compiled: bool = False
    processes: int = 1
    threads: int = 1
    precision: Precision = "fp32"

    @property
    def name(self) -> str:
        """As the tables call it, in 30 characters at most."""
        words = [self.engine]
        if self.engine == "bank":
            words = ["bank compiled" if self.compiled else "bank eager", f"K={self.lanes // self.processes}"]
        if self.engine == "processes":
            words.append(f"K={self.lanes}")
        words.append(f"{self.processes} procs" if self.processes > 1 else f"{self.threads} thr")
        if self.precision != "fp32":
            words.append(self.precision)
        return ", ".join(words)


_FEW: dict[str, tuple[Form, ...]] = {
    "mlp": (
        Form("loop", "loop"),
        Form("loops", "loop", CORES, processes=CORES),
        Form("bank", "bank", 32, threads=CORES),
        Form("bank", "bank", 128, True, threads=CORES),
    ),
    "cnn8": (Form("loop", "loop"), Form("bank", "bank", 16, True, threads=CORES)),
    "cnn28": (Form("loop", "loop"), Form("bank", "bank", 8, True, threads=CORES)),
    "resnet8x4": (
        Form("loop", "loop", threads=CORES),
        Form("loops", "loop", CORES, processes=CORES),
        Form("bank", "processes", CORES, threads=CORES),
        Form("bank", "loop", CORES, processes=CORES, precision="bf16"),
        Form("peer", "torchdistill", threads=CORES),
    ),
}
_MORE: dict[str, tuple[Form, ...]] = {
    "mlp": (
        Form("loop", "loop", threads=CORES),
        *(Form("bank", "bank", lanes, True, threads=CORES) for lanes in (8, 32, 512)),
        *(Form("bank", "bank", lanes * CORES, True, CORES) for lanes in (64, 256)),
    ),
    "cnn8": (
        Form("loop", "loop", threads=CORES),
        Form("loops", "loop", CORES, processes=CORES),
        Form("bank", "bank", 16, threads=CORES),
        *(Form("bank", "bank", lanes, True, threads=CORES) for lanes in (8, 64)),
        Form("bank", "bank", 16 * CORES, True, CORES),
    ),
    "cnn28": (
        Form("loop", "loop", threads=CORES),
        Form("loops", "loop", CORES, processes=CORES),
        Form("bank", "bank", 8, threads=CORES),
        Form("bank", "bank", 32, True, threads=CORES),
        Form("bank", "bank", 8 * CORES, True, CORES),
    ),
    "resnet8x4": (
        Form("bank", "bank", 2, threads=CORES),
        Form("bank", "bank", 8, threads=CORES),
        Form("bank", "loop", threads=CORES, precision="bf16"),
        Form("peer", "torchdistill", processes=CORES),
    ),
}
_LANES_ON_ACCELERATOR = (2, 4, 8, 16, 32, 64, 128, 256)  # where does it saturate?


def of(problem: str, quick: bool, accelerator: bool) -> tuple[Form, ...]:
    """The forms of a problem, those with which all are compared first; the peers with a checkout among them."""
    if accelerator:
        most = 32 if problem == "resnet8x4" else 256
        lanes = [count for count in _LANES_ON_ACCELERATOR[:: 2 if quick else 1] if count <= most]
        peer = tuple(form for form in _FEW[problem] if form.kind == "peer")
        banks = tuple(Form("bank", "bank", count, compiled) for count in lanes for compiled in (False, True))
        return Form("loop", "loop"), *peer, *banks
    given = tuple(
        Form("peer", peer, threads=CORES) for peer in peers.CHECKOUTS if problem == "resnet8x4" and peers.checkout(peer)
    )
    return _FEW[problem] + given + (() if quick else _MORE[problem])


def tiny(problem: str) -> tuple[Form, ...]:
    """The two forms of a try that ends within seconds."""
    return (Form("loop", "loop"), Form("bank", "bank", 2)) if problem == "mlp" else ()


def side(form: Form, problem: str, images: int, root: Path) -> Side:
    """The form as a program. Raises peers.PeerMissing where a peer cannot be installed."""
    common: dict[str, Any] = {"images": images, "root": str(root), "threads": form.threads}
    if form.kind == "peer":
        python = peers.python(form.engine)
        checkout = peers.checkout(form.engine) if form.engine in peers.CHECKOUTS else None
        options = {**common, "batch": 64, "checkout": checkout}
        commands = [command(f"benchmarks.engines.side_{form.engine}", options, python)] * form.processes
        return Side(form.name, commands)
    return Side(form.name, list(_own(form, problem, common)), _environment(form, root))


def _own(form: Form, problem: str, common: dict[str, Any]) -> Iterator[list[str]]:
    lanes = form.lanes // form.processes
    for number in range(form.processes):
        options = {
            **common,
            "problem": problem,
            "engine": form.engine,
            "lanes": lanes,
            "compiled": form.compiled,
            "precision": form.precision,
            "children": lanes if form.engine == "processes" else 0,
            "first": number * lanes,
        }
        yield command("benchmarks.engines.side_engine", options)


def _environment(form: Form, root: Path) -> dict[str, str]:
    """A worker's; a compiled form compiles with an empty cache, so that its seconds are those of a first time."""
    place = root / "compiled" / form.name.replace(", ", "-").replace(" ", "-")
    threads = {"GOMP_SPINCOUNT": str(SPINS)}
    return threads | ({"TORCHINDUCTOR_CACHE_DIR": str(place)} if form.compiled else {})
