"""Ways to speak of a trial that is trained: what every one of them offers, and the one that speaks to the service."""

from __future__ import annotations

import base64
import hashlib
import io
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import quote

from thermowell.errors import Refused, ThermowellError, Unreachable
from thermowell.trial.documents import Json
from thermowell.trial.transport import Transport

MEDIA_TYPE = "application/octet-stream"
EVERY = 1.0
"""Seconds within which reports at which nothing is decided are gathered, to be sent together."""
RENEWAL_PATIENCE = 5.0
"""Seconds for which one renewal is tried: the next one follows soon."""
NO_WAY = (
    "the ranks of this training cannot speak with each other: call torch.distributed.init_process_group before "
    "thermowell.trials, start them with torchrun, or run them under an agent"
)
log = logging.getLogger("thermowell.trial")


class Channel:
    """A trial's way to whoever handed it out."""

    exit_code = 143
    """What the program ends with after SIGTERM, once the trial is given back."""

    @property
    def folder(self) -> Path:
        """A folder for the trial's checkpoints."""
        raise NotImplementedError

    def report(self, entry: Json, resume: Json | None) -> str | None:
        """Hands an epoch on; why to stop, if at all: pruned, ended or lost."""
        raise NotImplementedError

    def follow(self, epoch: int) -> str | None:
        """The decision of an epoch that another rank of the same trial has reported."""
        raise RuntimeError(NO_WAY)

    def complete(self, document: Json) -> None:
        """Ends the trial with its result."""
        raise NotImplementedError

    def fail(self, kind: str, detail: str, tail: str) -> None:
        """Ends the trial without a result."""
        raise NotImplementedError

    def give_back(self) -> None:
        """Hands the trial back, for others to go on with."""
        raise NotImplementedError

    def keep(self, name: str, content: bytes | Path) -> None:
        """Keeps a file of the trial."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends what the channel has begun."""


class ServiceChannel(Channel):
    """Speaks to the service over HTTP; a thread renews the lease where this rank is the one that speaks.

    Where no pruner decides, what is reported within EVERY of the last time waits for its end, or the trial's, and is
    sent together: short epochs cost a request a second. Why to stop is known as much later then.
    """

    def __init__(self, transport: Transport, document: Json, renews: bool = True) -> None:
        self._transport, self._token = transport, str(document["token"])
        self._path = f"/v1/jobs/{quote(str(document['job']), safe='')}/trials/{int(document['trial'])}"
        self._place = f"{document['job']}-{document['trial']}"
        self._over = threading.Event()
        self._decides = bool(document.get("rungs"))
        self._saying = threading.RLock()
        self._entries: list[Json] = []  # that wait
        self._spoke_at = float("-inf")
        self._stop: str | None = None
        self._problem: ThermowellError | None = None  # which what waited has met
        self._timer: threading.Timer | None = None
        if renews:
            every = float(document.get("renew_every") or 40.0)
            order = (transport.with_patience(RENEWAL_PATIENCE), self._token, every, self._over)
            threading.Thread(target=_renew, args=order, name="thermowell-renewal", daemon=True).start()
            weakref.finalize(self, self._over.set)  # a trial that nobody has any more is left to others

    @property
    def folder(self) -> Path:
        """Below the working directory, or THERMOWELL_CHECKPOINTS: the same one for every attempt on this machine."""
        folder = Path(os.environ.get("THERMOWELL_CHECKPOINTS") or "checkpoints") / self._place
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def report(self, entry: Json, resume: Json | None) -> str | None:
        with self._saying:
            self._raise_problem()
            if self._stop is not None:
                return self._stop
            self._entries.append(entry)
            left = self._spoke_at + EVERY - time.monotonic()
            if self._decides or resume is not None or left <= 0:
                self._send(resume)
            elif self._timer is None:
                self._timer = _Later(left, weakref.WeakMethod(self._send_late))
            return self._stop

    def complete(self, document: Json) -> None:
        with self._saying:
            self._raise_problem()
            self._send(None)
            self._end("complete", document)

    def fail(self, kind: str, detail: str, tail: str) -> None:
        self._send_late()
        self._end("fail", {"type": kind, "detail": detail[:2000], "log_tail": tail[-20_000:]})

    def give_back(self) -> None:
        self._send_late()
        self._end("return", None)

    def keep(self, name: str, content: bytes | Path) -> None:
        with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
            headers = {**self._lease(), **description(file), "Content-Type": MEDIA_TYPE}
            self._transport.send("PUT", f"{self._path}/artifacts/{quote(name, safe='')}", file, headers)

    def close(self) -> None:
        self._over.set()
        self._stop_timer()

    def _send(self, resume: Json | None) -> None:
        """Sends what waits, and learns why to stop."""
        self._stop_timer()
        if not self._entries:
            return
        document: Json = {"reports": self._entries}
        if resume is not None:
            document["resume"] = resume
        self._entries = []
        try:
            stop = self._say("reports", document).get("stop")
        except Refused as refused:
            if refused.slug != "lease-lost":
                raise
            log.warning("%s", refused)
            self._stop = "lost"
        else:
            self._stop = stop if stop is None or stop == "pruned" else "ended"
        self._spoke_at = time.monotonic()

    def _send_late(self) -> None:
        """As `_send`, where nobody waits for it: what it meets is raised by whatever is said next."""
        with self._saying:
            try:
                self._send(None)
            except ThermowellError as error:
                log.warning("what was reported of the trial could not be sent: %s", error)
                self._problem = error

    def _raise_problem(self) -> None:
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _lease(self) -> dict[str, str]:
        return {"Lease-Token": self._token}

    def _say(self, verb: str, document: Json | None) -> Json:
        answer: Json = self._transport.post(f"{self._path}/{verb}", document, headers=self._lease())
        return answer

    def _end(self, verb: str, document: Json | None) -> None:
        """Says how the trial ends; where it has ended already, or is another's, nothing is left to say."""
        try:
            self._say(verb, document)
        except Refused as refused:
            if refused.slug not in ("lease-lost", "trial-ended"):
                raise
            log.warning("%s", refused)
        self.close()


class _Later(threading.Timer):
    """Sends what waits, if its channel is still there."""

    def __init__(self, seconds: float, send: weakref.WeakMethod[Callable[[], None]]) -> None:
        super().__init__(seconds, self._send)
        self._method, self.daemon = send, True
        self.start()

    def _send(self) -> None:
        send = self._method()
        if send is not None:
            send()


def _renew(transport: Transport, token: str, every: float, over: threading.Event) -> None:
    """Prolongs a lease until the trial is over. What was lost may be had again by the next report."""
    while not over.wait(every):
        try:
            transport.post("/v1/leases/renew", {"tokens": [token]})
        except Unreachable as error:
            log.warning("the lease was not renewed: %s", error)
        except ThermowellError as error:
            log.warning("the lease is renewed no more: %s", error)
            return


def description(file: IO[bytes]) -> dict[str, str]:
    """The headers that say how long a file is, and what its digest is."""
    digest, size = hashlib.sha256(), 0
    for block in iter(lambda: file.read(1 << 20), b""):
        digest.update(block)
        size += len(block)
    encoded = base64.b64encode(digest.digest()).decode()
    return {"Content-Length": str(size), "Content-Digest": f"sha-256=:{encoded}:"}
