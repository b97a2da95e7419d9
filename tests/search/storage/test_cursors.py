"""A cursor comes back as it went, and nothing else gets through."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.errors import CursorInvalid
from search.storage import cursors

TYPES = (float, str, (int, type(None)))


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=50),
    st.none() | st.integers(-(2**31) + 1, 2**31 - 1),
)
def test_positions_come_back_exactly(at: float, text: str, number: int | None) -> None:
    if cursors.is_text(text):
        assert cursors.decode(cursors.encode("jobs", at, text, number), "jobs", TYPES) == [at, text, number]


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_anything_else_is_refused(cursor: str) -> None:
    with pytest.raises(CursorInvalid):
        cursors.decode(cursor, "jobs", TYPES)


@pytest.mark.parametrize(
    "position",
    [
        ["trials", 1.5, "a", 1],
        ["jobs", 1.5, "a"],
        ["jobs", 1.5, "a", 1, 1],
        ["jobs", "1.5", "a", 1],
        ["jobs", True, "a", 1],
        ["jobs", 1.5, "a", True],
        ["jobs", 1.5, "a", 2**31],
        ["jobs", 1.5, "a", [1]],
        ["jobs", 1.5, "a\x00", 1],
        ["jobs", 1.5, "\ud800", 1],
        ["jobs", float("nan"), "a", 1],
        ["jobs", float("inf"), "a", 1],
        {"jobs": 1},
        [],
        None,
    ],
)
def test_what_was_tampered_with_is_refused(position: object) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")
    with pytest.raises(CursorInvalid):
        cursors.decode(cursor, "jobs", TYPES)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(CursorInvalid):
        cursors.decode(base64.urlsafe_b64encode(b"[" * 100_000).decode(), "jobs", TYPES)
    infinite = base64.urlsafe_b64encode(b'["jobs",1e999,"a",1]').decode()
    with pytest.raises(CursorInvalid):
        cursors.decode(infinite, "jobs", TYPES)
