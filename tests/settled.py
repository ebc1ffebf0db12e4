"""To be sure, without waiting for a time, that something has not come and is not on its way."""

import asyncio
from typing import Any

from machine import patience

__all__ = ["settled"]


async def settled() -> None:
    """Return when all that could go on has gone on, and the event loop has nothing left to run.

    What waits for a thread, a socket or a time is not waited for.
    """
    loop: Any = asyncio.get_running_loop()
    async with patience(20):
        await asyncio.sleep(0)
        # There is no public way to ask.
        while loop._ready:  # noqa: ASYNC110
            await asyncio.sleep(0)
