"""Apache Kafka with listeners that want TLS, a login or a client certificate."""

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from authority import Authority
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from machine import SLOWNESS

from app.broker import Broker, free_port, prepare_jars
from app.broker.configuration import server_properties
from app.broker.java import storage_command
from app.broker.ports import HOST
from app.broker.storage import new_cluster_id

__all__ = ["PASSWORD", "USER", "SecuredBroker"]

#: What is to be found in no log, so that it is nothing else's.
USER, PASSWORD = "camera-user", "hush-4711-hush"

#: Listener -> how it is spoken to.
_PROTOCOLS = {
    "LOGIN": "SASL_SSL", "OPEN": "SASL_PLAINTEXT", "TLS": "SSL", "MUTUAL": "SSL", "ELSEWHERE": "SSL",
    "RENAMED": "SSL",
}  # fmt: skip
_AUDIENCE, _ISSUER = "kafka", "tests"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_OAUTH = "org.apache.kafka.common.security.oauthbearer"


class SecuredBroker(Broker):
    """A broker that besides its own listener has others, each on a port of its own.

    `LOGIN` wants TLS and one of four SASL mechanisms, `OPEN` PLAIN without TLS, `TLS` only that, `MUTUAL` a
    client certificate; `ELSEWHERE` shows a certificate for another host, and `RENAMED` sends clients
    to a name that is not in its own.
    """

    def __init__(self, data: Path, jars: Path) -> None:
        super().__init__(data, free_port(), jars)
        self.authority = Authority(data / "certificates")
        self.tokens = _Tokens(data / "keys.json")
        self._ports = {name: free_port() for name in _PROTOCOLS}
        self._here = self.authority.issue_store(HOST)
        self._elsewhere = self.authority.issue_store("kafka.example")

    def address(self, listener: str) -> str:
        """Return where a listener is, as ``host:port``."""
        return f"{HOST}:{self._ports[listener]}"

    def settings(self, listener: str = "LOGIN", **changes: Any) -> dict[str, Any]:
        """Return the settings with which a listener lets us in, changed by these; None takes one away."""
        protocol = _PROTOCOLS[listener]
        given: dict[str, Any] = {
            "broker": f"kafka://{self.address(listener)}",
            "broker_security_protocol": protocol,
        }
        if protocol.endswith("SSL"):
            given["broker_ca_file"] = self.authority.file
        if protocol.startswith("SASL"):
            given |= {"broker_user": USER, "broker_password": PASSWORD}
            given["broker_sasl_mechanism"] = "SCRAM-SHA-512" if listener == "LOGIN" else "PLAIN"
        return {name: value for name, value in (given | changes).items() if value is not None}

    async def _run(self, jars: list[Path], cluster: str, port: int, *options: str) -> None:
        urls = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={self.tokens.file.as_uri()}"
        await super()._run(jars, cluster, port, *options, urls)

    def format(self) -> None:
        """Make the storage, with a user in it: only then can SCRAM have one from the start."""
        jars = prepare_jars(self._cache)
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "server.properties").write_text(server_properties(self.port, free_port()), "ascii")
        users = [
            option
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for option in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
        ]
        command = [*storage_command(jars, new_cluster_id()), *users]
        subprocess.run(command, cwd=self.data, check=True, capture_output=True, timeout=60 * SLOWNESS)

    def _write_configuration(self, ports: Any) -> None:
        super()._write_configuration(ports)
        with (self.data / "server.properties").open("a", encoding="ascii") as file:
            # Of two lines for one setting Kafka takes the last.
            file.writelines(f"{name}={value}\n" for name, value in self._properties(*ports).items())

    def _properties(self, port: int, controller: int) -> dict[str, object]:
        places = {"CLIENT": port, **self._ports}
        listeners = [f"{name}://{HOST}:{number}" for name, number in places.items()]
        protocols = {"CLIENT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **_PROTOCOLS}
        properties: dict[str, object] = {
            "listeners": ",".join([*listeners, f"CONTROLLER://{HOST}:{controller}"]),
            "advertised.listeners": ",".join(
                listener.replace(HOST, "localhost") if listener.startswith("RENAMED") else listener
                for listener in listeners
            ),
            "listener.security.protocol.map": ",".join(f"{name}:{kind}" for name, kind in protocols.items()),
            "listener.name.mutual.ssl.client.auth": "required",
        }
        for name in ("LOGIN", "TLS", "MUTUAL", "ELSEWHERE", "RENAMED"):
            properties |= self._certificates(name)
        return (
            properties
            | self._logins("login", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER")
            | self._logins("open", "PLAIN")
        )

    def _certificates(self, listener: str) -> dict[str, object]:
        store = self._elsewhere if listener == "ELSEWHERE" else self._here
        options = {
            "keystore.type": "PEM", "keystore.location": store,
            "truststore.type": "PEM", "truststore.location": self.authority.file,
        }  # fmt: skip
        return {f"listener.name.{listener.lower()}.ssl.{name}": value for name, value in options.items()}

    def _logins(self, listener: str, mechanisms: str) -> dict[str, object]:
        prefix = f"listener.name.{listener}"
        oauth = f"{prefix}.oauthbearer.sasl"
        return {
            f"{prefix}.sasl.enabled.mechanisms": mechanisms,
            f"{prefix}.plain.sasl.jaas.config": f'{_PLAIN} required user_{USER}="{PASSWORD}";',
            f"{prefix}.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
            f"{prefix}.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            f"{oauth}.jaas.config": f"{_OAUTH}.OAuthBearerLoginModule required;",
            f"{oauth}.server.callback.handler.class": f"{_OAUTH}.OAuthBearerValidatorCallbackHandler",
            f"{oauth}.oauthbearer.jwks.endpoint.url": self.tokens.file.as_uri(),
            f"{oauth}.oauthbearer.expected.audience": _AUDIENCE,
            f"{oauth}.oauthbearer.expected.issuer": _ISSUER,
        }


class _Tokens:
    """Issues tokens, with the key to check them in a file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._key: RSAPrivateKey = generate_private_key(65537, 2048)
        numbers = self._key.public_key().public_numbers()
        n, e = (_encoded(number.to_bytes(size)) for number, size in ((numbers.n, 256), (numbers.e, 3)))
        key = {"kty": "RSA", "kid": "tests", "alg": "RS256", "use": "sig", "n": n, "e": e}
        file.write_text(json.dumps({"keys": [key]}), "ascii")

    def issue(self, user: str = USER, audience: str = _AUDIENCE) -> str:
        """Return a token with which somebody is let in."""
        now = int(time.time())
        claims = {"sub": user, "aud": audience, "iss": _ISSUER, "iat": now, "exp": now + 3600, "scope": "all"}
        parts = ({"alg": "RS256", "typ": "JWT", "kid": "tests"}, claims)
        text = ".".join(_encoded(json.dumps(part).encode()) for part in parts)
        return f"{text}.{_encoded(self._key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
