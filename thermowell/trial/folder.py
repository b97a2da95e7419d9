"""A trial in a folder of files, as an agent hands it to a command: the protocol of docs/own-training.md."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thermowell.errors import Unreachable
from thermowell.trial.channels import Channel
from thermowell.trial.documents import Json

ENVIRONMENT = "THERMOWELL_TRIAL"
DOCUMENT, REPORTS, DECISIONS, RESULT = "trial.json", "reports.jsonl", "decisions.jsonl", "result.json"
CHECKPOINT, ARTIFACTS = "checkpoint", "artifacts"
GIVE_BACK = 75
"""The exit code by which a command gives its trial back: EX_TEMPFAIL."""
DECISION_SECONDS = 900.0
"""So long a decision is waited for: longer than the service may be away."""
_POLLS = (0.002, 0.1)


def read_trial(folder: Path) -> Json:
    """The document of the trial in a folder. ValueError where there is none, or it is none."""
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"{ENVIRONMENT} is {folder}, where no {DOCUMENT} can be read ({error.strerror}): an agent writes it; to "
            f"train without one, unset {ENVIRONMENT}"
        ) from None
    except ValueError as error:
        raise ValueError(f"{folder / DOCUMENT} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError(f"{folder / DOCUMENT} must hold one JSON object")
    return document


class FolderChannel(Channel):
    """Appends reports to a file and reads the decisions that the agent appends to another."""

    exit_code = GIVE_BACK

    def __init__(self, folder: Path, patience: float = DECISION_SECONDS) -> None:
        self._folder, self._patience = folder, patience

    @property
    def folder(self) -> Path:
        """It survives the attempts on this machine."""
        return self._part(CHECKPOINT)

    def report(self, entry: Json, resume: Json | None) -> str | None:
        append_line(self._folder / REPORTS, entry if resume is None else {**entry, "resume": resume})
        return self.follow(int(entry["epoch"]))

    def follow(self, epoch: int) -> str | None:
        until, pause = time.monotonic() + self._patience, _POLLS[0]
        while True:
            decision = self._decision(epoch)
            if decision is not None:
                return decision or None
            if time.monotonic() > until:
                raise Unreachable(
                    f"nobody has decided about epoch {epoch} for {self._patience:.0f} s: no line for it in "
                    f"{self._folder / DECISIONS}. The agent must have ended"
                )
            time.sleep(pause)
            pause = min(pause * 1.5, _POLLS[1])

    def complete(self, document: Json) -> None:
        self._write(document)

    def fail(self, kind: str, detail: str, tail: str) -> None:
        self._write({"fail": {"type": kind, "detail": detail[:2000]}})

    def give_back(self) -> None:
        raise SystemExit(GIVE_BACK)

    def keep(self, name: str, content: bytes | Path) -> None:
        target = self._part(ARTIFACTS) / name
        if isinstance(content, bytes):
            target.write_bytes(content)
        else:
            shutil.copyfile(content, target)

    def _decision(self, epoch: int) -> str | None:
        """Why to stop at an epoch, empty where not to; None where nothing is decided yet."""
        stopped = None
        for line in read_lines(self._folder / DECISIONS):
            if line.get("epoch") == epoch:
                return str(line.get("stop") or "")
            if line.get("stop"):
                stopped = str(line["stop"])
        return "ended" if stopped is None and (self._folder / RESULT).exists() else stopped

    def _part(self, name: str) -> Path:
        part = self._folder / name
        part.mkdir(exist_ok=True)
        return part

    def _write(self, document: Json) -> None:
        """The first result counts: another rank may have said already why it failed."""
        draft = self._folder / f".{RESULT}-{os.getpid()}"
        draft.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        try:
            os.link(draft, self._folder / RESULT)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            draft.replace(self._folder / RESULT)
        draft.unlink(missing_ok=True)


def append_line(path: Path, document: Json) -> None:
    """Appends a document as one line, by one write."""
    line = json.dumps(document, allow_nan=False).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a file of JSON lines, so far; none where there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    for line in content.split(b"\n")[:-1]:
        if line.strip():
            yield json.loads(line)
