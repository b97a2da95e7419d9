"""A spec from another project's configuration file: what both readers share, and its text with what was left behind."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from search.errors import ThermowellError
from trainers import catalogue
from trainers.registry import optimizers

LINE = 100
SEARCHED = (1.0, 40.0)
"""Temperatures that the spec searches; a file's own T, if it lies outside, is an end."""


class _Dumper(yaml.SafeDumper):
    """Repeats what occurs twice: a spec has no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


class FileUnknown(ThermowellError):
    """The file is no configuration of that project; the message says what is missing and what was expected."""

    slug = "file-unknown"


@dataclass(slots=True)
class Conversion:
    """A spec in the making, and in sentences what of the file it does not say."""

    document: dict[str, Any]
    unsaid: list[str] = field(default_factory=list)

    def text(self, project: str, file: str) -> str:
        """The spec as YAML, under a comment that says what could not be taken over."""
        lines = [f"Made of {file}, a configuration of {project}. T is searched; the file's own is tried first."]
        lines += ["", "What could not be taken over, and what to mind:"] if self.unsaid else []
        for sentence in self.unsaid:
            lines += textwrap.wrap(sentence, LINE, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
        head = "".join(f"# {line}".rstrip() + "\n" for line in lines)
        return head + yaml.dump(self.document, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def teacher_is_trained(project: str) -> str:
    """What both projects do with a teacher, and what stands in its place."""
    return (
        f"{project} loads a teacher that was trained before; here it is trained first, as the student is. To bring "
        "yours: `thermowell weights add FILE --model NAME`, and source: weights with that digest."
    )


def read(text: str, project: str, needed: Sequence[str], loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> Any:
    """The document of a project's file, which has all parts that are needed. FileUnknown."""
    try:
        document = loader(text).get_single_data()
    except (yaml.YAMLError, ValueError) as error:
        raise FileUnknown(f"the file must be YAML: {error}") from None
    if not isinstance(document, Mapping) or not document.keys() >= set(needed):
        parts = f"{', '.join(needed[:-1])} and {needed[-1]}"
        raise FileUnknown(f"this is no configuration of {project}: it needs {parts}")
    return document


def part(document: Any, path: str, project: str) -> Any:
    """A part of a file by its dotted path. FileUnknown where it has none."""
    for name in path.split("."):
        if not isinstance(document, Mapping) or name not in document:
            raise FileUnknown(f"this is no configuration of {project} that can be read: it needs {path}")
        document = document[name]
    return document


def number(value: Any, path: str, project: str) -> float:
    """A number of a file. FileUnknown where it is none."""
    if isinstance(value, str):  # YAML reads 5e-4 as a word
        try:
            value = float(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FileUnknown(f"this is no configuration of {project} that can be read: {path} must be a number")
    return float(value)


def job(
    name: str,
    *,
    dataset: dict[str, Any],
    teacher: dict[str, Any],
    student: dict[str, Any],
    training: dict[str, Any],
    optimizer: dict[str, Any],
    temperature: float,
    kd_weight: float,
    label_weight: float,
) -> dict[str, Any]:
    """The spec's document: T searched, all else as the file has it. `optimizer` has its name among its settings."""
    low, high = SEARCHED
    settings = {key: value for key, value in optimizer.items() if key != "name"}
    space = {
        "temperature": {"low": min(low, temperature), "high": max(high, temperature)},
        "kd_weight": kd_weight,
        "label_weight": label_weight,
        "optimizer": {optimizer["name"]: settings},
    }
    return {
        "schema_version": 1,
        "name": name,
        "dataset": dataset,
        "teacher": {"source": "train", "model": teacher, "training": training, "optimizer": optimizer},
        "student": student,
        "training": training,
        "space": space,
        "warm_start": {"points": [{"temperature": temperature, "source": "the file"}]},
    }


def optimizer_of(
    key: str, settings: Mapping[str, Any], unsaid: list[str], parse: Callable[[Any, str], float]
) -> dict[str, Any]:
    """An optimizer by torch's name of it, with those of these settings that it has; else the default one."""
    record = next((record for record in optimizers.OPTIMIZERS.values() if record.key.lower() == key.lower()), None)
    if record is None:
        record = optimizers.get(optimizers.DEFAULT)
        unsaid.append(f"The optimizer {key} is not known here: {record.name} stands in its place. Choose another.")
    document: dict[str, Any] = {"name": record.name}
    for name in record.setting_names():
        if name in settings:
            document[name] = settings[name] if isinstance(settings[name], bool) else parse(settings[name], name)
    unsaid.extend(
        f"{name} {settings[name]} is left out: {record.name} has no such setting here."
        for name in settings
        if name not in record.setting_names() and settings[name]
    )
    return document


def check_model(model: dict[str, Any], role: str, unsaid: list[str]) -> dict[str, Any]:
    """A model as it is, with a word where this project does not know it."""
    if problems := catalogue.check_model(model["name"], model.get("arguments", {})):
        unsaid.append(f"{role}: {'; '.join(problems)}. Choose one before you submit.")
    return model
