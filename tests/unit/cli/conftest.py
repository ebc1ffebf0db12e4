"""The command line, run as a person would, and a worker's web side for it to talk to."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from app.cli import main
from app.settings import Settings, load_settings

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Clear every setting of ours, now and at the end."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ONLOOKER_{name.upper()}", raising=False)
    monkeypatch.setenv("ONLOOKER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    load_settings.cache_clear()
    yield monkeypatch
    load_settings.cache_clear()


@pytest.fixture
def onlooker(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs the command line and returns its exit code, output and errors."""

    def run(arguments: tuple[str, ...]) -> int:
        environment.setattr(sys, "argv", ["onlooker", *arguments])
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    async def in_thread(*arguments: str) -> tuple[int, str, str]:
        load_settings.cache_clear()
        code = await asyncio.to_thread(run, arguments)
        return code, *capsys.readouterr()

    return in_thread


@pytest.fixture
async def worker(environment: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Return what serves these routes where the command line looks for a worker."""
    servers: list[TestServer] = []

    async def start(routes: Iterable[web.AbstractRouteDef]) -> str:
        application = web.Application()
        application.add_routes(routes)
        server = TestServer(application, host="127.0.0.1")
        await server.start_server()
        servers.append(server)
        address = str(server.make_url("")).rstrip("/")
        environment.setenv("ONLOOKER_URL", address)
        return address

    yield start
    for server in servers:
        await server.close()
