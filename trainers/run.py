"""The room's front door: make a problem ready, open an engine on it, and, with a permit, measure a student on test."""

from __future__ import annotations

import functools
import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from trainers import plugin_codes, quality, spec
from trainers.data import datasets, granularity
from trainers.data.views import Normaliser
from trainers.engines import choose as chooser
from trainers.engines import memory, replay
from trainers.engines.choose import Choice
from trainers.engines.engine import Engine
from trainers.engines.forms import EngineName, open_form
from trainers.engines.loop import LoopEngine
from trainers.engines.replay import ReplayEngine
from trainers.engines.warmup import Announce, silent
from trainers.errors import TrainingError
from trainers.registry import local_models, named, plugins
from trainers.registry.datasets import get as get_dataset
from trainers.replay.ready import Replayed, replayed
from trainers.spec import Configuration, Precision, Problem, Tested, TestPermit
from trainers.teaching import answer_faults, clusters, initial, logits, preprocessed, teacher
from trainers.teaching.prepared import Prepared, Roots
from trainers.teaching.test_split import SealedTest
from trainers.training import evaluate, precision, threads
from trainers.training.epoch import place, predict
from trainers.zoo import hugging_face, models, packaged, weights

__all__ = [
    "Choice",
    "Prepared",
    "Ready",
    "Replayed",
    "Roots",
    "capabilities",
    "choose",
    "evaluate_test",
    "faster_precision",
    "load_plugins",
    "open_engine",
    "prepare",
    "set_threads",
    "teacher_softness",
    "usable_threads",
]

Ready = Prepared | Replayed


def prepare(problem: Problem, roots: Roots, device: str = "auto") -> Ready:
    """Makes a problem ready to train, or its recorded runs ready to be replayed. Raises a TrainingError."""
    if problem.data.name == "replay":
        return replayed(problem, roots.data)
    return _prepare(problem, roots, device)


def _prepare(problem: Problem, roots: Roots, device: str) -> Prepared:
    """Loads the data, makes or loads the teacher's logits, and puts all of it on the device.

    `device` is auto (an accelerator where there is one), cpu, cuda or cuda:N. Raises a TrainingError, whose slug says
    which: DatasetMissing, DatasetInvalid, ModelUnavailable, TeacherInvalid or DiskBudgetExceeded.
    """
    on = _device(device)
    on_classes = clusters.resolved(problem, roots, on)
    split = datasets.load(on_classes.data, roots.data, roots.budget())
    models.check(problem.student, split.channels, split.size, split.classes)
    setting = teacher.Setting(on_classes, split, roots.store, on, roots.data, roots.shared)
    setting = preprocessed.with_colours(setting)
    for member in (setting.problem.teacher, *setting.problem.teacher.members):
        if member.model is not None:
            models.check(member.model, *teacher.input_shape(member, split), split.classes)
    tests = datasets.check_test(on_classes.data, roots.data, split, roots.store)
    setting, prepared = preprocessed.resolved(replace(setting, test_images=tests))
    answers = teacher.answers(setting)
    facts = replace(
        answers.facts,
        chance=evaluate.chance(split.validation.labels),
        preprocessing=prepared,
        faults=answer_faults.faults(setting, answers),
    )
    if quality.is_near_chance(facts):
        facts = preprocessed.with_measured(setting, facts)
    return Prepared(
        problem=problem,
        roots=roots,
        device=on,
        channels=split.channels,
        size=split.size,
        classes=split.classes,
        normalise=Normaliser.of(split, on),
        views=teacher.make_views(setting, problem.views),
        images=len(split.train.labels),
        train_labels=split.train.labels.to(on),
        train_logits=logits.placed(answers.train, on),
        validation_images=split.validation.images.to(on),
        validation_labels=split.validation.labels.to(on),
        validation_logits=answers.validation.to(on),
        facts=facts,
        test=SealedTest(setting),
        start=initial.start(setting),
        class_map=granularity.coarse_labels(on_classes.data),
    )


def choose(
    prepared: Ready,
    *,
    most_lanes: int,
    work: int,
    store: Path,
    force: EngineName | None = None,
    threads: int | None = None,
    announce: Announce = silent,
) -> Choice:
    """The engine for a job that has `work` epochs of students to train (see `trainers.engines.choose`); where runs are
    replayed there is no choice.
    """
    if isinstance(prepared, Replayed):
        return Choice("replay", most_lanes, False, 0, 1, (), "recorded runs are replayed: nothing is trained")
    return chooser.choose(
        prepared, most_lanes=most_lanes, work=work, store=store, force=force, threads=threads, announce=announce
    )


def open_engine(prepared: Ready, choice: Choice | int = 1) -> Engine:
    """The engine that was chosen, on torch's present threads; a loop of so many lanes where a number is given."""
    if isinstance(prepared, Replayed):
        return ReplayEngine(prepared, choice if isinstance(choice, int) else choice.lanes)
    return LoopEngine(prepared, choice) if isinstance(choice, int) else open_form(prepared, choice.form())


def evaluate_test(prepared: Ready, student: Path, configuration: Configuration, permit: TestPermit) -> Tested:
    """The metrics on the test part of the student in a file that `save_student` wrote.

    Raises TestSplitSealed without a permit, TeacherInvalid where the file or the teacher does not fit,
    evaluate.NotFinite where the student has diverged.
    """
    if isinstance(prepared, Replayed):
        return replay.tested(prepared, student, configuration, permit)
    problem = prepared.problem
    part, teacher_logits = prepared.test.open(permit)
    model = models.build(problem.student, prepared.channels, prepared.size, prepared.classes, seed=0)
    weights.fill(model, weights.load(student), f"the student in {student.name}")
    logits = predict(place(model, prepared.device), part.images, prepared.normalise, problem.precision).cpu()
    metrics = evaluate.measure(logits, part.labels, teacher_logits, configuration.temperature)
    right = evaluate.right(logits, part.labels).numpy()
    return Tested(metrics, len(right), np.packbits(right).tobytes())


def teacher_softness(prepared: Ready, temperatures: Sequence[float]) -> list[float]:
    """Mean entropy (nats) of softmax(z / T) of the teacher's logits on validation, for each T; of several labels the
    mean of each one's own.
    """
    if isinstance(prepared, Replayed):
        return prepared.softness(temperatures)
    logits, targets = prepared.validation_logits, prepared.targets
    return [float(evaluate.entropy(logits, temperature, targets)) for temperature in temperatures]


def capabilities() -> dict[str, Any]:
    """What this process can train on and with, as plain JSON, for the worker's heartbeat."""
    device = _device("auto")
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "bf16": precision.has_bf16(device),
        "cores": os.cpu_count(),
        "memory_gb": memory.total_gb(device),
        "threads": torch.get_num_threads(),
        "extras": [
            *(["timm"] if models.has_timm() else []),
            *(["transformers"] if hugging_face.is_installed() else []),
        ],
        **({"weights": _weights()} if named.present() else {}),
        **_plugins(),
    }


def load_plugins(names: Sequence[str]) -> Mapping[str, str]:
    """Loads the plugins of these distributions or entry points; what could not be loaded, with the reason."""
    return plugins.load(names).errors


def find_weights(hf_root: Path | None = None) -> None:
    """Looks for weights of installed packages and caches, which specs may name; local models lie below `hf_root`."""
    packaged.find()
    local_models.set_root(hf_root)


def local_model_names() -> list[str]:
    """The models below the root that `find_weights` was given."""
    return local_models.listing()


def _weights() -> list[dict[str, Any]]:
    """Those that can be read."""
    documents = []
    for entry in named.present().values():
        with suppress(OSError):
            documents.append(entry.document())
    return documents


def _plugins() -> dict[str, Any]:
    """The plugins of this process, where it was to load any."""
    present = plugins.loaded()
    if not present.enabled:
        return {}
    return {
        "plugins": [plugin.document() for plugin in present.records.values()],
        "plugin_errors": dict(present.errors),
    }


def faster_precision(problem: Problem) -> Precision:
    """In which precision the problem's student is trained faster on this process's device: on an accelerator bf16 where
    it has it; on a processor that has it, as a short try says, which is made once for each kind of student.

    Of images whose channels and size only their files can tell, three channels of 32 x 32 are assumed.
    """
    device = _device("auto")
    has_plugin = any(kind != plugin_codes.WEIGHTS for kind, _ in plugin_codes.names(problem))
    if problem.data.name == "replay" or has_plugin or not precision.has_bf16(device):
        return "fp32"
    if device.type == "cuda":
        return "bf16"
    entry, student = get_dataset(problem.data.name), problem.student
    side = problem.data.image_size or entry.size or 32
    arguments = json.dumps(dict(student.arguments), sort_keys=True)
    return _tried(student.name, arguments, entry.channels or 3, side, problem.training.batch_size)


@functools.lru_cache
def _tried(name: str, arguments: str, channels: int, side: int, batch_size: int) -> Precision:
    student, size, classes = spec.Model(name, json.loads(arguments)), (side, side), 10
    try:
        models.check(student, channels, size, classes)
    except TrainingError:  # which the job will be told once its data are there
        return "fp32"
    model = models.build(student, channels, size, classes, seed=0)
    return precision.faster(model, channels, size, classes, batch_size)


def set_threads(count: int) -> None:
    """How many threads torch computes with, in this process; part of what makes numbers the same twice."""
    torch.set_num_threads(count)


def usable_threads() -> int:
    """How many threads torch may use to some effect, where nobody has set them."""
    return threads.usable()


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
