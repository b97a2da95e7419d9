"""What a process has worked out of the database, each value with the state that it was worked out of.

The state is part of what is asked for, so that nothing has to be forgotten when something changes, and processes that
know nothing of each other answer the same: each looks at the state first, which is a few numbers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import Row

Value = TypeVar("Value")
State = Hashable


def version_of(job: Row[Any]) -> State:
    """What is another one after each event of a job, of its row; the time tells databases apart that were one."""
    return job.id, job.last_event, job.updated_at


@dataclass(slots=True)
class _Entry(Generic[Value]):
    state: State | None = None
    value: Value | None = None
    making: threading.Lock = field(default_factory=threading.Lock)


class Memory(Generic[Value]):
    """Values by subject, each of one state alone; threads may share it. Who was asked for longest ago goes first.

    Values are not to be changed by who reads them.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Hashable, _Entry[Value]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, subject: Hashable, state: State) -> Value | None:
        """The value of this state; None where it is not known, or of another state."""
        with self._lock:
            entry = self._entries.get(subject)
            if entry is None or entry.state != state:
                return None
            self._entries.move_to_end(subject)
            return entry.value

    def keep(self, subject: Hashable, state: State, value: Value) -> None:
        """Keeps a value in the place of what was known of the subject."""
        entry = self._entry(subject)
        with self._lock:
            entry.state, entry.value = state, value

    def make_once(self, subject: Hashable, state: State, make: Callable[[], Value]) -> Value:
        """The value of this state, made where it is not known; who asks meanwhile waits for it. Errors are not kept."""
        entry = self._entry(subject)
        with entry.making:
            if entry.state != state:
                value = make()
                with self._lock:
                    entry.state, entry.value = state, value
            return cast(Value, entry.value)

    def _entry(self, subject: Hashable) -> _Entry[Value]:
        with self._lock:
            entry = self._entries.setdefault(subject, _Entry())
            self._entries.move_to_end(subject)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
            return entry
