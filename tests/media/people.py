"""The people of the tests: real faces, cut out of photographs that set-up fetches."""

from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from app.models.images import Image
from app.settings import ROOT
from app.sources.cutouts import BIDEN, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, Cutout, make_sprite
from app.sources.cutouts import Sprite as Drawn

__all__ = ["GUESTS", "PORTRAITS", "Box", "Look", "Sprite", "cut", "photograph"]

#: Left, top, right, bottom, pixels.
Box = tuple[float, float, float, float]

WEIGHTS = ROOT / "weights"


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody as a photograph shows them.

    person: who it is; the same for two photographs of one person.
    photo: the photograph, below `weights`.
    face: their face there, pixels.
    cutout: their outline there; without one, an oval around head and shoulders.
    """

    person: str
    photo: str
    face: Box
    cutout: Cutout | None = None

    @property
    def face_width(self) -> float:
        """Width of the face in the photograph, pixels."""
        return self.face[2] - self.face[0]

    @property
    def outline(self) -> Cutout:
        """What is cut out."""
        if self.cutout is not None:
            return replace(self.cutout, photo=self.photo)
        left, top, right, bottom = self.face
        middle, wide, high = (left + right) / 2, right - left, bottom - top
        around = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        xs, ys = middle + 0.95 * wide * np.cos(around), top + 0.62 * high + 0.95 * high * np.sin(around)
        height, width = photograph(self.photo).shape[:2]
        points = zip(xs.clip(0, width - 1).round(), ys.clip(0, height - 1).round(), strict=True)
        return Cutout(self.photo, 1.0, tuple((int(x), int(y)) for x, y in points))


@dataclass(frozen=True, slots=True)
class Sprite:
    """Somebody ready to be drawn.

    face: middle of the face, pixels of the sprite.
    size: width and height of the face, pixels.
    opacity: (H, W) float32, 0 to 1.
    """

    drawn: Drawn
    face: tuple[float, float]
    size: tuple[float, float]
    opacity: NDArray[np.float32]

    def draw(self, picture: Image, left: int, top: int) -> None:
        """Draw onto `picture` with the upper left corner there."""
        self.drawn.draw(picture, left, top)

    def box(self, left: int, top: int) -> Box:
        """Return where the face is then."""
        (x, y), (wide, high) = self.face, self.size
        return left + x - wide / 2, top + y - high / 2, left + x + wide / 2, top + y + high / 2


def _guests(photo: str, *faces: Box) -> list[Look]:
    return [Look("", f"demo-groups/{photo}.jpg", face) for face in faces]


_FOUND = [
    *_guests("sample1", (419, 369, 597, 595), (829, 431, 1032, 660), (1485, 227, 1675, 419)),
    *_guests("sample2", (1445, 170, 1642, 386), (906, 240, 1073, 455)),
    *_guests("sample3", (591, 336, 799, 600), (1077, 197, 1306, 521), (1490, 284, 1689, 580)),
    *_guests("sample4", (657, 68, 846, 313), (986, 190, 1164, 420), (1277, 155, 1434, 397)),
    *_guests("sample5", (787, 118, 948, 333), (1117, 208, 1279, 432), (1412, 400, 1605, 669),
             (366, 869, 570, 1178), (601, 426, 779, 670)),
    *_guests("sample6", (252, 485, 471, 766), (675, 327, 873, 639), (1485, 261, 1703, 561),
             (1174, 308, 1376, 581)),
]  # fmt: skip

#: Whole people, of the photographs of the demonstration.
PORTRAITS = {
    "obama": Look("obama", "demo-portraits/obama.jpg", (372, 88, 613, 426), OBAMA),
    "obama-speaking": Look("obama", "demo-portraits/obama2.jpg", (202, 230, 480, 642), OBAMA_SPEAKING),
    "obama-standing": Look("obama", "demo-portraits/obama3.jpg", (642, 256, 921, 619), OBAMA_STANDING),
    "biden": Look("biden", "demo-portraits/biden.jpg", (431, 159, 721, 573), BIDEN),
}

#: People whom nobody knows, heads and shoulders of photographs of groups; one is on two of them.
GUESTS = {
    name: replace(look, person="guest-03" if name == "guest-07" else name)
    for name, look in ((f"guest-{number:02}", look) for number, look in enumerate(_FOUND, 1))
}


@cache
def photograph(name: str) -> Image:
    """Return a photograph below `weights`, (H, W, 3) uint8 BGR; not to be written into."""
    image = cv2.imread(str(WEIGHTS / name))
    assert image is not None, f"{name} is not there: `make setup` fetches it"
    return np.asarray(image, np.uint8)


@cache
def cut(look: Look, scale: float, turn: float = 0.0) -> Sprite:
    """Cut somebody out.

    Args:
        scale: pixels of the sprite for one of the photograph.
        turn: -1 to 1, how far the head is turned: its middle moves to the right by half of its radius for 1.
    """
    outline = replace(look.outline, scale=scale)
    drawn = make_sprite(outline, WEIGHTS)
    left, top = (min(point[axis] for point in outline.outline) - round(24 / scale) for axis in (0, 1))
    x0, y0, x1, y1 = ((edge - (left, top)[axis % 2]) * scale for axis, edge in enumerate(look.face))
    face, size = ((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0)
    if turn:
        drawn = Drawn(_turned(drawn.keep, face, size, turn), _turned(drawn.add, face, size, turn))
    opacity = 1 - drawn.keep.max(axis=2).astype(np.float32) / 255
    return Sprite(drawn, face, size, opacity)


def _turned(image: Image, face: tuple[float, float], size: tuple[float, float], turn: float) -> Image:
    """Move what is in the middle of the head to the side, and leave its outline where it is."""
    height, width = image.shape[:2]
    radius = 0.75 * size[0]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    across, down = (xs - face[0]) / radius, (ys - face[1]) / (1.2 * size[1])
    bulge = np.maximum(0, 1 - across**2) * np.maximum(0, 1 - down**2)
    return np.asarray(
        cv2.remap(image, (xs - turn * radius / 2 * bulge).astype(np.float32), ys, cv2.INTER_LINEAR), np.uint8
    )
