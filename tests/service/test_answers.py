"""The terminal's answer fits into 80 columns and says how sure it is of its winner."""

from __future__ import annotations

import dataclasses
import functools
import io
from typing import Any

import pytest
from rich.console import Console

from search import units
from service.terminal.answers import print_answer
from tests import synthetic
from thermowell.api.answers import Result, TemperatureResponse
from thermowell.api.document import read_document


@functools.cache
def documents() -> dict[str, Any]:
    return synthetic.documents(synthetic.spec(budget={"trials": 24}), list(synthetic.few()))


@functools.cache
def the_result() -> Result:
    return read_document(Result, documents()["result"].model_dump(mode="json"))


def shown(result: Result) -> list[str]:
    @dataclasses.dataclass
    class Named:
        name: str = "digits"

    job: Any = Named()
    into = io.StringIO()
    response = read_document(TemperatureResponse, documents()["response"].model_dump(mode="json"))
    print_answer(Console(width=80, file=into), job, result, response)
    return [" ".join(line.split()) for line in into.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("chance", "said"), [(0.0, "not shown"), (0.314, "chance of at least 31 %"), (1.0, "chance of at least 99 %")]
)
def test_it_says_how_sure_it_is_of_its_winner(chance: float, said: str) -> None:
    shortfall = the_result().shortfall
    assert shortfall is not None
    changed = shortfall.model_copy(update={"chance_within_delta": chance})
    lines = shown(the_result().model_copy(update={"shortfall": changed}))
    assert f"within 0.2 points of the best {said}" in lines
    assert f"expected shortfall {units.shortfall('accuracy', documents()['result'].shortfall)}" in lines


def test_it_begins_with_the_verdict_and_what_to_do() -> None:
    result = the_result()
    assert result.verdict is not None
    words = " ".join(line for line in shown(result)[1:] if line)
    assert words.startswith(f"{result.verdict.headline} {units.sentence(result.verdict.action)}")
    assert "What could be used" in words
    assert words.count(" recommended ") == 1


def test_a_sealed_test_part_is_said_in_the_place_of_its_figures() -> None:
    assert not any("sealed" in line for line in shown(the_result()))
    winner = the_result().winner.model_copy(update={"test": None})
    lines = shown(the_result().model_copy(update={"test_sealed": True, "winner": winner}))
    assert "on test sealed: nothing is decided" in lines


def test_an_answer_of_before_verdicts_says_what_it_can() -> None:
    old = the_result().model_copy(update={"verdict": None, "summary": "Distil at T = 6."})
    words = " ".join(line for line in shown(old)[1:] if line)
    assert words.startswith(f"Distil at T = 6. {units.BEFORE_VERDICTS}")
    assert "What could be used" not in words


def test_an_answer_of_before_it_was_said_is_shown_without() -> None:
    lines = shown(the_result().model_copy(update={"shortfall": None, "summary": ""}))
    assert any(line.startswith("on validation") for line in lines)
    assert not [line for line in lines if line.startswith(("within 0.2 points of the best", "expected shortfall"))]
