"""The nets of a worker, loaded in a thread while it joins the others."""

import asyncio
from collections.abc import Callable

from app.models.pipeline import Recogniser

__all__ = ["Nets"]


class Nets:
    """A recogniser that somebody may wait for before it is there.

    Arguments:
        load: makes it; runs in a thread.
        detector, embedder: what messages call its nets.
    """

    def __init__(self, load: Callable[[], Recogniser], detector: str, embedder: str) -> None:
        self.detector = detector
        self.embedder = embedder
        self._load = load
        self._loading: asyncio.Future[Recogniser] | None = None

    @property
    def loaded(self) -> bool:
        """Tell whether they are there."""
        return self._loading is not None and self._loading.done() and self._loading.exception() is None

    async def get(self) -> Recogniser:
        """Wait for the nets; the first who asks starts to load them."""
        if self._loading is None:
            self._loading = asyncio.get_running_loop().run_in_executor(None, self._load)
        return await asyncio.shield(self._loading)
