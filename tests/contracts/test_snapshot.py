"""What others rely on stays byte for byte: documents of v1, spec schema, texts, fingerprints, seeds and exports.

Each file of `snapshot/` holds what the program said when it was written. Where a change is wanted, and only adds, write
the files anew with `SNAPSHOT=write pytest tests/contracts/test_snapshot.py` and read the difference before you commit.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from search import configurations
from search.analysis.job import wording
from search.analysis.priors import context, literature, points
from search.claims import planner
from search.errors import SpecInvalid
from search.samplers.space import suggest
from search.spec.job import JobSpec
from search.spec.parsing import default_spec_yaml, parse_spec, spec_json_schema
from search.states import Arm, Stage
from service.app import create_app
from service.exports import mdistiller, torchdistill
from service.exports.winner import Winner
from service.pages import report
from service.plots import svg
from service.settings import Settings
from trainers import catalogue
from trainers.spec import Configuration

FOLDER = Path(__file__).with_name("snapshot")
EXAMPLES = Path(__file__).parents[2] / "examples"
WRITE = os.environ.get("SNAPSHOT") == "write"

OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"sgd": {}},
    "nesterov": {"sgd": {"momentum": {"low": 0.5, "high": 0.95}, "nesterov": True, "weight_decay": 0.0}},
    "adam": {"adam": {"learning_rate": [0.001, 0.01]}},
    "adamw": {"adamw": {}},
    "all": {"adamw": {"weight_decay": 0.01}, "adam": {}, "sgd": {"momentum": [0.0, 0.9]}},
}
METHODS: dict[str, dict[str, Any]] = {
    "kl": {"distillation": {"method": "kl"}},
    "kl, linear": {"distillation": {"schedule": "linear"}, "space": {"final_temperature": 1.0}},
    "zscore": {"distillation": {"method": "zscore"}},
    "zscore, step": {
        "distillation": {"method": "zscore", "schedule": "step", "step_at": 0.25},
        "space": {"final_temperature": {"low": 1, "high": 4}, "student_temperature": 2.0},
    },
    "dkd": {"distillation": {"method": "dkd"}},
    "dkd, weighed": {"distillation": {"method": "dkd", "alpha": 0.5, "beta": 2}},
    "dist": {"distillation": {"method": "dist", "gamma": 1}},
    "mse": {"distillation": {"method": "mse"}},
    "ctkd": {"distillation": {"method": "ctkd"}},
}
TEACHERS: list[dict[str, Any]] = [
    {"optimizer": {}},
    {"optimizer": {"name": "sgd", "momentum": 0.9, "nesterov": True}},
    {"optimizer": {"name": "adam", "learning_rate": 0.001}},
    {"optimizer": {"name": "adamw", "weight_decay": 0.1}, "training": {"schedule": {"name": "constant"}}},
    {"optimizer": {}, "training": {"schedule": {"name": "step", "step_epochs": [2, 4], "step_factor": 0.5}}},
]
REFUSED: list[dict[str, Any]] = [
    {"space": {"optimizer": {}}},
    {"space": {"optimizer": {"nothing": {}}}},
    {"space": {"optimizer": {"sgd": {"learning_rate": 0}}}},
    {"space": {"optimizer": {"sgd": {"learning_rate": 2000}, "adam": {"weight_decay": 2}}}},
    {"space": {"optimizer": {"sgd": {"momentum": 1}}}},
    {"space": {"optimizer": {"sgd": {"momentum": {"low": 0.0, "high": 0.5}, "nesterov": True}}}},
    {"space": {"optimizer": {"adamw": {"momentum": 0.9}}}},
    {"space": {"optimizer": {"adam": {"weight_decay": {"low": 0, "high": 0.1}}}}},
    {"teacher": {"optimizer": {"name": "nothing"}}},
    {"teacher": {"optimizer": {"name": "adam", "momentum": 0.9}}},
    {"teacher": {"optimizer": {"name": "adamw", "nesterov": True}}},
    {"teacher": {"optimizer": {"nesterov": True}}},
    {"teacher": {"optimizer": {"momentum": 1.0}}},
    {"distillation": {"method": "nothing"}},
    {"distillation": {"method": "zscore", "alpha": 1}},
    {"distillation": {"method": "dist", "alpha": 1}},
    {"distillation": {"method": "dkd", "gamma": 1}},
    {"distillation": {"beta": 1}},
    {"distillation": {"method": "mse", "schedule": "linear"}},
    {"distillation": {"method": "ctkd", "schedule": "cosine"}},
    {"distillation": {"method": "mse"}, "space": {"temperature": {"low": 1, "high": 2}}},
    {"distillation": {"method": "ctkd"}, "space": {"temperature": {"low": 1, "high": 2}}},
    {"distillation": {"method": "ctkd"}, "space": {"student_temperature": 2}},
    {"distillation": {"schedule": "linear"}},
    {"distillation": {"schedule": "nothing"}},
    {"training": {"schedule": {"name": "nothing"}}},
    {"training": {"schedule": {"name": "cosine", "step_epochs": [2]}}},
    {"dataset": {"name": "nothing"}},
    {"dataset": {"name": "digits", "augmentation": "nothing"}},
    {"student": {"name": "nothing"}},
    {"warm_start": {"points": [{"temperature": 4, "optimizer": "nothing"}]}},
    {"warm_start": {"points": [{"temperature": 4, "optimizer": "adam"}]}},
    {"warm_start": {"points": [{"temperature": 4, "optimizer": "adamw", "momentum": 0.9}]}},
    {"warm_start": {"points": [{"temperature": 4, "learning_rate": 0.1}]}},
    {"warm_start": {"points": [{"temperature": 4, "optimizer": "sgd", "learning_rate": 4}]}},
]


def document(**changes: Any) -> dict[str, Any]:
    """A spec that a user might send, with parts of it replaced."""
    teacher = {"model": {"name": "resnet", "arguments": {"depth": 56}}, "training": {"epochs": 8}, "optimizer": {}}
    whole: dict[str, Any] = {
        "name": "kept",
        "dataset": {"name": "CIFAR100", "augmentation": "crop_flip"},
        "teacher": teacher | changes.pop("teacher", {}),
        "student": {"name": "wrn", "arguments": {"depth": 16, "width": 1}},
        "seed": 3,
    }
    return whole | changes


def specs() -> Iterator[tuple[str, JobSpec]]:
    """Specs of each kind by name: the examples, and one for each optimizer, method and teacher above."""
    for path in sorted(EXAMPLES.glob("*.yaml")):
        yield path.name, parse_spec(path.read_bytes(), "yaml")
    for name, optimizer in OPTIMIZERS.items():
        yield f"optimizer {name}", JobSpec.model_validate(document(space={"optimizer": optimizer}))
    for name, changes in METHODS.items():
        yield f"method {name}", JobSpec.model_validate(document(**changes))
    for number, teacher in enumerate(TEACHERS):
        yield f"teacher {number}", JobSpec.model_validate(document(teacher=teacher))


def configurations_of(spec: JobSpec, arm: Arm, count: int) -> list[Configuration]:
    """What a random sampler with a fixed seed proposes for an arm."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=11))
    return [suggest(study.ask(), spec.space, arm, spec.distillation.method) for _ in range(count)]


def openapi(tmp_path: Path) -> Any:
    document = create_app(Settings(var=tmp_path)).openapi()
    del document["info"]["version"]  # a release changes it
    return document


def spec_schema(tmp_path: Path) -> Any:
    return spec_json_schema()


def described(tmp_path: Path) -> Any:
    return catalogue.describe()


def default_spec(tmp_path: Path) -> str:
    return default_spec_yaml()


def stored(tmp_path: Path) -> Any:
    """Specs as they are stored, in the order of their fields, and the digests that depend on them."""
    answer = {}
    for name, spec in specs():
        problem = spec.problem(spec.views(), "fp32")
        answer[name] = {
            "spec": spec.model_dump_json(),
            "problem": problem.fingerprint(),
            "teacher": problem.teacher_fingerprint(),
            "initial": problem.initial_fingerprint(),
        }
    return answer


def seeds(tmp_path: Path) -> Any:
    """Every seed, and what random draws make of a space: their order is that of the questions asked."""
    answer: dict[str, Any] = {}
    known = literature.evidence()
    for name, spec in specs():
        evidence = points.first_points(context.of_spec(spec), known, spec.space, 4, spec.seed)
        answer[name] = {
            "trials": [planner.trial_seed(spec.seed, number) for number in range(3)],
            "confirmation": planner.confirmation_seeds(spec, Stage.ESTIMATE, 0),
            **{arm.value: [configurations.to_json(one) for one in configurations_of(spec, arm, 3)] for arm in Arm},
            "drawn": configurations.to_json(points.draw(spec.space, random.Random(5))),
            "first": [configurations.to_json(one.configuration) for one in evidence],
        }
    return answer


def refusals(tmp_path: Path) -> Any:
    answer = []
    for changes in REFUSED:
        with pytest.raises(SpecInvalid) as caught:
            parse_spec(json.dumps(document(**changes)), "json")
        answer.append({"sent": changes, "problems": [dataclasses.asdict(one) for one in caught.value.problems]})
    return answer


def exports(tmp_path: Path) -> str:
    """Both exports of one winner for each spec."""
    parts = []
    for name, spec in specs():
        winner = Winner(spec, configurations_of(spec, Arm.JOINT, 1)[0], "0" * 16, "A summary: of one line.", 100)
        parts += [f"# --- {name}\n", mdistiller.export(winner), torchdistill.export(winner)]
    return "".join(parts)


def words(tmp_path: Path) -> Any:
    """How results are worded and coloured."""
    answer: dict[str, Any] = {"style": svg._style()}
    for name, spec in specs():
        configuration = configurations.to_json(configurations_of(spec, Arm.JOINT, 1)[0])
        answer[name] = [
            wording.conventions(spec),
            wording.configured(spec, configuration),
            report.configuration_words(configuration),
        ]
    return answer


DOCUMENTS: dict[str, Callable[[Path], Any]] = {
    "openapi.json": openapi,
    "spec_schema.json": spec_schema,
    "catalogue.json": described,
    "default_spec.yaml": default_spec,
    "stored.json": stored,
    "seeds.json": seeds,
    "refusals.json": refusals,
    "exports.txt": exports,
    "words.json": words,
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_stays_byte_for_byte(name: str, tmp_path: Path) -> None:
    made = DOCUMENTS[name](tmp_path)
    text = made if isinstance(made, str) else json.dumps(made, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    file = FOLDER / name
    if WRITE:
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")
