"""Every client is made in one place, and says the same of TLS and SASL, Faust's own included."""

import ast
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from app.kafka import clients
from app.kafka.security import security_options
from app.settings import ROOT, Settings

CLIENTS = {"AIOKafkaAdminClient", "AIOKafkaClient", "AIOKafkaConsumer", "AIOKafkaProducer", "create_conn"}


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Return settings for a protocol and a mechanism."""
    protocol, mechanism = request.param
    (tmp_path / "token").write_text("hush")
    given: dict[str, Any] = {"broker": "kafka://a:1;kafka://b:2", "broker_security_protocol": protocol}
    if "SSL" in protocol:
        given["broker_ca_file"] = Authority(tmp_path).file
    if mechanism == "OAUTHBEARER":
        given["broker_token_file"] = tmp_path / "token"
    elif mechanism:
        given |= {"broker_user": "camera", "broker_password": "hush"}
    return Settings(**given, broker_sasl_mechanism=mechanism)


EVERY = pytest.mark.parametrize(
    "settings",
    [
        ("PLAINTEXT", None),
        ("SSL", None),
        ("SASL_PLAINTEXT", "PLAIN"),
        ("SASL_PLAINTEXT", "OAUTHBEARER"),
        ("SASL_SSL", "PLAIN"),
        ("SASL_SSL", "SCRAM-SHA-256"),
        ("SASL_SSL", "SCRAM-SHA-512"),
        ("SASL_SSL", "OAUTHBEARER"),
    ],
    ids=lambda pair: "-".join(filter(None, pair)),
    indirect=True,
)


@EVERY
def test_faust_is_told_what_our_own_clients_are(settings: Settings) -> None:
    credentials = clients.broker_credentials(settings)
    told = dict(credentials_to_aiokafka_auth(credentials))
    assert {name: value for name, value in told.items() if value is not None} == security_options(settings)
    assert "hush" not in repr(credentials)


@EVERY
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("AIOKafkaConsumer", clients.make_consumer),
        ("AIOKafkaProducer", clients.make_producer),
        ("AIOKafkaAdminClient", clients.make_admin),
    ],
)
def test_a_client_has_the_addresses_and_the_security_of_the_settings(
    settings: Settings, name: str, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, name, dict)
    told = {"bootstrap_servers": ["a:1", "b:2"], **security_options(settings), "client_id": "viewer"}
    assert make(settings, client_id="viewer") == told


async def test_the_embedded_kafka_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_BROKER_SECURITY_PROTOCOL", "SSL")
    client = clients.open_admin("127.0.0.1:9092")._client
    assert client._security_protocol == "PLAINTEXT"
    assert not isinstance(client._ssl_context, ssl.SSLContext)


def test_no_other_module_makes_a_client() -> None:
    makers = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                # Also as an argument: of `partial`, for one.
                names = {ast.unparse(part).rpartition(".")[2] for part in (node.func, *node.args)}
                if names & CLIENTS:
                    makers.add(path.relative_to(ROOT / "app").as_posix())
    assert makers == {"kafka/clients.py"}


def test_they_are_made_without_faust() -> None:
    code = "import sys, app.kafka.admin; sys.exit('faust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
