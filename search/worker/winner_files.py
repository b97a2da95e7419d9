"""Files of a job's winning student: weights, papers, its own program, what other programs run, and a model card."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from search import units
from search.claims.finalization import ClosingClaim
from search.records import Trial
from search.states import Arm
from search.worker.engine_cache import EngineSession
from thermowell.api.answers import Result, Verdict
from thermowell.api.files import STUDENT_FILES, is_student_file
from thermowell.plugin import Inputs
from trainers import quality, student_files
from trainers.registry.local_models import is_local
from trainers.registry.plugins import is_plugin
from trainers.spec import to_jsonable
from trainers.teaching.prepared import Prepared
from trainers.zoo import weights

CARD = "README.md"
MEDIA_TYPES = {
    "student.safetensors": "application/octet-stream",
    "student.json": "application/json",
    "student.py": "text/x-python",
    "student.pt2": "application/octet-stream",
    "student.onnx": "application/octet-stream",
    CARD: "text/markdown",
}

_TASKS: Mapping[Inputs, str] = {
    "images": "image-classification",
    "tokens": "text-classification",
    "features": "tabular-classification",
}
"""What Hugging Face calls the task with such examples."""


def papers(claim: ClosingClaim, session: EngineSession, trial: Trial, verdict: Verdict | None) -> dict[str, Any]:
    """What somebody needs who loads the student elsewhere, and how good it was measured to be."""
    prepared = session.prepared
    described = student_files.description(prepared) if isinstance(prepared, Prepared) else {}
    return {
        "job": claim.job_id,
        "trial": trial.number,
        "seed": trial.seed,
        "student": to_jsonable(prepared.problem.student),
        "classes": prepared.classes,
        "class_map": prepared.class_map,
        "image_size": list(prepared.size),
        "channels": prepared.channels,
        "initial": claim.spec.built_in_parts.student.initial
        and claim.spec.built_in_parts.student.initial.model_dump(mode="json", exclude_none=True),
        "dataset": claim.spec.built_in_parts.dataset.model_dump(mode="json"),
        "training": claim.spec.training.model_dump(mode="json"),
        "fixed": dict(claim.fixed),
        "configuration": trial.configuration,
        "validation": trial.metrics,
        "test": trial.test_metrics,
        "verdict": verdict and {"kind": verdict.kind, "headline": verdict.headline, "action": verdict.action},
        "chosen": "best of the recommended configuration's students on validation; the answer's estimates speak of all "
        "of them",
        **described,
    }


def write(
    claim: ClosingClaim,
    session: EngineSession,
    trial: Trial,
    verdict: Verdict | None,
    student: Path,
    folder: Path,
    programs: bool,
) -> Iterator[Path]:
    """Writes the student's files into a folder and answers each, the card left out; of a replayed one its weights and
    papers alone. With `programs` also those that run without its program, where they can be made.
    """
    documents, prepared = papers(claim, session, trial, verdict), session.prepared
    target = folder / "student.safetensors"
    if isinstance(prepared, Prepared):
        student_files.stamped(weights.load(student), target, documents)
        if programs:
            documents["programs"] = student_files.programs(prepared, student, folder)
        student_name = prepared.problem.student.name
        if not is_plugin(student_name) and not is_local(student_name):  # whose code is its package's
            program = folder / "student.py"
            program.write_text(student_files.program(prepared.problem.student), encoding="utf-8")
            yield program
        yield from (folder / name for name in documents.get("programs", {}))
    else:
        target = student
    described = folder / "student.json"
    described.write_text(json.dumps(documents, indent=2, sort_keys=True), encoding="utf-8")
    yield described
    yield target


def card(claim: ClosingClaim, trial: Trial, result: Result, files: list[str]) -> str:
    """The student's model card, in the form of Hugging Face's: what it is, what was searched, how sure that is."""
    spec, metric = claim.spec, units.measure_of(claim.spec.objective)
    labels = trial.arm is Arm.LABEL_ONLY
    way = "trained on labels alone" if labels else f"distilled at {units.at_temperature(_temperature(trial))}"
    measured = (result.verdict and result.verdict.validation) or result.winner.validation
    mean, interval = measured.mean, measured.interval
    level = "not known" if mean is None else units.level(metric, mean)
    if interval is not None:
        level += f", {units.percent(interval.confidence)} interval {units.interval(metric, interval)}"
    parts = [
        f"---\n{yaml.safe_dump(_card_head(claim, trial), sort_keys=False, allow_unicode=True)}---",
        f"# {spec.name}: {spec.built_in_parts.student.name} {way}",
        _wrapped(result.summary),
        "## Use",
        _use(spec.built_in_parts.student.name, _inputs(claim)),
        "## What was searched",
        _wrapped(
            f"Thermowell's job {claim.job_id} searched temperature, loss weights and optimizer settings jointly with "
            f"{result.search_trials} students, and trained {result.trials} in all, {result.epochs} epochs. The loss: "
            f"{result.conventions}"
        ),
        f"```json\n{json.dumps(trial.configuration, indent=2, sort_keys=True)}\n```",
        "## How sure it is",
        _wrapped(f"Validation {metric.label} of this configuration: {level}. Intervals: {result.estimand}"),
        *(["\n".join(f"- {caution}" for caution in result.cautions)] if result.cautions else []),
        "## Files",
        "\n".join(f"- `{file}`: {STUDENT_FILES[file]}" for file in sorted({*files, CARD}) if is_student_file(file)),
    ]
    return "\n\n".join(parts) + "\n"


def _inputs(claim: ClosingClaim) -> Inputs:
    """What the student's examples are."""
    return student_files.inputs_of(claim.spec.built_in_parts.dataset.to_trained())


def _use(student: str, inputs: Inputs) -> str:
    """How a student is used; of a plugin's model by its package alone."""
    if is_local(student):
        return _wrapped(
            f"The model is `{student}`, of a local folder. In Python: `config = dict(...)`, which is `config` of "
            "`architecture` in `student.json`; `model = AutoModelForImageClassification.from_config("
            "AutoConfig.for_model(**config))`, or `AutoModelForSequenceClassification` for tokens; "
            "`model.load_state_dict(load_file('student.safetensors'))`. `student.pt2` and `student.onnx`, where "
            "they are there, run without transformers."
        )
    if not is_plugin(student) and inputs != "images":
        return "```\npip install torch pillow safetensors\n```\n\n" + _wrapped(
            "In Python `Student().classify(example)` names the class of one example's numbers, as the data set has "
            "them; "
            "`Student().logits(examples)` answers many."
        )
    if not is_plugin(student):
        return "```\npip install torch pillow safetensors\npython student.py PICTURE.png\n```"
    return _wrapped(
        f"The model is `{student}`, of a plugin: install its package, build the model with the arguments "
        "of `student.json`, and load `student.safetensors` into it. `student.pt2` and `student.onnx`, where they are "
        "there, run without it."
    )


def _temperature(trial: Trial) -> float:
    return float((trial.configuration or {})["temperature"])


def _card_head(claim: ClosingClaim, trial: Trial) -> dict[str, Any]:
    """The card's metadata, as Hugging Face's hub reads them."""
    data, measured = claim.spec.built_in_parts.dataset.name, trial.test_metrics or {}
    figures = [
        {"type": metric, "value": measured[metric], "name": f"test {name}"}
        for metric, name in {**units.NAMES, quality.OF_SEVERAL: quality.OF_SEVERAL.replace("_", " ")}.items()
        if metric in measured
    ]
    task = _TASKS[_inputs(claim)]
    result = {"task": {"type": task}, "dataset": {"name": data, "type": data}, "metrics": figures}
    return {
        "library_name": "pytorch",
        "pipeline_tag": task,
        "tags": ["knowledge-distillation", task, "thermowell"],
        "datasets": [data],
        "metrics": [claim.spec.objective.metric],
        "model-index": [{"name": claim.spec.name, "results": [result]}],
    }


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 120, break_long_words=False, break_on_hyphens=False))
