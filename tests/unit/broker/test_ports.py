"""Who listens where, and what answers there."""

import os
import socket

import pytest

from app.broker import BrokerError, free_port
from app.broker.ports import check_port, cluster_on


def test_a_free_port_passes() -> None:
    check_port(free_port())


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_is_told_with_its_holder(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            BrokerError, match=rf"^port {port} of 127\.0\.0\.1 is taken by \S+ \(process {os.getpid()}\): "
        ):
            check_port(port)


def test_a_port_whose_connections_are_dying_down_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            server.accept()[0].close()
            assert client.recv(1) == b""
    check_port(port)


async def test_nobody_is_no_cluster() -> None:
    assert await cluster_on(free_port()) is None


async def test_somebody_who_is_not_kafka_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.broker.ports._PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert await cluster_on(silent.getsockname()[1]) is None
