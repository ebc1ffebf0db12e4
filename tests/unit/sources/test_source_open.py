"""Which source a text names, and what is said of one that is none."""

import math

import pytest

import app.sources
from app.settings import Settings
from app.sources import SourceError, SourceOptions, Summary, open_source
from app.sources.base import mask
from app.sources.folder import FolderSource
from app.sources.network import NetworkSource


def _open(text: str):
    return open_source(text, SourceOptions(), Settings())


def test_the_door_is_complete_and_sorted():
    assert app.sources.__all__ == sorted(app.sources.__all__)
    assert all(hasattr(app.sources, name) for name in app.sources.__all__)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://user:secret@cam/1", "rtsp://***@cam/1"),
        ("http://cam:81/a?user=u&pwd=secret", "http://cam:81/a?***"),
        ("rtsp://u:se@cret@cam/1#secret", "rtsp://***@cam/1"),
        ("http://cam/a", "http://cam/a"),
        ("http://[secret", "a malformed address"),
    ],
)
def test_an_address_never_shows_a_secret(url, shown):
    assert mask(url) == shown


def test_addresses_and_folders_are_told_apart(tmp_path):
    (tmp_path / "a.JPG").touch()
    assert isinstance(_open("rtsp://cam/1"), NetworkSource)
    assert isinstance(_open(str(tmp_path)), FolderSource)


@pytest.mark.parametrize(
    "text", ["no/such/file", "file:///etc/passwd", "concat:a|b", "99", "ftp://user:secret@x/"]
)
def test_what_is_no_source_is_one_line(text):
    with pytest.raises(SourceError) as error:
        _open(text)
    assert "\n" not in str(error.value) and "secret" not in str(error.value)


def test_an_empty_folder_and_a_text_are_refused(tmp_path):
    with pytest.raises(SourceError, match="holds no image"):
        _open(str(tmp_path))
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(SourceError, match="not a video that can be read"):
        _open(str(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "text", ["ffconcat version 1.0\nfile clip.mp4\n", "#EXTM3U\n#EXTINF:10,\nclip.ts\n#EXT-X-ENDLIST\n"]
)
def test_a_playlist_is_not_followed(tmp_path, clip, text):
    for name in ("clip.mp4", "clip.ts"):
        (tmp_path / name).write_bytes(clip.read_bytes())
    (tmp_path / "list").write_text(text)
    with pytest.raises(SourceError, match="not a video that can be read"):
        _open(str(tmp_path / "list"))


def test_a_summary_says_everything_in_one_line(tmp_path):
    (tmp_path / "a.jpg").touch()
    summary = Summary(FolderSource(tmp_path, SourceOptions(fps=math.inf)), "s", sent=2, bytes=3_000_000)
    summary.source.skipped["not-an-image"] += 2
    summary.refused["too-large"] += 1
    summary.errors["RequestTimedOutError"] += 1
    summary.end()
    assert "-> s: 2 frames, 3.0 MB, 0.0 s" in summary.line()
    assert summary.losses() == "skipped 3 (not-an-image 2, too-large 1), errors 1 (RequestTimedOutError 1)"
