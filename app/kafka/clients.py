"""Where every Kafka client is made: for the addresses of the settings, with their TLS and SASL."""

from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, create_conn

from app.kafka.security import security_options
from app.settings import Settings

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT

__all__ = ["broker_credentials", "connect", "make_admin", "make_consumer", "make_producer", "open_admin"]


def make_consumer(settings: Settings, **options: Any) -> AIOKafkaConsumer:
    """Return a consumer, which is to be started.

    Args:
        options: aiokafka's own, for what this consumer is to do.

    Raises:
        SettingsError: a file that the settings name cannot be used.
    """
    return AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, **security_options(settings), **options)


def make_producer(settings: Settings, **options: Any) -> AIOKafkaProducer:
    """Return a producer, as `make_consumer` does a consumer."""
    return AIOKafkaProducer(bootstrap_servers=settings.bootstrap, **security_options(settings), **options)


def make_admin(settings: Settings, **options: Any) -> AIOKafkaAdminClient:
    """Return an admin client, as `make_consumer` does a consumer."""
    return AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **security_options(settings), **options)


def open_admin(address: str, **options: Any) -> AIOKafkaAdminClient:
    """Return an admin client of a Kafka that asks for nothing, whatever the settings say of another one."""
    return AIOKafkaAdminClient(bootstrap_servers=address, **options)


async def connect(settings: Settings, host: str, port: int, **options: Any) -> AIOKafkaConnection:
    """Return one connection to one broker, logged in; unlike a client, it says why it cannot be had.

    Args:
        options: aiokafka's own, before what the settings say.

    Raises:
        OSError, KafkaError: it cannot be had.
    """
    return await create_conn(host, port, **security_options(settings) | options)


def broker_credentials(settings: Settings) -> "CredentialsT | None":
    """Return what Faust makes its own clients with; None where Kafka is spoken to in plain text.

    Raises:
        SettingsError: a file that the settings name cannot be used.
    """
    # Sources make clients too, and do without Faust, which takes long to import.
    from faust.auth import OAuthCredentials, SASLCredentials, SSLCredentials

    options = security_options(settings)
    context = options.get("ssl_context")
    if not settings.uses_sasl:
        return SSLCredentials(context) if context else None
    if tokens := options.get("sasl_oauth_token_provider"):
        return OAuthCredentials(oauth_cb=tokens, ssl_context=context)
    return SASLCredentials(
        username=options["sasl_plain_username"],
        password=options["sasl_plain_password"],
        mechanism=options["sasl_mechanism"],
        ssl_context=context,
    )
