"""Why Kafka does not let us in: what can be told by servers that are no Kafka; the rest is in integration."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from authority import Authority
from machine import patience

from app.broker import free_port
from app.kafka import access
from app.kafka.access import AccessError, check_access
from app.settings import Settings, SettingsError

#: Returns the last bytes that are sent.
Serve = Callable[[asyncio.StreamReader], Awaitable[bytes]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


async def hang_up(reader: asyncio.StreamReader) -> bytes:
    """Say nothing, and end the connection."""
    return b""


async def keep_silent(reader: asyncio.StreamReader) -> bytes:
    """Say nothing until the other side ends the connection."""
    await reader.read()
    return b""


async def alert(reader: asyncio.StreamReader) -> bytes:
    """Answer as TLS does to a version that it does not have: with alert 70."""
    await reader.read(1)
    return bytes((21, 3, 3, 0, 2, 2, 70))


@asynccontextmanager
async def serving(serve: Serve, store: Path | None = None, clients: Path | None = None) -> AsyncIterator[int]:
    """Serve on a free port, with the certificate in `store`, those that have one of the CA in `clients`."""
    context = None
    if store is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
        context.load_cert_chain(store)
        context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
    served: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(await serve(reader))
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.create_task(answer(reader, writer)))

    async with await asyncio.start_server(begin, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.gather(*served)


@contextmanager
def serving_known_clients(authority: Authority, version: ssl.TLSVersion) -> Iterator[int]:
    """Let in who has a certificate of the CA; asyncio would not tell the others what is wrong."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(authority.issue_store("127.0.0.1"))
    context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, version

    def serve() -> None:
        # It is closed at the end, and a client may be gone.
        while server.fileno() >= 0:
            with suppress(OSError), context.wrap_socket(server.accept()[0], server_side=True) as client:
                client.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def at(*ports: int, **settings: Any) -> Settings:
    return Settings(broker=";".join(f"kafka://127.0.0.1:{port}" for port in ports), **settings)


def tls(authority: Authority, *ports: int, **settings: Any) -> Settings:
    return at(*ports, broker_security_protocol="SSL", broker_ca_file=authority.file, **settings)


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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_client_certificate_that_is_missing_or_not_known(
    authority: Authority, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    other = Authority(tmp_path)
    with serving_known_clients(authority, version) as port:
        missing = await refusal(tls(authority, port))
        store = other.issue_store("client")
        unknown = await refusal(tls(authority, port, broker_certificate_file=store))
        plain = await refusal(at(port))
    broker = f"Kafka at 127.0.0.1:{port}"
    assert missing.startswith(f"{broker} asks for a client certificate (")
    assert unknown.startswith(f"{broker} refuses the client certificate in {store} (")
    assert plain == f"{broker} speaks TLS: ONLOOKER_BROKER_SECURITY_PROTOCOL is PLAINTEXT"


async def test_another_version_of_tls(authority: Authority) -> None:
    async with serving(alert) as port:
        said = await refusal(tls(authority, port))
    assert said == f"Kafka at 127.0.0.1:{port} refuses TLS: protocol version"


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


async def test_every_broker_is_asked_once_and_those_together_that_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each names all others, and may keep silent for as long as it is waited for."""
    asked: list[int] = []
    together = asyncio.Barrier(2)

    async def ask(settings: Settings, broker: Any) -> list[Any]:
        asked.append(broker.port)
        if broker.port in (1, 2):
            await together.wait()
        return [broker._replace(port=port) for port in range(1, 7)]

    monkeypatch.setattr(access, "_ask", ask)
    async with patience(30):
        await check_access(at(1, 2))
    assert sorted(asked) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), (b"", "is empty"), (b"\xff", "holds no text")],
)
async def test_a_token_that_is_gone_is_not_put_down_to_the_broker(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "token"
    path.write_text("once")
    settings = at(
        free_port(), broker_security_protocol="SASL_PLAINTEXT", broker_sasl_mechanism="OAUTHBEARER",
        broker_token_file=path,
    )  # fmt: skip
    await check_access(settings)
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=f"ONLOOKER_BROKER_TOKEN_FILE: .*{reason}"):
        await check_access(settings)
