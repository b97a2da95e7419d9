"""The folder of a trial: what the agent and a command's program write down for each other.

trial.json        the claim, without its token         agent
reports.jsonl     an epoch's report a line             program
decisions.jsonl   by epoch, whether to stop            agent
result.json       the result, or why there is none     program
checkpoint/       whatever survives an attempt         program
artifacts/        files that are kept with the trial   program
log.txt           what was printed                     supervisor
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thermowell.errors import AgentError
from thermowell.trial.documents import FAILURES
from thermowell.trial.folder import ARTIFACTS, CHECKPOINT, DECISIONS, DOCUMENT, REPORTS, RESULT

LONGEST_LINE, MOST_READ = 1_000_000, 8_000_000
TAIL_CHARACTERS = 20_000
_ARTIFACT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
Metrics = dict[str, float]


class Diverged(AgentError):
    """What was reported is no number that anything can be compared with."""


@dataclass(frozen=True)
class Report:
    """What an epoch came to, and from where a later attempt may go on."""

    epoch: int
    metrics: Metrics
    seconds: float
    resume: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        """As the service takes it."""
        return {"epoch": self.epoch, "metrics": self.metrics, "seconds": self.seconds}


@dataclass(frozen=True)
class Result:
    """How a program says that its trial ended: with metrics, or by a failure's type and detail."""

    epoch: int = 0
    metrics: Metrics | None = None
    test: Metrics | None = None
    failure: str | None = None
    detail: str = ""


class TrialFolder:
    """A trial's files on this machine; its checkpoint outlives attempts, all else is the attempt's."""

    def __init__(self, path: Path, objective: str) -> None:
        self.path, self.objective = path, objective
        self._position, self._line = 0, 0

    def begin(self, claim: Mapping[str, Any]) -> None:
        """Makes the folder ready for an attempt at a claimed trial."""
        for name in (REPORTS, DECISIONS, RESULT, "log.txt", "log.earlier"):
            (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / ARTIFACTS, ignore_errors=True)
        for folder in (self.path, self.path / CHECKPOINT, self.path / ARTIFACTS):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = {name: value for name, value in claim.items() if name != "token"}
        _write_whole(self.path / DOCUMENT, json.dumps(document, indent=2))

    def new_reports(self) -> list[Report]:
        """Epochs of whole lines that came since the last time. AgentError for a line that says none."""
        try:
            with (self.path / REPORTS).open("rb") as source:
                source.seek(self._position)
                content = source.read(MOST_READ)
        except FileNotFoundError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        if not whole and len(content) > LONGEST_LINE:
            raise AgentError(f"line {self._line + 1} of {REPORTS} does not end: end each report by a newline")
        self._position += len(whole)
        reports = []
        for line in whole.splitlines():
            self._line += 1
            if line.strip():
                reports.append(self._report(line))
        return reports

    def decide(self, epochs: list[int], stop: str | None) -> None:
        """Writes what the service decided of epochs."""
        lines = "".join(json.dumps({"epoch": epoch, "stop": stop}) + "\n" for epoch in epochs)
        with (self.path / DECISIONS).open("a", encoding="utf-8") as sink:
            sink.write(lines)

    def result(self) -> Result | None:
        """How the program says that it ended, where it does. AgentError; Diverged."""
        try:
            text = (self.path / RESULT).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        document = _object(text, RESULT)
        failure = document.get("fail")
        if failure is not None:
            kind = failure.get("type") if isinstance(failure, dict) else failure
            if kind not in FAILURES:
                raise AgentError(f"{RESULT} fails with type {kind!r}: it must be one of {', '.join(FAILURES)}")
            return Result(failure=kind, detail=str(failure.get("detail") or "") if isinstance(failure, dict) else "")
        epoch, test = document.get("epoch"), document.get("test")
        if not isinstance(epoch, int) or isinstance(epoch, bool):
            raise AgentError(f"{RESULT} must say the last epoch as a whole number, got {epoch!r}")
        measured = None if test is None else self._metrics(test, epoch, f"{RESULT}, test")
        return Result(epoch, self._metrics(document.get("metrics"), epoch, RESULT), measured)

    def ended(self) -> bool:
        """Whether the program has said how it ended."""
        return (self.path / RESULT).exists()

    def log_tail(self) -> str:
        """The end of what was printed."""
        text = b""
        for name in ("log.earlier", "log.txt"):
            path = self.path / name
            if path.exists():
                with path.open("rb") as source:
                    source.seek(max(0, path.stat().st_size - 4 * TAIL_CHARACTERS))
                    text += source.read()
        return text.decode("utf-8", errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")[-TAIL_CHARACTERS:]

    def artifacts(self) -> list[Path]:
        """The files to keep with the trial: plain ones, by a name that the service takes. AgentError for another."""
        paths = sorted((self.path / ARTIFACTS).glob("*"))
        for path in paths:
            if path.is_symlink() or not path.is_file() or not _ARTIFACT.fullmatch(path.name):
                raise AgentError(
                    f"{ARTIFACTS}/{path.name} cannot be kept: a plain file of letters, digits, '.', '_' and '-', "
                    "at most 80, and no link or folder"
                )
        return paths

    def _report(self, line: bytes) -> Report:
        place = f"line {self._line} of {REPORTS}"
        document = _object(line.decode("utf-8", errors="replace"), place)
        epoch, seconds, resume = document.get("epoch"), document.get("seconds") or 0.0, document.get("resume")
        if not isinstance(epoch, int) or isinstance(epoch, bool):
            raise AgentError(f"{place} must say its epoch as a whole number, got {epoch!r}")
        if not isinstance(seconds, (int, float)) or not 0 <= seconds < 1e9:
            raise AgentError(f"{place} says {seconds!r} seconds: they must be a number from 0")
        if isinstance(resume, str):
            resume = {"epoch": epoch, "at": resume}
        if resume is not None and not (isinstance(resume, dict) and set(resume) == {"epoch", "at"}):
            raise AgentError(f'{place}: resume must be {{"epoch": ..., "at": "..."}}, or the text of `at` alone')
        metrics = self._metrics(document.get("metrics"), epoch, place)
        return Report(epoch, metrics, float(seconds), resume)

    def _metrics(self, document: object, epoch: int, place: str) -> Metrics:
        """Metrics by name; one that is not finite is left out, and the objective is Diverged."""
        if not isinstance(document, dict):
            raise AgentError(f"{place} must have metrics as an object, by name, got {document!r}")
        metrics: Metrics = {}
        for name, value in document.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise AgentError(f"{place}: metric {name} must be a number, got {value!r}")
            if abs(value) <= sys.float_info.max:
                metrics[name] = float(value)
            elif name == self.objective:
                raise Diverged(f"{name} is {value} at epoch {epoch}")
        return metrics


def _object(text: str, place: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AgentError(f"{place} is no JSON: {error}") from None
    if not isinstance(document, dict):
        raise AgentError(f'{place} must be an object, such as {{"epoch": 1, "metrics": {{"accuracy": 0.8}}}}')
    return dict(document)


def _write_whole(path: Path, text: str) -> None:
    """Writes a file that is there whole or not at all."""
    draft = path.with_name(path.name + ".part")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)
