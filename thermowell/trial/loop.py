"""The loop over trials of a training script, wherever they come from: the service, an agent's folder, or defaults."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from thermowell.trial import alone, defaults, folder
from thermowell.trial.channels import NO_WAY, Channel, ServiceChannel
from thermowell.trial.documents import Json, read_claim
from thermowell.trial.handle import Trial
from thermowell.trial.ranks import HANDOVER, Ranks
from thermowell.trial.transport import Transport

WAIT_SECONDS = 20.0
"""So long the service may wait for a trial before it says that there is none."""
SPEC_SUFFIXES = (".yaml", ".yml", ".json")
log = logging.getLogger("thermowell.trial")


def trials(
    *,
    queue: str | None = None,
    job: str | Path | None = None,
    study: str | None = None,
    url: str | None = None,
    key: str | None = None,
    client: str | None = None,
    lease_seconds: float = 120.0,
    patience: float = 600.0,
    settings: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seed: int = alone.SEED,
) -> Trials:
    """The trials of a queue, a job or a study, one after the other; ends when every job of it has ended.

    Under an agent (THERMOWELL_TRIAL) it is the one trial of its folder. With `url`, or THERMOWELL_URL, trials are
    claimed from that service, with `key` or THERMOWELL_KEY. Without either it is one trial of default settings, so that
    the script runs by hand: those of the spec whose file `job` names, changed by `settings`, `epochs` and `seed`. The
    name of a spec's file stands for its queue too.

    `client` is this process's own name, one is made unless given (or THERMOWELL_CLIENT): who comes again under its
    name goes on with the trial it held. Another gets the trial after `lease_seconds` without a word. `patience` says
    for how many seconds a service that is away is waited for. In a distributed training every rank loops.
    """
    ranks = Ranks()
    if os.environ.get(folder.ENVIRONMENT):
        path = Path(os.environ[folder.ENVIRONMENT])
        return _once(folder.read_trial(path), folder.FolderChannel(path), ranks)
    spec = defaults.read_spec(Path(job)) if job is not None and _is_file(job) else {}
    address = url or os.environ.get("THERMOWELL_URL")
    if not address:
        log.warning("no service is named (THERMOWELL_URL): this is one trial of default settings, reported to nobody")
        return _once(alone.document_of(spec, settings or {}, epochs, seed), alone.AloneChannel(), ranks)
    selection = _selection(queue or (defaults.queue_of(spec) if spec else None), None if spec else job, study)
    transport = Transport(address, key or os.environ.get("THERMOWELL_KEY"), patience)
    order = {**selection, "client": client or os.environ.get("THERMOWELL_CLIENT") or client_name()}
    return Trials(_Claims(transport, {**order, "lease_seconds": lease_seconds}, ranks).take_next)


def optimize(objective: Callable[[Trial], Any], *, catch: tuple[type[Exception], ...] = (), **selection: Any) -> None:
    """Trains trials by calling `objective` for each; `selection` says which, as in `trials`.

    It answers the objective's value, or a mapping of metrics. Exceptions named by `catch` fail their trial as crashed,
    and the next one is trained; `thermowell.Pruned`, `thermowell.Diverged` and `thermowell.Infeasible` end a trial
    as they say.
    """
    for trial in trials(**selection):
        try:
            with trial:
                result = objective(trial)
                if trial.ended:
                    continue
                if result is None:
                    raise TypeError("the objective function answered None: return the metric's value, or a mapping")
                trial.complete(result if isinstance(result, Mapping) else {trial.objective or "objective": result})
        except catch as error:
            log.warning("trial %d crashed: %r", trial.number, error)


def client_name() -> str:
    """A name that no other process has."""
    host = "".join(letter for letter in socket.gethostname() if letter.isascii() and letter.isalnum())[:16]
    return f"{host or 'host'}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Trials(Iterator[Trial]):
    """Trials one after the other; the next one is asked for once the last one has its end."""

    def __init__(self, take_next: Callable[[], Trial | None]) -> None:
        self._take_next = take_next
        self._current: Trial | None = None

    def __next__(self) -> Trial:
        if self._current is not None:
            self._current.check_finished()
        self._current = self._take_next()
        if self._current is None:
            raise StopIteration
        return self._current


def _once(document: Json, channel: Channel, ranks: Ranks) -> Trials:
    waiting = [Trial(read_claim(document), channel, ranks)]
    return Trials(lambda: waiting.pop() if waiting else None)


class _Claims:
    """Trials as the service hands them out, on every rank the same."""

    def __init__(self, transport: Transport, order: Json, ranks: Ranks) -> None:
        self._transport, self._order, self._ranks = transport, order, ranks
        self._count = 0

    def take_next(self) -> Trial | None:
        """Claims the next trial, and waits for one as long as it takes; None once every job has ended."""
        if self._count:
            os.environ.pop(HANDOVER, None)
        words = ""
        while True:
            answer = self._ask()
            if answer["claims"]:
                return self._handed_out(answer["claims"][0])
            if answer["done"]:
                level = logging.INFO if self._count else logging.WARNING
                log.log(level, "%d trials were trained: %s", self._count, answer["why"])
                return None
            if answer["why"] != words and self._ranks.speaks:
                words = answer["why"]
                log.warning("waiting: %s", words)
            time.sleep(float(answer["retry_after"] or 1.0) if self._ranks.speaks else 0.0)

    def _handed_out(self, document: Json) -> Trial:
        self._count += 1
        os.environ[HANDOVER] = json.dumps(document)
        channel = ServiceChannel(self._transport, document, renews=self._ranks.speaks)
        return Trial(read_claim(document), channel, self._ranks)

    def _ask(self) -> Json:
        """What the service answers to a claim: first what this client holds, of a lost answer for instance."""
        if self._ranks.started_by_rank:
            return {"claims": [json.loads(os.environ[HANDOVER])]}
        if not self._ranks.connected:
            raise RuntimeError(NO_WAY)
        answer: Json = self._ranks.share(self._claim, dict)
        return answer

    def _claim(self) -> Any:
        body = {**self._order, "wait_seconds": WAIT_SECONDS, "take_up": True}
        return self._transport.post("/v1/claims", body, wait=WAIT_SECONDS)


def _is_file(job: str | Path) -> bool:
    return isinstance(job, Path) or job.endswith(SPEC_SUFFIXES)


def _selection(queue: str | None, job: str | Path | None, study: str | None) -> Json:
    """Whose trials are asked for. ValueError unless it is one of the three."""
    names = {"queue": queue, "job": job, "study": study}
    selection = {name: str(value) for name, value in names.items() if value is not None}
    if len(selection) != 1:
        words = (
            ", ".join(selection) or "none of them (a spec's file names a queue by trainer: {external: {queue: ...}})"
        )
        raise ValueError(f"say whose trials to train: one of queue, job and study; this names {words}")
    return selection
