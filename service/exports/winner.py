"""The winning configuration and all that it was trained with, as exports need it, from a job and its result."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from search import configurations
from search.errors import IllegalMove
from search.records import Job
from search.spec.job import JobSpec
from search.storage.stored import readable
from thermowell.api.answers import Result
from trainers.registry import augmentations, datasets, losses
from trainers.registry.plugins import is_plugin
from trainers.spec import Configuration

LINE = 100


@dataclass(frozen=True, slots=True)
class Winner:
    """A configuration, the spec it belongs to, and how many classes there are (None where only a worker knows)."""

    spec: JobSpec
    configuration: Configuration
    job_id: str
    summary: str
    classes: int | None

    @property
    def channels(self) -> int | None:
        """Of an image; None where only the files say."""
        return datasets.get(self.spec.built_in_parts.dataset.name).channels


def winner_of(job: Job, result: Result) -> Winner:
    """What an answered job recommends to train with; its winner, where its answer is of before verdicts were given."""
    with readable(f"the spec of job {job.id}"):
        spec = JobSpec.model_validate(dict(job.spec))
    if spec.trainer is not None:
        raise IllegalMove(
            "this job was trained by a program of its own, so that no other project knows its data and models: read "
            f"the winner's configuration at /v1/jobs/{job.id}/result"
        )
    classes = (job.teacher or {}).get("classes") or datasets.get(spec.built_in_parts.dataset.name).classes
    configuration = configurations.from_json((result.verdict or result.winner).configuration.stored())
    return Winner(spec, configuration, job.id, result.summary, classes)


def differences(winner: Winner) -> list[str]:
    """What neither of the other projects can say, in sentences; those that concern this winner alone."""
    spec, configuration, parts = winner.spec, winner.configuration, winner.spec.built_in_parts
    sentences = [
        f"Thermowell kept {parts.dataset.validation_fraction:g} of the training images for validation and chose by "
        "them. Here all are trained on, and the test images are looked at after every epoch: take the last epoch, "
        "not the best one.",
        "Thermowell leaves out what remains of an epoch after its whole batches.",
    ]
    if parts.dataset.train_size is not None:
        sentences.append(f"Only {parts.dataset.train_size} training images were used.")
    sentences += _origins(spec)
    sentences += _distillation(spec, configuration)
    if configuration.student_temperature not in (None, configuration.temperature):
        sentences.append(
            f"The student's temperature was {configuration.student_temperature:g}; here it is the teacher's, "
            f"{configuration.temperature:g}."
        )
    sentences += _parameters(configuration)
    if spec.training.schedule.warmup_epochs and "warmup_share" not in configuration.parameters:
        sentences.append(
            f"The learning rate rose linearly over the first {spec.training.schedule.warmup_epochs} epochs."
        )
    if spec.precision == "bf16":
        sentences.append("Training was in bfloat16.")
    return sentences


def _parameters(configuration: Configuration) -> list[str]:
    """What is said of the named parameters beside the method's own weights."""
    words = {
        "warmup_share": "The learning rate rose linearly over the first {:.4g} of all steps.",
        "final_factor": "The cosine fell towards {:.4g} of the learning rate; here it falls to 0.",
        "label_smoothing": "The student's labels were smoothed by {:.4g}; here they are not.",
    }
    values = {name: configuration.number(name, 0.0) for name in words}
    return [words[name].format(value) for name, value in values.items() if value]


def _distillation(spec: JobSpec, configuration: Configuration) -> list[str]:
    """What is said of the term and of T's way: the other projects' files have plain KL at one T."""
    rule, sentences = spec.distillation, []
    if configuration.kd_weight == 0:
        sentences.append("Distillation does not help here: the distillation term has no weight, and T says nothing.")
    if rule.method != losses.PLAIN:
        trained = rule.to_trained()
        weights = ", ".join(
            f"{name} {configuration.number(name, getattr(trained, name)):g}" for name in losses.get(rule.method).weights
        )
        sentences.append(
            f"The distillation term was {rule.method}{weights and f' ({weights})'}, not plain KL as here: "
            f"{losses.summary(rule.method)}. Put it in the place of the KL loss; docs/methods.md has its equation."
        )
    if configuration.final_temperature is not None:
        sentences.append(
            f"T went from {configuration.temperature:.4g} to {configuration.final_temperature:.4g} along a "
            f"{rule.schedule} schedule; here it stays where it began."
        )
    augmentation = spec.built_in_parts.dataset.augmentation
    if is_plugin(augmentation):
        sentences.append(f"Images were augmented by the plugin's {augmentation}; here they are not.")
    if augmentations.get(augmentation).mix is not None:
        sentences.append(
            "Images and labels were mixed (mixup or cutmix), and the teacher was asked of the mixed image: here they "
            "are not."
        )
    return sentences


def _origins(spec: JobSpec) -> list[str]:
    """What is said of where classes, teacher and student come from."""
    sentences, parts = [], spec.built_in_parts
    if parts.dataset.classes is not None:
        sentences.append(
            f"Images were sorted into coarser classes than {parts.dataset.name}'s own (dataset.classes): put the "
            "labels through class_map in the job's student.json."
        )
    targets = parts.dataset.known_targets
    if targets not in (None, "classes"):
        sentences.append(
            f"The data have {losses.WORDS[targets]}; the losses here are those of one class: take the ones of "
            "docs/methods.md."
        )
    for number, teacher in enumerate(parts.teacher.each().values()):
        subject = "The teacher" if parts.teacher.members is None else f"The ensemble's teacher {number}"
        if teacher.label_smoothing:
            sentences.append(f"{subject} was trained with label smoothing {teacher.label_smoothing:g}.")
        if teacher.origin is not None:
            data = teacher.origin.pretrained_on
            start = "began with weights of a file" if data is None else f"was pretrained on {data.dataset.name}"
            sentences.append(f"{subject} {start}, then finetuned ({teacher.origin.finetune}).")
        if teacher.stop_epoch is not None:
            sentences.append(f"{subject} was taken at epoch {teacher.stop_epoch} of its training.")
    if parts.student.initial is not None and parts.student.initial.source != "random":
        sentences.append(
            f"Students began with weights that were {parts.student.initial.source} beforehand (student.initial); here "
            "they are random: load such weights first."
        )
    return sentences


def without_model(spec: JobSpec, role: str) -> str:
    """Why there is no model to name as the teacher, and what to do about it."""
    members = spec.built_in_parts.teacher.members
    if members is None:
        return f"The teacher was given as logits: name the model that they came from as {role}."
    return (
        f"The teacher was the mean of the logits of {len(members)} teachers, which is no model by itself: "
        f"make one that averages them, and name it as {role}."
    )


def describe_model(entry: Any) -> str:
    """A model of the spec in a line."""
    arguments = ", ".join(f"{name} {value}" for name, value in entry.arguments.items())
    return f"{entry.name} ({arguments})" if arguments else str(entry.name)


def head(winner: Winner, project: str, usage: str, unsaid: list[str]) -> str:
    """The comment on top of an exported file."""
    lines = [f"The recommended configuration of Thermowell's job {winner.job_id} ({winner.spec.name}) for {project}."]
    lines += [*textwrap.wrap(winner.summary, LINE), "", usage, "", "What this file cannot say, and what to mind:"]
    for sentence in unsaid:
        lines += textwrap.wrap(sentence, LINE, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)
