"""What a worker says that it prepares, and for how long still."""

from __future__ import annotations

from search.worker.preparation import Preparation


def test_each_word_is_told_once_and_its_end_too() -> None:
    told: list[object] = []
    preparation = Preparation()
    preparation.tell = lambda: told.append(preparation.document())
    preparation.begin("a")
    preparation.end()
    assert told == [], "nothing was said of it"
    preparation.say("measuring")
    preparation.say("measuring")
    preparation.say("compiling", 40.0)
    preparation.begin("a")  # its next trial
    measuring, compiling = told
    assert measuring == {"job": "a", "words": "measuring", "seconds": None}
    assert isinstance(compiling, dict)
    assert 39 < compiling["seconds"] <= 40
    preparation.begin("b")
    preparation.say("compiling", 1.0)
    preparation.end()
    assert told[2] is None
    assert told[4] is None
    assert len(told) == 5
