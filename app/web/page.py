"""The page, as files."""

from pathlib import Path

from aiohttp import web

__all__ = ["page_routes"]

_STATIC = Path(__file__).parent / "static"


def page_routes() -> list[web.AbstractRouteDef]:
    """Return the routes of the page and its files."""
    return [web.get("/", _index), web.static("/static", _STATIC)]


async def _index(_: web.Request) -> web.StreamResponse:
    return web.FileResponse(_STATIC / "index.html")
