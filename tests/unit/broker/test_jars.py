"""Jars are fetched by coordinates and used only with the locked digest."""

import gc
import threading
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import pytest

from app.broker import BrokerError, JarsUnavailableError, prepare_jars
from app.broker.jars import LOCK, read_lock
from app.progress import SilentProgress

JARS = {"one": b"first jar", "two": b"second jar"}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield the folder of a Maven repository that jgo is configured to fetch from."""
    folder = tmp_path / "repository"
    for name, content in JARS.items():
        jar = folder / "org" / "example" / name / "1.0" / f"{name}-1.0.jar"
        jar.parent.mkdir(parents=True)
        jar.write_bytes(content)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        configuration = tmp_path / "jgo.conf"
        configuration.write_text(
            f"[repositories]\ncentral = http://127.0.0.1:{server.server_port}\n", "ascii"
        )
        monkeypatch.setenv("JGO_CONFIG_FILE", str(configuration))
        yield folder
        server.shutdown()
        thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Return the lock of that repository."""
    path = tmp_path / "jars.lock"
    lines = [f"org.example:{name}:1.0 {sha256(content).hexdigest()}\n" for name, content in JARS.items()]
    path.write_text("# a comment\n" + "".join(lines), "ascii")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return where the jars go."""
    return tmp_path / "cache"


def test_the_lock_names_kafka_whole_and_of_one_version() -> None:
    jars = read_lock(LOCK)
    ours = {jar.artifact: jar.version for jar in jars if jar.group == "org.apache.kafka"}
    assert {"kafka_2.13", "kafka-clients", "kafka-server", "kafka-metadata", "kafka-storage"} <= ours.keys()
    assert set(ours.values()) == {"4.4.0"}
    assert "log4j-slf4j-impl" in {jar.artifact for jar in jars}
    assert len({jar.file for jar in jars}) == len(jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)


def test_a_line_that_is_no_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.lock"
    path.write_text("org.example:one 00\n", "ascii")
    with pytest.raises(BrokerError, match=r"^broken\.lock: expected .*, found `org\.example:one 00`$"):
        read_lock(path)


def test_jars_are_fetched_once_and_progress_is_told(repository: Path, lock: Path, cache: Path) -> None:
    progress = mock.create_autospec(SilentProgress, instance=True)
    paths = prepare_jars(cache, progress, lock)
    assert [path.read_bytes() for path in paths] == list(JARS.values())
    assert progress.mock_calls == [
        mock.call.begin("fetching Apache Kafka", 2, "items"),
        mock.call.advance(1),
        mock.call.advance(1),
        mock.call.end(),
    ]
    assert sorted(path.name for path in cache.iterdir()) == ["one-1.0.jar", "two-1.0.jar"]

    for jar in repository.rglob("*.jar"):
        jar.unlink()
    progress.reset_mock()
    assert prepare_jars(cache, progress, lock) == paths
    assert progress.mock_calls == []


def test_a_wrong_jar_from_the_repository_is_named_and_none_is_kept(
    repository: Path, lock: Path, cache: Path
) -> None:
    (repository / "org/example/two/1.0/two-1.0.jar").write_bytes(b"forged")
    expected, found = sha256(JARS["two"]).hexdigest(), sha256(b"forged").hexdigest()
    with pytest.raises(
        BrokerError, match=rf"^org\.example:two:1\.0 .* expected sha256 {expected}, found {found}"
    ):
        prepare_jars(cache, lock=lock)
    assert list(cache.iterdir()) == []


def test_a_jar_that_changed_in_the_cache_is_refused(repository: Path, lock: Path, cache: Path) -> None:
    one, _ = prepare_jars(cache, lock=lock)
    one.write_bytes(b"changed")
    with pytest.raises(
        BrokerError, match=r"^org\.example:one:1\.0 is not the locked jar: .* in .*one-1\.0\.jar"
    ):
        prepare_jars(cache, lock=lock)
    one.unlink()
    assert prepare_jars(cache, lock=lock)[0].read_bytes() == JARS["one"]


# jgo leaves the connection of a refused download to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_missing_jar_is_named(repository: Path, lock: Path, cache: Path) -> None:
    (repository / "org/example/one/1.0/one-1.0.jar").unlink()
    with pytest.raises(JarsUnavailableError, match=r"^cannot fetch org\.example:one:1\.0 ") as caught:
        prepare_jars(cache, lock=lock)
    assert "\n" not in str(caught.value)
    assert list(cache.iterdir()) == []
    del caught
    gc.collect()
