"""SIGTERM while a trial is trained: the program ends, and the trial is given back on the way."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any


class Termination:
    """Ends the program by SystemExit on SIGTERM, between `install` and `remove`, where nobody else handles it.

    Processes that were forked meanwhile, such as those of a data loader, end by SIGTERM as they always did.
    """

    def __init__(self, exit_code: int) -> None:
        self._exit_code, self._owner = exit_code, os.getpid()
        self._before: Any = None

    def install(self) -> None:
        """Takes the signal over, unless the program handles it itself."""
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, self._end)

    def remove(self) -> None:
        """Leaves the signal as it was."""
        if self._before is not None and signal.getsignal(signal.SIGTERM) == self._end:
            signal.signal(signal.SIGTERM, self._before)
        self._before = None

    def _end(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        raise SystemExit(self._exit_code)
