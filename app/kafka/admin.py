"""Makes the topics what they are declared to be: creates those that are missing, puts right the others."""

import asyncio
import logging
import time

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidReplicationFactorError,
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from app.errors import OnlookerError
from app.kafka.access import check_access
from app.kafka.clients import make_admin
from app.settings import Settings
from app.topics import Topics

__all__ = ["BrokerUnreachableError", "TopicError", "create_topics"]

_log = logging.getLogger(__name__)

_RETRY = 0.1
#: Milliseconds that the broker may take for one answer.
_PATIENCE = 15_000
#: What Kafka says of a setting that was given to the topic itself, rather than to the broker.
_OF_TOPIC = 1


class TopicError(OnlookerError):
    """A topic cannot be had as it is declared, or the broker cannot be reached."""


class _NotYetError(TopicError):
    """The broker cannot do it now, but may in a moment."""


class BrokerUnreachableError(_NotYetError):
    """No Kafka answers where the settings say."""


async def create_topics(settings: Settings, wait: float = 0) -> str:
    """Create the topics that are missing, put right those that are there, and return the cluster's id.

    Args:
        wait: seconds for which a broker that does not answer, or is not ready yet, is asked again.

    Raises:
        TopicError: a topic has another partition count, or the broker cannot be reached or refuses.
        AccessError: the broker does not let us in, or cannot be trusted.
        SettingsError: a file that the settings name cannot be used.
    """
    deadline = time.monotonic() + wait
    while True:
        try:
            return await _create_topics(settings)
        except _NotYetError:
            await check_access(settings)
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(_RETRY)


async def _create_topics(settings: Settings) -> str:
    admin = make_admin(settings, client_id=settings.app_id, request_timeout_ms=_PATIENCE)
    addresses, topics = ", ".join(settings.bootstrap), Topics(settings)
    try:
        await admin.start()
        await _create(admin, topics, settings.replication)
        await _check(admin, topics)
        await _configure(admin, topics)
        cluster: str = (await admin.describe_cluster())["cluster_id"]
        return cluster
    except TopicError:
        raise
    except KafkaConnectionError:
        raise BrokerUnreachableError(f"no Kafka answers at {addresses}") from None
    except Exception as error:
        kind = _NotYetError if _passing(error) else TopicError
        raise kind(f"cannot prepare the topics at {addresses}: {_first_line(error)}") from None
    finally:
        await admin.close()


def _passing(error: Exception | type[Exception]) -> bool:
    """Tell whether an error goes away by itself when a broker has come up, as far as can be told."""
    kind = error if isinstance(error, type) else type(error)
    # The client looks for its controller without asking whether there is one; a broker that is fenced, for it
    # is just starting, does not count for replicas.
    passing = (TimeoutError, OSError, AttributeError, InvalidReplicationFactorError)
    return issubclass(kind, passing) or bool(getattr(kind, "retriable", False))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


async def _create(admin: AIOKafkaAdminClient, topics: Topics, replication: int) -> None:
    # Who may not create topics is refused those, too, that somebody else has made for them.
    there = set(await admin.list_topics())
    missing = [
        NewTopic(spec.name, spec.partitions, replication, topic_configs=spec.config)
        for spec in topics
        if spec.name not in there
    ]
    if not missing:
        return
    response = await admin.create_topics(missing)
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            kind = _NotYetError if _passing(error) else TopicError
            reason = message[0] if message and message[0] else error.__name__
            raise kind(f"cannot create the topic {name}: {reason}")


async def _check(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    found = {
        entry["topic"]: len(entry["partitions"])
        for entry in await admin.describe_topics([t.name for t in topics])
        # A topic made a moment ago may not have reached the broker that answers.
        if entry["partitions"]
    }
    for spec in topics:
        if found.get(spec.name, spec.partitions) != spec.partitions:
            raise TopicError(
                f"the topic {spec.name} has {found[spec.name]} partitions, expected {spec.partitions}: "
                "set ONLOOKER_PARTITIONS to what is there, or use another ONLOOKER_TOPIC_PREFIX"
            )


async def _configure(admin: AIOKafkaAdminClient, topics: Topics) -> None:
    """Give topics that were there already the configuration that is declared, where the broker lets us."""
    try:
        if changes := await _changes(admin, topics):
            for response in await admin.alter_configs(changes):
                for code, message, _kind, name in response.resources:
                    _warn_of(name, code, message)
    except KafkaError as error:
        if _passing(error):
            raise
        _log.warning("the topics keep the configuration that they have: %s", _first_line(error))


async def _changes(admin: AIOKafkaAdminClient, topics: Topics) -> list[ConfigResource]:
    """Return the whole configuration of those topics that differ from what is declared."""
    declared = {spec.name: spec.config for spec in topics}
    changes: list[ConfigResource] = []
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in declared]
    for response in await admin.describe_configs(asked):
        for code, message, _kind, name, entries in response.resources:
            _warn_of(name, code, message)
            found = {entry[0]: entry[1] for entry in entries}
            if not code and declared[name].items() - found.items():
                # What is not named goes back to its default: somebody may have set more than we declare.
                own = {entry[0]: entry[1] for entry in entries if entry[3] == _OF_TOPIC}
                changes.append(ConfigResource(ConfigResourceType.TOPIC, name, own | declared[name]))
    return changes


def _warn_of(name: str, code: int, message: str | None) -> None:
    error = for_code(code)
    # A topic made a moment ago has its configuration; the broker that answers may not know it yet.
    if code and error is not UnknownTopicOrPartitionError:
        _log.warning("the topic %s keeps the configuration that it has: %s", name, message or error.__name__)
