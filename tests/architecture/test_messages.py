"""Every message that a user can meet says what is wrong and the way out, asks nothing and names nothing internal.

The list is taken from the code (`messages.py`): a new message is held to the same, or reviewed here with its reason.
"""

from __future__ import annotations

import ast
import functools
import re

import pytest

from service.errors import KINDS
from tests.architecture.messages import Message, messages, words

VERBS = (
    "add|ask|build|cancel|check|choose|claim|close|convert|create|delete|do|draw|drop|end|fetch|follow|give|group|import|install|"
    "keep|leave|let|look|lower|make|mend|mount|move|name|number|open|put|raise|read|remove|rename|repeat|report|run|save|say|"
    "scale|see|send|set|show|start|submit|take|try|unset|update|use|wait|write"
)
WAY_OUT = re.compile(
    r"`[^`]+`|pip install|\bthermowell \w"  # a command
    r"|\bmust\b|\bneeds?\b|\bneeded\b|\ballowed\b|\bat (most|least)\b|\bone of\b|\balone\b|\bbelongs? to\b"
    r"|\bfrom \S+ to \S+"
    rf"|(?:^|[:;,.(] |\bor |\band )(?:{VERBS})\b"  # what to do
    r"|\{\}$",  # what is filled in at the end says it: another message, or the names that there are
    re.IGNORECASE,
)
INTERNAL = re.compile(r"\b[A-Z][a-z]+[A-Z][a-z]\w*|\bNone\b|[Tt]raceback|[Pp]ydantic|__|\b_\w+")
QUESTION = re.compile(r"\?(?!\w+=)")  # an address has one before its parameters

REVIEWED: dict[str, str] = {
    "{} (on {})": "the first part is another message, the second a machine",
    "Field required": "told as `is missing` at its line by search.spec.validation_errors",
    "a spec is a group of fields (name, dataset, teacher, student, ...)": "says what is expected",
    "mean and std are given together, or neither is": "says both ways out",
    "not JSON: {} (column {})": "the parser's own words, at their line and column",
    "space.parameters.{} is unknown to the built-in training, which has {}; a training of your own (trainer) has any": (
        "says what there is"
    ),
    (
        "factors.{}: {} is no field of a job{}, and a factor with a name of its own has named levels, each "
        "with the dotted paths that it sets: {level: {path: value}}"
    ): "says how it is written",
    "{} is not a replayed student's": "the student is begun anew",
    "{} does not have each of {} cells with each of {} seeds, in order": "a table that was changed by hand",
}
"""Messages that the rules would refuse, each with why it stands."""


@functools.cache
def every_message() -> list[Message]:
    return messages()


def faults(text: str) -> list[str]:
    """Which rules a message breaks."""
    rules = {"asks": QUESTION.search(text), "names what is internal": INTERNAL.search(text)}
    broken = [rule for rule, match in rules.items() if match]
    return broken if WAY_OUT.search(text) else [*broken, "has no way out"]


def test_messages_say_what_is_wrong_and_the_way_out() -> None:
    judged: list[Message] = [message for message in every_message() if message.text not in REVIEWED]
    broken = {f"{message.file}:{message.line}: {message.text}": faults(message.text) for message in judged}
    assert {message: rules for message, rules in broken.items() if rules} == {}


def test_what_is_reviewed_is_said_somewhere_and_breaks_a_rule() -> None:
    texts = {message.text for message in every_message()}
    assert [text for text in REVIEWED if text not in texts or not faults(text)] == []


def test_titles_of_problems_are_statements() -> None:
    assert [kind.title for kind in KINDS.values() if QUESTION.search(kind.title) or INTERNAL.search(kind.title)] == []


def test_the_list_is_of_all_kinds() -> None:
    assert len(every_message()) > 400
    assert {"search", "service", "trainers"} <= {message.file.partition("/")[0] for message in every_message()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who is asking?", ["asks", "has no way out"]),
        ("the ValidationError of None", ["names what is internal", "has no way out"]),
        ("it cannot become: nothing", ["has no way out"]),
        ("there is no data: put it there", []),
        ("written postgresql://user@/name?host=a, at most", []),
    ],
)
def test_the_rules_see_what_they_refuse(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_texts_are_read_as_they_are_put_together() -> None:
    expression = ast.parse('f"a {b}" + ("c" if d else "e")', mode="eval").body
    assert words(expression) == ["a {}c", "a {}e"]
