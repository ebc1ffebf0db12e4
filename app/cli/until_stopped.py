"""Run until Ctrl-C, or what else asks a program to end."""

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

__all__ = ["until_stopped"]

#: Ctrl-C, a supervisor's stop, a terminal that was closed.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` and cancel it when asked to end; asked again, it is left to clean up in peace.

    Raises:
        Exception: what `work` raises.
    """
    running = asyncio.create_task(work)
    asked = asyncio.Event()
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    asking = asyncio.create_task(asked.wait())
    await asyncio.wait([running, asking], return_when=asyncio.FIRST_COMPLETED)
    asking.cancel()
    if asked.is_set():
        running.cancel()
    with suppress(asyncio.CancelledError):
        await running
