"""One attempt at a trial: the command's processes, what its program reports, and how it ends."""

from __future__ import annotations

import difflib
import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thermowell.agent.commands import Command, filled
from thermowell.agent.door import Door, LeaseLost
from thermowell.agent.folder import Diverged, Report, Result, TrialFolder
from thermowell.agent.processes import Supervised
from thermowell.agent.supervisor import CANNOT_START
from thermowell.errors import AgentError, Refused, ThermowellError
from thermowell.trial.folder import DOCUMENT, ENVIRONMENT, GIVE_BACK, RESULT

POLL_SECONDS = 0.02
LONGEST_DETAIL = 2000
_log = logging.getLogger("thermowell.agent")


@dataclass
class Attempt:
    """A claimed trial that is trained by a command; `run` belongs to a thread of its own, which stays until the end."""

    door: Door
    claim: Mapping[str, Any]
    command: Command
    folder: TrialFolder
    surroundings: Mapping[str, str]
    gpus: list[str] = field(default_factory=list)
    visible: str | None = None  # CUDA_VISIBLE_DEVICES, where the agent deals GPUs out
    standing: str = "current"  # of its lease, as the renewals say
    returning: bool = False
    _process: Supervised | None = None
    _stop: str | None = None
    _failure: tuple[str, str] | None = None
    _last: Report | None = None
    _late_at: float | None = None  # when a program that should stop by itself is ended

    @property
    def name(self) -> str:
        """The trial, for people."""
        return f"trial {self.claim['trial']} of job {self.claim['job']}"

    @property
    def token(self) -> str:
        """Of its lease."""
        return str(self.claim["token"])

    def run(self) -> None:
        """Trains and says how it ended; whatever goes wrong, the trial is failed or given back."""
        try:
            self._train()
        except LeaseLost as error:
            _log.warning("%s: %s", self.name, error)
        except Exception:
            _log.exception("%s is given back, by an error of the agent", self.name)
            with suppress(ThermowellError):
                self._give_back()

    def give_back(self) -> None:
        """Ends the command, and gives the trial back unless it has a result by then; from any thread."""
        self.returning = True
        if self._process is not None:
            self._process.end()

    def _train(self) -> None:
        try:
            status = self._run_command()
        except AgentError as error:
            status, self._failure = CANNOT_START, ("crashed", str(error))
        if self._stop is not None:
            _log.info("%s: %s", self.name, self._stop)
            return self._forget(whole=self._stop != "lost")
        try:
            self._conclude(status)
        except Diverged as error:
            self._fail("diverged", str(error))
        except (AgentError, Refused) as error:
            self._fail("crashed", _words(error))
        return None

    def _run_command(self) -> int:
        """Runs the command to its end; its status. AgentError where it cannot be begun."""
        command, claim = self.command, self.claim
        self.folder.begin(claim)
        arguments = command.settled(claim["arguments"])
        argv = filled(command.argv, self._values(arguments))
        environment = command.variables(self.surroundings) | {ENVIRONMENT: str(self.folder.path)}
        if self.visible is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.visible
        directory = command.directory or Path.cwd()
        _log.info("%s begins: %s", self.name, _summary(claim))
        process = Supervised(argv, directory, environment, command.grace_seconds, self.folder.path / "log.txt")
        self._process = process
        try:
            while not process.ended(POLL_SECONDS):
                self._pass_on(process)
                self._watch(process)
        except BaseException:
            process.end()
            raise
        finally:
            while not process.ended(1.0):
                pass
        self._pass_on(process)
        assert process.status is not None
        return process.status

    def _values(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What placeholders of a command line stand for."""
        configuration = self.claim["configuration"]
        parameters = configuration.get("parameters") or {}
        numbers = {name: value for name, value in configuration.items() if isinstance(value, (int, float, str))}
        fixed = {"config": str(self.folder.path / DOCUMENT), "folder": str(self.folder.path)}
        fixed |= {name: self.claim[name] for name in ("seed", "epochs", "job", "trial", "arm", "stage")}
        return {**numbers, **parameters, **arguments, **fixed, "gpus": len(self.gpus)}

    def _pass_on(self, process: Supervised) -> None:
        """Passes new reports on and writes down what was decided of them."""
        if self._stop is not None or self._failure is not None:
            return
        try:
            reports = self.folder.new_reports()
            if reports:
                self._report(reports, process)
        except Diverged as error:
            self._failure = ("diverged", str(error))
            process.end()
        except (AgentError, Refused) as error:
            self._failure = ("crashed", _words(error))
            process.end()

    def _report(self, reports: list[Report], process: Supervised) -> None:
        epochs = [report.epoch for report in reports]
        document: dict[str, Any] = {"reports": [report.document() for report in reports]}
        if resumable := [report for report in reports if report.resume is not None]:
            document["resume"] = resumable[-1].resume
        try:
            state = self.door.say(self.claim, "reports", document)["stop"]
        except LeaseLost:
            state = "lost"
        self._last = reports[-1]
        if state is not None:
            self._cease(state if state in ("pruned", "lost") else "ended", process)
        self.folder.decide(epochs, self._stop)

    def _watch(self, process: Supervised) -> None:
        """Ends the command where its lease is over, the agent ends, or it does not end by itself in time."""
        if self._late_at is not None and time.monotonic() >= self._late_at:
            process.end()
        elif self._late_at is None and self.folder.ended():
            self._late_at = time.monotonic() + self.command.grace_seconds
        if self.returning:  # said while the command was about to begin
            process.end()
        if self.standing != "current" and self._stop is None:
            standing, self.standing = self.standing, "current"
            if standing == "lost" and self._still_mine():
                return
            self._cease(standing, process)
            self.folder.decide([(self._last.epoch if self._last else 0) + 1], standing)
            process.end()

    def _still_mine(self) -> bool:
        """Whether the trial is this agent's after its lease was reaped: a report takes it again, if nobody else has."""
        if self._last is None:
            return False
        try:
            self.door.say(self.claim, "reports", {"reports": [self._last.document()]})
        except (LeaseLost, Refused):
            return False
        return True

    def _cease(self, stop: str, process: Supervised) -> None:
        self._stop, self._late_at = stop, time.monotonic() + self.command.grace_seconds

    def _conclude(self, status: int) -> None:
        """Says how the trial ended: by what the program wrote, or else by its exit status and its last report."""
        if self._failure is not None:
            return self._fail(*self._failure)
        result = self.folder.result()
        if result is None and (self.returning or status == GIVE_BACK):
            return self._give_back()
        if result is None and status != 0:
            return self._fail("crashed", self._crash(status))
        result = result or self._last_report()
        if result.failure is not None:
            return self._fail(result.failure, result.detail)
        for file in self.folder.artifacts():
            self.door.keep(self.claim, file)
        log = self.folder.log_tail()
        document = {"epoch": result.epoch, "metrics": result.metrics, "test": result.test, "log_tail": log}
        self.door.say(self.claim, "complete", document)
        objective = self.claim["objective"]
        _log.info("%s: completed, %s %.5g", self.name, objective, (result.metrics or {})[objective])
        return self._forget(whole=True)

    def _last_report(self) -> Result:
        """The result of a program that wrote none and ended well. AgentError where its last report is none."""
        objective, last = self.claim["objective"], self._last
        if last is None:
            raise AgentError(f"the command ended well, but reported nothing: report each epoch, or write {RESULT}")
        if objective not in last.metrics:
            near = difflib.get_close_matches(objective, last.metrics, n=1, cutoff=0.4)
            hint = f": did you mean {near[0]}? Report it as {objective}" if near else ""
            names = ", ".join(sorted(last.metrics)) or "nothing"
            raise AgentError(f"the job's objective is {objective}, but the command reported {names}{hint}")
        if last.epoch != self.claim["epochs"]:
            raise AgentError(
                f"the command ended well after epoch {last.epoch} of {self.claim['epochs']} and wrote no {RESULT}: "
                f"write one that says at which epoch it was done"
            )
        if self.claim["test"]:
            raise AgentError(f"this trial is to evaluate the test part at its end: write {RESULT} with test")
        return Result(last.epoch, last.metrics)

    def _crash(self, status: int) -> str:
        lines = self.folder.log_tail().strip().splitlines()
        end = f"signal {status - 128} ended the command" if status > 128 else f"the command ended with {status}"
        return f"{end}: {lines[-1]}" if lines else end

    def _fail(self, kind: str, detail: str) -> None:
        _log.warning("%s: %s, %s", self.name, kind, detail)
        document = {"type": kind, "detail": detail[:LONGEST_DETAIL], "log_tail": self.folder.log_tail()}
        self.door.say(self.claim, "fail", document)

    def _give_back(self) -> None:
        _log.info("%s is given back", self.name)
        self.door.say(self.claim, "return", {})

    def _forget(self, whole: bool) -> None:
        """Removes the folder of a trial that needs it no more."""
        if whole:
            shutil.rmtree(self.folder.path, ignore_errors=True)


def _words(error: AgentError | Refused) -> str:
    """What was refused, field by field where the service says so."""
    errors = error.problem.get("errors") or []
    return "; ".join(f"{entry['path']}: {entry['message']}" for entry in errors) or str(error)


def _summary(claim: Mapping[str, Any]) -> str:
    configuration = claim["configuration"]
    settings = {"T": configuration.get("temperature"), **(configuration.get("parameters") or {})}
    words = ", ".join(f"{name} {_number(value)}" for name, value in settings.items())
    return f"{claim['stage']}, {claim['arm']}, attempt {claim['attempt']}: {words}, seed {claim['seed']}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
