"""The settings come from the environment, and a wrong one is named in one line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import OnlookerError
from app.settings import Settings, SettingsError, is_loopback, load_settings, private_folder


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ONLOOKER_{name.upper()}", raising=False)
    load_settings.cache_clear()
    yield
    load_settings.cache_clear()


def load(monkeypatch: pytest.MonkeyPatch, **values: str) -> Settings:
    for name, value in values.items():
        monkeypatch.setenv(f"ONLOOKER_{name.upper()}", value)
    return load_settings()


def test_every_setting_has_a_default_that_passes_its_own_check() -> None:
    defaults = Settings()
    assert Settings(**defaults.model_dump()) == defaults
    assert defaults.model_fields_set == set()


def test_every_setting_says_what_it_means() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load(monkeypatch, web_port="7000", data_dir=str(tmp_path), threshold="0.5", token="x" * 16)
    assert (settings.web_port, settings.data_dir, settings.threshold) == (7000, tmp_path, 0.5)
    assert settings.token == "x" * 16
    assert "x" * 16 not in repr(settings)
    assert load_settings() is settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("partitions", "many"),
        ("partitions", "0"),
        ("web_port", "65536"),
        ("threshold", "1.5"),
        ("threshold", "nan"),
        ("frames_hours", "inf"),
        ("frames_hours", "nan"),
        ("memory_days", "-1"),
        ("sighting_gap", "inf"),
        ("live_max_age", "0"),
        ("session_timeout", "5"),
        ("view_quality", "101"),
        ("topic_prefix", "a b"),
        ("token", "short"),
        ("token", "with a space in between"),
        ("token", "with-a-newline-in-it\n"),
        ("token", "mit-einem-Ümlaut-darin"),
        ("broker", "127.0.0.1:9092"),
        ("broker", "kafka://"),
        ("broker", "kafka://host:port"),
        ("broker", "kafka://host:99999"),
        ("broker", "kafka://host:0"),
        ("broker", "kafka://host:9092/path"),
        ("broker", "kafka://user@host:9092"),
        ("broker", "kafka://a:1;"),
        ("broker", "kafka://a:1;b:2"),
        ("broker", "kafka://[::1"),
        ("broker_security_protocol", "TLS"),
        ("broker_sasl_mechanism", "GSSAPI"),
        ("url", "somewhere"),
        ("url", "ftp://host"),
        ("url", "http://host:port"),
        ("url", "http://host/path"),
        ("url", "http://"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(SettingsError, match=f"^ONLOOKER_{name.upper()}: ") as caught:
        load(monkeypatch, **{name: value})
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, OnlookerError)


@pytest.mark.parametrize(
    ("broker", "bootstrap"),
    [
        ("kafka://one", ["one:9092"]),
        ("kafka://one:1234", ["one:1234"]),
        ("kafka://one:1;kafka://two", ["one:1", "two:9092"]),
        ("kafka://[::1]:9092", ["[::1]:9092"]),
        ("kafka://[::1]", ["[::1]:9092"]),
        ("kafka://one:", ["one:9092"]),
    ],
)
def test_the_brokers_for_other_clients(broker: str, bootstrap: list[str]) -> None:
    assert Settings(broker=broker).bootstrap == bootstrap


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "http://127.0.0.1:6066"),
        ({"web_port": 7000}, "http://127.0.0.1:7000"),
        ({"url": "https://host/"}, "https://host"),
        ({"url": "http://[::1]:80"}, "http://[::1]:80"),
    ],
)
def test_where_the_command_line_finds_a_worker(given: dict[str, object], address: str) -> None:
    assert Settings(**given).address == address


def test_the_prefix_is_in_the_applications_id() -> None:
    assert Settings(topic_prefix="test.").app_id == "test.onlooker"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.168.0.1", "localhost.evil.org", "127.0.0.1.evil"])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_settings_that_exclude_each_other_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"^ONLOOKER_BROKER_\w+: without effect") as caught:
        load(monkeypatch, broker_user="camera", broker_password="hush-hush")
    assert "\n" not in str(caught.value)


def test_a_secret_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        broker="kafka://kafka.example:9093",
        broker_security_protocol="SASL_SSL",
        broker_sasl_mechanism="PLAIN",
        broker_user="camera",
        broker_password="hush-hush",
        broker_certificate_file="both.pem",
        broker_key_password="hush-key",
    )
    shown = [repr(settings), str(settings), str(settings.model_dump()), str(settings.broker_password)]
    assert "hush" not in "".join(shown)
    assert settings.broker_password is not None
    assert settings.broker_password.get_secret_value() == "hush-hush"


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONLOOKER_TRESHOLD", "0.6")
    load_settings.cache_clear()
    with pytest.raises(
        SettingsError, match=r"ONLOOKER_TRESHOLD is no setting: did you mean ONLOOKER_THRESHOLD\?"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:6066"),
        ("0.0.0.0", "http://127.0.0.1:6066"),
        ("192.0.2.5", "http://192.0.2.5:6066"),
        ("::1", "http://[::1]:6066"),
        ("camera-host", "http://camera-host:6066"),
    ],
)
def test_the_address_is_where_the_server_listens(host: str, address: str) -> None:
    assert Settings(web_host=host).address == address


def test_the_data_folder_is_private(tmp_path: Path) -> None:
    folder = private_folder(Settings(data_dir=tmp_path / "a" / "var"))
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="ONLOOKER_DATA_DIR"):
        private_folder(Settings(data_dir=tmp_path / "file" / "var"))
