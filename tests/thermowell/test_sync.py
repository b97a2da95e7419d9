"""The synchronous client is what the asynchronous one becomes without its awaits.

`SYNC=write pytest tests/thermowell/test_sync.py` writes thermowell/sync anew from thermowell/aio.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "thermowell"
MODULES = sorted(path.name for path in (PACKAGE / "aio").glob("[a-z]*.py"))
NOTE = "# Made from thermowell/aio by tests/thermowell/test_sync.py: change that file, and write this one anew.\n"
WORDS = {
    r"thermowell\.aio": "thermowell.sync",
    r"\bimport asyncio\n": "",
    r"\basyncio\.sleep": "time.sleep",
    r"\basync (def|with|for)\b": r"\1",
    r"\bawait ": "",
    r"\bAsync(Client|Transport|Studies|Iterator)\b": r"\1",
    r"\b__a(enter|exit|iter|next)__": r"__\1__",
    r"\ba(close|read|iter_lines)\b": r"\1",
}


def synchronous(text: str) -> str:
    """The source of a module of thermowell.aio without what is asynchronous, formatted and sorted."""
    for pattern, words in WORDS.items():
        text = re.sub(pattern, words, text)
    for command in (["check", "--select", "I,F401,UP028", "--fix", "--unsafe-fixes", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(PACKAGE / "sync" / "x.py"), "-"],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return NOTE + text


@pytest.mark.parametrize("name", MODULES)
def test_sync_is_made_from_aio(name: str) -> None:
    expected, target = synchronous((PACKAGE / "aio" / name).read_text()), PACKAGE / "sync" / name
    if os.environ.get("SYNC") == "write":
        target.write_text(expected)
    assert target.read_text() == expected


def test_every_module_has_its_counterpart() -> None:
    assert sorted(path.name for path in (PACKAGE / "sync").glob("[a-z]*.py")) == MODULES
    assert not re.search(r"\basync\b|\bawait\b", "".join((PACKAGE / "sync" / name).read_text() for name in MODULES))
