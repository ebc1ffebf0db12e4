"""The backlog holds so many of the newest events, without pictures, while anybody listens."""

import asyncio
from typing import Any

import pytest
from machine import patience
from makers import make_sighting

from app.history.index import Entry
from app.web import events as module
from app.web.events import Backlog


class News:
    """Stands where the history stands: tells whoever listens."""

    def __init__(self) -> None:
        self.listeners: list[Any] = []
        self._offset = 0

    def listen(self, listener: Any) -> Any:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def happen(self, count: int) -> None:
        start, self._offset = self._offset, self._offset + count
        entries = [
            Entry(make_sighting(id=f"{offset}", crop=b"\xff\xd8\xff" * 1000), 0, offset)
            for offset in range(start, self._offset)
        ]
        for listener in tuple(self.listeners):
            listener(entries)


@pytest.fixture
def news() -> News:
    return News()


@pytest.fixture
def backlog(news: Any, monkeypatch: pytest.MonkeyPatch) -> Backlog:
    monkeypatch.setattr(module, "_MOST", 10)
    return Backlog(news)


def test_the_newest_are_kept_and_no_more(news: News, backlog: Backlog) -> None:
    with backlog.listening():
        for _ in range(5):
            news.happen(7)
        assert (len(backlog._events), backlog.end) == (10, 35)
        news.happen(100)
        assert (len(backlog._events), backlog.end) == (10, 135)
        kept = [backlog.get(number) for number in range(backlog.end)]
    assert [event.offset for event in kept if event] == list(range(125, 135))
    assert kept[124] is None and kept[125] is not None


def test_no_picture_is_kept(news: News, backlog: Backlog) -> None:
    with backlog.listening():
        news.happen(1)
        event = backlog.get(0)
    assert event is not None
    assert '"crop": "/sightings/0.jpg"' in event.data
    assert len(event.data) < 500


def test_nothing_is_kept_while_nobody_listens(news: News, backlog: Backlog) -> None:
    news.happen(3)
    with backlog.listening():
        with backlog.listening():
            news.happen(3)
        news.happen(3)
        assert (len(backlog._events), len(news.listeners)) == (6, 1)
    assert (len(backlog._events), len(news.listeners)) == (0, 0)
    with backlog.listening():
        start = backlog.end
        news.happen(1)
        assert backlog.get(start) is not None


async def test_everybody_who_waits_is_woken(news: News, backlog: Backlog) -> None:
    with backlog.listening():
        waiting = [asyncio.create_task(backlog.wait_for(number)) for number in (0, 0, 3)]
        await asyncio.sleep(0)
        news.happen(3)
        async with patience(5):
            await asyncio.gather(*waiting[:2])
        assert not waiting[2].done()
        news.happen(1)
        async with patience(5):
            await waiting[2]
