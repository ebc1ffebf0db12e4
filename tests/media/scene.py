"""Scenes that are drawn: people who come, cross, turn, leave and come back, and where each face is."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import cv2
import numpy as np

from app.models.images import Image
from media.people import Box, Look, Sprite, cut

__all__ = ["Appearance", "Face", "Key", "Light", "Scene", "Shot"]

#: The part of a face that must be in the picture, and behind nobody, for it to be seen.
_SEEN = 0.75


@dataclass(frozen=True, slots=True)
class Key:
    """Where somebody is at a time; in between they are on the way.

    frame: number of the frame.
    x, y: middle of the face, as fractions of the picture's width and height.
    size: width of the face, as a fraction of the picture's height.
    turn: how far the head is turned, -1 to 1; see `cut`.
    """

    frame: int
    x: float
    y: float = 0.4
    size: float = 0.3
    turn: float = 0.0


@dataclass(frozen=True, slots=True)
class Appearance:
    """Somebody on the way along some places; before the first and after the last they are not there."""

    look: Look
    way: Sequence[Key]

    def at(self, frame: int) -> Key | None:
        """Return where they are on a frame."""
        if len(self.way) == 1 and self.way[0].frame == frame:
            return self.way[0]
        for one, other in pairwise(self.way):
            if one.frame <= frame <= other.frame:
                return _between(one, other, frame)
        return None


@dataclass(frozen=True, slots=True)
class Face:
    """The truth of one face on one frame.

    turn: how far it is turned; whoever is turned far need not be known.
    """

    person: str
    box: Box
    turn: float


@dataclass(frozen=True, slots=True)
class Light:
    """How bright it is (1 is day), and how much the camera's numbers tremble."""

    brightness: float = 1.0
    noise: float = 0.0


@dataclass(frozen=True, slots=True)
class Shot:
    """One place, from one cut to the next; who comes later in the list stands in front.

    room: number of a room; those of two numbers look unlike.
    """

    frames: int
    people: Sequence[Appearance]
    room: int = 0
    light: Light = Light()


@dataclass(frozen=True, slots=True)
class Scene:
    """Shots, one after the other; frames are counted from the first one of all."""

    name: str
    size: tuple[int, int]
    shots: Sequence[Shot]
    fps: int = 30

    @property
    def frames(self) -> int:
        """How many there are."""
        return sum(shot.frames for shot in self.shots)

    def draw(self, frame: int) -> tuple[Image, list[Face]]:
        """Return a frame, (H, W, 3) uint8 BGR, and every face that can be seen on it."""
        begin = 0
        for shot in self.shots:
            if frame < begin + shot.frames:
                return self._draw(shot, frame - begin)
            begin += shot.frames
        raise IndexError(f"the scene {self.name} has {self.frames} frames")

    def _draw(self, shot: Shot, frame: int) -> tuple[Image, list[Face]]:
        width, height = self.size
        picture = _room(shot.room, width, height).copy()
        faces: list[Face] = []
        for one in shot.people:
            place = one.at(frame)
            if place is None:
                continue
            scale = place.size * height / one.look.face_width
            sprite = cut(one.look, round(scale, 3), round(place.turn, 1))
            left, top = round(place.x * width - sprite.face[0]), round(place.y * height - sprite.face[1])
            sprite.draw(picture, left, top)
            faces = [face for face in faces if not _hidden(face.box, sprite, left, top)]
            box = sprite.box(left, top)
            if _share(box, (0, 0, width, height)) >= _SEEN:
                faces.append(Face(one.look.person, box, place.turn))
        return _lit(picture, shot.light, frame), faces


def _between(one: Key, other: Key, frame: int) -> Key:
    part = (frame - one.frame) / max(1, other.frame - one.frame)
    part = part * part * (3 - 2 * part)
    x, y, size, turn = (
        (1 - part) * getattr(one, name) + part * getattr(other, name) for name in ("x", "y", "size", "turn")
    )
    return Key(frame, x, y, size, turn)


def _share(box: Box, within: Box) -> float:
    """Return the part of `box` that lies inside another one."""
    width = min(box[2], within[2]) - max(box[0], within[0])
    height = min(box[3], within[3]) - max(box[1], within[1])
    return max(0.0, width) * max(0.0, height) / ((box[2] - box[0]) * (box[3] - box[1]))


def _hidden(box: Box, sprite: Sprite, left: int, top: int) -> bool:
    """Tell whether somebody who is drawn there covers so much of a face that it is not seen any more."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    covered = sprite.opacity[max(0, y0 - top) : max(0, y1 - top), max(0, x0 - left) : max(0, x1 - left)]
    return float(covered.sum()) > (1 - _SEEN) * (x1 - x0) * (y1 - y0)


def _lit(picture: Image, light: Light, frame: int) -> Image:
    if light == Light():
        return picture
    numbers = picture.astype(np.float32) * light.brightness
    if light.noise:
        numbers += np.random.default_rng(frame).normal(0, light.noise, picture.shape).astype(np.float32)
    return np.asarray(numbers.clip(0, 255).round(), np.uint8)


@cache
def _room(number: int, width: int, height: int) -> Image:
    """Draw a wall, out of focus, with things on it that are no faces."""
    chance = np.random.default_rng(number)
    ends = chance.integers(70, 220, (2, 3))
    down, across = np.linspace(0, 1, height)[:, None, None], np.linspace(0.85, 1.1, width)[None, :, None]
    room = np.clip(((1 - down) * ends[0] + down * ends[1]) * across, 0, 255).astype(np.uint8)
    for left, top, wide, high in chance.uniform((0, 0, 0.05, 0.05), (0.9, 0.6, 0.3, 0.35), (6, 4)):
        corner = round(left * width), round(top * height)
        other = round((left + wide) * width), round((top + high) * height)
        colour = [int(part) for part in chance.integers(40, 230, 3)]
        cv2.rectangle(room, corner, other, colour, -1 if wide < 0.2 else max(2, height // 60))
    cv2.rectangle(room, (0, round(0.8 * height)), (width, height), [int(part) for part in ends[1] * 0.6], -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), height / 240), np.uint8)
