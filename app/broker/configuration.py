"""What Kafka is told: one node that is broker and controller, on the loopback address, bounded on disk."""

from app.broker.ports import HOST
from app.topics import MAX_MESSAGE_BYTES

__all__ = ["CONSOLE_LOG", "LOGGING", "LOG_FILE", "STORAGE", "server_properties"]

# All relative to the folder that Kafka is started in: its files then need no quoting of that folder's name.
STORAGE = "kafka"
LOG_FILE = "logs/kafka.log"
CONSOLE_LOG = "logs/console.log"

_MIB = 2**20

#: Log4j: a new file at each start and every 8 MB, five in all; a start's own file tells why it failed.
LOGGING = f"""\
Configuration:
  status: error
  shutdownHook: disable
  Appenders:
    RollingFile:
      name: file
      fileName: {LOG_FILE}
      filePattern: {LOG_FILE}.%i
      PatternLayout:
        pattern: "%d %p %c{{1}}: %m%n"
      Policies:
        OnStartupTriggeringPolicy: {{}}
        SizeBasedTriggeringPolicy:
          size: 8MB
      DefaultRolloverStrategy:
        max: 4
        fileIndex: min
  Loggers:
    Root:
      level: info
      AppenderRef:
        ref: file
"""


def server_properties(port: int, controller_port: int) -> str:
    """Return Kafka's configuration for clients on `port`."""
    options = {
        **_listeners(port, controller_port),
        "log.dirs": STORAGE,
        "auto.create.topics.enable": "false",
        **_bounds(),
        **_one_node(),
    }
    return "".join(f"{name}={value}\n" for name, value in options.items())


def _listeners(port: int, controller_port: int) -> dict[str, object]:
    return {
        "node.id": 1,
        "process.roles": "broker,controller",
        "listeners": f"CLIENT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"CLIENT://{HOST}:{port}",
        "listener.security.protocol.map": "CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENT",
        "controller.listener.names": "CONTROLLER",
        # Kept nowhere on disk: the controller's port may be another one at each start.
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
    }


def _bounds() -> dict[str, object]:
    return {
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": MAX_MESSAGE_BYTES,
        # For topics that say nothing themselves; whole segments go, so these are small.
        "log.retention.hours": 7 * 24,
        "log.retention.bytes": 1024 * _MIB,
        "log.segment.bytes": 64 * _MIB,
        "log.retention.check.interval.ms": 60_000,
        "log.cleaner.dedupe.buffer.size": 16 * _MIB,
        # Kafka's eleven threads are for servers; here they take the cores from the nets.
        "num.io.threads": 2,
        "num.network.threads": 2,
        "offsets.topic.segment.bytes": 16 * _MIB,
        "metadata.log.segment.bytes": 16 * _MIB,
        "metadata.max.retention.bytes": 64 * _MIB,
    }


def _one_node() -> dict[str, object]:
    return {
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        # A broker that was killed is let in again only when its old session has run out.
        "broker.session.timeout.ms": 2000,
        "broker.heartbeat.interval.ms": 500,
    }
