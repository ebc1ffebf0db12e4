"""Asks whoever listens on a port which Kafka cluster they are."""

import asyncio

from aiokafka.errors import KafkaError

from app.broker.ports import HOST
from app.kafka.clients import open_admin

__all__ = ["cluster_on"]

_PATIENCE = 2.0


async def cluster_on(port: int) -> str | None:
    """Return the id of the cluster that answers on `port` with a broker; None if none does yet."""
    try:
        # First a bare connection: Kafka's client logs an error for each one that fails.
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return await asyncio.wait_for(_describe(port), _PATIENCE)
    except (OSError, TimeoutError, KafkaError):
        return None


async def _describe(port: int) -> str | None:
    admin = open_admin(f"{HOST}:{port}", request_timeout_ms=int(_PATIENCE * 1000))
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        # A broker that is still fenced is not listed, and would refuse topics.
        return str(cluster["cluster_id"]) if cluster["brokers"] else None
    finally:
        await admin.close()
