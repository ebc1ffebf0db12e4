"""The clips of tests and benchmarks: scenes as video files, with the truth beside each."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np

from media.people import GUESTS, PORTRAITS, Look
from media.scene import Appearance, Face, Key, Light, Scene, Shot
from media.store import kept

__all__ = ["CLIPS", "Truth", "frames", "make_clip", "truth_of"]

OBAMA, SPEAKING, BIDEN = PORTRAITS["obama"], PORTRAITS["obama-speaking"], PORTRAITS["biden"]
SMALL, HD = (640, 360), (1920, 1080)
NIGHT = Light(brightness=0.22, noise=4)


def _stays(look: str, x: float, frames: int, y: float = 0.45, size: float = 0.26) -> Appearance:
    """Let a guest stand somewhere, and sway a little."""
    steps = range(0, frames, 30)
    way = [Key(frame, x + 0.01 * (-1) ** number, y, size) for number, frame in enumerate(steps)]
    return Appearance(GUESTS[look], [*way, Key(frames - 1, x, y, size)])


def _crowd(frames: int) -> list[Appearance]:
    """Let everybody stand in three rows, the front one last."""
    names = [name for name, look in sorted(GUESTS.items()) if look.person == name]
    people = []
    for number, name in enumerate(names):
        row, column = divmod(number, 7)
        people.append(_stays(name, 0.08 + 0.14 * column, frames, y=0.2 + 0.28 * row, size=0.11 + 0.01 * row))
    return people


def _way(look: Look, *keys: Key) -> Appearance:
    return Appearance(look, keys)


def _scenes() -> Iterator[Scene]:
    # On a stage are three whom nobody knows; after a cut two listen, and somewhat later Obama is among them.
    stage = [_stays("guest-01", 0.2, 200), _stays("guest-06", 0.5, 200), _stays("guest-09", 0.8, 200)]
    listeners = [_stays("guest-03", 0.2, 75), _stays("guest-17", 0.82, 75)]
    there = _way(SPEAKING, Key(30, 0.5, 0.42, 0.27), Key(50, 0.52, 0.42, 0.27), Key(74, 0.49, 0.42, 0.27))
    yield Scene("stage", SMALL, [Shot(200, stage), Shot(75, [*listeners, there], room=1)])

    # Two come from the two sides and pass each other, one in front; a third stays.
    left = _way(OBAMA, Key(0, -0.2, 0.5), Key(45, 0.5, 0.5), Key(90, 1.2, 0.5))
    right = _way(BIDEN, Key(0, 1.2, 0.45), Key(45, 0.5, 0.45), Key(90, -0.2, 0.45))
    behind = _stays("guest-08", 0.8, 91, y=0.25, size=0.15)
    yield Scene("crossing", SMALL, [Shot(91, [behind, left, right], room=2)])

    # One turns the head away and back; another leaves, and comes back after four seconds.
    turned = [Key(frame, 0.3, turn=turn) for frame, turn in ((40, 0), (60, 1), (80, 1), (100, 0))]
    turns = _way(OBAMA, Key(0, 0.3), *turned, Key(239, 0.3))
    leaves = _way(BIDEN, Key(0, 0.7), Key(40, 0.7), Key(60, 1.3))
    again = _way(BIDEN, Key(180, 1.3), Key(200, 0.7), Key(239, 0.7))
    yield Scene("comings", SMALL, [Shot(240, [turns, leaves, again], room=3)])

    # Five cuts between two rooms: the same two people, and others.
    one = Shot(20, [_stays("guest-11", 0.3, 20), _stays("guest-13", 0.7, 20)], room=4)
    two = Shot(20, [_stays("guest-14", 0.35, 20), _stays("guest-18", 0.65, 20)], room=5)
    yield Scene("cuts", SMALL, [one, two] * 3)

    yield Scene("crowd", (960, 540), [Shot(60, _crowd(60), room=6)])
    near, far = _stays("guest-03", 0.25, 60), _stays("guest-06", 0.75, 60, size=0.1)
    yield Scene("hd", HD, [Shot(60, [near, far], room=7)])
    watchmen = [_stays("guest-09", 0.3, 90), _way(OBAMA, Key(0, 0.7), Key(89, 0.66))]
    yield Scene("night", SMALL, [Shot(90, watchmen, room=8, light=NIGHT)])
    yield Scene("empty", SMALL, [Shot(60, [], room=9)])


CLIPS = {scene.name: scene for scene in _scenes()}

#: The faces that can be seen, frame by frame.
Truth = list[list[Face]]


def make_clip(name: str) -> Path:
    """Return a clip as MP4 (H.264); the truth is beside it."""
    return kept(f"{name}.mp4", lambda path: _write(CLIPS[name], path), beside=[f"{name}.json"])


def truth_of(name: str) -> Truth:
    """Return who is where on each frame of a clip."""
    return msgspec.json.decode(make_clip(name).with_suffix(".json").read_bytes(), type=Truth)


def frames(name: str) -> Iterator[np.ndarray]:
    """Give the frames of a clip as a decoder gives them, (H, W, 3) uint8 BGR."""
    with av.open(str(make_clip(name))) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="bgr24")


def _write(scene: Scene, path: Path) -> None:
    truth: Truth = []
    with av.open(str(path), "w") as container:
        # One thread: more of them make other bytes each time.
        options = {"crf": "20", "preset": "veryfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(scene.fps), options=options)
        stream.width, stream.height = scene.size
        stream.pix_fmt = "yuv420p"
        for number in range(scene.frames):
            picture, faces = scene.draw(number)
            truth.append(faces)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    path.with_suffix(".json").write_bytes(msgspec.json.encode(truth))
