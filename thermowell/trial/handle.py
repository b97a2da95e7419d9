"""A trial in the hands of a training script: what to train, what each epoch came to, and how it ends."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from thermowell.errors import ThermowellError
from thermowell.trial.channels import Channel
from thermowell.trial.documents import FAILURES, Claim, Json, finite, lacks, numbers
from thermowell.trial.ranks import RankFailed, Ranks
from thermowell.trial.signals import Termination

if TYPE_CHECKING:
    from typing_extensions import Self

LINES = 500
"""Lines of its log that a trial keeps."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}")
log = logging.getLogger("thermowell.trial")


class Pruned(Exception):
    """Ends a `with trial` block that `report` told to stop, from within any depth."""


class Diverged(Exception):
    """Ends a `with trial` block whose training has diverged: the sampler learns that the configuration is bad."""


class Infeasible(Exception):
    """Ends a `with trial` block whose configuration cannot be trained, for want of memory for instance."""


class Unfinished(ThermowellError):
    """A trial was left without its result."""


class Trial:
    """One trial: train `configuration` with `seed`, `report` every epoch, and `complete` it.

    As a context manager it says how the trial ends whatever happens: an exception fails it as crashed, SIGTERM and
    Ctrl-C give it back, and leaving it without a result is an error.
    """

    def __init__(self, claim: Claim, channel: Channel, ranks: Ranks | None = None) -> None:
        self.claim = claim
        self.job, self.number, self.attempt = claim.job, claim.number, claim.attempt
        self.stage, self.arm, self.test = claim.stage, claim.arm, claim.test
        self.configuration, self.seed, self.epochs = claim.configuration, claim.seed, claim.epochs
        self.rungs, self.resume, self.arguments = claim.rungs, claim.resume, claim.arguments
        self.objective, self.direction = claim.objective, claim.direction
        self._channel, self._ranks = channel, ranks or Ranks()
        self._epoch = 0
        self._metrics: dict[str, float] = {}
        self._entry: Json | None = None
        self._end: str | None = None
        self._lines: deque[str] = deque(maxlen=LINES)
        self._warned: set[str] = set()
        self._last_time = time.monotonic()
        self._termination: Termination | None = None

    def __repr__(self) -> str:
        return f"<Trial {self.number} of job {self.job}: {self.stage}, {self.arm}, {dict(self.configuration)}>"

    @property
    def ended(self) -> bool:
        """Whether nothing more is to be said of it."""
        return self._end is not None

    @property
    def stopped(self) -> str | None:
        """Why it was stopped, where it was: pruned, ended (by others), lost (to others) or diverged."""
        return self._end if self._end in ("pruned", "ended", "lost", "diverged") else None

    @property
    def checkpoint(self) -> Path:
        """A folder for checkpoints, the same one for later attempts on this machine."""
        return self._channel.folder

    def left(self) -> range:
        """The epochs that are not done yet, from 1 or from behind the earlier attempt's last checkpoint."""
        resumed = self.resume.epoch if self.resume is not None else 0
        return range(max(resumed, self._epoch) + 1, self.epochs + 1)

    def report(
        self,
        epoch: int,
        metrics: Mapping[str, Any] | None = None,
        *,
        resume: str | Path | None = None,
        seconds: float | None = None,
        **more: Any,
    ) -> bool:
        """Reports what an epoch came to on the validation part; True where the training is to stop.

        Metrics are named arguments, or a mapping where their names are no Python names. `resume` says in your own
        words from where a later attempt may go on behind this epoch. An objective that is nan or infinite fails the
        trial as diverged. In a distributed training every rank calls this, and all get the first one's answer.
        """
        if self.stopped is not None:
            return True
        self._check_open("report")
        seconds = self._lap() if seconds is None else float(seconds)

        def speak() -> str | None:
            return self._speak(int(epoch), {**(metrics or {}), **more}, resume, seconds)

        stop = self._ranks.share(speak, lambda: self._channel.follow(int(epoch)))
        self._epoch = int(epoch)
        if stop is not None:
            self._close(stop)
        return stop is not None

    @property
    def reported(self) -> tuple[int, dict[str, float]] | None:
        """The last epoch that was reported, with its metrics."""
        return (self._epoch, dict(self._metrics)) if self._epoch else None

    def recall(self, epoch: int, metrics: Mapping[str, Any]) -> None:
        """Takes up the last report of an earlier attempt, from a checkpoint: `complete` may need it."""
        if not self._epoch:
            self._epoch, self._metrics = epoch, numbers(metrics)

    def saved(self, resume: str | Path) -> None:
        """Says from where a later attempt may go on behind the last reported epoch, where `report` came too early."""
        place = self._place(self._epoch, resume)
        if not self.ended and self._entry is not None and place is not None and self._ranks.speaks:
            self._channel.report(self._entry, place)

    def complete(self, metrics: Mapping[str, Any] | None = None, *, test: Mapping[str, Any] | None = None,
                 epoch: int | None = None, **more: Any) -> None:  # fmt: skip
        """Ends the trial with its result: those metrics, or else the last report's.

        `test` has the metrics of the test part, where the trial asks for them (`trial.test`). Of a trial that was
        stopped nothing is said any more.
        """
        if self.stopped is not None:
            return
        self._check_open("complete")
        if self._ranks.speaks:
            result = {**self._metrics, **numbers({**(metrics or {}), **more})} if metrics or more else self._metrics
            self._complete(result, test, epoch or self._epoch or self.epochs)
        else:
            self._close("completed")

    def fail(self, kind: str, detail: str = "") -> None:
        """Ends the trial without a result: `diverged` or `infeasible` blame the configuration, `crashed` the script."""
        if kind not in FAILURES:
            raise ValueError(f"kind must be one of {', '.join(FAILURES)}, got {kind!r}")
        if self.stopped is not None:
            return
        self._check_open("fail")
        if self._ranks.speaks:
            self._channel.fail(kind, detail or kind, self._tail())
        self._close("diverged" if kind == "diverged" else "failed")

    def give_back(self) -> None:
        """Hands the trial back for others to go on with. Under an agent this ends the program, with exit code 75."""
        if self.stopped is not None:
            return
        self._check_open("give_back")
        self._close("returned")
        if self._ranks.speaks:
            self._channel.give_back()

    def artifact(self, content: bytes | str | Path, name: str | None = None) -> None:
        """Keeps a file with the trial: a path, or bytes under a name. The same name again replaces it."""
        self._check_open("artifact")
        if not isinstance(content, bytes):
            content = Path(content)
            name = name or content.name
        if name is None or not _NAME.fullmatch(name):
            raise ValueError(f"name must have letters, digits, dot, dash and underscore, 80 at most, got {name!r}")
        if self._ranks.speaks:
            self._channel.keep(name, content)

    def log(self, *words: Any) -> None:
        """Prints a line, and keeps it for the trial's log where it fails."""
        line = " ".join(map(str, words))
        self._lines.append(line)
        if self._ranks.speaks:
            print(line, flush=True)

    def __enter__(self) -> Self:
        self._check_open("with")
        self._last_time = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            self._termination = Termination(self._channel.exit_code)
            self._termination.install()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._termination is not None:
            self._termination.remove()
        if error is None:
            self.check_finished()
            return False
        if isinstance(error, (Pruned, Diverged, Infeasible)):
            return self._left_by(error)
        if not self.ended:
            self._say_end(error)
        return False

    def check_finished(self) -> None:
        """Unfinished where the trial has no end yet; it is failed as crashed."""
        if self.ended:
            return
        reports = f"its last report is of epoch {self._epoch}" if self._epoch else "nothing was reported of it"
        words = f"trial {self.number} was left without a result; {reports}"
        self._quietly(lambda: self._channel.fail("crashed", words, self._tail()))
        self._close("failed")
        raise Unfinished(f"{words}. End it by trial.complete(...), trial.fail(kind) or trial.give_back()")

    def _speak(self, epoch: int, values: Mapping[str, Any], resume: str | Path | None, seconds: float) -> str | None:
        """Reports as the rank that speaks; why to stop."""
        metrics = numbers(values)
        if self._diverged(metrics, epoch):
            return "diverged"
        metrics = self._without_infinities(metrics)
        if epoch in self.rungs and self.objective is not None and self.objective not in metrics:
            raise ValueError(
                f"epoch {epoch} is a rung, where the objective is needed: {lacks(self.objective, metrics)}"
            )
        self._metrics = metrics
        self._entry = {"epoch": epoch, "metrics": metrics, "seconds": seconds}
        return self._channel.report(self._entry, self._place(epoch, resume))

    def _place(self, epoch: int, resume: str | Path | None) -> Json | None:
        """From where to go on; never behind the last epoch, where nothing would be left to report."""
        return None if resume is None or epoch >= self.epochs else {"epoch": epoch, "at": str(resume)}

    def _complete(self, metrics: dict[str, float], test: Mapping[str, Any] | None, epoch: int) -> None:
        if self._diverged(metrics, epoch):
            self._close("diverged")
            return
        if self.objective is not None and self.objective not in metrics:
            raise ValueError(f"complete needs the objective: {lacks(self.objective, metrics)}")
        if not metrics:
            raise ValueError("complete needs metrics: nothing was reported, and none were given")
        if test is not None and not self.test:
            raise ValueError(
                "test was given, and this trial asks for none: evaluate the test part only where trial.test is true"
            )
        document: Json = {"epoch": epoch, "metrics": self._without_infinities(metrics)}
        document["test"] = None if test is None else self._without_infinities(numbers(test))
        self._channel.complete(document)
        self._close("completed")

    def _diverged(self, metrics: Mapping[str, float], epoch: int) -> bool:
        """Whether the objective is no number to compare with; the trial has failed by that then."""
        if self.objective is not None:
            bad = self.objective in metrics and not math.isfinite(metrics[self.objective])
            name = self.objective
        else:
            names = [name for name, value in metrics.items() if not math.isfinite(value)]
            bad, name = bool(names) and len(names) == len(metrics), (names or [""])[0]
        if bad:
            detail = f"{name} was {metrics[name]} at epoch {epoch}"
            log.warning("trial %d has diverged: %s", self.number, detail)
            self._channel.fail("diverged", detail, self._tail())
        return bad

    def _without_infinities(self, metrics: dict[str, float]) -> dict[str, float]:
        for name in metrics.keys() - finite(metrics).keys() - self._warned:
            self._warned.add(name)
            log.warning("%s is %s, which is not reported: it is no number to compare with", name, metrics[name])
        return finite(metrics)

    def _left_by(self, error: Exception) -> bool:
        """Ends the trial as the exception says; the loop over trials goes on."""
        if self.ended:
            return True
        if isinstance(error, Pruned):
            self.check_finished()
        kind = "diverged" if isinstance(error, Diverged) else "infeasible"
        self.fail(kind, str(error))
        return True

    def _say_end(self, error: BaseException) -> None:
        """Says how the trial ends by an exception that goes on its way."""
        returned = isinstance(error, KeyboardInterrupt) or (
            isinstance(error, SystemExit) and error.code == self._channel.exit_code
        )
        self._close("returned" if returned else "failed")
        if returned:
            if self._ranks.speaks:
                self._quietly(self._channel.give_back)
            return
        if isinstance(error, RankFailed):
            return  # it is said where it happened
        words = "".join(traceback.format_exception_only(type(error), error)).strip()
        self._lines.extend("".join(traceback.format_exception(type(error), error, error.__traceback__)).splitlines())
        self._quietly(lambda: self._channel.fail("crashed", words, self._tail()))

    def _quietly(self, say: Callable[[], None]) -> None:
        """Says something while the program ends for another reason, which must stay the one that is seen."""
        try:
            say()
        except ThermowellError as error:
            log.warning("how trial %d ends could not be said: %s", self.number, error)

    def _close(self, end: str) -> None:
        self._end = end
        self._channel.close()

    def _check_open(self, verb: str) -> None:
        if self._end is not None:
            end = _ENDS.get(self._end, "ended")
            raise Unfinished(f"trial {self.number} has {end} already: {verb} comes too late, leave it out")

    def _lap(self) -> float:
        now = time.monotonic()
        seconds, self._last_time = now - self._last_time, now
        return seconds

    def _tail(self) -> str:
        return "\n".join(self._lines)


_ENDS = {"completed": "been completed", "failed": "failed", "returned": "been given back"}
