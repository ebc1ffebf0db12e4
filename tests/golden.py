"""Messages whose bytes are kept for ever: `python tests/golden.py` writes those that are not there yet."""

import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.messages import (
    Change,
    Checkpoint,
    DeadLetter,
    Enrolment,
    Faces,
    Frame,
    Identifications,
    Person,
    Sighting,
    StreamStatus,
    Template,
    Unnamed,
    encode,
    encode_frame,
)
from app.tracking import state
from app.tracking.state import Mark, Place, StreamState, Visit

__all__ = ["FOLDER", "GOLDEN", "bytes_of", "same", "stored", "write"]

#: The files are named `v1/sighting-open.bin`: the message's version, and which one it is.
FOLDER = Path(__file__).resolve().parent / "data" / "messages"

NET, FINDER = "embedder@0123456789ab", "finder@ba9876543210"
#: 2023-11-14, milliseconds since the epoch.
THEN = 1_700_000_000_000


def numbers(seed: str, dtype: type[np.floating], *shape: int, most: int = 1) -> NDArray[Any]:
    """Return numbers from -most to most that every floating-point type can hold."""
    return (np.array(_draw(seed, int(np.prod(shape)), 129), dtype) / 64 - 1).reshape(shape) * most


def picture(seed: str) -> bytes:
    """Return what begins as a JPEG does, and is none."""
    return b"\xff\xd8\xff\xe0" + bytes(_draw(seed, 20, 256))


def _draw(seed: str, count: int, below: int) -> list[int]:
    # For a seed, Python promises the same numbers in every version of this one method only.
    made = random.Random(seed)
    return [int(made.random() * below) for _ in range(count)]


def template(number: int) -> Template:
    """Return a template of nobody."""
    return Template(
        id=f"template-{number}", embedding=numbers(f"template-{number}", np.float32, 16), embedder=NET,
        width=112 + number, height=130, score=0.875, crop=picture(f"template-{number}"),
    )  # fmt: skip


def faces(count: int) -> Faces:
    """Return so many faces: the second one was kept back, and has no landmarks."""
    landmarks = numbers("landmarks", np.float32, count, 5, 2, most=256)
    landmarks[1:] = np.nan
    embeddings = numbers("embeddings", np.float16, count, 16)
    embeddings[1:] = 0
    return Faces(
        stream="front.door_2-b", partition=3, offset=70_000, seq=41, captured=THEN, width=1280, height=720,
        live=True, detector=FINDER, embedder=NET, boxes=numbers("boxes", np.float32, count, 4, most=512),
        landmarks=landmarks, scores=abs(numbers("scores", np.float32, count)),
        gates=np.array([0, 3], np.uint8)[:count], embeddings=embeddings,
        crops=[picture("face"), None][:count],
    )  # fmt: skip


def visit_template() -> state.Template:
    """Return the template of nobody's visit."""
    return state.Template(
        NET, numbers("visit", np.float32, 16), numbers("visit-faces", np.float16, 2, 16),
        np.array([0.75, 0.5], np.float32),
    )  # fmt: skip


def bytes_of(message: Any) -> bytes:
    """Return the bytes of a message; of a frame, its key, value and headers."""
    return msgspec.msgpack.encode(encode_frame(message)) if isinstance(message, Frame) else encode(message)


OPEN = Sighting(
    id="0f" * 12, stream="door", person="ada", name="Ada Lovelace – ä", first=THEN, last=THEN + 2500,
    frames=25, offset=2**33, score=0.8125, crop=picture("sighting"), crop_score=0.75, open=True,
    revision=2**34,
)  # fmt: skip
CLOSED = Sighting(
    id="f0" * 12, stream="door", person=None, name=None, first=THEN, last=THEN, frames=5, offset=7,
    score=None, crop=b"", crop_score=-1.0, open=False, revision=9,
)  # fmt: skip

GOLDEN: dict[str, Any] = {
    "v1/frame": Frame(
        stream="front.door_2-b", seq=41, captured=THEN, pts=1640, width=1280, height=720, live=True,
        jpeg=picture("frame"),
    ),
    "v1/faces-none": faces(0),
    "v1/faces-followed": msgspec.structs.replace(
        faces(2), tracklets=np.array([2**40, 2**52 + 1], np.uint64), quality=np.array([0.75, 0.5], np.float32)
    ),
    "v1/faces-lacking": msgspec.structs.replace(faces(2), lacks=np.array([2, 0], np.uint8)),
    "v1/faces-two": faces(2),
    "v1/identifications": Identifications(
        stream="front.door_2-b", partition=3, offset=70_000, faces_offset=2**33, captured=THEN, width=1280,
        height=720, live=True, boxes=numbers("boxes", np.float32, 2, 4, most=512),
        scores=abs(numbers("scores", np.float32, 2)), people=["ada", None], names=["Ada Lovelace – ä", None],
        similarities=[0.8125, None],
    ),
    "v1/sighting-open": OPEN,
    "v1/sighting-closed": CLOSED,
    "v1/sighting-unnamed": msgspec.structs.replace(
        CLOSED, faces=3, quality=0.375, unnamed=Unnamed(gate="turned", lacking=0.125), merged=OPEN.id
    ),
    "v1/sighting-corrected": msgspec.structs.replace(
        OPEN, faces=4, quality=0.75, confidence=0.9375,
        changes=(
            Change(
                captured=THEN + 2000, before=None, before_name=None, after="bob", after_name="Bob",
                reason="recognised",
            ),
            Change(
                captured=THEN + 2500, before="bob", before_name="Bob", after="ada",
                after_name="Ada Lovelace – ä", reason="corrected",
            ),
        ),
    ),
    "v1/person": Person(
        id="ada", name="Ada Lovelace", created=THEN, updated=THEN + 1, revision="00ff00ff00ff00ff",
        templates=[template(0), template(1)],
    ),
    "v1/enrolment-add": Enrolment(
        id="00ff00ff00ff00ff", action="add", person="ada", name="Ada Lovelace", at=THEN,
        templates=[template(2)], known=True,
    ),
    "v1/enrolment-remove": Enrolment(
        id="ff00ff00ff00ff00", action="remove", person="ada", name=None, at=THEN, templates=[],
    ),
    "v1/status": StreamStatus(
        stream="door", partition=3, frame_offset=70_000, faces_offset=None, worker="host:6066", updated=THEN,
        captured=THEN - 40, fps=9.5, age=0.125, width=1280, height=720, live=True, faces=2, frames=1000,
        skipped={"too-old": 7}, waiting=3, arrived=THEN + 5, skipping=0.5,
        counted={"frames": 70_001, "recordings": 12},
    ),
    "v1/state": StreamState(
        live=Mark(2**33, THEN + 2500),
        visits=[Visit(sighting=OPEN, published=THEN + 2000), Visit(sighting=CLOSED, closed=True)],
        pending=[CLOSED],
    ),
    "v2/state": StreamState(
        live=Mark(2**33, THEN + 2500),
        recorded=Mark(7, THEN),
        visits=[
            Visit(
                sighting=OPEN, published=THEN + 2000, template=visit_template(),
                tracklets={2**53 + 1: THEN + 2500}, beside=[CLOSED.id], lack=3, similarity=0.8125,
                place=Place(True, 10.5, 20.25, 74.5, 100.0),
            ),
            Visit(sighting=CLOSED, closed=True),
        ],
        pending=[CLOSED],
    ),
    "v1/dead-letter": DeadLetter(
        topic="frames", partition=3, offset=70_000, key=b"door", reason="not-an-image",
        detail="a frame whose value is not a JPEG", at=THEN, value=b"GIF89a",
    ),
}  # fmt: skip


def stored(name: str) -> bytes:
    """Return the bytes of an example: those that were written first."""
    path = FOLDER / f"{name}.bin"
    return path.read_bytes() if path.exists() else bytes_of(GOLDEN[name])


#: What is inside of a checkpoint has a version of its own, and stays at that.
GOLDEN["v1/checkpoint"] = Checkpoint(stream="door", partition=3, next=2**34, state=stored("v1/state"))


def write() -> None:
    """Write what is not there yet; what is there was written by a program of its day, and stays."""
    for name, message in GOLDEN.items():
        path = FOLDER / f"{name}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(bytes_of(message))
            print(path)


def same(one: Any, other: Any) -> bool:
    """Tell whether two messages, or parts of them, say the same; arrays count by type and numbers."""
    if isinstance(one, np.ndarray):
        gaps = one.dtype.kind == "f"
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=gaps)
    if isinstance(one, msgspec.Struct):
        return type(one) is type(other) and all(
            same(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


if __name__ == "__main__":
    write()
