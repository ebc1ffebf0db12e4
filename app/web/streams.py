"""The streams: how they are, and their pictures one by one, as MJPEG, or all over one WebSocket."""

import asyncio
import time
from contextlib import suppress
from typing import Any

from aiohttp import web

from app.history import Streams, heard_last, is_live, state_of
from app.messages import StreamStatus
from app.tables import Gallery
from app.web.errors import api_error
from app.web.live.hub import Hub, StreamEndedError, Viewer
from app.web.live.render import View
from app.web.streaming import StreamingResponse, streaming

__all__ = ["StreamViews"]

_BOUNDARY = "frame"
#: Seconds to wait for the first picture of a stream.
_PATIENCE = 5.0
#: Seconds after which a picture is sent again, so that a viewer that went away is noticed.
_PROOF_OF_LIFE = 10.0
#: Sent where there is no picture yet: browsers and FFmpeg pass over empty lines before a boundary.
_NOTHING = b"\r\n"


class StreamViews:
    """`/streams`."""

    def __init__(self, streams: Streams, gallery: Gallery, hub: Hub) -> None:
        self._streams = streams
        self._gallery = gallery
        self._hub = hub

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/streams", self.list),
            # Nothing can be written to a HEAD, so that nobody would notice when its sender goes away.
            web.get("/streams/{name}.mjpeg", self.mjpeg, allow_head=False),
            web.get("/streams/{name}.jpg", self.jpeg),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """List the streams by name."""
        statuses = sorted(self._streams.statuses.values(), key=lambda status: status.stream)
        return web.json_response({"streams": [_to_json(status) for status in statuses]})

    async def jpeg(self, request: web.Request) -> web.Response:
        """Return the newest annotated frame."""
        async with self._hub.watch(self._known(request)) as viewer:
            try:
                view = await asyncio.wait_for(viewer.next(), _PATIENCE)
            except (TimeoutError, StreamEndedError):
                raise api_error(404, "no-frame-yet", "no frame of this stream can be shown yet") from None
        headers = {"X-Captured": str(view.captured)}
        return web.Response(body=view.jpeg, content_type="image/jpeg", headers=headers)

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        """Send annotated frames, all of them or those with one person, until the viewer goes away."""
        stream, person = self._known(request), request.query.get("person") or None
        if person is not None and person not in self._gallery.people:
            raise api_error(404, "no-such-person", f"nobody with the id {person[:80]} is enrolled")
        response = StreamingResponse(
            request, {"Content-Type": f"multipart/x-mixed-replace; boundary={_BOUNDARY}"}
        )
        with streaming(request):
            async with self._hub.watch(stream) as viewer:
                await response.prepare(request)
                with suppress(ConnectionError):
                    await _send(request, response, viewer, person)
        return response

    def _known(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._streams.statuses:
            raise api_error(404, "no-such-stream", f"there is no stream {name[:80]!r}")
        return name


async def _send(
    request: web.Request, response: web.StreamResponse, viewer: Viewer, person: str | None
) -> None:
    last: View | None = None
    while request.transport is not None and not request.transport.is_closing():
        with suppress(TimeoutError):
            last = await asyncio.wait_for(_next_with(viewer, person), _PROOF_OF_LIFE)
        await response.write(_NOTHING if last is None else _part(last))


async def _next_with(viewer: Viewer, person: str | None) -> View:
    view = await viewer.next()
    while person is not None and not view.shows(person):
        view = await viewer.next()
    return view


def _part(view: View) -> bytes:
    headers = (
        f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(view.jpeg)}\r\n"
        f"X-Captured: {view.captured}\r\n\r\n"
    )
    return headers.encode() + view.jpeg + b"\r\n"


def _to_json(status: StreamStatus) -> dict[str, Any]:
    state, heard = state_of(status), heard_last(status)
    return {
        "name": status.stream,
        "state": state,
        "live": status.live,
        "width": status.width,
        "height": status.height,
        "fps": status.fps if is_live(status) else 0.0,
        "age": round(status.age, 3),
        "faces": status.faces,
        "frames": status.frames,
        "waiting": 0 if state == "silent" else status.waiting,
        "skipped": status.skipped,
        "skipping": status.skipping if state in ("live", "overloaded") else 0.0,
        "captured": status.captured,
        "updated": status.updated,
        "arrived": status.arrived,
        "silent_for": round(time.time() - heard / 1000, 1) if state == "silent" else 0,
        "worker": status.worker,
        "mjpeg": f"/streams/{status.stream}.mjpeg",
    }
