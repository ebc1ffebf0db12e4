"""A camera of this machine, whose driver is played by a file: FFmpeg reads it as it would read the device."""

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import pytest

from app.settings import Settings
from app.sources import SourceError, SourceOptions, open_source
from app.sources import webcam as module
from app.sources.live import Backoff
from app.sources.webcam import WebcamSource

#: FFmpeg itself.
OPEN = av.open

DEVICES = sorted(Path("/dev").glob("video[0-9]*"))


class Driver:
    """What stands for the system's driver: each time that the device is opened, the next of these happens."""

    def __init__(self, film: Path, *happens: Exception | None) -> None:
        self.opened: list[tuple[str, str | None, dict[str, str]]] = []
        self._film, self._happens = film, list(happens)

    def open(self, url: str, *, format: str | None, options: dict[str, str], timeout: Any) -> Any:
        self.opened.append((url, format, options))
        error = self._happens.pop(0) if self._happens else None
        if error is not None:
            raise error
        return OPEN(str(self._film))


class Failing:
    """A device of which so many packets can be read, and then none."""

    def __init__(self, device: Any, packets: int, error: Exception) -> None:
        self._device, self._packets, self._error = device, packets, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def __enter__(self) -> "Failing":
        return self

    def __exit__(self, *_: object) -> None:
        self._device.close()

    def demux(self, stream: Any) -> Iterator[Any]:
        yield from itertools.islice(self._device.demux(stream), self._packets)
        raise self._error


@pytest.fixture
def camera(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[WebcamSource, Driver]]:
    """Return what plugs in a camera, at whose opening these errors come first."""
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setattr(module, "_DEVICES", {"linux": ("v4l2", str(tmp_path / "video{}"))})
    (tmp_path / "video0").touch()

    def plug_in(*errors: Exception | None) -> tuple[WebcamSource, Driver]:
        driver = Driver(clip, *errors)
        monkeypatch.setattr("app.sources.container.av.open", driver.open)
        return WebcamSource(0, SourceOptions(), Backoff(0.01, 0.02)), driver

    return plug_in


def busy() -> Exception:
    return av.error.OSError(16, "Device or resource busy", "/dev/video0")


def gone() -> Exception:
    return av.error.FileNotFoundError(2, "No such file or directory", "/dev/video0")


def makes_no_jpegs() -> Exception:
    return av.error.ArgumentError(22, "Invalid argument", "/dev/video0")


def taken(source: WebcamSource, count: int) -> list[Any]:
    with closing(source.pictures()) as pictures:
        return list(itertools.islice(pictures, count))


def test_pictures_come_live_and_from_the_device_alone(camera: Any, tmp_path: Path) -> None:
    source, driver = camera()
    pictures = taken(source, 12)
    assert (source.live, source.name) == (True, "webcam 0")
    assert {picture.image.shape for picture in pictures} == {(360, 640, 3)}
    assert all(one.captured < other.captured for one, other in itertools.pairwise(pictures))
    ((url, demuxer, options),) = driver.opened
    assert (url, demuxer) == (str(tmp_path / "video0"), "v4l2")
    assert options == {"protocol_whitelist": "file", "format_whitelist": "v4l2", "input_format": "mjpeg"}


def test_a_camera_that_makes_no_jpegs_gives_what_it_makes(camera: Any) -> None:
    source, driver = camera(makes_no_jpegs())
    assert len(taken(source, 3)) == 3
    assert [options.get("input_format") for _, _, options in driver.opened] == ["mjpeg", None]
    assert source.reconnects == 0


def test_a_camera_that_is_busy_or_unplugged_is_tried_again(
    camera: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source, driver = camera(busy(), gone())
    assert len(taken(source, 3)) == 3
    assert len(driver.opened) == 3
    assert [("busy" in text, "no such file" in text.lower()) for text in caplog.messages] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert all(text.startswith("webcam 0: ") and "next attempt in" in text for text in caplog.messages)


def test_a_camera_whose_pictures_stop_is_opened_again(camera: Any) -> None:
    """The film that plays it has 275 pictures."""
    source, driver = camera()
    assert len(taken(source, 280)) == 280
    assert (source.reconnects, len(driver.opened)) == (1, 2)


def test_a_camera_that_is_unplugged_while_it_is_read_is_opened_again(
    camera: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, driver = camera(None, gone(), None)
    opened: list[Failing] = []

    def unplug(*arguments: Any, **options: Any) -> Any:
        device = driver.open(*arguments, **options)
        if opened:
            return device
        opened.append(Failing(device, 20, av.error.OSError(19, "No such device", "/dev/video0")))
        return opened[0]

    monkeypatch.setattr("app.sources.container.av.open", unplug)
    assert len(taken(source, 60)) == 60
    assert (source.reconnects, len(driver.opened)) == (1, 3)
    assert ["no such device" in text for text in caplog.messages] == [True, False]


def test_a_number_without_a_camera_is_refused(camera: Any, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no webcam 7: .*video7 does not exist"):
        WebcamSource(7, SourceOptions())


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "platform", "win32")
    with pytest.raises(SourceError, match="webcams are read on Linux and macOS, not on win32"):
        WebcamSource(0, SourceOptions())


@pytest.mark.skipif(not DEVICES or sys.platform != "linux", reason="this machine has no camera")
def test_a_real_camera() -> None:
    source = open_source(DEVICES[0].name.removeprefix("video"), SourceOptions(), Settings())
    assert len(taken(source, 3)) == 3
