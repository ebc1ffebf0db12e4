"""Kafka beside Faust: delivery, dead letters, topics that are followed, and which offsets are done."""

from app.kafka.access import check_access
from app.kafka.admin import create_topics
from app.kafka.checkpoints import Checkpoints, Stored
from app.kafka.clients import broker_credentials, make_consumer, make_producer, open_admin
from app.kafka.dead_letters import DeadLetters, Unreadable
from app.kafka.delivery import Delivery, KafkaDelivery, Position
from app.kafka.follower import Follower, ReadFrom
from app.kafka.ledger import Ledger, PartitionLedger, Received
from app.kafka.shutdown import SHUTDOWN, ShutdownDeadline

__all__ = [
    "SHUTDOWN",
    "Checkpoints",
    "DeadLetters",
    "Delivery",
    "Follower",
    "KafkaDelivery",
    "Ledger",
    "PartitionLedger",
    "Position",
    "ReadFrom",
    "Received",
    "ShutdownDeadline",
    "Stored",
    "Unreadable",
    "broker_credentials",
    "check_access",
    "create_topics",
    "make_consumer",
    "make_producer",
    "open_admin",
]
