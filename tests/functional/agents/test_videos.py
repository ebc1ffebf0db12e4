"""Who was there on three videos, counted by a person who looked at them before the program did.

`short_hamilton_clip`: the singer, away for two seconds while others are shown; the pianist, small and then,
after a cut, so near and in profile that nobody would know him again by his face; in the audience a woman, a
man and a woman in profile, a man who laughs, and in the dark at the right edge a woman whom the program alone
saw. The people behind the pianist, out of focus, are nobody. `mobileface_friends1`: a man and a woman, two
men behind them, one of whom only eyes and brow are seen, another one at the left edge, cut by it.
`intel_one-by-one`: six people from behind; a profile for less than half a second as each leaves is nobody.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from faust.types import TP
from makers import EMBEDDER, START, make_frame, make_person, make_template
from workbench import Bench, Desk, Stage

from app.application import tracklet_rules, visit_rules
from app.messages import Faces, Gate, Identifications, Sighting, decode
from app.models.chosen import chosen_nets
from app.models.embedding import Vectors
from app.models.images import decode_jpeg, encode_jpeg
from app.models.pipeline import Nets, Recogniser
from app.settings import Settings
from app.tables.gallery import Gallery

THRESHOLD, MARGIN = 0.49, 0.05
#: The visits of each video: from when to when, in tenths of a second.
VISITS: Mapping[str, Sequence[tuple[int, int]]] = {
    "short_hamilton_clip": [(0, 6), (0, 70), *[(70, 91)] * 5],
    "mobileface_friends1": [(0, 53), *[(0, 56)] * 5],
    "intel_one-by-one-person-detection": [],
}


@dataclass(frozen=True)
class Enrolled:
    """Somebody who is enrolled with their face on a frame of a video, which is there in their picture."""

    name: str
    video: str
    frame: int
    x: int
    y: int


SINGER = Enrolled("singer", "short_hamilton_clip", 14, 544, 74)
GUEST = Enrolled("guest", "short_hamilton_clip", 246, 356, 96)
MAN = Enrolled("man", "mobileface_friends1", 115, 502, 221)
WOMAN = Enrolled("woman", "mobileface_friends1", 122, 852, 242)


@cache
def pictures(path: Path) -> list[tuple[int, bytes]]:
    """Return the pictures of a video as frames carry them, and when each is shown, in milliseconds."""
    with av.open(str(path)) as container:
        found = [
            (round(1000 * picture.time), encode_jpeg(picture.to_ndarray(format="bgr24"), 90))
            for picture in container.decode(video=0)
        ]
    return [(time - found[0][0], jpeg) for time, jpeg in found]


class Remembering(Recogniser):
    """Looks at a picture, and embeds a face, once, however often it is shown."""

    def __init__(self, recogniser: Recogniser) -> None:
        super().__init__(recogniser.detector, recogniser.embedder, 24, 0.5)
        self._found: dict[bytes, Any] = {}
        self._embedded: dict[bytes, tuple[Any, Any]] = {}

    def detect_all(self, images: Any) -> Any:
        keys = [hashlib.sha1(image.tobytes()).digest() for image in images]
        for key, image in zip(keys, images, strict=True):
            if key not in self._found:
                self._found[key] = super().detect_all([image])[0]
        return [self._found[key] for key in keys]

    def embed_all(self, aligned: Any, gates: Any) -> list[Vectors]:
        return [
            self._embed(faces, passed == Gate.PASSED) for faces, passed in zip(aligned, gates, strict=True)
        ]

    def _embed(self, faces: Any, passed: Any) -> Vectors:
        count = len(faces)
        made = Vectors(np.zeros((count, self.embedder.dimension), np.float32), np.zeros(count, np.float32))
        for row in np.flatnonzero(passed):
            key = hashlib.sha1(faces[row].tobytes()).digest()
            if key not in self._embedded:
                (one,) = super().embed_all([faces[row : row + 1]], [np.zeros(1, np.uint8)])
                self._embedded[key] = one.embeddings[0], one.lengths[0]
            made.embeddings[row], made.lengths[row] = self._embedded[key]
        return made


@pytest.fixture(scope="module")
def remembering(recogniser: Recogniser) -> Recogniser:
    return Remembering(recogniser)


@pytest.fixture(scope="module")
def videos(shared_data: Path) -> Path:
    return shared_data / "video"


@dataclass
class Told:
    """What came of a video: its faces, and the newest version of each sighting, the oldest one first."""

    faces: list[Faces]
    sightings: list[Sighting]
    identifications: list[Identifications]

    @property
    def embedded(self) -> int:
        return sum(int((faces.gates == Gate.PASSED).sum()) for faces in self.faces)

    @property
    def visits(self) -> list[tuple[int, int]]:
        return sorted(
            (round((one.first - START) / 100), round((one.last - START) / 100)) for one in self.sightings
        )

    def outline(self) -> list[tuple[Any, ...]]:
        return [(one.id, one.person, one.first, one.last, one.frames) for one in self.sightings]


class Cinema:
    """Shows videos to the agents of a worker, or of several, one after the other."""

    def __init__(self, stage: Stage, nets: Recogniser, folder: Path, embed: str = "due") -> None:
        self.stage = stage
        self.nets = nets
        self.folder = folder
        self.settings = Settings(embed=embed, in_flight=3, sighting_update=0)

    async def show(self, video: str, *people: Enrolled, takeovers: Sequence[int] = ()) -> Told:
        """Show a video; a takeover at a frame looks at the last few frames before that again."""
        shown = pictures(self.folder / f"{video}.mp4")
        for first, stop in pairwise([0, *takeovers, len(shown)]):
            await self._recognise(shown, max(0, first - 3), stop)
        delivery, topics = self.stage.delivery, self.stage.topics
        faces = [decode(Faces, one.value) for one in delivery.of(topics.faces)]
        rules = visit_rules(self.settings, chosen_nets(self.settings).embedder)
        desk = Desk(self.stage, await self._gallery(people), rules, sighting_update=0)
        async with desk.context as agent:
            await desk.send(agent, *faces)
            await desk.taken_in(len(faces))
            for partition in desk.partitions:
                for stream in partition.streams.values():
                    closed = stream.tracker.close(len(faces))
        newest: dict[str, Sighting] = {}
        for one in [decode(Sighting, kept.value) for kept in delivery.of(topics.sightings)] + closed:
            newest[one.id] = one
        kept = sorted((one for one in newest.values() if not one.merged), key=lambda one: one.first)
        return Told(faces, kept, desk.identifications())

    async def _recognise(self, shown: Sequence[tuple[int, bytes]], first: int, stop: int) -> None:
        """Let a worker recognise some frames, which knows nothing of those before."""
        nets = Nets(lambda: self.nets, "finder@01234567", EMBEDDER)
        bench = Bench(self.stage, nets, self.settings, tracklet_rules(self.settings))
        before = len(self.stage.delivery.of(self.stage.topics.faces))
        # As if those before were all that is committed.
        self.stage.ledger.open(TP(self.stage.topics.recordings.name, 0), first)
        async with bench.recordings as agent:
            for number in range(first, stop):
                milliseconds, jpeg = shown[number]
                frame = make_frame(jpeg, seq=number, captured=START + milliseconds)
                await bench.send(agent, frame, offset=number)
                if number % 50 == 49:
                    await bench.faces(before + number + 1 - first)
            await bench.faces(before + stop - first)

    async def _gallery(self, people: Sequence[Enrolled]) -> Gallery:
        gallery = Gallery(EMBEDDER, THRESHOLD, MARGIN)
        for one in people:
            _, jpeg = pictures(self.folder / f"{one.video}.mp4")[one.frame]
            found = self.nets.analyse(decode_jpeg(jpeg))
            middles = (found.detections.boxes[:, :2] + found.detections.boxes[:, 2:]) / 2
            row = int(np.linalg.norm(middles - (one.x, one.y), axis=1).argmin())
            await gallery.put(make_person(one.name, templates=[make_template(found.embeddings[row])]))
        return gallery


@pytest.mark.parametrize("video", VISITS)
async def test_everybody_is_one_visit_and_most_faces_need_no_embedding(
    stage: Stage, remembering: Recogniser, videos: Path, video: str
) -> None:
    told = await Cinema(stage, remembering, videos).show(video)
    assert told.visits == sorted(VISITS[video])
    passed = sum(int(np.isin(faces.gates, [Gate.PASSED, Gate.FOLLOWED]).sum()) for faces in told.faces)
    if VISITS[video]:
        assert told.embedded <= passed / 8


@pytest.mark.parametrize("video", VISITS)
async def test_everybody_is_the_same_visit_where_every_face_is_embedded(
    stage: Stage, remembering: Recogniser, videos: Path, video: str
) -> None:
    told = await Cinema(stage, remembering, videos, "every").show(video)
    assert told.visits == sorted(VISITS[video])


@pytest.mark.parametrize("embed", ["due", "every"])
@pytest.mark.parametrize("person", [SINGER, GUEST, MAN, WOMAN], ids=lambda person: person.name)
async def test_who_is_enrolled_has_one_name_from_the_first_second_on_and_nobody_else_has(
    stage: Stage, remembering: Recogniser, videos: Path, person: Enrolled, embed: str
) -> None:
    told = await Cinema(stage, remembering, videos, embed).show(person.video, person)
    (seen,) = (one for one in told.sightings if one.person)
    assert (seen.person, seen.changes) == (person.name, ())
    named = [found.captured for found in told.identifications if person.name in found.people]
    assert named[0] - seen.first <= 1000
    assert {name for found in told.identifications for name in found.people} == {None, person.name}
    assert told.visits == sorted(VISITS[person.video])


async def test_who_is_enrolled_from_another_video_is_nobody_here(
    stage: Stage, remembering: Recogniser, videos: Path
) -> None:
    told = await Cinema(stage, remembering, videos).show("mobileface_friends1", SINGER, GUEST)
    assert {one.person for one in told.sightings} == {None}


@pytest.mark.parametrize(("video", "person"), [(MAN.video, MAN), (SINGER.video, SINGER)])
async def test_takeovers_split_and_double_no_visit(
    stage: Stage, remembering: Recogniser, videos: Path, video: str, person: Enrolled
) -> None:
    told = await Cinema(stage, remembering, videos).show(video, person, takeovers=[11, 60, 77, 120])
    assert len(told.faces) == len({faces.offset for faces in told.faces}) + 4 * 3
    assert told.visits == sorted(VISITS[video])
    assert [one.person for one in told.sightings if one.person] == [person.name]
