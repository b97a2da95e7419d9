"""The choice of engine and number of threads for a problem: the fastest that settings allow."""

from __future__ import annotations

import dataclasses

import structlog

from search import tracing
from search.settings import Settings
from search.worker.preparation import Preparation
from trainers import run
from trainers.engines.choose import Choice
from trainers.engines.engine import Engine
from trainers.engines.warmup import COMPILING

_log = structlog.get_logger(__name__)


class EngineChooser:
    """Chooses engines and opens them. Torch's threads are those of whatever is trained at the moment."""

    def __init__(self, settings: Settings, preparation: Preparation | None = None) -> None:
        self.settings, self.preparation = settings, preparation or Preparation()
        self._most_threads = settings.threads or run.usable_threads()

    def choose(self, prepared: run.Ready, most: int, work: int) -> Choice:
        """The engine for a problem: at most `most` lanes, with `work` epochs still to train in its job."""
        settings = self.settings
        self.use_threads(None)
        lanes = min(most, settings.lanes or most)
        with tracing.span("choose engine", {"thermowell.student.name": prepared.problem.student.name}) as span:
            choice = run.choose(
                prepared,
                most_lanes=lanes,
                work=work,
                store=settings.artifact_root,
                force=None if settings.engine == "auto" else settings.engine,
                threads=self._most_threads,
                announce=self.preparation.say,
            )
            if settings.engine == "loop" and settings.lanes is not None:  # side by side is no faster, but was asked for
                choice = dataclasses.replace(choice, lanes=lanes)
            choice_fields = dataclasses.asdict(choice)
            del choice_fields[
                "figures"
            ]  # the reason tells those that mattered; all of them stand in the worker's status
            span.note(
                {
                    f"thermowell.engine.{name}": choice_fields[name]
                    for name in ("lanes", "compiled", "batched", "threads", "reason")
                }
            )
            span.note({"thermowell.engine.name": choice.engine})
        _log.info("engine chosen", student=prepared.problem.student.name, **choice_fields)
        return choice

    def open(self, prepared: run.Ready, choice: Choice) -> Engine:
        """The engine of a choice; a compiled one is compiled by its first epoch."""
        if choice.compiled:
            figures = [figure for figure in choice.figures if figure["form"] == dataclasses.asdict(choice.form())]
            self.preparation.say(COMPILING, figures[0]["start_seconds"] if figures else None)
        return run.open_engine(prepared, choice)

    def use_threads(self, choice: Choice | None) -> None:
        """Torch computes on as many threads as the choice wants; before there is one, on as many as are allowed."""
        run.set_threads(self._most_threads if choice is None else choice.threads)
