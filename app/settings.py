"""Every option of Onlooker, once: its name, ``ONLOOKER_`` variable, default and meaning."""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.contradictions import contradiction
from app.errors import OnlookerError

__all__ = [
    "ROOT",
    "SOURCE_VARIABLE",
    "Settings",
    "SettingsError",
    "is_loopback",
    "load_settings",
    "private_folder",
]

#: The folder that holds ``app/``, ``weights/`` and, while Onlooker runs, ``var/``.
ROOT = Path(__file__).resolve().parent.parent

#: Names what `onlooker source` writes, where an address with a password must not be on the command line.
SOURCE_VARIABLE = "ONLOOKER_SOURCE"

Port = Annotated[int, Field(ge=1, le=65535)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class SettingsError(OnlookerError):
    """A setting has a value that cannot be used; the text names the variable."""


class Settings(BaseSettings):
    """What Onlooker can be told; each field is the variable ``ONLOOKER_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="ONLOOKER_", env_ignore_empty=True, frozen=True, allow_inf_nan=False
    )

    broker_port: Port = Field(
        9092, description="Port of the Kafka that `onlooker up` and `onlooker broker` start themselves."
    )
    broker: str = Field(
        default_factory=lambda known: f"kafka://127.0.0.1:{known.get('broker_port', 9092)}",
        description="The Kafka to use, as `kafka://host:port` (several: `;` between them). When it is not set, `onlooker up` starts its own.",
    )
    broker_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How that Kafka is spoken to: `SSL` is TLS, `SASL_SSL` TLS and a login."
    )
    broker_ca_file: Path | None = Field(
        None, description="CA that signs the certificates of the brokers, as PEM; the system's, when not set."
    )
    broker_certificate_file: Path | None = Field(
        None, description="Client certificate, as PEM, for a Kafka that asks for one."
    )
    broker_key_file: Path | None = Field(
        None, description="Key of the client certificate, as PEM; in the same file, when not set."
    )
    broker_key_password: SecretStr | None = Field(
        None, repr=False, description="Password of that key, where it is encrypted."
    )
    broker_key_password_file: Path | None = Field(None, description="File that holds the key's password.")
    broker_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] | None = Field(
        None, description="How the login goes: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`."
    )
    broker_user: str | None = Field(None, description="User of the login.")
    broker_password: SecretStr | None = Field(None, repr=False, description="Password of the login.")
    broker_password_file: Path | None = Field(None, description="File that holds the password of the login.")
    broker_token_file: Path | None = Field(
        None,
        description="File that holds the token for `OAUTHBEARER`; read again for each connection, so that it can be renewed.",
    )
    data_dir: Path = Field(
        ROOT / "var", description="Folder of everything that Onlooker writes: broker, tables, history, logs."
    )
    weights_dir: Path = Field(ROOT / "weights", description="Folder of the nets and of `catalogue.toml`.")
    weights_mirror: Path | None = Field(
        None, description="Folder to take weights and demonstration media from instead of the internet."
    )
    topic_prefix: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="Put before every topic's name and the application's id, to share one Kafka.",
    )
    replication: Positive = Field(1, description="Replication factor of the topics that are created.")
    partitions: Positive = Field(
        8,
        description="Partitions of all topics by stream (`frames`, `recordings`, `faces`, `checkpoints`, `identifications`, `sightings`): the most workers that can share the work.",
    )
    broker_wait: float = Field(
        15, ge=0, description="Seconds that a worker waits for Kafka to answer when it starts."
    )
    frames_hours: float = Field(6, gt=0, description="Hours for which frames are kept, and who is on them.")
    frames_bytes: Positive = Field(512 * 2**20, description="Bytes of frames kept for each partition.")
    memory_days: float = Field(90, gt=0, description="Days for which faces and sightings are kept.")
    memory_bytes: Positive = Field(
        2**30, description="Bytes of faces, and of sightings, kept for each partition."
    )
    session_timeout: float = Field(
        6,
        ge=6,
        description="Seconds after which a dead worker's partitions go to another one (Kafka accepts no less than 6).",
    )

    detector: str = Field("centerface", description="Detector: a name from the catalogue.")
    landmarker: str | None = Field(
        None,
        description="Detector that finds the landmarks of the faces that the first one finds: needed for one that finds none, such as `retinaface`.",
    )
    embedder: str = Field("faceplugin-512", description="Embedder: a name from the catalogue.")
    detection_side: Positive = Field(
        640, description="Longer side, in pixels, to which a frame is scaled down for the detector."
    )
    detection_score: Fraction = Field(0.5, description="Least detection score of a face.")
    min_face: Positive = Field(
        24, description="Least width and height, in pixels of the frame, of a face that is embedded."
    )
    embed_score: Fraction = Field(0.5, description="Least detection score of a face that is embedded.")
    embed: Literal["due", "every"] = Field(
        "due",
        description="Which faces are embedded of somebody who is followed from frame to frame: `due`, the first ones, clearly better ones, and one now and then; or `every` one.",
    )
    embed_beat: float = Field(
        2,
        gt=0,
        description="Seconds after which who is followed is embedded again; sooner while they are new.",
    )
    embed_better: Fraction = Field(
        0.1, description="And as soon as their face is of so much better quality than those before."
    )
    tracklet_gap: float = Field(
        2, gt=0, description="Seconds for which somebody may be out of sight and still be followed by place."
    )
    threads: Positive = Field(
        1,
        description="Threads of each net. One, with several frames in flight, gives the most frames; two give the lowest latency at low load.",
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto",
        description="Where nets run; `auto` is CUDA where that works, else the CPU. What is asked for by name and cannot be had is an error.",
    )
    batch: Annotated[int, Field(ge=0, le=256)] = Field(
        0,
        description="Frames, of all streams, that go through the nets together; 0 is 1 on a CPU, 8 on a GPU.",
    )
    batch_wait: float = Field(
        0.01,
        gt=0,
        le=1,
        description="Most seconds that a frame waits for others to go with; only with a batch.",
    )
    in_flight: Annotated[int, Field(ge=0)] = Field(
        0,
        description="Frames of cameras worked on at once, and as many of recordings; 0 is one more than there are cores.",
    )
    live_max_age: float = Field(
        0.5,
        gt=0,
        description="Seconds after which a frame of a live stream is skipped, and counted, rather than worked on. Recordings never skip.",
    )

    threshold: Fraction | None = Field(
        None,
        description="Least cosine similarity for a name; the embedder's entry in the catalogue, when not set.",
    )
    margin: Fraction = Field(0.05, description="By how much the best person must lead the second one.")
    sighting_gap: float = Field(
        3, gt=0, description="Seconds without a person after which their sighting is closed."
    )
    sighting_update: float = Field(
        1, ge=0, description="Least seconds between two updates of an open sighting; 0 is every frame."
    )
    unknown_frames: Positive = Field(
        5, description="Frames with an unknown face before a sighting of somebody unknown is opened."
    )
    unknown_quality: Fraction = Field(
        0.26,
        description="Least quality of the best of those faces: poorer ones are not told apart.",
    )

    web_host: str = Field(
        "127.0.0.1",
        description="Address that the web server listens on; anything but loopback needs a token.",
    )
    web_port: Port = Field(6066, description="Port of the web server.")
    token: str | None = Field(
        None,
        min_length=16,
        # What a header and a cookie carry unchanged.
        pattern=r"^[!-~]*$",
        repr=False,
        description="Secret that every route but `/healthz` asks for.",
    )
    view_fps: float = Field(10, gt=0, le=60, description="Most frames a second that a viewer is shown.")
    view_side: Positive = Field(
        960, description="Longer side, in pixels, of the pictures that viewers are shown."
    )
    view_quality: Annotated[int, Field(ge=1, le=100)] = Field(
        80, description="JPEG quality of those pictures."
    )
    max_viewers: Positive = Field(
        256,
        description="Most viewers at once: `/events`, MJPEG and WebSockets that are open; each page has two.",
    )
    max_photo_bytes: Positive = Field(16 * 2**20, description="Largest photograph that can be enrolled.")
    max_photo_pixels: Positive = Field(50_000_000, description="Most pixels of such a photograph.")
    enrol_face: Positive = Field(
        48, description="Least width and height, in pixels of the photograph, of a face that is enrolled."
    )
    max_photos: Positive = Field(16, description="Most photographs in one enrolment.")
    max_templates: Positive = Field(64, description="Most photographs of one person.")
    max_uploads: Positive = Field(4, description="Enrolments that are taken in at once; others wait.")
    upload_bytes: Positive = Field(
        128 * 2**20,
        description="Bytes that the photographs of all of them together may take in memory; one enrolment alone is no larger.",
    )
    upload_seconds: float = Field(
        120, gt=0, description="Seconds in which the photographs of an enrolment must have arrived."
    )
    url: str | None = Field(
        None, description="Where the command line finds a worker; `http://127.0.0.1:<web_port>` when not set."
    )

    @field_validator("broker")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if not all(_is_address(part, ("kafka",)) for part in value.split(";")):
            raise ValueError("expected kafka://host:port")
        return value

    @field_validator("url")
    @classmethod
    def _without_path(cls, value: str | None) -> str | None:
        if value is not None and not _is_address(value.rstrip("/"), ("http", "https")):
            raise ValueError("expected http://host:port")
        return value

    @model_validator(mode="after")
    def _consistent_security(self) -> Self:
        if (found := contradiction(self)) is not None:
            raise PydanticCustomError("security", "{found}", {"found": found})
        return self

    @property
    def uses_tls(self) -> bool:
        """Tell whether Kafka is spoken to through TLS."""
        return self.broker_security_protocol in {"SSL", "SASL_SSL"}

    @property
    def uses_sasl(self) -> bool:
        """Tell whether Kafka wants a login."""
        return self.broker_security_protocol in {"SASL_PLAINTEXT", "SASL_SSL"}

    @property
    def nets(self) -> list[str]:
        """Names of the nets in use."""
        return [name for name in (self.detector, self.landmarker, self.embedder) if name is not None]

    @property
    def bootstrap(self) -> list[str]:
        """The brokers as ``host:port``, for Kafka clients other than Faust."""
        addresses = (part.removeprefix("kafka://").removesuffix(":") for part in self.broker.split(";"))
        return [address if urlsplit(f"//{address}").port else f"{address}:9092" for address in addresses]

    @property
    def address(self) -> str:
        """Where the command line finds a worker, without a slash at its end."""
        return (self.url or f"http://{_reachable(self.web_host)}:{self.web_port}").rstrip("/")

    @property
    def app_id(self) -> str:
        """The Faust application's id: the consumer group and the prefix of changelogs."""
        return f"{self.topic_prefix}onlooker"


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether `url` is scheme, host and maybe a port, and nothing more."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in schemes
            and bool(parts.hostname)
            and parts.port != 0
            and url == f"{parts.scheme}://{parts.netloc}"
            and "@" not in parts.netloc
        )
    except ValueError:
        return False


def private_folder(settings: Settings) -> Path:
    """Return the data folder, made for this user alone: what is in it is biometric.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"ONLOOKER_DATA_DIR: {settings.data_dir}: {error.strerror}") from None
    return settings.data_dir


def _check_names(environment: Iterable[str]) -> None:
    """Refuse a variable that means nothing: a misspelt setting would be silently without effect."""
    known = {f"ONLOOKER_{name.upper()}" for name in Settings.model_fields} | {SOURCE_VARIABLE}
    for name in environment:
        if name.startswith("ONLOOKER_") and name not in known:
            nearest = get_close_matches(name, known, 1)
            hint = f": did you mean {nearest[0]}?" if nearest else ""
            raise SettingsError(f"{name} is no setting{hint}")


def _reachable(host: str) -> str:
    """Return where a server that listens on `host` is reached from this machine, as part of a URL."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1"
    return f"[{address}]" if address.version == 6 else str(address)


def is_loopback(host: str) -> bool:
    """Tell whether `host` can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """Read the settings from the environment, once.

    Raises:
        SettingsError: a value cannot be used.
    """
    _check_names(os.environ)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        # What is wrong with several together names them itself.
        raise SettingsError(f"ONLOOKER_{name}: {first['msg']}" if name else first["msg"]) from None
