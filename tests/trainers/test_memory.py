"""Memory that a process keeps from one step to the next."""

from __future__ import annotations

import resource
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from trainers.engines import memory


class Malloc(SimpleNamespace):
    """Stands in for glibc, and notes what it is told."""

    def __init__(self, answer: int) -> None:
        super().__init__(answer=answer, calls=[])

    def mallopt(self, parameter: int, value: int) -> int:
        self.calls.append((parameter, value))
        return int(self.answer)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.skipif(memory._glibc() is None, reason="malloc is not glibc's")
def test_a_step_asks_for_no_new_pages() -> None:
    assert memory.keep_freed()
    faults = []
    for _ in range(6):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        tensors = [torch.zeros(3 * 2**20) + 1 for _ in range(4)]  # 48 MiB at once, 3,072 pages in each
        del tensors
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults) < 3_000  # of a step that finds room for all: what else the process keeps may lie in between
    memory.give_back()


@pytest.mark.parametrize(
    ("malloc", "variables", "keeps"),
    [
        (Malloc(1), {}, True),
        (Malloc(0), {}, False),
        (None, {}, False),
        (Malloc(1), {"MALLOC_TRIM_THRESHOLD_": "1"}, False),
        (Malloc(1), {"GLIBC_TUNABLES": "glibc.malloc.arena_max=2"}, False),
    ],
)
def test_who_says_otherwise_is_heard(
    monkeypatch: pytest.MonkeyPatch, malloc: Any, variables: dict[str, str], keeps: bool
) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: malloc)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert memory.keep_freed() is keeps
    assert malloc is None or bool(malloc.calls) is not bool(variables)
