"""The demonstration camera: real photographs of people who come, stay and go, in a drawn room."""

import math
import random
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from app.settings import Settings
from app.sources.base import Bgr, Picture, Source, SourceError, SourceOptions
from app.sources.cutouts import BIDEN, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, Cutout, make_sprite
from app.sources.pace import Pace
from app.weights import ensure

__all__ = ["DEMO_PEOPLE", "FPS", "DemoPerson", "DemoSource", "Scene", "demo_photo", "standing"]

#: Pictures a second, unless told otherwise.
FPS = 12
_WIDTH, _HEIGHT = 960, 540
#: Seconds after which everything happens again, a little differently.
_CYCLE = 40.0
#: Seconds that coming in takes, and going out.
_WALK = 1.5


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody whom the demonstration camera sees."""

    name: str
    #: File name of the photograph to enrol them with.
    photo: str


#: Those to be enrolled, the one who is there from the first picture on first.
DEMO_PEOPLE = _OBAMA, _BIDEN = (
    DemoPerson("Barack Obama", "obama.jpg"),
    DemoPerson("Joe Biden", "biden.jpg"),
)


@dataclass(frozen=True, slots=True)
class _Visit:
    """One stay in front of the camera: whose it is, when it begins and ends in the cycle, and where it is."""

    person: DemoPerson
    cutout: Cutout
    begin: float
    end: float
    #: Middle of the person, as a fraction of the picture's width.
    spot: float
    #: The side they come from and go to: -1 left, 1 right, 0 either.
    side: int


# Nobody is there for some seconds at a time, and nobody comes back before a sighting of theirs is closed.
_VISITS = (
    _Visit(_OBAMA, OBAMA, -1.2, 8.0, 0.29, -1),
    _Visit(_BIDEN, BIDEN, 3.5, 11.5, 0.72, 1),
    _Visit(_OBAMA, OBAMA_SPEAKING, 15.0, 22.0, 0.5, 0),
    _Visit(_BIDEN, BIDEN, 25.0, 33.0, 0.28, -1),
    _Visit(_OBAMA, OBAMA_STANDING, 28.0, 35.5, 0.72, 1),
)


def demo_photo(name: str, settings: Settings | None = None) -> Path:
    """Return the photograph to enrol the person called `name` with, fetching it where needed.

    Raises:
        SourceError: nobody of the demonstration is called so.
        OnlookerError: the photographs cannot be had.
    """
    for person in DEMO_PEOPLE:
        if person.name == name:
            return ensure("demo-portraits", settings) / person.photo
    names = ", ".join(person.name for person in DEMO_PEOPLE)
    raise SourceError(f"nobody of the demonstration is called {name!r}; they are {names}")


def standing(seconds: float) -> set[str]:
    """Return the names of those who stand before the camera at `seconds`, and neither come nor go."""
    return {
        visit.person.name
        for visit, elapsed, _ in _under_way(seconds)
        if _WALK <= elapsed <= visit.end - visit.begin - _WALK
    }


class Scene:
    """What the demonstration camera sees at any time; the same for the same seed.

    Raises:
        SourceError: a photograph in `folder` cannot be read.
    """

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self._seed = seed
        self._room = _draw_room()
        self._sprites = {v.cutout.photo: make_sprite(v.cutout, folder) for v in _VISITS}

    def draw(self, seconds: float) -> Bgr:
        """Return the picture at `seconds` since the beginning, (540, 960, 3) uint8 BGR."""
        picture = self._room.copy()
        for visit, elapsed, which in _under_way(seconds):
            # No secret hangs on it.
            chance = random.Random(f"{self._seed} {which}")  # noqa: S311
            sprite = self._sprites[visit.cutout.photo]
            width, height = sprite.size
            middle, drop = _place(visit, elapsed, width, chance)
            sprite.draw(picture, round(middle - width / 2), _HEIGHT - height + round(drop))
        return picture


def _under_way(seconds: float) -> Iterator[tuple[_Visit, float, str]]:
    """Give the visits under way, how long they have been, and what tells each from all others."""
    cycle, now = divmod(seconds, _CYCLE)
    for number, visit in enumerate(_VISITS):
        # A visit that begins before its cycle does: its beginning is the end of the cycle before.
        for offset in (0, 1):
            elapsed = now - offset * _CYCLE - visit.begin
            if 0 <= elapsed < visit.end - visit.begin:
                yield visit, elapsed, f"{cycle + offset} {number}"


def _place(visit: _Visit, elapsed: float, width: int, chance: random.Random) -> tuple[float, float]:
    """Return the middle of the person, and by how much they are lowered, pixels."""
    spot = visit.spot * _WIDTH + chance.uniform(-15, 15)
    sides = visit.side or chance.choice((-1, 1)), visit.side or chance.choice((-1, 1))
    outside = [-width / 2 if side < 0 else _WIDTH + width / 2 for side in sides]
    left = visit.end - visit.begin - elapsed
    coming, going = _ease(elapsed / _WALK), _ease(left / _WALK)
    here = spot + 16 * math.sin(elapsed * 1.7 + chance.uniform(0, math.tau))
    middle = (
        outside[0] + (here - outside[0]) * coming if coming < 1 else outside[1] + (here - outside[1]) * going
    )
    steps = (1 - min(coming, going)) * abs(math.sin(elapsed * 7)) * 9
    return middle, 6 + 4 * math.sin(elapsed * 1.1) + steps


def _ease(part: float) -> float:
    """Return `part` of a way, 0 to 1, begun and ended gently."""
    part = min(1.0, max(0.0, part))
    return part * part * (3 - 2 * part)


def _draw_room() -> Bgr:
    """Draw a wall with a window, a picture and a shelf, out of focus like any background."""
    shade = np.linspace(1.05, 0.72, _HEIGHT)[:, None, None] * np.linspace(0.9, 1.06, _WIDTH)[None, :, None]
    room = np.clip(np.array([186, 200, 204]) * shade, 0, 255).astype(np.uint8)
    sky = np.linspace(0, 1, 250)[:, None, None] * (np.array([214, 226, 236]) - (225, 188, 140)) + (
        225,
        188,
        140,
    )
    room[70:320, 620:860] = sky.astype(np.uint8)
    for left, top, right, bottom in ((612, 62, 868, 328), (736, 62, 744, 328), (612, 188, 868, 196)):
        cv2.rectangle(room, (left, top), (right, bottom), (232, 238, 240), 8)
    cv2.rectangle(room, (120, 90), (270, 290), (52, 74, 104), 10)
    cv2.rectangle(room, (126, 96), (264, 284), (168, 172, 150), -1)
    cv2.circle(room, (196, 170), 34, (110, 150, 205), -1)
    cv2.rectangle(room, (126, 216), (264, 284), (112, 138, 108), -1)
    cv2.rectangle(room, (350, 232), (545, 244), (70, 92, 120), -1)
    for number, colour in enumerate(
        ((96, 84, 150), (140, 120, 70), (90, 140, 160), (80, 80, 90), (150, 140, 190))
    ):
        left = 366 + number * 30
        cv2.rectangle(room, (left, 150 + 9 * (number % 3)), (left + 22, 231), colour, -1)
    cv2.rectangle(room, (0, 424), (_WIDTH, _HEIGHT), (118, 134, 146), -1)
    cv2.rectangle(room, (0, 418), (_WIDTH, 426), (210, 220, 224), -1)
    return np.asarray(cv2.GaussianBlur(room, (0, 0), 2.2), np.uint8)


class DemoSource(Source):
    """The demonstration camera, which never ends.

    Raises:
        OnlookerError: the photographs cannot be had.
    """

    live = True

    def __init__(self, options: SourceOptions, settings: Settings | None = None, seed: int = 0) -> None:
        super().__init__("demo", options)
        self._scene = Scene(ensure("demo-portraits", settings), seed)

    def pictures(self) -> Generator[Picture, None, None]:
        """Give the pictures until `close`."""
        fps = self.options.fps or FPS
        pace = Pace(fps, self._closing)
        period = 1 / (FPS if fps == math.inf else fps)
        number = 0
        while not self.closing:
            image = self._scene.draw(number * period)
            captured = pace.admit(round(number * period * 1000))
            yield Picture(image, round(number * period * 1000), captured)
            number += 1
