"""TLS and SASL come from the settings and their files, and a file that cannot be used is one line."""

import logging
import ssl
from pathlib import Path
from typing import Any

import pytest
from authority import Authority

from app.kafka.security import security_options
from app.settings import Settings, SettingsError


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def secured(protocol: str, **settings: Any) -> Settings:
    return Settings(broker="kafka://kafka.example:9093", broker_security_protocol=protocol, **settings)


def login(**settings: Any) -> Settings:
    given = {"broker_sasl_mechanism": "SCRAM-SHA-512", "broker_user": "camera", **settings}
    return secured("SASL_SSL", **given)


def tls(authority: Authority, **settings: Any) -> Settings:
    return secured("SSL", broker_ca_file=authority.file, **settings)


def test_without_security_nothing_is_told_of_it() -> None:
    assert security_options(Settings()) == {"security_protocol": "PLAINTEXT"}


def test_tls_checks_certificate_and_name(authority: Authority) -> None:
    options = security_options(tls(authority))
    context = options.pop("ssl_context")
    assert options == {"security_protocol": "SSL"}
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert len(context.get_ca_certs()) == 1


def test_without_a_ca_the_system_s_count() -> None:
    ours = security_options(secured("SSL"))["ssl_context"]
    assert ours.get_ca_certs() == ssl.create_default_context().get_ca_certs()


def test_a_login() -> None:
    options = security_options(login(broker_password="hush"))
    assert isinstance(options.pop("ssl_context"), ssl.SSLContext)
    assert options == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "camera",
        "sasl_plain_password": "hush",
    }


def test_a_password_from_a_file_is_without_its_line_feed(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes(b" hush hush \r\n")
    options = security_options(login(broker_password_file=tmp_path / "password"))
    assert options["sasl_plain_password"] == " hush hush "


async def test_a_token_is_read_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    settings = secured("SASL_SSL", broker_sasl_mechanism="OAUTHBEARER", broker_token_file=path)
    provider = security_options(settings)["sasl_oauth_token_provider"]
    assert await provider.token() == "first"
    path.write_text("second\n")
    assert await provider.token() == "second"
    assert "second" not in repr(vars(provider))


@pytest.mark.parametrize("apart", [True, False], ids=["two-files", "one-file"])
def test_a_client_certificate(authority: Authority, apart: bool) -> None:
    pair = authority.issue("client")
    given = {"broker_certificate_file": pair.certificate, "broker_key_file": pair.key}
    settings = (
        tls(authority, **given)
        if apart
        else tls(authority, broker_certificate_file=authority.issue_store("one"))
    )
    assert security_options(settings)["ssl_context"]


@pytest.mark.parametrize("mounted", [True, False])
def test_a_key_with_a_password(authority: Authority, tmp_path: Path, mounted: bool) -> None:
    pair = authority.issue("locked", "hush")
    (tmp_path / "password").write_text("hush\n")
    secret = (
        {"broker_key_password_file": tmp_path / "password"} if mounted else {"broker_key_password": "hush"}
    )
    given = {"broker_certificate_file": pair.certificate, "broker_key_file": pair.key}
    assert security_options(tls(authority, **given, **secret))["ssl_context"]


def refused(settings: Settings) -> str:
    with pytest.raises(SettingsError) as caught:
        security_options(settings)
    said = str(caught.value)
    assert "\n" not in said
    assert "hush" not in said
    return said.removeprefix("ONLOOKER_BROKER_")


@pytest.mark.parametrize("name", ["ca", "certificate"])
def test_a_file_that_is_no_certificate(authority: Authority, tmp_path: Path, name: str) -> None:
    path = tmp_path / "junk"
    path.write_bytes(bytes(range(256)))
    settings = secured("SSL", **{f"broker_{name}_file": path})
    assert refused(settings) == f"{name.upper()}_FILE: {path} holds no certificate as PEM"


@pytest.mark.parametrize("name", ["ca", "certificate", "key", "key_password", "password", "token"])
def test_a_file_that_is_not_there(authority: Authority, tmp_path: Path, name: str) -> None:
    path, pair = tmp_path / "absent", authority.issue("absent")
    given: dict[str, Any] = {
        "ca": {}, "certificate": {}, "key": {"broker_certificate_file": pair.certificate},
        "key_password": {"broker_certificate_file": pair.certificate, "broker_key_file": pair.key},
        "password": {"broker_sasl_mechanism": "PLAIN", "broker_user": "camera"},
        "token": {"broker_sasl_mechanism": "OAUTHBEARER"},
    }[name]  # fmt: skip
    protocol = "SASL_SSL" if name in {"password", "token"} else "SSL"
    settings = secured(protocol, **given, **{f"broker_{name}_file": path})
    assert refused(settings) == f"{name.upper()}_FILE: {path}: No such file or directory"


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "holds no text")]
)
def test_a_password_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    assert refused(login(broker_password_file=path)) == f"PASSWORD_FILE: {path} {said}"


def test_a_key_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    pair, other, locked = authority.issue("one"), authority.issue("two"), authority.issue("three", "hush-key")
    junk = tmp_path / "junk"
    junk.write_text("junk")

    def said(certificate: Path, key: Path | None, password: str | None = None) -> str:
        given = {
            "broker_certificate_file": certificate,
            "broker_key_file": key,
            "broker_key_password": password,
        }
        return refused(tls(authority, **given))

    assert said(pair.certificate, other.key) == f"KEY_FILE: {other.key} holds the key of another certificate"
    assert said(pair.certificate, junk) == f"KEY_FILE: {junk} holds no key as PEM"
    assert said(pair.certificate, None) == f"CERTIFICATE_FILE: {pair.certificate} holds no key as PEM"
    cannot = f"KEY_FILE: {locked.key} cannot be decrypted: the password of the key is"
    assert said(locked.certificate, locked.key) == f"{cannot} not set"
    assert said(locked.certificate, locked.key, "hush") == f"{cannot} wrong"


def test_what_logs_requests_does_not_log_the_login(caplog: pytest.LogCaptureFixture) -> None:
    security_options(login(broker_password="hush"))
    with caplog.at_level(logging.DEBUG, "aiokafka"):
        log = logging.getLogger("aiokafka.conn")
        log.debug("Request: %s", b"\0camera\0hush")
        log.info("Authenticated as %s", "camera")
    assert caplog.messages == ["Authenticated as camera"]
