"""One trial without a service: default settings, so that a script runs by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thermowell.trial import defaults
from thermowell.trial.channels import Channel
from thermowell.trial.documents import Json

SEED = 0


def document_of(spec: Mapping[str, Any], settings: Mapping[str, Any], epochs: int | None, seed: int) -> Json:
    """The claim of a job's default settings, with those that the caller gives in their place."""
    configuration = defaults.configuration_of(spec)
    for name, value in settings.items():
        place = configuration if name in configuration else configuration["parameters"]
        place[name] = value
    if "kd_weight" in settings and "label_weight" not in settings:
        configuration["label_weight"] = 1.0 - float(settings["kd_weight"])
    metric, direction = defaults.objective_of(spec)
    return {
        "job": "alone",
        "trial": 0,
        "attempt": 1,
        "stage": "search",
        "arm": "joint",
        "seed": seed,
        "configuration": configuration,
        "objective": metric if spec else None,
        "direction": direction,
        "epochs": defaults.epochs_of(spec) if epochs is None else epochs,
        "rungs": [],
        "resume": None,
        "test": False,
        "command": None,
        "arguments": dict((spec.get("trainer") or {}).get("arguments") or {}),
    }


class AloneChannel(Channel):
    """Shows what is said of a trial, and keeps none of it."""

    def __init__(self) -> None:
        self._epoch = 0

    @property
    def folder(self) -> Path:
        """Below the working directory."""
        folder = Path("checkpoints") / "alone"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report(self, entry: Json, resume: Json | None) -> str | None:
        if entry["epoch"] > self._epoch:  # not where a checkpoint was saved behind it
            print(f"epoch {entry['epoch']}: {_shown(entry['metrics'])} ({entry['seconds']:.1f} s)", flush=True)
        self._epoch = max(self._epoch, int(entry["epoch"]))
        return None

    def complete(self, document: Json) -> None:
        test = f"; on the test part: {_shown(document['test'])}" if document.get("test") else ""
        print(f"complete at epoch {document['epoch']}: {_shown(document['metrics'])}{test}", flush=True)

    def fail(self, kind: str, detail: str, tail: str) -> None:
        print(f"failed, as {kind}: {detail}", flush=True)

    def give_back(self) -> None:
        print("given back", flush=True)

    def keep(self, name: str, content: bytes | Path) -> None:
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        print(f"{name} ({size} bytes) would be kept by the service", flush=True)


def _shown(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()) or "nothing"
