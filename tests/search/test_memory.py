"""What a process remembers is of the state that is asked for, made once, and bounded."""

from __future__ import annotations

import pytest

from search.requests.memory import Memory
from tests.search.factories import at_once


def test_a_value_is_of_its_state_alone() -> None:
    memory: Memory[str] = Memory(4)
    memory.keep("job", 1, "first")
    assert (memory.recall("job", 1), memory.recall("job", 2), memory.recall("other", 1)) == ("first", None, None)
    assert memory.make_once("job", 1, lambda: "again") == "first"
    assert memory.make_once("job", 2, lambda: "second") == "second"
    assert (memory.recall("job", 1), memory.recall("job", 2)) == (None, "second")


def test_who_was_asked_for_longest_ago_goes_first() -> None:
    memory: Memory[str] = Memory(2)
    memory.keep("a", 1, "a")
    memory.keep("b", 1, "b")
    assert memory.recall("a", 1) == "a"
    memory.make_once("c", 1, lambda: "c")
    assert [memory.recall(subject, 1) for subject in "abc"] == ["a", None, "c"]


def test_a_value_is_made_once_for_all_who_ask_meanwhile() -> None:
    memory: Memory[int] = Memory(4)
    times: list[int] = []

    def make() -> int:
        times.append(1)
        return len(times)

    assert at_once([lambda: memory.make_once("job", 1, make)] * 8) == [1] * 8
    assert times == [1]


def test_an_error_is_nothing_that_is_remembered() -> None:
    memory: Memory[int] = Memory(4)
    with pytest.raises(ZeroDivisionError):
        memory.make_once("job", 1, lambda: 1 // 0)
    assert memory.make_once("job", 1, lambda: 7) == 7
