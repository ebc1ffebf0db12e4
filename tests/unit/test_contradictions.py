"""Settings of TLS and SASL that exclude each other are refused in one line that names them."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings

LOGIN = {"broker_sasl_mechanism": "SCRAM-SHA-512", "broker_user": "camera", "broker_password": "hush"}
TOKEN = {"broker_sasl_mechanism": "OAUTHBEARER", "broker_token_file": "token"}


def secured(protocol: str | None = None, **settings: Any) -> Settings:
    if protocol:
        settings["broker_security_protocol"] = protocol
    return Settings(**{"broker": "kafka://kafka.example:9093", **settings})


@pytest.mark.parametrize(
    ("protocol", "settings"),
    [
        (None, {}),
        ("SSL", {}),
        ("SSL", {"broker_ca_file": "ca", "broker_certificate_file": "both"}),
        ("SSL", {"broker_certificate_file": "c", "broker_key_file": "k", "broker_key_password": "hush"}),
        ("SASL_SSL", LOGIN),
        ("SASL_PLAINTEXT", LOGIN),
        ("SASL_SSL", LOGIN | {"broker_sasl_mechanism": "PLAIN", "broker_ca_file": "ca"}),
        ("SASL_SSL", LOGIN | {"broker_password": None, "broker_password_file": "p"}),
        ("SASL_SSL", TOKEN),
    ],
)
def test_what_goes_together(protocol: str | None, settings: dict[str, Any]) -> None:
    assert secured(protocol, **settings).bootstrap == ["kafka.example:9093"]


@pytest.mark.parametrize(
    ("protocol", "settings", "said"),
    [
        (None, {"broker_ca_file": "ca"}, "BROKER_CA_FILE: without effect"),
        ("SASL_PLAINTEXT", LOGIN | {"broker_ca_file": "ca"}, "BROKER_CA_FILE: without effect"),
        (None, {"broker_key_password": "hush"}, "BROKER_KEY_PASSWORD: without effect"),
        (None, LOGIN, "BROKER_SASL_MECHANISM: without effect"),
        ("SSL", {"broker_password_file": "p"}, "BROKER_PASSWORD_FILE: without effect"),
        ("SSL", {"broker_user": "camera"}, "BROKER_USER: without effect"),
        ("SSL", {"broker_key_file": "k"}, "BROKER_KEY_FILE: a key needs its certificate"),
        ("SSL", {"broker_key_password_file": "p"}, "BROKER_KEY_PASSWORD_FILE: a key needs its"),
        ("SASL_SSL", {}, "BROKER_SECURITY_PROTOCOL: SASL needs a mechanism"),
        ("SASL_SSL", LOGIN | {"broker_user": None}, "SCRAM-SHA-512 needs ONLOOKER_BROKER_USER"),
        ("SASL_SSL", LOGIN | {"broker_password": None}, "needs ONLOOKER_BROKER_PASSWORD_FILE, or"),
        ("SASL_SSL", LOGIN | {"broker_password_file": "p"}, "PASSWORD_FILE: ONLOOKER_BROKER_PASSWORD is"),
        ("SASL_SSL", LOGIN | {"broker_token_file": "t"}, "BROKER_TOKEN_FILE: without effect"),
        ("SASL_SSL", TOKEN | {"broker_token_file": None}, "OAUTHBEARER needs ONLOOKER_BROKER_TOKEN_FILE"),
        ("SASL_SSL", TOKEN | {"broker_user": "camera"}, "BROKER_USER: without effect"),
        ("SSL", {"broker": None}, "SSL is for a Kafka of your own: set ONLOOKER_BROKER"),
    ],
)  # fmt: skip
def test_what_does_not(protocol: str | None, settings: dict[str, Any], said: str) -> None:
    given = {"broker": "kafka://kafka.example:9093", **settings}
    if protocol:
        given["broker_security_protocol"] = protocol
    with pytest.raises(ValidationError) as caught:
        Settings(**{name: value for name, value in given.items() if value is not None})
    message = caught.value.errors()[0]["msg"]
    assert said in message
    assert "hush" not in message
    assert "\n" not in message
