"""Clients that train nothing: they claim, report ten epochs and complete, each trial after the last, and time it.

    python -m benchmarks.serving.claims_clients '{"side": "thermowell", "base": "...", "jobs": [...], "sampler": "tpe"}'

Runs in the peer's own environment too, where nothing of this project can be imported but this file: it needs the
standard library, and of each peer its own package. Reads turns from its input, a line of JSON each:
{"clients": 16, "first": 0, "seconds": 4, "longest": 16, "epoch_seconds": 0}; says {"ready": 16} once all of them could
begin, waits for a line, and answers with one when they are done: no trial is begun after `seconds`, and all that were
are finished, or given up after the `longest` time; then the process ends too. Else it lives for many turns, so that
what a program does once it has done before.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TextIO
from urllib.parse import urlsplit

REPORTS = 10
RANGES = {"temperature": (1.0, 20.0), "kd_weight": (0.1, 1.0), "p0": (0.0, 1.0), "p1": (0.0, 1.0), "p2": (0.0, 1.0)}
Part = tuple[float, float]
"""Seconds that a claim took, and all that was said of its trial."""


def value(parameters: dict[str, float]) -> float:
    """What a trial reaches: a formula, the same on every side."""
    return 0.9 - 0.02 * math.log(parameters["temperature"] / 6.0) ** 2 - 0.1 * (parameters["p0"] - 0.4) ** 2


def thermowell(asked: dict[str, Any], number: int) -> Callable[[], Part]:
    """A program over HTTP, with a connection of its own. It may train for `epoch_seconds` before each report."""
    connection = http.client.HTTPConnection(urlsplit(asked["base"]).netloc, timeout=60)
    client, queue = f"c{number}", asked["jobs"][number % len(asked["jobs"])]
    pause = float(asked.get("epoch_seconds", 0.0))

    def post(path: str, document: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"} | ({} if token is None else {"Lease-Token": token})
        connection.request("POST", path, json.dumps(document), headers)
        answer = connection.getresponse()
        body = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body}")
        return dict(body)

    def trial() -> Part:
        begun = time.monotonic()
        claims = post("/v1/claims", {"queue": queue, "client": client, "wait_seconds": 5})["claims"]
        claimed = time.monotonic() - begun
        if not claims:
            raise RuntimeError("nothing to claim")
        claim = claims[0]
        place, configuration = f"/v1/jobs/{claim['job']}/trials/{claim['trial']}", claim["configuration"]
        reached, spent = value(configuration | configuration["parameters"]), 0.0
        for epoch in range(1, REPORTS + 1):
            time.sleep(pause)
            begun = time.monotonic()
            body = {"reports": [{"epoch": epoch, "metrics": {"accuracy": reached}}]}
            post(f"{place}/reports", body, claim["token"])
            spent += time.monotonic() - begun
        begun = time.monotonic()
        post(f"{place}/complete", {"epoch": REPORTS, "metrics": {"accuracy": reached}}, claim["token"])
        return claimed, spent + time.monotonic() - begun

    return trial


def optuna(asked: dict[str, Any], number: int) -> Callable[[], Part]:
    """A client of Optuna's gRPC proxy, as its documentation has it: ask, ten reports, tell."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    host, _, port = asked["base"].rpartition(":")
    storage = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    samplers = optuna.samplers
    sampler = {"random": samplers.RandomSampler, "tpe": samplers.TPESampler, "gp": samplers.GPSampler}[
        asked["sampler"]
    ]()
    study = optuna.load_study(study_name=asked["jobs"][number % len(asked["jobs"])], storage=storage, sampler=sampler)

    def trial() -> Part:
        begun = time.monotonic()
        one = study.ask()
        parameters = {
            name: one.suggest_float(name, low, high, log=name == "temperature") for name, (low, high) in RANGES.items()
        }
        claimed, begun = time.monotonic() - begun, time.monotonic()
        reached = value(parameters)
        for epoch in range(1, REPORTS + 1):
            one.report(reached, epoch)
        study.tell(one, reached)
        return claimed, time.monotonic() - begun

    return trial


def vizier(asked: dict[str, Any], number: int) -> Callable[[], Part]:
    """A client of Vizier's service: suggest, ten measurements, complete."""
    from vizier.service import clients
    from vizier.service import pyvizier as vz

    clients.environment_variables.server_endpoint = asked["base"]
    study = clients.Study.from_resource_name(asked["jobs"][number % len(asked["jobs"])])

    def trial() -> Part:
        begun = time.monotonic()
        [one] = study.suggest(count=1, client_id=f"c{number}")
        claimed, begun = time.monotonic() - begun, time.monotonic()
        reached = value({name: float(part) for name, part in one.parameters.items()})
        for epoch in range(1, REPORTS + 1):
            one.add_measurement(vz.Measurement({"accuracy": reached}, steps=epoch))
        one.complete(vz.Measurement({"accuracy": reached}, steps=REPORTS))
        return claimed, time.monotonic() - begun

    return trial


SIDES = {"thermowell": thermowell, "optuna": optuna, "vizier": vizier}


def turn(asked: dict[str, Any], lines: TextIO) -> dict[str, Any]:
    """One turn of all clients: what their trials took, what failed, and the processor's seconds of this process."""
    parts: list[Part] = []
    errors: list[str] = []
    lock, ready, begin = threading.Lock(), threading.Barrier(asked["clients"] + 1), threading.Event()
    until, ends = [math.inf], [0.0]

    def work(number: int) -> None:
        try:
            trial = SIDES[asked["side"]](asked, number)
            ready.wait()
            begin.wait()
            # who trains is at any place of its trial when it is looked at
            time.sleep(asked["epoch_seconds"] * REPORTS * (number - asked["first"]) / asked["clients"])
            while time.monotonic() < until[0]:
                part = trial()
                with lock:
                    parts.append(part)
                    ends[0] = time.monotonic()
        except Exception as error:
            with lock:
                errors.append(f"{type(error).__name__}: {error}"[:300])
            ready.abort()

    numbers = range(asked["first"], asked["first"] + asked["clients"])
    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in numbers]
    for thread in threads:
        thread.start()
    try:
        ready.wait(120)
    except threading.BrokenBarrierError:
        errors.append("not every client could begin")
    print(json.dumps({"ready": len(threads)}), flush=True)
    lines.readline()
    cpu, start = time.process_time(), time.monotonic()
    until[0] = start + asked["seconds"]
    begin.set()
    for thread in threads:
        thread.join(max(0.0, start + asked["longest"] - time.monotonic()))
    unfinished = sum(thread.is_alive() for thread in threads)
    with lock:
        seconds = asked["longest"] if unfinished or not parts else ends[0] - start
        cpu = time.process_time() - cpu
        return {"parts": [*parts], "errors": errors[:5], "unfinished": unfinished, "seconds": seconds, "cpu": cpu}


def main() -> int:
    asked = json.loads(sys.argv[1])
    for line in iter(sys.stdin.readline, ""):
        answer = turn({**asked, **json.loads(line)}, sys.stdin)
        print(json.dumps(answer), flush=True)
        if answer["unfinished"]:
            os._exit(0)  # its clients would go on in others' turns
    return 0


if __name__ == "__main__":
    sys.exit(main())
