"""However they watch, viewers share one limit, and are let go of when they have gone."""

from typing import Any

import pytest
from servers import open_streams
from studio import Studio, until

from app.history.index import History
from app.settings import Settings
from app.web.events import EventViews
from app.web.live.hub import Hub
from app.web.live.socket import LiveSocket
from app.web.streams import StreamViews


@pytest.fixture
async def client(studio: Studio, hub: Hub, history: History, serve: Any) -> Any:
    views = (
        EventViews(history),
        StreamViews(studio.streams, studio.gallery, hub),
        LiveSocket(studio.streams, hub),
    )
    return await serve([route for view in views for route in view.routes()], Settings(max_viewers=3))


WAYS = ("/events", "/streams/door.mjpeg", "/live")


async def test_events_pictures_and_sockets_share_one_limit(client: Any, studio: Studio) -> None:
    events, pictures = [await client.get(way) for way in WAYS[:2]]
    async with client.ws_connect("/live"):
        for way in WAYS:
            refused = await client.get(way)
            assert (refused.status, (await refused.json())["reason"]) == (503, "too-many-viewers")
        assert studio.metrics.viewers.labels("door")._value.get() == 1
    await until(lambda: open_streams(client) == 2)
    assert (await client.get("/events")).status == 200
    events.close()
    pictures.close()


@pytest.mark.parametrize("way", WAYS)
async def test_a_head_opens_nothing_for_nobody_would_notice_when_it_goes(client: Any, way: str) -> None:
    response = await client.head(way)
    assert (response.status, open_streams(client)) == (405, 0)
