"""A cursor is read as it was written, and nothing else is one."""

import base64
import json

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from app.history import Cursor
from app.web.parameters import read_cursor, write_cursor

IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)


@given(st.integers(0, 2**53), IDS)
def test_what_is_written_is_read(last: int, sighting: str) -> None:
    cursor = Cursor(last, sighting)
    text = write_cursor(cursor)
    assert text and text.isascii() and not set(text) & set("=+/&? ")
    assert read_cursor({"cursor": text}) == cursor


def test_where_there_is_no_next_page_there_is_no_cursor() -> None:
    assert write_cursor(None) is None
    assert read_cursor({}) is None


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        "x", "!", "MTA", "é", "M TA", "A" * 5000,
        encoded(b"10"), encoded(b"10."), encoded(b".a"), encoded(b"-1.a"), encoded(b"1e3.a"),
        encoded(b"9" * 16 + b".a"), encoded(b"9" * 400 + b".a"), encoded(b"1.\xff"), encoded("².a".encode()),
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(web.HTTPBadRequest) as refusal:
        read_cursor({"cursor": text})
    assert json.loads(refusal.value.text or "")["reason"] == "bad-cursor"


@given(st.text(max_size=40) | st.binary(max_size=40).map(encoded))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        cursor = read_cursor({"cursor": text})
    except web.HTTPBadRequest:
        return
    assert cursor is None or read_cursor({"cursor": write_cursor(cursor) or ""}) == cursor
