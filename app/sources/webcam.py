"""A camera of this machine, by its number."""

import sys
from pathlib import Path

import av
from av.container import InputContainer

from app.sources.base import SourceError, SourceOptions
from app.sources.container import open_container
from app.sources.live import Backoff, LiveSource

__all__ = ["WebcamSource"]

#: Platform -> FFmpeg's name of its cameras, and how it calls the one of a number.
_DEVICES = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}:none")}


class WebcamSource(LiveSource):
    """The camera of a number; its JPEGs are taken as they are where it makes them.

    Raises:
        SourceError: there is no such camera.
    """

    def __init__(self, number: int, options: SourceOptions, backoff: Backoff | None = None) -> None:
        super().__init__(f"webcam {number}", options, backoff)
        if sys.platform not in _DEVICES:
            raise SourceError(
                f"webcams are read on Linux and macOS, not on {sys.platform}: use its RTSP address"
            )
        self._demuxer, pattern = _DEVICES[sys.platform]
        self._device = pattern.format(number)
        if self._device.startswith("/") and not Path(self._device).exists():
            raise SourceError(f"there is no {self.name}: {self._device} does not exist")

    def _open(self) -> InputContainer:
        try:
            return self._connect({"input_format": "mjpeg"})
        except av.error.ArgumentError:
            # The camera makes no JPEGs: whatever it makes, then.
            return self._connect({})

    def _connect(self, options: dict[str, str]) -> InputContainer:
        return open_container(
            self._device, protocols="file", demuxer=self._demuxer, formats=self._demuxer, options=options
        )
