"""Weights that come over HTTP: looked at, converted by a process of its own within limits, and kept by their digest."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.claims.sent_weights import keep
from search.errors import ConverterMissing, WeightsRefused
from search.storage.db import Database
from search.storage.store import Store
from thermowell.api.files import KeptWeights

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt", ".tar")
NAME = rf"^[A-Za-z0-9_][A-Za-z0-9._-]{{0,99}}({'|'.join(suffix.replace('.', '[.]') for suffix in SUFFIXES)})$"
SECONDS = 120
"""Of computing that a conversion may take, and of waiting for it five times as long."""
BASE_MEMORY = 2**30
"""Bytes that a conversion may take beyond what its program does, and four times its file."""
_SECRETS = ("THERMOWELL_", "AWS_", "PG", "OTEL_", "HF_TOKEN", "MLFLOW_")
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_MOST_ENTRIES = 200_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a file is said to be: the model that it fills, as JSON, and how that one's images are prepared."""

    model: dict[str, Any] | None = None
    channels: int = 3
    size: int = 0
    preprocessing: dict[str, Any] | None = None

    def arguments(self) -> list[str]:
        """What the program that converts (`trainers.weight_files`) is told of it."""
        options = ["--channels", str(self.channels)]
        options += ["--size", str(self.size), str(self.size)] if self.size else []
        options += ["--model", json.dumps(self.model)] if self.model is not None else []
        options += ["--preprocessing", json.dumps(self.preprocessing)] if self.preprocessing is not None else []
        return options


def add(db: Database, files: Store, path: Path, order: Order, days: float) -> KeptWeights:
    """Keeps a file of weights as safetensors under a model's own names, for so many `days` unless a job names it. Its
    folder is the caller's, and is written to.

    WeightsRefused, ConverterMissing; StoreUnavailable.
    """
    if problem := problem_of(path):
        raise WeightsRefused(f"{path.name}: {problem}")
    until = f"it is deleted after {days:g} days in which no job names it"
    if not _has_converter():
        if path.suffix != ".safetensors" or order != Order():
            raise ConverterMissing(
                "this service has no torch to convert weights with (pip install 'thermowell[worker]' beside it): send "
                "a .safetensors file without a model, or use `thermowell weights add` where a worker runs"
            )
        checked_later = "kept as it is: names and shapes are checked when a job begins"
        return KeptWeights(keep(db, files, path), [checked_later, until])
    output = path.with_name("converted")
    report = _convert(path, output, order)
    return KeptWeights(keep(db, files, output), [*report["lines"], until], report["classes"])


def problem_of(path: Path) -> str | None:
    """What can be told of a file without reading its tensors; None where it may be one of weights. OSError."""
    with path.open("rb") as stream:
        start = stream.read(9)
    if path.suffix == ".safetensors" or start[8:] == b"{":
        return safetensors_problem(path)
    if start.startswith(b"PK\x03\x04"):
        return _archive_problem(path)
    return None if start.startswith(_PICKLES) else "it is no file of weights that torch has saved"


def safetensors_problem(file: Path) -> str | None:
    """Why a file is no safetensors, None where it is: a length, a JSON header, and tensors up to the file's end."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if 2 <= length <= size - 8 else None
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        return "it is no safetensors file"
    tensors = [tensor for name, tensor in header.items() if name != "__metadata__"]
    if not tensors:
        return "it holds no tensors"
    try:
        ends = [int(tensor["data_offsets"][1]) for tensor in tensors]
    except (TypeError, KeyError, IndexError, ValueError):
        return "it is no safetensors file"
    return None if max(ends) == size - 8 - length else "it is not whole"


def _archive_problem(path: Path) -> str | None:
    """An archive of torch's is whole, and holds its records as they are: what unpacks to more is none of torch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return "it is not whole"
    if len(entries) > _MOST_ENTRIES or sum(entry.file_size for entry in entries) > path.stat().st_size:
        return "it unpacks to more than it is, as no file does that torch has saved"
    return None


def _convert(path: Path, output: Path, order: Order) -> dict[str, Any]:
    size = path.stat().st_size
    request = [str(path), str(output), *order.arguments()]
    request += ["--most-memory", str(BASE_MEMORY + 4 * size), "--most-seconds", str(SECONDS)]
    request += ["--most-file", str(2 * size + 2**20)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)}
    try:
        process = subprocess.run(
            [sys.executable, "-m", "trainers.weight_files", *request],
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * SECONDS,
            env={**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise WeightsRefused(f"{path.name} took longer than {5 * SECONDS} s to convert: send fewer tensors") from None
    if process.returncode == 0:
        report: dict[str, Any] = json.loads(process.stdout)
        return report
    if process.returncode < 0:
        raise WeightsRefused(
            f"{path.name} took more memory or time than a conversion may (ended by "
            f"{signal.Signals(-process.returncode).name}): convert it with `thermowell weights add` where a worker runs"
        )
    lines = process.stderr.strip().splitlines() or [f"the conversion ended with {process.returncode}"]
    raise WeightsRefused(lines[-1][:2000])


def _has_converter() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "safetensors"))
