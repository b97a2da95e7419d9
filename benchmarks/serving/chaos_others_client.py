"""A program that trains trials of a queue over HTTP until its jobs have ended, by a formula and with the standard
library alone: as the package's loop, or by requests of its own. What the service has taken is noted in a file.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

LEASE_SECONDS = 5.0
EPOCH_SECONDS, DAWDLES = 0.04, 0.01  # of an epoch; of so many it takes longer than the lease
_chance = random.Random()


class Notes:
    """Results that the service said it has taken: a line for each, written at once."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def taken(self, place: str, token: str, result: Mapping[str, Any]) -> None:
        """Notes a result."""
        line = {"place": place, "token": token, "value": result["metrics"]["accuracy"]}
        os.write(self._file, (json.dumps(line) + "\n").encode())


def take_time() -> None:
    """What an epoch takes: where that is longer than the lease, who does not renew it is late."""
    slow = _chance.random() < DAWDLES
    time.sleep(_chance.uniform(0.9, 1.4) * LEASE_SECONDS if slow else _chance.uniform(0, 2) * EPOCH_SECONDS)


def quality(configuration: Mapping[str, Any], seed: int, epoch: int, epochs: int) -> float:
    """What an epoch comes to: the same for whoever trains it."""
    reached = 0.9 - 0.05 * math.log(configuration["temperature"] / 4) ** 2 + 0.001 * (seed % 7)
    return round(max(0.05, reached) * epoch / epochs, 6)


class Requests:
    """Requests of a program of one's own, each repeated until it is answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def post(self, path: str, document: Any, token: str = "") -> tuple[int, Any]:
        """The status and the answer; 0 where there was none."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            headers = {"Content-Type": "application/json", **({"Lease-Token": token} if token else {})}
            self._connection.request("POST", path, json.dumps(document), headers)
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            self._connection = None
            time.sleep(0.1)
            return 0, {}

    def insist(self, path: str, document: Any, token: str = "") -> tuple[int, Any]:
        """The status and the answer of a service that is there."""
        while True:
            status, answer = self.post(path, document, token)
            if status in (0, 429) or status >= 500:
                time.sleep(0.1)
                continue
            return status, answer


def by_requests(port: int, name: str, notes: Notes) -> None:
    """Trains by requests of its own, which go on from nowhere."""
    requests = Requests(port)
    order = {"queue": "q", "client": name, "lease_seconds": LEASE_SECONDS, "wait_seconds": 2, "take_up": True}
    while True:
        status, answer = requests.insist("/v1/claims", order)
        assert status == 200, answer
        if answer["done"]:
            return
        for claim in answer["claims"]:
            _train(requests, claim, notes)
        if not answer["claims"]:
            time.sleep(min(0.5, answer["retry_after"]))


def _train(requests: Requests, claim: Mapping[str, Any], notes: Notes) -> None:
    place, token, epochs = f"/v1/jobs/{claim['job']}/trials/{claim['trial']}", claim["token"], claim["epochs"]
    entry: dict[str, Any] = {}
    for epoch in range(1, epochs + 1):
        take_time()
        value = quality(claim["configuration"], claim["seed"], epoch, epochs)
        entry = {"epoch": epoch, "metrics": {"accuracy": value}}
        status, answer = requests.insist(f"{place}/reports", {"reports": [entry]}, token)
        if status != 200 or answer["stop"]:
            assert status in (200, 409), answer
            return
    status, answer = requests.insist(f"{place}/complete", entry, token)
    assert status in (200, 409), answer
    if status == 200:
        notes.taken(place, token, entry)


def by_package(port: int, name: str, notes: Notes) -> None:
    """Trains by the package's loop, which goes on from its last checkpoint."""
    import thermowell
    from thermowell.trial import transport

    transport.PAUSES, transport.SOCKET_SECONDS = (0.1, 0.5), 10.0
    send = transport.Transport.send

    def noted(self: Any, method: str, path: str, body: Any, headers: Mapping[str, str], wait: float = 0.0) -> Any:
        answer = send(self, method, path, body, headers, wait)
        if path.endswith("/complete"):
            notes.taken(path[: -len("/complete")], headers["Lease-Token"], json.loads(body))
        return answer

    transport.Transport.send = noted  # type: ignore[method-assign]
    for trial in thermowell.trials(queue="q", client=name, url=f"http://127.0.0.1:{port}", lease_seconds=LEASE_SECONDS):
        with trial:
            for epoch in trial.left():
                take_time()
                value = quality(trial.configuration, trial.seed, epoch, trial.epochs)
                if trial.report(epoch, accuracy=value, resume=f"epoch {epoch}"):
                    break
            trial.complete()


if __name__ == "__main__":
    way = {"requests": by_requests, "package": by_package}[sys.argv[1]]
    way(int(sys.argv[2]), sys.argv[3], Notes(sys.argv[4]))
