"""Photographs of the tests: those of the demonstration, and pictures that are put together from them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from app.models.images import Image
from media.people import GUESTS, PORTRAITS, Box, Look, photograph
from media.scene import Appearance, Key, Scene, Shot

__all__ = ["GROUP", "PEOPLE", "PORTRAIT", "TWO_PEOPLE", "another", "boxes_on", "still", "write_people"]

#: A photograph of one person; pictures of two, and of six.
PORTRAIT, TWO_PEOPLE, GROUP = "demo-portraits/obama.jpg", "two-people", "group"

#: Names of two pictures of each of four people.
PEOPLE = {
    "obama": [PORTRAIT, "demo-portraits/obama2.jpg"],
    "guest-07": ["guest-07", "guest-07 again"],
    "guest-09": ["guest-09", "guest-09 again"],
    "guest-17": ["guest-17", "guest-17 again"],
}

#: Pictures of each guest of `write_people`; of those who are alone on theirs.
_COUNTS = {1: 8, 2: 1, 3: 3, 4: 1, 5: 4, 6: 1, 8: 4, 9: 1, 11: 4, 12: 1, 13: 2, 14: 1, 15: 1}

#: Side of the pictures of one head, pixels: LFW's.
_SIDE = 250


def _scene(name: str, size: tuple[int, int], room: int, *places: tuple[Look, float, float, float]) -> Scene:
    people = [Appearance(look, [Key(0, x, y, wide)]) for look, x, y, wide in places]
    return Scene(name, size, [Shot(1, people, room)])


_SCENES: Mapping[str, Scene] = {
    TWO_PEOPLE: _scene(
        TWO_PEOPLE, (900, 600), 20,
        (PORTRAITS["biden"], 0.28, 0.4, 0.25), (PORTRAITS["obama"], 0.72, 0.42, 0.25),
    ),
    GROUP: _scene(
        GROUP, (1280, 896), 21,
        *((GUESTS[f"guest-{guest:02}"], 0.2 + 0.3 * (place % 3), 0.3 + 0.42 * (place // 3), 0.12)
          for place, guest in enumerate((3, 6, 8, 9, 14, 17))),
    ),
}  # fmt: skip


def still(name: str) -> Image:
    """Return a photograph below `weights`, or a picture that is drawn, (H, W, 3) uint8 BGR."""
    if name in _SCENES:
        return _SCENES[name].draw(0)[0]
    guest, _, again = name.partition(" ")
    if guest in GUESTS:
        head = _around(GUESTS[guest])
        return another(head, 1) if again else head
    return photograph(name).copy()


def boxes_on(name: str) -> list[Box]:
    """Return where the faces are on a picture that is drawn."""
    return [face.box for face in _SCENES[name].draw(0)[1]]


def another(image: Image, number: int) -> Image:
    """Return the same as another camera would have seen it: turned a little, nearer, lighter, softer."""
    chance = np.random.default_rng(number)
    height, width = image.shape[:2]
    degrees, scale = chance.uniform(-8, 8), chance.uniform(0.8, 1.1)
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    turned = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    softer = cv2.GaussianBlur(turned, (0, 0), chance.uniform(0.3, 1.2))
    lighter = softer * chance.uniform(0.75, 1.2) + chance.uniform(-12, 12)
    return np.asarray(lighter.clip(0, 255).round(), np.uint8)


def write_people(folder: Path) -> None:
    """Write fourteen people, 35 pictures of 250x250 pixels, as LFW has them: half of them have one picture.

    Of Barack Obama there are photographs of several occasions; of the others, what other cameras had seen.
    """
    for guest, count in _COUNTS.items():
        name = f"guest-{guest:02}"
        head = _around(GUESTS[name])
        others = [another(head, 10 * guest + one) for one in range(1, count)]
        _write(folder, name.capitalize().replace("-", "_"), [head, *others])
    _write(folder, "Obama", [_around(look) for look in PORTRAITS.values() if look.person == "obama"])


def _write(folder: Path, person: str, pictures: Sequence[Image]) -> None:
    (folder / person).mkdir(parents=True)
    for number, picture in enumerate(pictures, 1):
        assert cv2.imwrite(str(folder / person / f"{person}_{number:04}.jpg"), picture)


def _around(look: Look) -> Image:
    """Return a square around somebody's face, three faces wide."""
    left, top, right, bottom = look.face
    x, y, half = (left + right) / 2, (top + bottom) / 2, 1.5 * (right - left)
    corners = np.array([(x - half, y - half), (x + half, y - half), (x - half, y + half)], np.float32)
    target = np.array([(0, 0), (_SIDE, 0), (0, _SIDE)], np.float32)
    move = cv2.getAffineTransform(corners, target)
    # Softened first: it becomes several times smaller.
    soft = cv2.GaussianBlur(photograph(look.photo), (0, 0), max(0.1, 0.35 * 2 * half / _SIDE))
    flat = cv2.warpAffine(soft, move, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(flat, np.uint8)
