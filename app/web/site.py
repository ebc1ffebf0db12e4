"""The whole web side, mounted on Faust's own web server."""

from collections.abc import Iterable

from aiohttp import web

from app.settings import Settings
from app.web.access import Access
from app.web.errors import errors_as_json
from app.web.page import page_routes
from app.web.streaming import add_streaming

__all__ = ["mount"]


def mount(server: web.Application, settings: Settings, routes: Iterable[web.AbstractRouteDef]) -> None:
    """Add our routes and the rules of the door to an aiohttp application."""
    add_streaming(server, settings.max_viewers)
    access = Access(settings)
    server.middlewares.extend([errors_as_json, access.check])
    server.on_response_prepare.append(access.protect)
    server.add_routes([*routes, *page_routes(), web.post("/login", access.login)])
