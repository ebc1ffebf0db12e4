"""What can go wrong with the embedded broker."""

from app.errors import OnlookerError

__all__ = ["BrokerError", "JarsUnavailableError"]


class BrokerError(OnlookerError):
    """The embedded broker cannot be had, cannot start, or has ended."""


class JarsUnavailableError(BrokerError):
    """Kafka's jars are not in the cache and cannot be fetched."""
