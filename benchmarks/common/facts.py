"""Facts of a measurement: machine, versions, commit, load."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
VECTOR_UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile")


def gather() -> dict[str, Any]:
    """Machine, versions, commit and time (UTC) as plain JSON."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "machine": {
            "processor": _from_file("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "vector_units": sorted(set(VECTOR_UNITS) & set((_from_file("/proc/cpuinfo", "flags") or "").split())),
            "memory_gib": round(int((_from_file("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 2**20, 1),
            "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
            "load_before": os.getloadavg()[0],
        },
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,  # with the suffix that says for which accelerator it was built
            **{name: importlib.metadata.version(name) for name in ("torchvision", "numpy", "optuna")},
        },
    }


def in_words(facts: dict[str, Any]) -> str:
    """The same in a few lines of at most 80 characters."""
    machine, versions = facts["machine"], facts["versions"]
    units = " ".join(machine["vector_units"]) or "no vector units known"
    return "\n".join(
        (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB",
            units,
            f"accelerator: {machine['accelerator'] or 'none'}; load before: {machine['load_before']:.2f}",
            ", ".join(f"{name} {version}" for name, version in versions.items()),
            f"commit {facts['commit']}, {facts['when']}",
        )
    )


def _commit() -> str:
    """The commit, with a + where tracked files outside results/ differ from it; "unknown" without git."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()  # fmt: skip


def _from_file(path: str, key: str) -> str | None:
    """What stands behind the first `key :` of one of Linux's files; None elsewhere."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), None)
