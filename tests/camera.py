"""A camera on the network: serves the JPEGs of a folder again and again, at a camera's pace."""

import asyncio
import itertools
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web
from machine import SLOWNESS

__all__ = ["Camera"]

_PART = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"


class Camera:
    """Serves MJPEG over HTTP from a thread of its own; every viewer sees the folder from its start."""

    def __init__(self, folder: Path) -> None:
        self._jpegs = [file.read_bytes() for file in sorted(folder.glob("*.jpg"))]
        self._port = 0
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10 * SLOWNESS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join()

    def url(self, fps: float) -> str:
        """Return the address of so many pictures a second."""
        return f"http://127.0.0.1:{self._port}/{fps}.mjpeg"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_get("/{fps}.mjpeg", self._film)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._port = runner.addresses[0][1]
        self._ready.set()
        await self._ending.wait()
        await runner.cleanup()

    async def _film(self, request: web.Request) -> web.StreamResponse:
        fps = float(request.match_info["fps"])
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=frame"})
        await response.prepare(request)
        with suppress(ConnectionError):
            for jpeg in itertools.cycle(self._jpegs):
                await response.write(_PART % (len(jpeg), jpeg))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), 1 / fps)
                if self._ending.is_set():
                    break
        return response
