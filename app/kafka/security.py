"""What Kafka clients are told of TLS and SASL, from the settings and the files that these name."""

import asyncio
import logging
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from pydantic import SecretStr

from app.settings import Settings, SettingsError

__all__ = ["read_secret", "security_options"]


@lru_cache(maxsize=4)
def security_options(settings: Settings) -> dict[str, Any]:
    """Return aiokafka's options for TLS and SASL: the same ones for as long as the process runs.

    Raises:
        SettingsError: a file cannot be read, or does not hold what it should.
    """
    options: dict[str, Any] = {"security_protocol": settings.broker_security_protocol}
    if settings.uses_tls:
        options["ssl_context"] = _tls(settings)
    if settings.uses_sasl:
        # At debug level it logs requests whole, and one of them is the login.
        logging.getLogger("aiokafka.conn").addFilter(_above_debug)
        options |= {"sasl_mechanism": settings.broker_sasl_mechanism, **_login(settings)}
    return options


def _tls(settings: Settings) -> ssl.SSLContext:
    ca, certificate = settings.broker_ca_file, settings.broker_certificate_file
    context = _trust("ca_file", ca)
    if certificate is not None:
        # Asked first whether it is one: OpenSSL does not say which of certificate and key is to blame.
        _trust("certificate_file", certificate)
        password = _secret(
            "key_password_file", settings.broker_key_password, settings.broker_key_password_file
        )
        _load_key(context, certificate, settings.broker_key_file, password)
    return context


def _trust(name: str, path: Path | None) -> ssl.SSLContext:
    """Return a context that trusts what is in a file, or what the system trusts."""
    if path is not None:
        _check_readable(name, path)
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise SettingsError(f"{_variable(name)}: {path} holds no certificate as PEM") from None


def _load_key(context: ssl.SSLContext, certificate: Path, key: Path | None, password: str) -> None:
    asked: list[str] = []

    def give() -> str:
        asked.append(password)
        return password

    name, path = ("key_file", key) if key is not None else ("certificate_file", certificate)
    _check_readable(name, path)
    try:
        # Not the password itself: without one, OpenSSL would ask whoever sits at the terminal.
        context.load_cert_chain(certificate, path, give)
    except (ssl.SSLError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            reason = "holds the key of another certificate"
        elif asked:
            reason = "cannot be decrypted: the password of the key is " + ("wrong" if password else "not set")
        else:
            reason = "holds no key as PEM"
        raise SettingsError(f"{_variable(name)}: {path} {reason}") from None


def _login(settings: Settings) -> dict[str, Any]:
    if settings.broker_token_file is not None:
        read_secret("token_file", settings.broker_token_file)
        return {"sasl_oauth_token_provider": _Tokens(settings.broker_token_file)}
    password = _secret("password_file", settings.broker_password, settings.broker_password_file)
    return {"sasl_plain_username": settings.broker_user, "sasl_plain_password": password}


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]  # aiokafka is untyped
    """Gives the token that is in a file now: somebody else renews it there."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self) -> str:
        """Return the token."""
        return (await asyncio.to_thread(self._path.read_text, "utf-8")).strip()


def _secret(name: str, given: SecretStr | None, path: Path | None) -> str:
    """Return a secret that is set itself or is in a file; "" where it is neither."""
    if path is not None:
        return read_secret(name, path)
    return given.get_secret_value() if given is not None else ""


def read_secret(name: str, path: Path) -> str:
    """Return the secret that is in the file of a setting.

    Args:
        name: of the setting, without what those of the broker have before it.

    Raises:
        SettingsError: there is none in it, or it cannot be read.
    """
    _check_readable(name, path)
    try:
        # Whoever writes such a file ends it with a line feed, which is no part of the secret.
        secret = path.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise SettingsError(f"{_variable(name)}: {path} holds no text") from None
    if not secret:
        raise SettingsError(f"{_variable(name)}: {path} is empty")
    return secret


def _check_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise SettingsError(f"{_variable(name)}: {path}: {error.strerror}") from None


def _variable(name: str) -> str:
    return f"ONLOOKER_BROKER_{name.upper()}"


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG
