"""Words of others on a terminal: they are shown, and do nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from service.terminal.console import say_problem, stderr, stdout
from thermowell.plain import json_text, plain

ATTACK = "a[red]b[/red]\x1b[31mc\x1b]0;title\x07d\x9b2Je\u202ef:smile:\x08\x0d"
SHOWN = "a[red]b[/red][31mc]0;titled2Jef:smile:"


def table(cell: str) -> Table:
    made = Table("head", title=None)
    made.add_row(cell)
    return made


@pytest.mark.parametrize(
    "drawn", [str, Text, lambda text: Padding(text, 1), table, lambda text: Text.assemble((text, "bold"))]
)
@pytest.mark.parametrize("colour", [False, True])
def test_words_do_nothing_on_a_console(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, drawn: Callable[[str], object], colour: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    if colour:
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
    for console, stream in ((stdout(), 0), (stderr(), 1)):
        console.print(drawn(ATTACK))
        out = capsys.readouterr()[stream]
        assert SHOWN in out
        assert not set(out) & set("\x07\x08\x9b\u202e")
        assert "\x1b[31m" not in out
        assert "\x1b]" not in out


def test_a_problem_does_nothing_on_a_console(capsys: pytest.CaptureFixture[str]) -> None:
    say_problem({"title": ATTACK, "detail": ATTACK})
    say_problem({"title": ATTACK, "errors": [{"path": ATTACK, "message": ATTACK}]})
    out = capsys.readouterr().err
    assert out.count(SHOWN) == 5
    assert "\x1b" not in out


@hypothesis.given(
    st.recursive(st.text() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_json_is_the_same_and_harmless(document: object) -> None:
    text = json_text(document)
    assert json.loads(text) == document
    assert plain(text) == text


@hypothesis.given(st.text())
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    if text.isprintable():
        assert plain(text) == text
