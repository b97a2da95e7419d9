"""The bar of `wait`: HTML that is updated in place in a notebook, text elsewhere, nothing where none is wanted."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from thermowell import bar


@dataclass
class Front:
    """What a notebook's front end is given: one place, and what stands there one after the other."""

    places: int = 0
    html: list[str] = field(default_factory=list)

    def display(self, html: str, display_id: bool) -> Front:
        assert display_id
        self.places += 1
        self.update(html)
        return self

    def update(self, html: str) -> None:
        self.html.append(html)


def job(done: int, **progress: Any) -> Any:
    standing = SimpleNamespace(trials_done=done, trials_planned=8, best_value=None, preparing=None, waits_for=None)
    standing.__dict__.update(progress)
    return SimpleNamespace(name="digits<", state="running", metric="accuracy", ended=False, progress=standing)


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Front:
    """A kernel that runs this."""
    front, ipython, display = Front(), ModuleType("IPython"), ModuleType("IPython.display")
    shell = type("ZMQInteractiveShell", (), {})()
    ipython.__dict__.update(get_ipython=lambda: shell)
    display.__dict__.update(HTML=str, display=front.display)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return front


def test_a_notebook_has_one_bar_that_moves(front: Front) -> None:
    with bar.shown(True) as show:
        show(job(0, preparing="compiling, about 40 s left"))
        show(job(3, best_value=0.9))
        show(job(3, best_value=0.9))
    assert front.places == 1
    first, second = front.html
    assert first == (
        '<progress max="8" value="0"></progress> digits&lt; running, 0 of 8 trials, compiling, about 40 s left'
    )
    assert 'value="3"' in second
    assert second.endswith("best accuracy 0.9")


def test_a_terminal_has_a_bar_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    with bar.shown(True) as show:
        show(job(3, best_value=0.9))
    printed = capsys.readouterr()
    assert "3/8" in printed.err
    assert "best accuracy 0.9" in printed.err
    assert printed.out == ""


def test_nothing_is_drawn_where_no_bar_is_wanted(front: Front, capsys: pytest.CaptureFixture[str]) -> None:
    with bar.shown(False) as show:
        show(job(3))
    assert (front.html, capsys.readouterr().err) == ([], "")
