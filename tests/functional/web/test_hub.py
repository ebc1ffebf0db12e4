"""The hub draws a picture once for all who watch, and never while nobody does."""

import asyncio

import pytest
from machine import SLOWNESS, patience
from studio import Studio, until

from app.models.images import decode_jpeg
from app.web.live import hub as module
from app.web.live.hub import Hub, StreamEndedError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINGER", 0.05)
    monkeypatch.setattr(module, "_RETRY", 0.01)


async def test_one_reader_and_one_drawing_serve_all_viewers(studio: Studio, hub: Hub) -> None:
    async with hub.watch("door") as first, hub.watch("door") as second, hub.watch("door") as third:
        offset = await studio.show("door")
        views = [await viewer.next() for viewer in (first, second, third)]
    assert views[0] is views[1] is views[2]
    assert views[0].offset == offset
    assert decode_jpeg(views[0].jpeg).ndim == 3
    assert (studio.rendered(), studio.readers) == (1, ["door"])


async def test_a_picture_names_who_was_identified_whoever_is_enrolled_by_now(
    studio: Studio, hub: Hub
) -> None:
    await studio.gallery.remove("ada")
    async with hub.watch("door") as viewer:
        await studio.show("door")
        view = await viewer.next()
    # Somebody unknown is like nobody, however near the nearest was.
    assert [(face.person, face.name, face.similarity) for face in view.faces] == [
        ("ada", "Ada", 0.8), (None, None, None),
    ]  # fmt: skip
    seen = studio.seen.detections
    assert [[*face.box] for face in view.faces] == seen.boxes.tolist()
    assert [face.score for face in view.faces] == seen.scores.tolist()
    assert view.shows("ada")


async def show_another(studio: Studio, hub: Hub) -> None:
    """Watch another stream for as long as a picture takes from the log to who watches, then let go of it."""
    before = studio.stopped.count("yard")
    async with hub.watch("yard") as viewer:
        offset = await studio.show("yard")
        while (await viewer.next()).offset < offset:
            pass
    await until(lambda: studio.stopped.count("yard") > before)


async def test_nothing_is_read_or_drawn_while_nobody_watches(studio: Studio, hub: Hub) -> None:
    await studio.show("door")
    await show_another(studio, hub)
    assert (studio.readers, studio.rendered()) == (["yard"], 0)

    async with hub.watch("door") as viewer:
        await viewer.next()
    await until(lambda: studio.stopped == ["yard", "door"])
    for _ in range(3):
        await studio.show("door")
    await show_another(studio, hub)
    assert (studio.readers, studio.rendered()) == (["yard", "door", "yard"], 1)


async def test_who_comes_back_soon_finds_the_stream_being_read(studio: Studio, hub: Hub) -> None:
    for _ in range(3):
        async with hub.watch("door") as viewer:
            await studio.show("door")
            await viewer.next()
    assert studio.readers == ["door"]


async def test_a_slow_viewer_gets_the_newest_and_skips_the_rest(studio: Studio, hub: Hub) -> None:
    async with hub.watch("door") as slow, hub.watch("door") as quick:
        await studio.show("door")
        await slow.next()
        for _ in range(3):
            await studio.show("door")
            last = (await quick.next()).offset
        while last < studio.offset:
            last = (await quick.next()).offset
        assert (await slow.next()).offset == studio.offset


async def test_a_reader_that_fails_is_replaced(studio: Studio, hub: Hub) -> None:
    studio.broken, studio.broken_stop = [OSError("gone")], [RuntimeError("does not stop")]
    async with patience(20), hub.watch("door") as viewer:
        await studio.show("door")
        assert (await viewer.next()).offset == studio.offset
    assert studio.readers == ["door", "door"]


async def test_no_viewer_waits_for_a_stream_that_is_no_more(studio: Studio, hub: Hub) -> None:
    async with patience(20), hub.watch("door") as viewer:
        waiting = asyncio.create_task(viewer.next())
        await until(lambda: studio.readers == ["door"])
        await hub.close()
        with pytest.raises(StreamEndedError):
            await waiting


async def test_a_stream_that_was_forgotten_in_the_meantime_ends(studio: Studio, hub: Hub) -> None:
    studio.streams._statuses.clear()
    async with patience(20), hub.watch("door") as viewer:
        with pytest.raises(StreamEndedError):
            await viewer.next()


async def test_who_comes_back_sees_what_came_in_the_meantime(
    studio: Studio, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 600.0)
    async with hub.watch("door") as viewer:
        await studio.show("door")
        await viewer.next()
    newest = await studio.show("door")
    # It comes while nobody watches, and not only to who comes back.
    await until(lambda: (passed := hub._channels["door"].passed) and passed.identifications.offset == newest)
    async with hub.watch("door") as viewer:
        assert (await asyncio.wait_for(viewer.next(), 5 * SLOWNESS)).offset == newest
