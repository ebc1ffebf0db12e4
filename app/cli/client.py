"""Talk to a worker's web side from the command line."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp

from app.errors import OnlookerError
from app.settings import Settings

__all__ = ["Client", "ClientError", "ask"]

T = TypeVar("T")

_TIMEOUT = 60.0


class ClientError(OnlookerError):
    """A worker cannot be reached, or refuses; `answer` is what it said."""

    def __init__(self, text: str, answer: dict[str, Any] | None = None) -> None:
        super().__init__(text)
        self.answer = answer or {}


class Client:
    """The web side of one worker."""

    def __init__(self, settings: Settings) -> None:
        self._address = settings.address
        headers = {"Authorization": f"Bearer {settings.token}"} if settings.token else {}
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT)
        self._session = aiohttp.ClientSession(settings.address, headers=headers, timeout=timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Ask for something."""
        return await self._ask("GET", path, params=query)

    async def post(self, path: str, form: aiohttp.FormData) -> dict[str, Any]:
        """Send a form."""
        return await self._ask("POST", path, data=form)

    async def delete(self, path: str) -> dict[str, Any]:
        """Remove something."""
        return await self._ask("DELETE", path)

    async def answers(self, path: str) -> bool:
        """Tell whether something is there now."""
        try:
            async with self._session.get(path) as response:
                return response.ok
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def captured(self, path: str) -> float:
        """Return when the picture that is there now was captured, seconds since the epoch; 0 for none."""
        try:
            async with self._session.get(path) as response:
                return int(response.headers.get("X-Captured", 0)) / 1000
        except (aiohttp.ClientError, TimeoutError):
            return 0.0

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            async with self._session.request(method, path, **more) as response:
                answer: Any = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            raise ClientError(f"no worker answers at {self._address} (is `onlooker up` running?)") from None
        if not isinstance(answer, dict):
            raise ClientError(f"what answers at {self._address} is no worker of Onlooker")
        if not response.ok:
            raise ClientError(str(answer.get("detail", response.reason)), answer)
        found: dict[str, Any] = answer
        return found


def ask(work: Coroutine[Any, Any, T]) -> T:
    """Run a conversation with a worker."""
    return asyncio.run(work)
