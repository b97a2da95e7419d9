"""The service as an agent speaks with it: claims, reports, ends and files of trials, with one narrow key."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from thermowell.errors import Refused, ThermowellError, Unreachable
from thermowell.sync.transport import Transport
from thermowell.trial.channels import MEDIA_TYPE, description

WAIT_SECONDS, LEASE_SECONDS = 5.0, 120.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
Document = dict[str, Any]


class LeaseLost(ThermowellError):
    """The trial is not this agent's any more, or nothing is left to tell of it."""


class Door:
    """One service, asked as one client. What a trial's thread says is repeated until the service has heard it."""

    def __init__(self, url: str, key: str | None, client: str) -> None:
        self.http, self.client = Transport(url, key), client
        self.url = url
        self.closing = threading.Event()

    def close(self) -> None:
        """Gives the connections back; nobody waits for the service any more."""
        self.closing.set()
        self.http.close()

    def claim(self, order: Mapping[str, Any], wait_seconds: float, take_up: bool = False, most: int = 1) -> Document:
        """The answer to a claim of a job's or a command's trials. Refused; Unreachable."""
        body = {"client": self.client, "lease_seconds": LEASE_SECONDS, "take_up": take_up, "most": most}
        answer: Document = self.http.post("/claims", {**body, **order, "wait_seconds": wait_seconds})
        return answer

    def offer(self, document: Mapping[str, Any]) -> None:
        """Says what this agent offers. Refused; Unreachable."""
        self.http.request("PUT", f"/v1/agents/{self.client}", json=document)

    def leave(self) -> None:
        """Says that this agent offers nothing any more. Refused; Unreachable."""
        self.http.request("DELETE", f"/v1/agents/{self.client}")

    def renew(self, tokens: list[str]) -> dict[str, str]:
        """How each lease stands after it was renewed. Refused; Unreachable."""
        leases: dict[str, str] = self.http.post("/leases/renew", {"tokens": tokens})["leases"]
        return leases

    def say(self, claim: Mapping[str, Any], verb: str, document: Mapping[str, Any]) -> Document:
        """The answer to what is said of a trial, once the service has it. LeaseLost; Refused."""
        path = f"/jobs/{quote(claim['job'], safe='')}/trials/{claim['trial']}/{verb}"
        options = {"headers": {"Lease-Token": claim["token"]}, "json": document}
        answer: Document = self._until_heard("POST", path, options).json()
        return answer

    def keep(self, claim: Mapping[str, Any], file: Path) -> None:
        """Keeps a file with a trial. LeaseLost; Refused."""
        content = file.read_bytes()
        headers = {"Lease-Token": claim["token"], "Content-Type": MEDIA_TYPE, **description(io.BytesIO(content))}
        path = f"/jobs/{quote(claim['job'], safe='')}/trials/{claim['trial']}/artifacts/{file.name}"
        self._until_heard("PUT", path, {"headers": headers, "content": content})

    def _until_heard(self, method: str, path: str, options: Document) -> Any:
        pause = FIRST_PAUSE
        while True:
            try:
                return self.http.request(method, f"/v1{path}", **options)
            except Refused as refused:
                if refused.slug in ("lease-lost", "trial-ended", "not-found"):
                    raise LeaseLost(str(refused)) from None
                if refused.slug != "too-often":
                    raise
                words = str(refused)
            except Unreachable as error:
                words = str(error)
            if self.closing.wait(pause):
                raise LeaseLost(f"the agent ends before the service has heard it: {words}")
            pause = min(LONGEST_PAUSE, 2 * pause)
