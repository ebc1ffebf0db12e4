"""Why Kafka does not let us in: its clients only say that they cannot connect, and log the rest."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.admin import SaslHandShakeRequest
from aiokafka.protocol.metadata import MetadataRequest

from app.errors import OnlookerError, one_line
from app.kafka.clients import connect
from app.kafka.security import read_secret, security_options
from app.settings import Settings

__all__ = ["AccessError", "check_access"]

#: Seconds that a broker may take for one answer, and for the end of a connection.
_PATIENCE, _GRACE = 5.0, 1.0
#: How a broker ends what it does not understand, or does not want; one that is away does otherwise.
_HUNG_UP = (KafkaError, ssl.SSLError, ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
#: OpenSSL's numbers for a certificate of another host or address, and for one whose signer is not known.
_OTHER_NAME, _UNKNOWN_SIGNER = {62, 64}, {2, 18, 19, 20, 21}
#: In the names of the alerts that a client certificate brings, or its absence.
_OF_CERTIFICATE = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED", "HANDSHAKE_FAILURE")
_PROTOCOL = "ONLOOKER_BROKER_SECURITY_PROTOCOL"


class AccessError(OnlookerError):
    """Kafka does not let us in, or is not to be trusted: waiting does not help."""


class _Broker(NamedTuple):
    """Where one broker listens."""

    host: str
    port: int

    @classmethod
    def at(cls, address: str) -> "_Broker":
        host, _, port = address.rpartition(":")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


async def check_access(settings: Settings) -> None:
    """Ask every broker whether it lets us in; one that is away, or keeps silent, does not refuse us.

    Raises:
        AccessError: one does refuse us, or cannot be trusted; the text says what of the settings is wrong.
        SettingsError: a file that the settings name cannot be used.
    """
    if settings.broker_token_file is not None:
        # Somebody else renews it, and may have taken it away since; the broker is not to blame then.
        read_secret("token_file", settings.broker_token_file)
    waiting, asked = {_Broker.at(address) for address in settings.bootstrap}, set[_Broker]()
    while waiting:
        asked |= waiting
        # Together: each that keeps silent takes all the time that it may.
        named = await asyncio.gather(*(_ask(settings, broker) for broker in waiting), return_exceptions=True)
        waiting = set()
        for brokers in named:
            if isinstance(brokers, BaseException):
                raise brokers
            waiting.update(brokers)
        waiting -= asked


async def _ask(settings: Settings, broker: _Broker) -> list[_Broker]:
    """Return the brokers that one names, itself among them; none where it is away."""
    try:
        async with _connection(settings, broker) as connection:
            metadata = await connection.send(MetadataRequest([]))
            if not metadata.brokers:
                # With such an answer it also says goodbye to whose token it does not take.
                metadata = await connection.send(MetadataRequest([]))
    except (OSError, KafkaError) as error:
        if reason := await _reason(settings, broker, error):
            raise AccessError(f"Kafka at {broker} {reason}") from None
        return []
    return [_Broker(host, port) for _, host, port, *_ in metadata.brokers]


@asynccontextmanager
async def _connection(
    settings: Settings, broker: _Broker, **options: Any
) -> AsyncIterator[AIOKafkaConnection]:
    patience = int(_PATIENCE * 1000)
    connection = await connect(settings, *broker, request_timeout_ms=patience, **options)
    try:
        yield connection
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await connection.close()


async def _reason(settings: Settings, broker: _Broker, error: Exception) -> str | None:
    """Return why a broker does not let us in; None where it may just be away."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return _distrust(cause)
            case ssl.SSLError(reason=str(alert)) if "ALERT" in alert:
                return _alerted(settings, alert)
            case SaslAuthenticationFailed():
                return _login_refused(settings)
            case UnsupportedSaslMechanismError() | IllegalSaslStateError():
                return _mechanism_refused(settings, await _mechanisms(settings, broker))
    return await _misunderstanding(settings, broker) if isinstance(error, _HUNG_UP) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _distrust(error: ssl.SSLCertVerificationError) -> str:
    said = one_line(error.verify_message)
    if error.verify_code in _OTHER_NAME:
        return f"shows a certificate for another name: {said}"
    if error.verify_code in _UNKNOWN_SIGNER:
        return (
            f"shows a certificate of a CA that is not known ({said}): set ONLOOKER_BROKER_CA_FILE to that CA"
        )
    return f"shows a certificate that does not count: {said}"


def _alerted(settings: Settings, alert: str) -> str:
    words = alert.partition("ALERT_")[2].replace("_", " ").lower()
    if not any(word in alert for word in _OF_CERTIFICATE):
        return f"refuses TLS: {words}"
    if settings.broker_certificate_file is None:
        return f"asks for a client certificate ({words}): set ONLOOKER_BROKER_CERTIFICATE_FILE"
    return f"refuses the client certificate in {settings.broker_certificate_file} ({words})"


def _login_refused(settings: Settings) -> str:
    if settings.broker_token_file is not None:
        return f"refuses the token in {settings.broker_token_file}"
    return f"refuses the user {settings.broker_user} or the password ({settings.broker_sasl_mechanism})"


def _mechanism_refused(settings: Settings, offered: list[str]) -> str:
    if offered:
        return (
            f"takes no {settings.broker_sasl_mechanism}, but {', '.join(offered)}: "
            "set ONLOOKER_BROKER_SASL_MECHANISM"
        )
    return f"takes no login: set {_PROTOCOL} to {'SSL' if settings.uses_tls else 'PLAINTEXT'}"


async def _misunderstanding(settings: Settings, broker: _Broker) -> str | None:
    """Return what a broker wants that hangs up without a word; None where it is not there any more."""
    protocol = settings.broker_security_protocol
    if settings.uses_tls and await _speaks_plainly(settings, broker):
        return f"speaks no TLS: {_PROTOCOL} is {protocol}"
    if not settings.uses_tls and await _answer_to_tls(broker, _trusting()) is not None:
        return f"speaks TLS: {_PROTOCOL} is {protocol}"
    offered = await _mechanisms(settings, broker)
    if offered and not settings.uses_sasl:
        wanted = "SASL_SSL" if settings.uses_tls else "SASL_PLAINTEXT"
        return f"wants a login ({', '.join(offered)}): set {_PROTOCOL} to {wanted}"
    if settings.broker_sasl_mechanism in offered and settings.broker_token_file is not None:
        # aiokafka takes the answer to a token for a welcome; what it asks next is what fails.
        return _login_refused(settings)
    alert = (
        await _answer_to_tls(broker, security_options(settings)["ssl_context"]) if settings.uses_tls else None
    )
    return _alerted(settings, alert) if alert else None


async def _speaks_plainly(settings: Settings, broker: _Broker) -> bool:
    """Tell whether a broker answers without TLS."""
    try:
        async with _connection(settings, broker, security_protocol="PLAINTEXT"):
            return True
    except (OSError, KafkaError):
        return False


async def _answer_to_tls(broker: _Broker, context: ssl.SSLContext) -> str | None:
    """Return the alert with which a broker ends TLS, "" where it does not; None where it speaks no TLS.

    Nothing is sent: a broker that closes before it has read all would have its alert lost on the way.
    """
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection(*broker, ssl=context)
    except OSError as error:
        return _alert_in(error) or None
    try:
        async with asyncio.timeout(_GRACE):
            await reader.read(1)
    except OSError as error:
        return _alert_in(error)
    finally:
        writer.close()
        with suppress(OSError):
            async with asyncio.timeout(_GRACE):
                await writer.wait_closed()
    return ""


def _alert_in(error: OSError) -> str:
    alert = str(getattr(error, "reason", ""))
    return alert if "ALERT" in alert else ""


def _trusting() -> ssl.SSLContext:
    """Return a context for finding out whether TLS is spoken: nothing is said to whom it trusts."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def _mechanisms(settings: Settings, broker: _Broker) -> list[str]:
    """Return which SASL mechanisms a broker offers; none where it wants no login, or does not answer."""
    protocol = "SSL" if settings.uses_tls else "PLAINTEXT"
    try:
        async with _connection(settings, broker, security_protocol=protocol) as connection:
            # The name of none: what is chosen could not be left again.
            answer = await connection.send(SaslHandShakeRequest("?"))
    except (OSError, KafkaError):
        return []
    return [str(name) for name in answer.enabled_mechanisms]
