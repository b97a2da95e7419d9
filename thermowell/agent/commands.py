"""The operator's file: which commands an agent runs, with which arguments, in which surroundings."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from thermowell.errors import AgentError

Value = bool | int | float | str
_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")
ALWAYS = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR")
"""Variables that every command gets, as the agent has them."""
_SECRET = re.compile(r"^THERMOWELL_")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Argument(_Part):
    """What a job may say for one argument of a command: one of some choices, a number in a range, a switch, or a text
    that fits a pattern.
    """

    choices: list[int | float | _Text] | None = Field(None, min_length=1, max_length=1000)
    type: Literal["int", "float", "bool", "text"] | None = None
    low: float | None = None
    high: float | None = None
    pattern: str | None = Field(None, description="of a text, whole")
    default: Value | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Argument:
        if (self.choices is None) == (self.type is None):
            raise ValueError("give choices, or type: int, float, bool or text")
        if self.type == "text" and self.pattern is None:
            raise ValueError("a text needs a pattern that it must fit, such as '[a-z0-9-]+'")
        if self.pattern is not None:
            re.compile(self.pattern)
        if self.default is not None and (words := self.refusal(self.default)):
            raise ValueError(f"the default {words}")
        return self

    def refusal(self, value: object) -> str | None:
        """What a value should be instead, where it is not allowed."""
        if self.choices is not None:
            matches = [choice for choice in self.choices if choice == value and not isinstance(value, bool)]
            return None if matches else f"must be one of {', '.join(map(str, self.choices))}"
        if self.type == "bool":
            return None if isinstance(value, bool) else "must be true or false"
        if self.type == "text":
            fits = isinstance(value, str) and "\0" not in value and re.fullmatch(self.pattern or "", value)
            return None if fits else f"must be a text like {self.pattern}"
        whole = isinstance(value, int) or (isinstance(value, float) and self.type == "float")
        if isinstance(value, bool) or not whole or not isinstance(value, (int, float)):
            return "must be a whole number" if self.type == "int" else "must be a number"
        if self.low is not None and value < self.low:
            return f"must be at least {self.low:g}"
        return f"must be at most {self.high:g}" if self.high is not None and value > self.high else None


class Environment(_Part):
    """A command's variables: what is passed on of the agent's, what is set, and what is read from files."""

    passed: list[_Variable] = Field(default_factory=list, alias="pass")
    set: dict[_Variable, _Text] = Field(default_factory=dict)
    files: dict[_Variable, Path] = Field(default_factory=dict, description="secrets: by variable, a file")

    @model_validator(mode="after")
    def _keeps_the_key(self) -> Environment:
        for name in (*self.passed, *self.set, *self.files):
            if _SECRET.match(name):
                raise ValueError(f"{name} is the agent's own: commands get none of its THERMOWELL_ variables")
        return self


class Command(_Part):
    """What an agent runs by a name: `argv` without a shell, where, with which variables, arguments and GPUs."""

    argv: list[_Text] = Field(min_length=1)
    directory: Path | None = None
    environment: Environment = Field(default_factory=lambda: Environment.model_validate({}))
    arguments: dict[_Variable, Argument] = Field(default_factory=dict)
    gpus: float = Field(0.0, ge=0, le=1024, description="of a trial; .5: two trials share one")
    grace_seconds: float = Field(30.0, ge=0, le=86_400)
    code: list[str] = Field(default_factory=list, description="files, as patterns: their fingerprint is the job's")
    owners: list[str] | None = Field(None, description="whose jobs: ids or names of keys; everybody's unless given")

    @model_validator(mode="after")
    def _whole_gpus(self) -> Command:
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(f"gpus is {self.gpus:g}: a trial takes a part of one GPU, or whole ones")
        return self

    def settled(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A job's arguments with the defaults of what it leaves out. AgentError for what is not allowed."""
        return settled(self.arguments, arguments)

    def offer(self) -> dict[str, Any]:
        """What jobs are to know of it; not what it runs, or where."""
        return self.model_dump(mode="json", include={"arguments", "gpus", "owners"})

    def variables(self, surroundings: Mapping[str, str]) -> dict[str, str]:
        """The command's environment, out of the agent's. AgentError for a secret that cannot be read."""
        names = [*ALWAYS, *self.environment.passed]
        values = {name: surroundings[name] for name in names if name in surroundings} | self.environment.set
        for name, file in self.environment.files.items():
            try:
                values[name] = file.read_text(encoding="utf-8").rstrip("\n")
            except OSError as error:
                raise AgentError(f"cannot read {name} from {file}: {error.strerror}") from error
        return values

    def fingerprint(self) -> str | None:
        """A digest of the code's files, by name and content; None where the operator names none."""
        if not self.code:
            return None
        digest = hashlib.sha256(json.dumps(self.argv).encode())
        for path in code_files(self.code):
            content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            digest.update(json.dumps([path, content]).encode())
        return digest.hexdigest()


def code_files(patterns: Iterable[str]) -> list[str]:
    """The files that fit any of some patterns, in order."""
    matches = {match for pattern in patterns for match in glob.glob(pattern, recursive=True)}
    return [path for path in sorted(matches) if os.path.isfile(path)]


def settled(rules: Mapping[str, Argument], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by their rules, with the defaults of what is left out. AgentError for what is not allowed."""
    if unknown := sorted(set(arguments) - set(rules)):
        offered = ", ".join(rules) or "none"
        raise AgentError(f"the command has no argument {', '.join(unknown)}; it takes {offered}")
    values: dict[str, Any] = {}
    for name, rule in rules.items():
        value = arguments.get(name, rule.default)
        if value is None:
            raise AgentError(f"the command needs the argument {name}: give it in trainer.arguments")
        if words := rule.refusal(value):
            raise AgentError(f"argument {name} {words}, got {value!r}")
        values[name] = value
    return values


class OwnCommand(Command):
    """A command on one's own machine: it has the surroundings in which the agent was started, but for its key."""

    def settled(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A job's arguments, as they are: whoever starts the agent has named the job."""
        return dict(arguments)

    def variables(self, surroundings: Mapping[str, str]) -> dict[str, str]:
        """All of the agent's environment but what is the agent's own."""
        return {name: value for name, value in surroundings.items() if not _SECRET.match(name)}


def filled(argv: list[str], values: Mapping[str, Any]) -> list[str]:
    """A command line whose `{name}` are replaced, each within its own element; `{{name}}` stays `{name}`.

    Nothing splits, and no shell reads it. A text that begins with "-" is refused where it would begin an element, since
    the program would take it for an option. AgentError.
    """
    return [_element(element, values) for element in argv]


def _element(element: str, values: Mapping[str, Any]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] is not None:
            return "{" + match[1] + "}"
        if match[2] not in values:
            raise AgentError(f"{element!r} asks for {match[0]}, but there is {', '.join(sorted(values))}")
        value = values[match[2]]
        words = json.dumps(value) if isinstance(value, (bool, list, dict)) or value is None else str(value)
        if "\0" in words:
            raise AgentError(f"{match[0]} has a null character in it: remove it")
        if isinstance(value, str) and words.startswith("-") and match.start() == 0:
            raise AgentError(
                f"{match[0]} is {words!r}, which a program would take for an option: write '--{match[2]}={match[0]}'"
            )
        return words

    return PLACEHOLDER.sub(replace, element)


def load(path: Path) -> dict[str, Command]:
    """The commands of an operator's file, YAML or JSON, by name. AgentError says what is wrong in it."""
    commands, problems = read(path)
    if problems:
        place, words = problems[0]
        raise AgentError(f"{path}: {place}: {words}")
    return commands


def read(path: Path) -> tuple[dict[str, Command], list[tuple[str, str]]]:
    """The commands of a file that are one, and what is wrong with the others: where, and in words. AgentError where it
    names no commands at all.
    """
    try:
        document = _parsed(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'it is no text'}") from error
    if not isinstance(document, dict) or not document:
        raise AgentError(f"{path} must name commands, such as `words: {{argv: [python, train.py, '{{config}}']}}`")
    commands: dict[str, Command] = {}
    problems: list[tuple[str, str]] = []
    for name, content in document.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            words = f"{name!r} cannot be a command's name: use letters, digits, '.', '_' and '-'"
            problems.append((str(name), words))
            continue
        try:
            commands[name] = Command.model_validate(content)
        except ValidationError as error:
            for problem in error.errors():
                place = ".".join(map(str, (name, *problem["loc"])))
                problems.append((place, problem["msg"].removeprefix("Value error, ")))
    return commands, problems


def _parsed(text: str, path: Path) -> Any:
    try:
        if path.suffix == ".json":
            return json.loads(text)
        import yaml
    except ImportError:
        raise AgentError(f"{path}: reading YAML needs `pip install pyyaml`; or write it as JSON, named .json") from None
    except ValueError as error:
        raise AgentError(f"{path} is no JSON: {error}") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise AgentError(f"{path} is no YAML: {error}") from None
