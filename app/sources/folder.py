"""A folder of images, in the order of their names."""

import math
from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from app.sources.base import Bgr, Picture, Source, SourceError, SourceOptions
from app.sources.jpeg import read_jpeg_header
from app.sources.pace import Pace

__all__ = ["FolderSource"]

_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


class FolderSource(Source):
    """The images of one folder, not of those within it; JPEGs as they are.

    Raises:
        SourceError: there is no image in it.
    """

    def __init__(self, path: Path, options: SourceOptions) -> None:
        super().__init__(str(path), options)
        self._files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
        if not self._files:
            raise SourceError(f"{self.name} holds no image ({', '.join(sorted(_SUFFIXES))})")

    def pictures(self) -> Generator[Picture, None, None]:
        """Give the images, one a second unless the options say otherwise; count the unreadable ones."""
        fps = self.options.fps or 1
        pace = Pace(fps, self._closing)
        step = 1000 / (1 if fps == math.inf else fps)
        count = 0
        while not self.closing:
            before = count
            for image in map(self._read, self._files):
                if image is None:
                    continue
                captured = pace.admit(round(count * step))
                if self.closing:
                    return
                yield Picture(image, round(count * step), captured)
                count += 1
            if count == before:
                raise SourceError(f"{self.name} holds no image that can be read")
            if not self.options.loop:
                return

    def _read(self, file: Path) -> bytes | Bgr | None:
        try:
            data = file.read_bytes()
        except OSError:
            self.skipped["no-access"] += 1
            return None
        if read_jpeg_header(data):
            return data
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        if image is None:
            self.skipped["not-an-image"] += 1
            return None
        return np.asarray(image, np.uint8)
