"""Settings that exclude each other, or miss another: those of TLS and SASL."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.settings import Settings

__all__ = ["contradiction"]

_TLS = (
    "broker_ca_file", "broker_certificate_file", "broker_key_file", "broker_key_password",
    "broker_key_password_file",
)  # fmt: skip
_LOGIN = ("broker_user", "broker_password", "broker_password_file")
_SASL = ("broker_sasl_mechanism", *_LOGIN, "broker_token_file")
#: Each may be given itself or as a file, so that a secret can be mounted.
_ONE_OF = (("broker_password", "broker_password_file"), ("broker_key_password", "broker_key_password_file"))

_PROTOCOL = "ONLOOKER_BROKER_SECURITY_PROTOCOL"


def contradiction(settings: "Settings") -> str | None:
    """Return in one line what of the settings of TLS and SASL excludes each other, or is missing."""
    return next(_contradictions(settings), None)


def _contradictions(settings: "Settings") -> Iterator[str]:
    protocol = settings.broker_security_protocol
    if protocol != "PLAINTEXT" and "broker" not in settings.model_fields_set:
        yield f"{_PROTOCOL}: {protocol} is for a Kafka of your own: set ONLOOKER_BROKER"
    if not settings.uses_tls:
        for name in _given(settings, _TLS):
            yield f"{_variable(name)}: without effect, for {_PROTOCOL} is {protocol}, not SSL or SASL_SSL"
    if not settings.uses_sasl:
        for name in _given(settings, _SASL):
            yield (
                f"{_variable(name)}: without effect, for {_PROTOCOL} is {protocol}, "
                "not SASL_SSL or SASL_PLAINTEXT"
            )
    for one, other in _ONE_OF:
        if len(_given(settings, (one, other))) > 1:
            yield f"{_variable(other)}: {_variable(one)} is set as well: set one of them"
    if settings.broker_certificate_file is None:
        for name in _given(settings, _TLS[2:]):
            yield f"{_variable(name)}: a key needs its certificate: set ONLOOKER_BROKER_CERTIFICATE_FILE"
    if settings.uses_sasl:
        yield from _login(settings)


def _login(settings: "Settings") -> Iterator[str]:
    mechanism = settings.broker_sasl_mechanism
    if mechanism is None:
        yield f"{_PROTOCOL}: SASL needs a mechanism: set ONLOOKER_BROKER_SASL_MECHANISM"
    elif mechanism == "OAUTHBEARER":
        for name in _given(settings, _LOGIN):
            yield f"{_variable(name)}: without effect, for OAUTHBEARER takes ONLOOKER_BROKER_TOKEN_FILE"
        if settings.broker_token_file is None:
            yield "ONLOOKER_BROKER_SASL_MECHANISM: OAUTHBEARER needs ONLOOKER_BROKER_TOKEN_FILE"
    else:
        if settings.broker_token_file is not None:
            yield f"ONLOOKER_BROKER_TOKEN_FILE: without effect, for the mechanism is {mechanism}"
        if settings.broker_user is None:
            yield f"ONLOOKER_BROKER_SASL_MECHANISM: {mechanism} needs ONLOOKER_BROKER_USER"
        if not _given(settings, _LOGIN[1:]):
            yield (
                f"ONLOOKER_BROKER_SASL_MECHANISM: {mechanism} needs ONLOOKER_BROKER_PASSWORD_FILE, "
                "or ONLOOKER_BROKER_PASSWORD"
            )


def _given(settings: "Settings", names: tuple[str, ...]) -> list[str]:
    return [name for name in names if getattr(settings, name) is not None]


def _variable(name: str) -> str:
    return f"ONLOOKER_{name.upper()}"
