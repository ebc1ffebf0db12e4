"""Streaming responses: they never end by themselves, and are ended when the worker stops."""

import asyncio
from weakref import WeakSet

from aiohttp import web

__all__ = ["prepare", "streaming"]

_TASKS = web.AppKey("streaming", WeakSet[asyncio.Task[None]])


def prepare(server: web.Application) -> None:
    """Make a server end its streaming responses when it stops; it would wait a minute for them."""
    server[_TASKS] = WeakSet()
    server.on_shutdown.append(_end_all)


def streaming(request: web.Request) -> None:
    """Mark the answer to a request as a streaming response."""
    if request.task is not None:
        request.app[_TASKS].add(request.task)


async def _end_all(server: web.Application) -> None:
    """End the streaming responses."""
    tasks = server[_TASKS]
    for task in list(tasks):
        task.cancel()
