"""Apache Kafka itself as a child process, so that one machine behaves like a cluster."""

from app.broker.errors import BrokerError, JarsUnavailableError
from app.broker.jars import prepare_jars
from app.broker.kafka import Broker
from app.broker.ports import check_port, free_port

__all__ = ["Broker", "BrokerError", "JarsUnavailableError", "check_port", "free_port", "prepare_jars"]
