"""Default settings of a job, read from its spec: what is trained by hand, and what a check trains.

The arithmetic is that of `search.spec.parameters` and `search.configurations`; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thermowell.trial.documents import Json

FIXED_TEMPERATURE = {"label_only": 1.0, "t1": 1.0, "t4": 4.0}
SPACE = {"temperature": {"low": 1.0, "high": 40.0, "log": True}, "kd_weight": {"low": 0.1, "high": 1.0}}
EPOCHS = 3


def read_spec(path: Path) -> Json:
    """A job's spec from a file, JSON or YAML. OSError; ValueError; ImportError where YAML needs a package."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        document = json.loads(text)
    else:
        try:
            import yaml
        except ImportError:
            raise ImportError(
                f"{path} is YAML, for which pyyaml is missing: pip install pyyaml, or give the job as JSON"
            ) from None
        document = yaml.safe_load(text)
    if not isinstance(document, dict):
        raise ValueError(f"{path} must hold a job's spec: a mapping with space, training, ...")
    return document


def queue_of(spec: Mapping[str, Any]) -> str | None:
    """The name by which the trials of a spec are asked for."""
    trainer = spec.get("trainer") or {}
    queue = (trainer.get("external") or {}).get("queue") or trainer.get("command")
    return None if queue is None else str(queue)


def objective_of(spec: Mapping[str, Any]) -> tuple[str, str]:
    """The metric that is optimized, and its direction."""
    objective = spec.get("objective") or {}
    metric = str(objective.get("metric", "accuracy"))
    return metric, str(objective.get("direction") or ("minimize" if metric in ("nll", "ece") else "maximize"))


def epochs_of(spec: Mapping[str, Any]) -> int:
    """The most epochs of a trial."""
    return int((spec.get("training") or {}).get("epochs", EPOCHS))


def configuration_of(spec: Mapping[str, Any], arm: str = "joint") -> Json:
    """The configuration in which everything has its default, as a trial of this arm has it."""
    space: Json = {**SPACE, **(spec.get("space") or {})}
    kd_weight = float(default_of(space["kd_weight"]))
    label_weight = space.get("label_weight")
    parameters = {name: default_of(part) for name, part in sorted((space.get("parameters") or {}).items())}
    configuration: Json = {
        "temperature": float(default_of({"log": True, **_range(space["temperature"])})),
        "kd_weight": kd_weight,
        "label_weight": 1.0 - kd_weight if label_weight is None else float(default_of(label_weight)),
        "optimizer": _optimizer(space),
        "student_temperature": None,
        "parameters": parameters,
    }
    if arm in FIXED_TEMPERATURE:
        pin(configuration, space, FIXED_TEMPERATURE[arm])
    if arm == "label_only":
        configuration.update(kd_weight=0.0, label_weight=1.0)
    return configuration


def pin(configuration: Json, space: Mapping[str, Any], temperature: float) -> None:
    """Gives T, and every parameter that is a further temperature, one value."""
    configuration["temperature"] = temperature
    for name, part in (space.get("parameters") or {}).items():
        if isinstance(part, Mapping) and part.get("temperature"):
            configuration["parameters"][name] = temperature


def default_of(part: Any) -> Any:
    """A setting's default: its own, a range's or a list's middle, the first choice; a fixed value is itself."""
    group = _range(part)
    if "fixed" in group:
        return group["fixed"]
    if group.get("default") is not None:
        return _proper(group, group["default"])
    if "choices" in group:
        return group["choices"][0]
    if "values" in group:
        return _proper(group, group["values"][len(group["values"]) // 2])
    low, high = float(group["low"]), float(group["high"])
    return _proper(group, low**0.5 * high**0.5 if group.get("log") else low / 2 + high / 2)


def _range(part: Any) -> Json:
    """A setting as a mapping: a list alone is ordered where it has numbers alone."""
    if isinstance(part, Mapping):
        return dict(part)
    if isinstance(part, (list, tuple)):
        ordered = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in part)
        return {"values" if ordered else "choices": list(part)}
    return {"fixed": part}


def _proper(group: Mapping[str, Any], value: Any) -> Any:
    return round(value) if group.get("integer") and isinstance(value, (int, float)) else value


def _optimizer(space: Mapping[str, Any]) -> Json | None:
    """The first optimizer of the space with what the spec says of it; None where the training has one of its own."""
    optimizers = space.get("optimizer")
    if not isinstance(optimizers, Mapping) or not optimizers:
        return None
    name, settings = next(iter(optimizers.items()))
    return {"name": str(name), **{setting: default_of(part) for setting, part in (settings or {}).items()}}
