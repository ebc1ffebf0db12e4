"""Read photographs beside the streams, without holding up the event loop."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from app.enrolment.photos import Enrolled, Photo, examine
from app.enrolment.rules import Refusal, Rules
from app.models import Nets
from app.settings import Settings

__all__ = ["PhotoReader"]


class PhotoReader:
    """Runs the product's own nets on photographs, one at a time."""

    def __init__(self, settings: Settings, nets: Nets) -> None:
        self._rules = Rules.from_settings(settings)
        self._nets = nets
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="photos")

    async def read(self, photo: Photo, wanted: int | None) -> Enrolled | Refusal:
        """Examine a photograph once the nets are there; `wanted` picks a face where there are several."""
        recogniser = await self._nets.get()
        work = partial(examine, photo, wanted, recogniser, self._rules, self._nets.embedder)
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)
