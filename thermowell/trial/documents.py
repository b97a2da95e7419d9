"""What a trial is to train: its claim as a document, its configuration by name, and metrics as plain numbers."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]
FAILURES = ("crashed", "diverged", "infeasible")
"""Why a trial may have no result: the program is to blame, or, by the other two, the configuration."""


class Configuration(dict):  # type: ignore[type-arg]
    """The settings to train with, each by its name, as a key or as an attribute.

    `temperature`, `kd_weight` and `label_weight` are always there; beside them stand the job's parameters, and, where
    the job names optimizers, `optimizer` (a dictionary with `name`) and its settings such as `learning_rate`.
    `parameters` has the job's parameters alone, and `document` all of it as the service said it.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document: Json = dict(document)
        self.parameters: Json = dict(document.get("parameters") or {})
        optimizer = document.get("optimizer") or {}
        settings = {name: value for name, value in optimizer.items() if name != "name" and value is not None}
        settings_of_space = {name: value for name, value in document.items() if name != "parameters"}
        super().__init__({**settings, **settings_of_space, **self.parameters})

    def __missing__(self, name: str) -> Any:
        raise KeyError(self._unknown(name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return dict.__getitem__(self, name)
        except KeyError:
            raise AttributeError(self._unknown(name)) from None

    def __reduce__(self) -> Any:
        return Configuration, (self.document,)

    def _unknown(self, name: str) -> str:
        return f"the configuration has no {name!r}{near(name, self)}"


@dataclass(frozen=True)
class Resume:
    """From where an earlier attempt was left: so many epochs are behind it, and what the script said there."""

    epoch: int
    at: str


@dataclass(frozen=True)
class Claim:
    """A trial as the service, or an agent's folder, describes it."""

    job: str
    number: int
    attempt: int
    stage: str
    arm: str
    seed: int
    configuration: Configuration
    objective: str | None
    direction: str
    epochs: int
    rungs: tuple[int, ...]
    resume: Resume | None
    test: bool
    command: str | None
    arguments: Json = field(default_factory=dict)


def read_claim(document: Mapping[str, Any]) -> Claim:
    """The claim of a document. ValueError where it lacks what a trial needs."""
    lacking = [name for name in ("configuration", "epochs", "seed") if document.get(name) is None]
    if lacking:
        raise ValueError(f"the trial's document lacks {', '.join(lacking)}: it must be a claim as the service sends it")
    resume = document.get("resume")
    return Claim(
        job=str(document.get("job", "")),
        number=int(document.get("trial", 0)),
        attempt=int(document.get("attempt", 1)),
        stage=str(document.get("stage", "search")),
        arm=str(document.get("arm", "joint")),
        seed=int(document["seed"]),
        configuration=Configuration(document["configuration"]),
        objective=document.get("objective"),
        direction=str(document.get("direction", "maximize")),
        epochs=int(document["epochs"]),
        rungs=tuple(document.get("rungs") or ()),
        resume=Resume(int(resume["epoch"]), str(resume["at"])) if resume else None,
        test=bool(document.get("test", False)),
        command=document.get("command"),
        arguments=dict(document.get("arguments") or {}),
    )


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as plain numbers: whatever `float` takes, tensors of one element among it. TypeError names the rest."""
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            plain[name] = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"the metric {name} must be a number, got {value!r}"[:300]) from None
    return plain


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are neither nan nor infinite."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def lacks(objective: str, metrics: Mapping[str, Any]) -> str:
    """What to say of metrics without the objective: what there is, and the nearest name."""
    names = ", ".join(metrics) if metrics else "nothing"
    return f"the objective is {objective}, and there is {names}{near(objective, metrics)}"


def near(name: str, names: Iterable[str]) -> str:
    """A suffix that suggests the nearest of the names, else lists them; empty where there are none."""
    words = [str(word) for word in names]
    close = difflib.get_close_matches(name, words, n=1, cutoff=0.6)
    if close:
        return f": did you mean {close[0]}?"
    return f": there are {', '.join(words)}" if words else ""
