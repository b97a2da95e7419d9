"""Specs as people might write them, drawn by hypothesis: everything that is valid, the edges of it above all.

`documents()` draws what comes in by the door, `documents(stored=True)` also what was once taken and is still read: ends
that are denormal, ranges whose ends are neighbours, a confidence that rounds to one. Small budgets, so that a whole job
is played in a moment.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, get_args

from hypothesis import strategies as st

from search.spec.fields import LEAST, NARROWEST
from search.spec.job import COLDEST, MOST_CONFIDENCE, PrunerSpec

Strategy = st.SearchStrategy[Any]
TINY = 5e-324
ORDINARY = {  # where people search, of each setting: most draws lie there
    "temperature": (1.0, 40.0),
    "kd_weight": (0.1, 1.0),
    "learning_rate": (1e-3, 1.0),
    "weight_decay": (1e-6, 1e-2),
    "momentum": (0.5, 0.99),
}


def numbers(low: float, high: float, usual: tuple[float, float], *, zero: bool = False) -> Strategy:
    """Numbers from low to high, the ends, their neighbours and usual ones most of all; zero where it is allowed."""
    ends = [low, high, math.nextafter(low, high), math.nextafter(high, low), *usual, math.sqrt(low) * math.sqrt(high)]
    edges = st.sampled_from([end for end in ends if low <= end <= high] + ([0.0] if zero else []))
    return st.floats(*usual) | st.floats(low, high) | edges


@st.composite
def searched(draw: st.DrawFn, low: float, high: float, usual: tuple[float, float], zero: bool, stored: bool) -> Any:
    """A number, a range or a list of numbers, on either scale."""
    number = numbers(low, high, usual, zero=zero)
    kind = draw(st.sampled_from(["number", "range", "range", "list", "narrow"]))
    if kind == "number":
        return draw(number)
    if kind == "list":
        values = sorted(draw(st.sets(number, min_size=2, max_size=5)))
        logs = [False] if values[0] <= 0 else [False, True]
        return {"values": values, "log": draw(st.sampled_from(logs))}
    first = draw(number)
    second = math.nextafter(first, math.inf) if kind == "narrow" and stored else first * (1 + 4 * NARROWEST)
    if kind == "range":
        second = draw(number)
    ends = sorted((min(first, high), min(second, high)))
    apart = 0.0 if stored else NARROWEST * ends[1] * 1.01
    if not ends[1] - ends[0] > apart:
        return ends[1]
    log = draw(st.booleans()) if ends[0] > 0 else False
    return {"low": ends[0], "high": ends[1], "log": log}


@st.composite
def spaces(draw: st.DrawFn, stored: bool = False, method: str = "kl", schedule: str = "constant") -> dict[str, Any]:
    """What is searched, by a job of this method whose T goes along this schedule."""
    least, coldest = (TINY, TINY) if stored else (LEAST, COLDEST)

    def part(name: str, low: float, high: float, zero: bool = False) -> Strategy:
        return searched(low, high, ORDINARY.get(name, ORDINARY["temperature"]), zero, stored)

    temperature = part("temperature", coldest, 1e4)
    if method == "mse":
        temperature = st.floats(coldest, 1e4)
    elif method == "ctkd":
        temperature = searched(1.01, 20.9, (1.5, 20.0), False, stored)
    space: dict[str, Any] = {"temperature": draw(temperature)}
    if schedule != "constant":
        space["final_temperature"] = draw(part("final_temperature", coldest, 1e4))
    if method not in ("mse", "ctkd") and draw(st.booleans()):
        space["student_temperature"] = draw(part("student_temperature", coldest, 1e4))
    if draw(st.booleans()):
        space["kd_weight"] = draw(part("kd_weight", least, 1.0, zero=True))
    else:
        space["kd_weight"] = draw(part("kd_weight", least, 1e3, zero=True))
        space["label_weight"] = draw(part("kd_weight", least, 1e3, zero=True))
    optimizers: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(["sgd", "adam", "adamw"]), min_size=1, max_size=3, unique=True)):
        optimizers[name] = {
            "learning_rate": draw(part("learning_rate", least, 1e3)),
            "weight_decay": draw(part("weight_decay", least, 1.0, zero=True)),
        }
        if name == "sgd":
            optimizers[name]["momentum"] = draw(part("momentum", least, 0.9999, zero=True))
    return space | {"optimizer": optimizers}


@st.composite
def documents(draw: st.DrawFn, stored: bool = False) -> dict[str, Any]:
    """A whole spec with a small budget."""
    method = draw(st.sampled_from(["kl", "kl", "zscore", "dkd", "mse", "dist", "ctkd"]))
    schedules = ["constant"] if method in ("mse", "ctkd") else ["constant", "constant", "linear", "cosine", "step"]
    schedule = draw(st.sampled_from(schedules))
    epochs = draw(st.integers(1, 6))
    names = get_args(PrunerSpec.model_fields["name"].annotation)
    pruners = ["none", "auto"] if epochs < 2 else names
    confidences = [0.9, 0.5000000001, MOST_CONFIDENCE] + ([1 - sys.float_info.epsilon / 2] if stored else [])
    return {
        "name": "drawn",
        "dataset": {"name": "digits"},
        "teacher": {"source": "logits", "artifact": "0" * 64},
        "student": {"name": "mlp"},
        "training": {"epochs": epochs},
        "distillation": {"method": method, "schedule": schedule},
        "space": draw(spaces(stored, method, schedule)),
        "objective": {"metric": draw(st.sampled_from(["accuracy", "nll", "ece"]))},
        "sampler": {
            "name": draw(st.sampled_from(["gp", "gp", "tpe", "cmaes", "qmc", "random"])),
            "startup_trials": draw(st.integers(1, 6)),
        },
        "pruner": {"name": draw(st.sampled_from(pruners)), "min_epochs": 1, "startup_trials": draw(st.integers(0, 5))},
        "budget": {"trials": draw(st.sampled_from([1, 2, 6, 9, 12]))},
        "baselines": {"share": draw(st.sampled_from([0.0, 0.25, 1.0]) | st.floats(TINY, 1e-3))},
        "confirmation": {
            "finalists": draw(st.integers(1, 4)),
            "select_seeds": draw(st.integers(1, 3)),
            "estimate_seeds": draw(st.integers(2, 3)),
            "confidence": draw(st.sampled_from(confidences)),
            "delta": draw(st.sampled_from([0.002, TINY if stored else LEAST, 1 - 1e-12]) | st.floats(1e-6, 0.5)),
        },
        "seed": draw(st.integers(0, 2**31 - 1)),
    }


@st.composite
def own_documents(draw: st.DrawFn) -> dict[str, Any]:
    """A spec of a training of one's own: parameters of any kind, no optimizer or one, a metric of any name or ours."""
    document = draw(documents().filter(lambda drawn: drawn["distillation"] == {"method": "kl", "schedule": "constant"}))
    space = {**document["space"], "parameters": draw(parameters())}
    if draw(st.sampled_from([True, True, False])):
        space["optimizer"] = None
    objective = document["objective"]
    if draw(st.booleans()):
        maximize = draw(st.booleans())
        objective = {"metric": "eval/f1", "direction": "maximize" if maximize else "minimize"}
        ends = {"low": 0.0, "high": draw(st.sampled_from([1.0, LARGEST]))}
        curve = document["pruner"]["name"] == "curve"
        kept = {"high" if maximize else "low"} if curve else set()
        objective |= {end: value for end, value in ends.items() if end in kept or draw(st.booleans())}
        objective |= draw(st.sampled_from([{}, {"unit": "%"}, {"unit": "BLEU"}]))
    if not isinstance(space["temperature"], dict):  # something must be searched
        space["temperature"] = {"low": 1.0, "high": 4.0}
    dataset = {"name": "replay", "path": "own.parquet"}
    confirmation = document["confirmation"] | {"delta": draw(st.floats(1e-6, 0.5))}
    return document | {"dataset": dataset, "space": space, "objective": objective, "confirmation": confirmation}


Outcome = Callable[[int], float | None]
LARGEST = 3.4e38  # what single precision holds
OUTCOMES = ("ordinary", "equal", "nearly equal", "some diverge", "all diverge", "one completes", "wild")


@st.composite
def outcomes(draw: st.DrawFn, metric: str) -> Outcome:
    """What trials come to, by number: a value of the metric, or None where the student diverged."""
    kind = draw(st.sampled_from(OUTCOMES))
    chance = draw(st.floats(0, 1))
    most = LARGEST if metric == "nll" else 1.0

    def outcome(number: int) -> float | None:
        drawn = math.fmod(abs(math.sin(12.9898 * (number + 1) + 78.233 * chance)) * 43758.5453, 1.0)
        if kind == "equal":
            return 0.5
        if kind == "nearly equal":
            return 0.5 + number * sys.float_info.epsilon
        if kind == "all diverge" or (kind == "some diverge" and drawn < 0.4) or (kind == "one completes" and number):
            return None
        if kind == "wild":
            return (0.0, most, TINY, drawn)[number % 4]
        return 0.9 + 0.05 * drawn

    return outcome


@st.composite
def parameters(draw: st.DrawFn) -> dict[str, Any]:
    """Named parameters of a training of one's own, each kind of them, in spaces whose optimizer is the training's."""
    words = st.text("abcxyz -é", min_size=1, max_size=6)
    found: dict[str, Any] = {}
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["range", "whole", "values", "choices", "fixed"]))
        low = draw(st.floats(1e-6, 1e3))
        if kind == "range":
            part: Any = {"low": low, "high": low * draw(st.floats(1.01, 1e6)), "log": draw(st.booleans())}
            part["temperature"] = draw(st.booleans())
        elif kind == "whole":
            first = draw(st.integers(1, 100))
            part = {
                "low": first,
                "high": first + draw(st.integers(1, 3000)),
                "integer": True,
                "log": draw(st.booleans()),
            }
        elif kind == "values":
            part = {"values": sorted(draw(st.sets(st.integers(1, 512), min_size=2, max_size=5))), "integer": True}
        elif kind == "choices":
            part = draw(st.lists(words, min_size=2, max_size=4, unique=True))
        else:
            part = draw(st.integers(-5, 5) | st.booleans() | words | st.floats(-1e6, 1e6))
        found[f"p{number}"] = part
    return found
