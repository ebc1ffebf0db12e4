"""Files are pulled whole and right, or not at all, from wherever they are published."""

import hashlib
import io
import json
import shutil
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock

import msgspec
import pytest
from rich.console import Console

from app.errors import OnlookerError
from app.models.pipeline import load_recogniser
from app.progress import LineProgress, SilentProgress
from app.settings import Settings
from app.weights.catalogue import Catalogue, DownloadError, Entry, File, IntegrityError, MediaEntry, Package
from app.weights.fetch import LicenceError, State, ensure, path_of, pull, pull_all, state_of

ONE, TWO = b"one" * 50_000, b"two" * 50_000


class Site:
    """A web server on a free port; `pages` maps paths to bodies, `cut` breaks off after so many bytes."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.cut: int | None = None
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                body = site.pages.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.send_header("Content-Type", site.content_type(self.path))
                self.end_headers()
                breaks = site.cut is not None and body is not None and len(body) > site.cut
                # A client that has had enough hangs up.
                with suppress(ConnectionError):
                    self.wfile.write((body or b"")[: site.cut if breaks else None])
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @staticmethod
    def content_type(path: str) -> str:
        return "text/html" if path.startswith("/simple/") else "application/json"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    served = Site()
    yield served
    served.close()


@pytest.fixture
def index(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A package index with one project, found through pip's own variable."""
    monkeypatch.setenv("PIP_INDEX_URL", f"{site.url}/simple")
    monkeypatch.delenv("PIP_CERT", raising=False)
    site.pages["/simple/thing/"] = f'<a href="{site.url}/files/{WHEEL}">{WHEEL}</a>'.encode()
    site.pages[f"/files/{WHEEL}"] = wheel()
    return site


WHEEL = "thing-1.0-py3-none-any.whl"


def wheel() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in (("thing/one.bin", ONE), ("thing/two.bin", TWO), ("../outside.txt", b"bad")):
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def tarball() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in (
            ("package/package.json", b'{"name":"thing","version":"1.0.0"}'),
            ("package/one.bin", ONE),
            ("package/two.bin", TWO),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def entry(source: str, package: tuple[str, bytes] | None, prefix: str) -> MediaEntry:
    pinned = package and Package(package[0], len(package[1]), sha256(package[1]))
    files = [("one.bin", ONE), ("two.bin", TWO)] if package else [("one.bin", ONE)]
    return MediaEntry(
        name="things", title="", source=source, homepage="https://example.org", licence="MIT", package=pinned,
        files=tuple(File(f"things/{name}", prefix + name, len(data), sha256(data)) for name, data in files),
    )  # fmt: skip


@pytest.fixture
def from_index(index: Site) -> MediaEntry:
    return entry("pypi:thing==1.0", (WHEEL, wheel()), "thing/")


def left_in(folder: Path) -> set[str]:
    """Return every file and folder below `folder` but the lock."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")} - {".lock"}


ALL = {"things", "things/one.bin", "things/two.bin"}


def test_one_download_serves_all_files_of_a_package(from_index: Entry, index: Site, tmp_path: Path) -> None:
    pull(from_index, tmp_path)
    assert left_in(tmp_path) == ALL
    assert (tmp_path / "things/two.bin").read_bytes() == TWO
    assert index.asked.count(f"/files/{WHEEL}") == 1
    assert path_of(from_index, tmp_path) == tmp_path / "things"


def test_one_download_serves_all_entries(from_index: Entry, index: Site, tmp_path: Path) -> None:
    first = msgspec.structs.replace(from_index, files=from_index.files[:1])
    second = msgspec.structs.replace(from_index, name="others", files=from_index.files[1:])
    pull_all([first, second], tmp_path)
    assert left_in(tmp_path) == ALL
    assert index.asked.count(f"/files/{WHEEL}") == 1


def test_what_is_there_is_not_fetched_again(from_index: Entry, index: Site, tmp_path: Path) -> None:
    pull(from_index, tmp_path)
    index.asked.clear()
    pull(from_index, tmp_path)
    assert index.asked == []


def test_a_damaged_file_is_replaced(from_index: Entry, tmp_path: Path) -> None:
    pull(from_index, tmp_path)
    (tmp_path / "things/one.bin").write_bytes(b"x" + ONE[1:])
    assert state_of(from_index.files[0], tmp_path) is State.WRONG
    pull(from_index, tmp_path)
    assert state_of(from_index.files[0], tmp_path) is State.PRESENT


def test_a_package_with_another_digest_leaves_nothing(from_index: Entry, index: Site, tmp_path: Path) -> None:
    index.pages[f"/files/{WHEEL}"] = forged = wheel()[:-1] + b"x"
    expected = from_index.package.sha256 if from_index.package else ""
    with pytest.raises(IntegrityError, match=f"{WHEEL}: expected sha256 {expected}, found {sha256(forged)}"):
        pull(from_index, tmp_path)
    assert left_in(tmp_path) == set()


def test_a_file_with_another_digest_leaves_nothing(from_index: Entry, tmp_path: Path) -> None:
    pinned = msgspec.structs.replace(from_index.files[0], sha256="0" * 64)
    forged = msgspec.structs.replace(from_index, files=(pinned,))
    with pytest.raises(IntegrityError, match=f"one.bin: expected sha256 {'0' * 64}, found {sha256(ONE)}"):
        pull(forged, tmp_path)
    assert left_in(tmp_path) == set()


def test_an_interrupted_download_leaves_nothing_and_can_be_repeated(
    from_index: Entry, index: Site, tmp_path: Path
) -> None:
    index.cut = 100_000
    with pytest.raises(DownloadError, match=f"things: cannot download {WHEEL}"):
        pull(from_index, tmp_path)
    assert left_in(tmp_path) == set()
    index.cut = None
    pull(from_index, tmp_path)
    assert left_in(tmp_path) == ALL


def test_what_a_killed_pull_left_is_swept(from_index: Entry, tmp_path: Path) -> None:
    (tmp_path / ".pull-killed").mkdir()
    (tmp_path / ".pull-killed" / "half").write_bytes(b"half")
    pull(from_index, tmp_path)
    assert left_in(tmp_path) == ALL


def test_two_at_once_fetch_once(from_index: Entry, index: Site, tmp_path: Path) -> None:
    threads = [threading.Thread(target=pull, args=(from_index, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert left_in(tmp_path) == ALL
    assert index.asked.count(f"/files/{WHEEL}") == 1


def test_a_member_that_is_not_there_is_named(from_index: Entry, tmp_path: Path) -> None:
    gone = msgspec.structs.replace(from_index.files[0], member="thing/gone.bin")
    with pytest.raises(DownloadError, match=f"{WHEEL} has no thing/gone.bin"):
        pull(msgspec.structs.replace(from_index, files=(gone,)), tmp_path)


@pytest.mark.parametrize("page", ["/simple/thing/", f"/files/{WHEEL}"])
def test_what_the_index_lacks_is_one_line(from_index: Entry, index: Site, tmp_path: Path, page: str) -> None:
    del index.pages[page]
    with pytest.raises(DownloadError, match="things: ") as caught:
        pull(from_index, tmp_path)
    assert "\n" not in str(caught.value)
    assert left_in(tmp_path) == set()


def test_nobody_there_is_one_line(from_index: Entry, index: Site, tmp_path: Path) -> None:
    index.close()
    with pytest.raises(DownloadError, match=r"no connection to 127\.0\.0\.1$"):
        pull(from_index, tmp_path)


def test_a_pull_tells_what_it_does(from_index: Entry, tmp_path: Path) -> None:
    told = io.StringIO()
    pull(from_index, tmp_path, progress=LineProgress(Console(file=told)))
    began, ended = told.getvalue().splitlines()
    assert began == f"fetching things: {WHEEL} (0.3 MB) ..."
    assert ended.startswith(f"fetching things: {WHEEL}: 0.3 MB of 0.3 MB, ")


def test_npm_packages_come_through_npm(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("npm") is None:
        pytest.skip("this machine has no npm")
    packed = tarball()
    monkeypatch.setenv("npm_config_registry", site.url)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    version = {"name": "thing", "version": "1.0.0", "dist": {"tarball": f"{site.url}/thing-1.0.0.tgz"}}
    document = {"name": "thing", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    site.pages |= {"/thing": json.dumps(document).encode(), "/thing-1.0.0.tgz": packed}
    net = entry("npm:thing@1.0.0", ("thing-1.0.0.tgz", packed), "package/")
    pull(net, tmp_path / "weights")
    assert left_in(tmp_path / "weights") == ALL
    absent = msgspec.structs.replace(net, name="absent", source="npm:thing@2.0.0", files=(net.files[0],))
    with pytest.raises(DownloadError, match=r"absent: cannot download thing@2\.0\.0: .*2\.0\.0"):
        pull(absent, tmp_path / "others")


def test_a_file_of_its_own_home(site: Site, tmp_path: Path) -> None:
    site.pages["/one.bin"] = ONE
    home = entry(f"{site.url}/one.bin", None, "")
    pull(home, tmp_path)
    assert left_in(tmp_path) == {"things", "things/one.bin"}
    del site.pages["/one.bin"]
    with pytest.raises(DownloadError, match=r"404.*ONLOOKER_WEIGHTS_MIRROR"):
        pull(home, tmp_path / "other")


@pytest.mark.parametrize("source", ["index", "home"])
def test_what_is_longer_than_it_may_be_is_not_taken_whole(
    from_index: Entry, index: Site, tmp_path: Path, source: str
) -> None:
    index.pages |= {f"/files/{WHEEL}": wheel() * 20, "/one.bin": ONE * 40}
    net = from_index if source == "index" else entry(f"{index.url}/one.bin", None, "")
    progress = mock.create_autospec(SilentProgress, instance=True)
    size = len(wheel() if source == "index" else ONE)
    with pytest.raises(IntegrityError, match=rf"^things: .*: expected {size:,} bytes, found more$"):
        pull(net, tmp_path, progress=progress)
    assert sum(call.args[0] for call in progress.advance.mock_calls) <= size
    progress.end.assert_called_once()
    assert left_in(tmp_path) == set()


def test_a_file_only_people_can_get(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"one\.bin from https://example\.org.*ONLOOKER_WEIGHTS_MIRROR"):
        pull(entry("user", None, ""), tmp_path)


def test_a_mirror_serves_by_name_and_by_digest(from_index: Entry, index: Site, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    (mirror / "deep").mkdir(parents=True)
    (mirror / "one.bin").write_bytes(ONE)
    (mirror / "deep" / "renamed").write_bytes(TWO)
    pull(from_index, tmp_path / "weights", mirror)
    assert left_in(tmp_path / "weights") == ALL
    assert index.asked == []


def test_a_mirror_with_another_file_of_that_name(from_index: Entry, index: Site, tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / "one.bin").write_bytes(TWO)
    with pytest.raises(IntegrityError, match=f"expected sha256 {sha256(ONE)}, found {sha256(TWO)}"):
        pull(from_index, tmp_path / "weights", mirror)
    (mirror / "one.bin").unlink()
    with pytest.raises(DownloadError, match=r"has no one\.bin"):
        pull(from_index, tmp_path / "weights", mirror)
    with pytest.raises(DownloadError, match="is not a folder"):
        pull(from_index, tmp_path / "weights", mirror / "none")
    assert left_in(tmp_path / "weights") == set()
    assert index.asked == []


def test_yunet_from_a_mirror(shared_data: Path, catalogue: Catalogue, tmp_path: Path) -> None:
    settings = Settings(weights_dir=tmp_path, weights_mirror=shared_data / "models")
    path = ensure("yunet", settings)
    assert path == tmp_path / "yunet.onnx"
    assert sha256(path.read_bytes()) == catalogue.get("yunet").files[0].sha256


def zipped(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), TWO if name.endswith("two.bin") else ONE)
    return packed.getvalue()


@pytest.mark.parametrize("names", [("one.bin", "two.bin"), ("pack/one.bin", "pack/two.bin")])
def test_a_release_is_unpacked_however_it_is_nested(
    site: Site, tmp_path: Path, names: tuple[str, str]
) -> None:
    site.pages["/pack.zip"] = zipped(*names)
    pack = entry(f"{site.url}/pack.zip", ("pack.zip", zipped(*names)), "pack/")
    pull(pack, tmp_path)
    assert left_in(tmp_path) == ALL
    assert (tmp_path / "things/two.bin").read_bytes() == TWO
    assert site.asked == ["/pack.zip"]


def test_a_member_that_could_be_one_of_two_is_not_guessed(site: Site, tmp_path: Path) -> None:
    site.pages["/pack.zip"] = zipped("a/one.bin", "b/one.bin", "two.bin")
    pack = entry(f"{site.url}/pack.zip", ("pack.zip", site.pages["/pack.zip"]), "pack/")
    with pytest.raises(DownloadError, match=r"pack\.zip has no pack/one\.bin"):
        pull(pack, tmp_path)


@pytest.mark.parametrize("from_mirror", [False, True])
def test_restricted_files_come_only_for_who_accepts_the_licence(
    from_index: Entry, index: Site, tmp_path: Path, from_mirror: bool
) -> None:
    mirror = tmp_path / "mirror" if from_mirror else None
    if mirror:
        mirror.mkdir()
        (mirror / "one.bin").write_bytes(ONE)
        (mirror / "two.bin").write_bytes(TWO)
    net = msgspec.structs.replace(from_index, restricted=True, licence="research only")
    weights = tmp_path / "weights"
    for attempt in (pull_all, lambda nets, *rest: pull(nets[0], *rest)):
        with pytest.raises(LicenceError) as caught:
            attempt([net], weights, mirror)
        assert str(caught.value) == (
            "things is not here, and its licence asks to be accepted first: research only"
            " (https://example.org); if that allows your use: onlooker models pull things --accept-licence"
        )
    assert not weights.exists()
    assert index.asked == []
    pull(net, weights, mirror, accept_licence=True)
    assert left_in(weights) == ALL
    pull_all([net], weights, mirror)


def test_nothing_is_fetched_beside_what_is_refused(from_index: Entry, index: Site, tmp_path: Path) -> None:
    free = msgspec.structs.replace(from_index, files=from_index.files[:1])
    restricted = msgspec.structs.replace(
        from_index, name="others", files=from_index.files[1:], restricted=True
    )
    with pytest.raises(LicenceError, match="others is not here"):
        pull_all([free, restricted], tmp_path)
    assert index.asked == []


def test_a_restricted_net_is_not_fetched_because_a_setting_names_it(tmp_path: Path) -> None:
    settings = Settings(weights_dir=tmp_path, embedder="arcface-mbf")
    for attempt in (lambda: ensure("arcface-mbf", settings), lambda: load_recogniser(settings)):
        with pytest.raises(LicenceError, match=r"arcface-mbf is not here.*non-commercial research only"):
            attempt()
    assert not (tmp_path / "centerface.onnx").exists()


def test_a_folder_that_cannot_be_written(from_index: Entry, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OnlookerError, match="cannot write to the weights folder"):
        pull(from_index, tmp_path / "file" / "weights")
