"""The agent: claims trials as far as it has room, trains each in a thread, renews leases, and ends in good order."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from thermowell.agent.attempt import Attempt
from thermowell.agent.commands import Command
from thermowell.agent.door import WAIT_SECONDS, Door
from thermowell.agent.folder import TrialFolder
from thermowell.agent.processes import Gpus
from thermowell.errors import AgentError, Refused, ThermowellError, Unreachable

RENEW_SECONDS, BEAT_SECONDS = 5.0, 20.0
END_SECONDS = 15.0  # beyond the longest grace, for what is still to be said
KEPT_SECONDS = 7 * 86_400.0  # folders of trials that are not this agent's any more
OWN = "own"
"""The name of the command of somebody's own job."""
_log = logging.getLogger("thermowell.agent")


@dataclass(frozen=True)
class Order:
    """What an agent is to do: which commands, or one for one job; how many trials at once; where."""

    commands: Mapping[str, Command]
    job: str | None
    slots: int
    folder: Path
    gpus: list[str] | None = None
    exit_when_idle: bool = False

    @property
    def ends(self) -> bool:
        """Whether it ends by itself, when there is nothing left to train."""
        return self.exit_when_idle or self.job is not None


class Home:
    """The agent's folder, held by one agent at a time, and the client's name that belongs to it: an agent that begins
    anew there takes up what it held.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._lock: IO[str] = (folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise AgentError(f"another agent runs in {folder}: give this one a --folder of its own") from None
        name = folder / "name"
        if not name.exists():
            host = "".join(c if c.isascii() and c.isalnum() else "-" for c in socket.gethostname())[:24].strip("-")
            name.write_text(f"{host or 'agent'}-{secrets.token_hex(4)}")
        self.client = name.read_text().strip()

    def trial(self, claim: Mapping[str, Any]) -> Path:
        """A trial's folder."""
        return self.folder / "trials" / f"{claim['job']}-{claim['trial']}"

    def sweep(self) -> None:
        """Removes folders of trials that were left long ago."""
        for path in (self.folder / "trials").glob("*"):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Lets another agent have it."""
        self._lock.close()


class Pool:
    """The trials under way, and the loop that fills free slots."""

    def __init__(self, door: Door, order: Order, home: Home) -> None:
        self.door, self.order, self.home = door, order, home
        self.stopping, self._changed = threading.Event(), threading.Event()
        self._attempts: dict[threading.Thread, Attempt] = {}
        self._gpus = Gpus(order.gpus) if order.gpus is not None else None
        self._take_up = dict.fromkeys(order.commands, True)
        self._codes = {name: command.fingerprint() for name, command in order.commands.items()}
        self._next_beat = 0.0
        self._why: str | None = None
        self._done: set[str] = set()
        self._turn = 0
        self._problem: Refused | None = None

    def run(self) -> None:
        """Claims and trains until it is told to end, or nothing is left. Refused where the key may not."""
        self.home.sweep()
        renewing = threading.Thread(target=self._renew, daemon=True)
        renewing.start()
        try:
            while not self.stopping.is_set() and not self._step():
                pass
        finally:
            self._end()
            renewing.join()
        if self._problem is not None:
            raise self._problem

    def stop(self) -> None:
        """Ends the agent: its trials are given back. From any thread, or a signal's handler."""
        self.stopping.set()
        self._changed.set()

    def _step(self) -> bool:
        """Fills a slot, or waits until there is room or something to train; answers whether all is done."""
        self._changed.clear()
        self._collect()
        fitting = [name for name, command in self.order.commands.items() if self._room(command) > 0]
        if not fitting:
            self._changed.wait(1.0)
            return False
        self._turn += 1
        turn = self._turn % len(fitting)
        seconds: float | None = None
        for name in fitting[turn:] + fitting[:turn]:
            pause = self._fill(name, WAIT_SECONDS if len(fitting) == 1 and not self._attempts else 0.0)
            if pause is None:
                return False
            seconds = pause if seconds is None else min(seconds, pause)
        if self.order.ends and len(self._done) == len(self.order.commands) and not self._attempts:
            return True
        self._changed.wait(min(seconds or 0.0, 2.0))
        return False

    def _room(self, command: Command) -> int:
        """How many more trials of a command there is room for."""
        slots = self.order.slots - len(self._attempts)
        return slots if self._gpus is None else min(slots, self._gpus.count(command.gpus))

    def _fill(self, name: str, wait: float) -> float | None:
        """Begins a trial of a command, and answers None; or the seconds after which to ask again."""
        try:
            most = self._room(self.order.commands[name]) if self._take_up[name] else 1
            answer = self.door.claim(self._selection(name), wait, self._take_up[name], most)
        except Unreachable as error:
            self._say(str(error))
            return 2.0
        self._take_up[name] = False
        self._done.discard(name)
        for claim in answer["claims"]:
            self._begin(name, claim)
        if answer["claims"]:
            self._why = None
            return None
        if answer["done"]:
            self._done.add(name)
        self._say(answer["why"])
        return float(answer["retry_after"] or 2.0)

    def _selection(self, name: str) -> dict[str, Any]:
        if self.order.job is not None:
            return {"job": self.order.job}
        command = self.order.commands[name]
        selection: dict[str, Any] = {"command": name, "owners": command.owners, "code": self._codes[name]}
        return {part: value for part, value in selection.items() if value is not None}

    def _heartbeat(self) -> None:
        """Says what is offered, in time for the service to know that this agent is alive."""
        if self.order.job is not None or time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + BEAT_SECONDS
        offers = {name: command.offer() | {"code": self._codes[name]} for name, command in self.order.commands.items()}
        try:
            self.door.offer({"host": socket.gethostname(), "slots": self.order.slots, "commands": offers})
        except Unreachable as error:
            _log.warning("what this agent offers is not known to the service: %s", error)
            self._next_beat = 0.0

    def _begin(self, name: str, claim: Mapping[str, Any]) -> None:
        command = self.order.commands[name]
        folder = TrialFolder(self.home.trial(claim), claim["objective"])
        attempt = Attempt(self.door, claim, command, folder, dict(os.environ))
        if self._gpus is not None:
            attempt.gpus = self._gpus.take(command.gpus) or []
            attempt.visible = ",".join(attempt.gpus)
        thread = threading.Thread(target=self._train, args=(attempt,), name=attempt.name)
        self._attempts[thread] = attempt
        thread.start()

    def _train(self, attempt: Attempt) -> None:
        try:
            attempt.run()
        finally:
            if self._gpus is not None:
                self._gpus.give_back(attempt.gpus, attempt.command.gpus)
            self._changed.set()

    def _collect(self) -> None:
        for thread in [thread for thread in self._attempts if not thread.is_alive()]:
            thread.join()
            del self._attempts[thread]

    def _renew(self) -> None:
        """Renews all leases until the last trial has ended."""
        while not self.door.closing.wait(RENEW_SECONDS if self._next_beat or self.order.job is not None else 0.0):
            attempts = {attempt.token: attempt for attempt in list(self._attempts.values())}
            try:
                self._heartbeat()
                standings = self.door.renew(list(attempts)) if attempts else {}
            except Unreachable as error:
                _log.warning("leases are not renewed: %s", error)
                continue
            except Refused as refused:
                self._problem = refused
                self.stop()
                continue
            for token, standing in standings.items():
                attempts[token].standing = standing

    def _end(self) -> None:
        """Ends the trials under way, and waits until the service knows of it."""
        for attempt in list(self._attempts.values()):
            attempt.give_back()
        grace = max((attempt.command.grace_seconds for attempt in self._attempts.values()), default=0.0)
        until = time.monotonic() + grace + END_SECONDS
        for thread in self._attempts:
            thread.join(max(0.0, until - time.monotonic()))
        if self.order.job is None:
            with suppress(ThermowellError):
                self.door.leave()
        self.door.closing.set()
        for thread in self._attempts:
            thread.join()

    def _say(self, why: str) -> None:
        if why != self._why:
            _log.info("waits: %s", why)
        self._why = why
