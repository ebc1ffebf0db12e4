"""What writes frames: files, folders, webcams, network cameras and the demonstration camera."""

from pathlib import Path

from app.settings import Settings
from app.sources.base import Picture, Source, SourceError, SourceOptions, mask
from app.sources.summary import Summary
from app.sources.writer import JpegOptions, run_source

__all__ = [
    "JpegOptions",
    "Picture",
    "Source",
    "SourceError",
    "SourceOptions",
    "Summary",
    "mask",
    "open_source",
    "run_source",
]


def open_source(text: str, options: SourceOptions, settings: Settings) -> Source:
    """Return the source that `text` names: ``demo``, a webcam's number, an address, a file or a folder.

    Raises:
        OnlookerError: there is no such source, or it is plainly not one.
    """
    # Imported where it is used: a folder of images needs no FFmpeg, a camera no photographs.
    if text == "demo":
        from app.sources.demo import DemoSource

        return DemoSource(options, settings)
    if text.isascii() and text.isdigit():
        from app.sources.webcam import WebcamSource

        return WebcamSource(int(text), options)
    if "://" in text:
        from app.sources.network import NetworkSource

        return NetworkSource(text, options)
    return _open_path(Path(text), options)


def _open_path(path: Path, options: SourceOptions) -> Source:
    if path.is_dir():
        from app.sources.folder import FolderSource

        return FolderSource(path, options)
    if path.is_file():
        from app.sources.file import FileSource

        return FileSource(path, options)
    raise SourceError(
        f"there is no file or folder {path}; a source is that, a webcam's number, "
        "an rtsp:// or http:// address, or demo"
    )
