"""A warning that repeats is logged once in a while; everything else always."""

import logging

import pytest

from app import logs
from app.logs import keep_calm


def test_a_warning_that_repeats_is_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    talker = logging.getLogger("chatty.part")
    talker.setLevel(logging.INFO)
    keep_calm("chatty")
    for number in range(5):
        talker.warning("no broker at %d", number)
        talker.info("step")
    talker.warning("something else")
    assert caplog.messages.count("step") == 5
    assert [text for text in caplog.messages if text != "step"] == ["no broker at 0", "something else"]
    monkeypatch.setattr(logs, "_SECONDS", 0.0)
    talker.warning("again")
    assert caplog.messages[-1] == "again"


def test_others_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    keep_calm("chatty")
    other = logging.getLogger("chattyish")
    for _ in range(3):
        other.warning("hello")
    assert caplog.messages == ["hello"] * 3
