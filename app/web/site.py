"""The whole web side, mounted on Faust's own web server: routes, the page's files, rules of the door."""

from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from app.settings import Settings
from app.web.access import Access
from app.web.errors import errors_as_json
from app.web.streaming import add_streaming

__all__ = ["mount"]

#: The page, as files.
_STATIC = Path(__file__).parent / "static"


def mount(server: web.Application, settings: Settings, routes: Iterable[web.AbstractRouteDef]) -> None:
    """Add our routes and the rules of the door to an aiohttp application."""
    add_streaming(server, settings.max_viewers)
    access = Access(settings)
    server.middlewares.extend([errors_as_json, access.check])
    server.on_response_prepare.append(access.protect)
    server.add_routes(
        [*routes, web.get("/", _index), web.static("/static", _STATIC), web.post("/login", access.login)]
    )


async def _index(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(_STATIC / "index.html")
