"""An operator's file looked over before an agent trains by it: what is wrong and where, and what each command runs.

Nothing is run, and no value of a variable or a secret is shown.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermowell.agent.commands import ALWAYS, PLACEHOLDER, Argument, Command, code_files, filled, read
from thermowell.errors import AgentError
from thermowell.plain import plain

FINE, WRONG = 0, 1
EXAMPLE = {
    "config": "$THERMOWELL_TRIAL/trial.json", "folder": "$THERMOWELL_TRIAL", "seed": 118_351, "epochs": 3,
    "job": "JOB", "trial": 0, "arm": "joint", "stage": "search", "temperature": 4.0, "kd_weight": 0.5,
    "label_weight": 0.5,
}  # fmt: skip
"""What a trial of some job would put in the place of placeholders."""
_SCRIPT = re.compile(r"[^{}]+\.(py|sh|pl|jl|R|lua|js)")


@dataclass(frozen=True)
class Finding:
    """What is wrong with one place of a command; a `note` only may be."""

    place: str
    words: str
    note: bool = False

    def __str__(self) -> str:
        return f"{'note ' if self.note else 'WRONG'}  {self.place}: {self.words}"


def check(path: Path, surroundings: Mapping[str, str], gpus: Sequence[str]) -> int:
    """Prints what a file's commands would run, and what is wrong with them; WRONG where anything is. AgentError where
    the file cannot be read.
    """
    commands, problems = read(path)
    wrong = [Finding(place, words) for place, words in problems]
    for name, command in commands.items():
        for line in describe(name, command, len(gpus)):
            print(plain(line))
        findings = list(findings_of(name, command, surroundings, gpus))
        for finding in findings:
            print(plain(f"  {finding}"))
        wrong += [finding for finding in findings if not finding.note]
        print()
    for place, words in problems:
        print(plain(str(Finding(place, words))))
    if wrong:
        print(
            f"{path}: {len(wrong)} thing{'s are' if len(wrong) > 1 else ' is'} wrong: mend this before an agent begins."
        )
        return WRONG
    print(f"{path}: {len(commands)} command{'s' if len(commands) > 1 else ''}, and nothing is wrong.")
    return FINE


def describe(name: str, command: Command, gpus: int) -> Iterator[str]:
    """What a command would run, where, for whom, and with what."""
    owners = "everybody" if command.owners is None else ", ".join(command.owners)
    shares = f", with {command.gpus:g} of {gpus} GPUs" if command.gpus else ""
    yield f"{name}: for jobs of {owners}, in {command.directory or Path.cwd()}{shares}"
    values = {name: f"{{{name}}}" for name in _unknown(command)} | _values(command)
    try:
        yield f"  runs       {shlex.join(filled(command.argv, values))}"
    except AgentError as error:  # a value that no program may get, as each job that gives it would hear
        yield f"  runs       nothing with its own defaults: {error}"
    for argument, rule in command.arguments.items():
        yield f"  argument   {argument}: {_rule(rule)}"
    origins = {
        **dict.fromkeys(command.environment.set, "set here"),
        **dict.fromkeys(command.environment.passed, "as here"),
    }
    origins |= {variable: f"from {file}" for variable, file in command.environment.files.items()}
    yield f"  variables  {', '.join([*ALWAYS, *(f'{variable} ({origin})' for variable, origin in origins.items())])}"
    fingerprint = command.fingerprint()
    if fingerprint is not None:
        yield f"  code       {len(code_files(command.code))} files, fingerprint {fingerprint[:12]}"
    yield f"  at its end SIGTERM, and SIGKILL {command.grace_seconds:g} s later"


def findings_of(name: str, command: Command, surroundings: Mapping[str, str], gpus: Sequence[str]) -> Iterator[Finding]:
    """What is wrong with a command on this machine."""
    directory = command.directory or Path.cwd()
    if not directory.is_dir():
        yield Finding(f"{name}.directory", f"{directory} is no folder here: make it, or name another")
    else:
        yield from _of_program(name, command, directory, surroundings)
    for parameter, place in _unknown(command).items():
        words = (
            f"{{{parameter}}} is no argument of this command: a job needs a parameter of this name to be trained by it"
        )
        yield Finding(f"{name}.argv.{place}", words, note=True)
    for variable in command.environment.passed:
        if variable not in surroundings:
            yield Finding(f"{name}.environment.pass", f"{variable} is not set here, so no trial gets it", note=True)
    for variable, file in command.environment.files.items():
        try:
            file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            yield Finding(f"{name}.environment.files.{variable}", f"cannot read {file}: {reason}")
    for place, pattern in enumerate(command.code):
        if not code_files([pattern]):
            yield Finding(f"{name}.code.{place}", f"no file here fits {pattern!r}: its changes would go unseen")
    if command.gpus > len(gpus):
        words = f"a trial takes {command.gpus:g} GPUs, and there are {len(gpus)} here (CUDA_VISIBLE_DEVICES)"
        yield Finding(f"{name}.gpus", words)


def _of_program(name: str, command: Command, directory: Path, surroundings: Mapping[str, str]) -> Iterator[Finding]:
    """The program and its script, where they are told without a placeholder."""
    program = command.argv[0]
    if not PLACEHOLDER.search(program):
        if os.sep in program:
            file = directory / program
            present = file.is_file() and os.access(file, os.X_OK)
        else:
            path = command.environment.set.get("PATH", surroundings.get("PATH"))
            present = shutil.which(program, path=path) is not None
        if not present:
            yield Finding(f"{name}.argv.0", f"no program {program} is here: install it, or give its whole path")
    for place, element in enumerate(command.argv[1:], 1):
        if _SCRIPT.fullmatch(element) and not element.startswith("-") and not (directory / element).is_file():
            yield Finding(f"{name}.argv.{place}", f"{directory / element} is not there: put it there, or mend its path")


def _unknown(command: Command) -> dict[str, int]:
    """The placeholders that a job's own parameters must stand for, each with the element that it first stands in."""
    examples, strangers = _values(command), dict[str, int]()
    for place, element in enumerate(command.argv):
        for match in PLACEHOLDER.finditer(element):
            if match[2] is not None and match[2] not in examples:
                strangers.setdefault(match[2], place)
    return strangers


def _values(command: Command) -> dict[str, Any]:
    """Example values of all placeholders that are known beforehand."""
    arguments = {name: _example(name, rule) for name, rule in command.arguments.items()}
    return {**EXAMPLE, "gpus": max(1, round(command.gpus)) if command.gpus else 0, **arguments}


def _example(name: str, rule: Argument) -> Any:
    if rule.default is not None:
        return rule.default
    if rule.choices is not None:
        return rule.choices[0]
    if rule.type in ("int", "float"):
        return rule.low if rule.low is not None else rule.high if rule.high is not None else 0
    return False if rule.type == "bool" else f"<{name}>"


def _rule(rule: Argument) -> str:
    """What an argument may be, in words."""
    if rule.choices is not None:
        words = ", ".join(map(str, rule.choices))
    elif rule.type == "bool":
        words = "true or false"
    elif rule.type == "text":
        words = f"a text like {rule.pattern}"
    else:
        words = "a whole number" if rule.type == "int" else "a number"
        words += "" if rule.low is None else f" from {rule.low:g}"
        words += "" if rule.high is None else f" to {rule.high:g}"
    return f"{words}; {'each job must give it' if rule.default is None else f'{rule.default} unless given'}"
