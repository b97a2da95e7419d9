"""What every command has in common: where the service is, how an answer is printed, and with which code it ends."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from thermowell.api.jobs import Preflight
from thermowell.errors import Refused, Unreachable
from thermowell.plain import json_text, plain
from thermowell.sync.client import Client

ID_LENGTH = 16
IDENTIFIER = re.compile(r"[0-9a-f]{1,16}")
Url = Annotated[str, typer.Option("--url", envvar="THERMOWELL_URL", help="Where the service is.")]
Key = Annotated[
    str | None, typer.Option("--key", envvar="THERMOWELL_KEY", help="An API key.", show_default=False, show_envvar=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, its first characters, or its name.")]


class Exit(IntEnum):
    """How a command ended; scripts may rely on it."""

    OK = 0
    FAILED = 1  # the job failed or was cancelled, or a check found something wrong
    USAGE = 2
    REFUSED = 3  # the service, or the database's state, refused
    UNREACHABLE = 4  # neither the service nor the database answers
    NOT_READY = 5  # there is no answer yet: ask again later
    INTERRUPTED = 130


class PlainConsole(Console):
    """A console to which words of others do nothing: neither markup, nor emoji codes, nor escape sequences."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, markup=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """What is shown, without the control characters that are not the console's own."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(plain(segment.text), segment.style)


def stdout() -> Console:
    """Where answers go."""
    return PlainConsole()


def stderr() -> Console:
    """Where everything else goes."""
    return PlainConsole(stderr=True)


def print_json(document: Any) -> None:
    """One document on the standard output, as it is."""
    print(json_text(document, indent=2))


def fail(message: str, code: Exit) -> NoReturn:
    """Says what is wrong on the error output, and ends."""
    stderr().print(message, markup=False, soft_wrap=True)
    raise typer.Exit(code)


@contextmanager
def connected(url: str, key: str | None, as_json: bool = False) -> Iterator[Client]:
    """A client for the length of a command; what the service refuses ends the command with its exit code."""
    try:
        with Client(url, key) as client:
            yield client
    except Refused as refused:
        if as_json:
            print(json_text(refused.problem), file=sys.stderr)
        else:
            say_problem(refused.problem)
        raise typer.Exit(Exit.NOT_READY if refused.slug == "not-ready" else Exit.REFUSED) from None
    except Unreachable as unreachable:
        fail(
            f"{unreachable}\nStart it with `thermowell serve`, or name another with --url.",
            Exit.UNREACHABLE,
        )


def say_problem(problem: dict[str, Any]) -> None:
    """A problem as people read it: what, and each field that is wrong."""
    out = stderr()
    out.print(str(problem.get("title", "Refused")), style="bold red", end="")
    fields = problem.get("errors") or []
    if not fields:
        out.print(": " + str(problem.get("detail", "")), markup=False, soft_wrap=True)
        return
    out.print()
    for field in fields:
        line = f" (line {field['line']})" if field.get("line") else ""
        out.print(f"  {field['path'] or 'document'}{line}: {field['message']}", markup=False, soft_wrap=True)


def say_preflight(preflight: Preflight | None) -> None:
    """What a spec would lack on the workers that are alive, and how long it would take; nothing where none is known."""
    if preflight is None:
        return
    out = stderr()
    for warning in preflight.warnings:
        out.print(f"Warning: {warning.path}: {warning.detail}.", markup=False, soft_wrap=True)
    out.print(f"Expected: {preflight.expected}.", markup=False, soft_wrap=True)


def full_id(client: Client, word: str) -> str:
    """A job's whole id from its id, the first characters of it, or its name."""
    matches = [] if IDENTIFIER.fullmatch(word) else [job.id for job in client.jobs(name=word)]
    if IDENTIFIER.fullmatch(word) and len(word) >= ID_LENGTH:
        return word
    if not matches:
        matches = [job.id for job in client.jobs() if job.id.startswith(word) or job.name == word]
    return only_match(matches, word, "job")


def only_match(matches: list[str], word: str, kind: str) -> str:
    """The one id that a word stands for; ends the command where there is none, or more than one."""
    plural = "studies" if kind == "study" else f"{kind}s"
    if not matches:
        listing = "thermowell list" if kind == "job" else f"thermowell {kind} list"
        fail(f"no {kind} has the name {word} or an id that begins so: `{listing}` shows what there is", Exit.REFUSED)
    if len(matches) > 1:
        ids = ", ".join(matches[:5])
        fail(
            f"{len(matches)} {plural} have the name {word} or an id that begins so, the newest first: {ids}",
            Exit.REFUSED,
        )
    return matches[0]
