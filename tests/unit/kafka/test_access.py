"""Why Kafka does not let us in: what can be told by servers that are no Kafka; the rest is in integration."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from authority import Authority

from app.broker import free_port
from app.kafka import access
from app.kafka.access import AccessError, check_access
from app.settings import Settings

Serve = Callable[[asyncio.StreamReader], Awaitable[None]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def hang_up(reader: asyncio.StreamReader) -> None:
    """Say nothing, and end the connection."""


async def keep_silent(reader: asyncio.StreamReader) -> None:
    """Say nothing until the other side ends the connection."""
    await reader.read()


@asynccontextmanager
async def serving(serve: Serve, store: Path | None = None) -> AsyncIterator[int]:
    """Serve on a free port, with the certificate in `store`."""
    context = None
    if store is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(store)
    served: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*served)


def at(*ports: int, **settings: Any) -> Settings:
    return Settings(broker=";".join(f"kafka://127.0.0.1:{port}" for port in ports), **settings)


def tls(authority: Authority, *ports: int) -> Settings:
    return at(*ports, broker_security_protocol="SSL", broker_ca_file=authority.file)


async def refusal(settings: Settings) -> str:
    with pytest.raises(AccessError) as caught:
        await check_access(settings)
    return str(caught.value)


async def test_who_is_away_does_not_refuse(authority: Authority) -> None:
    await check_access(at(free_port()))
    await check_access(tls(authority, free_port()))
    await check_access(Settings(broker="kafka://no-such-host.invalid:9092"))


async def test_who_keeps_silent_does_not_refuse(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_PATIENCE", 0.2)
    async with serving(keep_silent) as port:
        await check_access(at(port))
        await check_access(tls(authority, port))


async def test_who_hangs_up_without_another_answer_may_be_ending(authority: Authority) -> None:
    async with serving(hang_up) as port:
        await check_access(at(port))
        await check_access(tls(authority, port))


async def test_a_certificate_for_another_name(authority: Authority) -> None:
    async with serving(hang_up, authority.issue_store("kafka.example")) as port:
        said = await refusal(tls(authority, port))
    assert said.startswith(
        f"Kafka at 127.0.0.1:{port} shows a certificate for another name: IP address mismatch"
    )


async def test_a_certificate_of_an_unknown_ca(authority: Authority, tmp_path: Path) -> None:
    async with serving(hang_up, authority.issue_store("127.0.0.1")) as port:
        said = await refusal(tls(Authority(tmp_path), port))
    assert said.startswith(f"Kafka at 127.0.0.1:{port} shows a certificate of a CA that is not known (")
    assert said.endswith("set ONLOOKER_BROKER_CA_FILE to that CA")


async def test_one_that_refuses_is_found_among_those_that_are_away(authority: Authority) -> None:
    async with serving(hang_up, authority.issue_store("kafka.example")) as port:
        for ports in ((free_port(), port), (port, free_port())):
            assert f":{port} shows a certificate for another name" in await refusal(tls(authority, *ports))


@pytest.mark.parametrize(
    ("address", "broker"),
    [
        ("kafka.example:9093", "kafka.example:9093"),
        ("[::1]:9092", "[::1]:9092"),
        ("10.0.0.1:1", "10.0.0.1:1"),
    ],
)
def test_a_broker_is_called_by_its_address(address: str, broker: str) -> None:
    assert str(access._Broker.at(address)) == broker
