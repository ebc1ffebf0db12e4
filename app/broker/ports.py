"""Loopback ports: one that is free, who holds one that is not, and which Kafka cluster answers there."""

import asyncio
import errno
import os
import socket

import psutil
from aiokafka.errors import KafkaError

from app.broker.errors import BrokerError
from app.kafka import open_admin

__all__ = ["HOST", "check_port", "cluster_on", "free_port"]

HOST = "127.0.0.1"

_PATIENCE = 2.0


def free_port() -> int:
    """Return a port of the loopback address that nobody holds now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def check_port(port: int, host: str = HOST) -> None:
    """Check that `port` of `host` can be listened on.

    Raises:
        BrokerError: it is taken, by whom, or may not be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if os.name == "posix":
            # As Java does: a port whose last connections are still dying down is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise BrokerError(f"port {port} of {host} cannot be used: {error.strerror}") from None
            raise BrokerError(
                f"port {port} of {host} is taken by {_holder(port)}: end that, or choose another port"
            ) from None


async def cluster_on(port: int) -> str | None:
    """Return the id of the cluster that answers on `port` with a broker; None if none does yet."""
    try:
        # First a bare connection: Kafka's client logs an error for each one that fails.
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return await asyncio.wait_for(_describe(port), _PATIENCE)
    except (OSError, TimeoutError, KafkaError):
        return None


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        # Some systems show sockets to the superuser alone; the port is what matters.
        return "another process"
    return "another process"


async def _describe(port: int) -> str | None:
    admin = open_admin(f"{HOST}:{port}", request_timeout_ms=int(_PATIENCE * 1000))
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        # A broker that is still fenced is not listed, and would refuse topics.
        return str(cluster["cluster_id"]) if cluster["brokers"] else None
    finally:
        await admin.close()
