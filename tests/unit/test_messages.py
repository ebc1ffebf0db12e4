"""Messages survive the way there and back, and whatever else arrives is one kind of error."""

import struct
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from makers import (
    axis,
    make_enrolment,
    make_faces,
    make_frame,
    make_identifications,
    make_person,
    make_sighting,
    make_status,
)

from app.messages import (
    Checkpoint,
    DeadLetter,
    Enrolment,
    Faces,
    Frame,
    Identifications,
    MessageError,
    Person,
    Sighting,
    StreamStatus,
    Template,
    decode,
    decode_frame,
    encode,
    encode_frame,
    stream_name,
)

JPEG = b"\xff\xd8\xff"
KINDS = [Faces, Identifications, Sighting, Person, Enrolment, StreamStatus, Checkpoint, DeadLetter]

quick = settings(deadline=None, max_examples=60)

counts = st.integers(0, 2**53)
pixels = st.integers(1, 65535)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
measures = st.floats(-1e9, 1e9)
similarities = st.floats(-1, 1)


def arrays(dtype: type[np.generic], *shape: int) -> st.SearchStrategy[Any]:
    if dtype is np.uint8:
        return nps.arrays(dtype, shape)
    width = 8 * np.dtype(dtype).itemsize
    return nps.arrays(dtype, shape, elements=st.floats(-1000, 1000, width=width))  # type: ignore[arg-type]


@st.composite
def faces(draw: st.DrawFn) -> Faces:
    count, dimension = draw(st.integers(0, 4)), draw(st.integers(1, 16))
    return make_faces(
        stream=draw(names), partition=draw(counts), offset=draw(counts), seq=draw(counts),
        captured=draw(counts), width=draw(pixels), height=draw(pixels), live=draw(st.booleans()),
        detector=draw(texts), embedder=draw(texts),
        boxes=draw(arrays(np.float32, count, 4)), landmarks=draw(arrays(np.float32, count, 5, 2)),
        scores=draw(arrays(np.float32, count)), gates=draw(arrays(np.uint8, count)),
        embeddings=draw(arrays(np.float16, count, dimension)),
        crops=draw(st.lists(st.none() | st.binary(max_size=20), min_size=count, max_size=count)),
    )  # fmt: skip


@st.composite
def identifications(draw: st.DrawFn) -> Identifications:
    count = draw(st.integers(0, 4))

    def column(entries: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(st.none() | entries, min_size=count, max_size=count))

    return make_identifications(
        stream=draw(names), partition=draw(counts), offset=draw(counts), faces_offset=draw(counts),
        captured=draw(counts), width=draw(pixels), height=draw(pixels), live=draw(st.booleans()),
        boxes=draw(arrays(np.float32, count, 4)), scores=draw(arrays(np.float32, count)),
        people=column(texts), names=column(texts), similarities=column(similarities),
    )  # fmt: skip


templates = st.builds(
    Template, id=texts, embedding=st.integers(1, 16).flatmap(lambda size: arrays(np.float32, size)),
    embedder=texts, width=pixels, height=pixels, score=st.floats(0, 1), crop=st.binary(max_size=20),
)  # fmt: skip
messages = st.one_of(
    faces(),
    identifications(),
    st.builds(
        Sighting, v=st.just(1), id=texts, stream=names, person=st.none() | texts, name=st.none() | texts,
        first=counts, last=counts, frames=counts, offset=counts, score=st.none() | similarities,
        crop=st.binary(max_size=20), crop_score=measures, open=st.booleans(), revision=counts,
    ),
    st.builds(
        Person, v=st.just(1), id=texts, name=texts, created=counts, updated=counts, revision=texts,
        templates=st.lists(templates, max_size=3),
    ),
    st.builds(
        Enrolment, known=st.booleans(), v=st.just(1), id=texts,
        action=st.sampled_from(["add", "remove"]), person=texts,
        name=st.none() | texts, at=counts, templates=st.lists(templates, max_size=3),
    ),
    st.builds(
        StreamStatus, v=st.just(1), stream=names, partition=counts, frame_offset=st.none() | counts,
        faces_offset=st.none() | counts, worker=texts, updated=counts, captured=counts, fps=measures,
        age=measures,
        width=pixels, height=pixels, live=st.booleans(), faces=counts, frames=counts,
        skipped=st.dictionaries(texts, counts, max_size=3), waiting=counts, arrived=counts,
        skipping=measures, counted=st.dictionaries(texts, counts, max_size=3),
    ),
    st.builds(
        Checkpoint, v=st.just(1), stream=names, partition=counts, next=counts, state=st.binary(max_size=20),
    ),
    st.builds(
        DeadLetter, v=st.just(1), topic=texts, partition=counts, offset=counts,
        key=st.none() | st.binary(max_size=20), reason=texts, detail=st.text(
            st.characters(exclude_categories=["Cs"]), max_size=40
        ), at=counts, value=st.none() | st.binary(max_size=20),
    ),
)  # fmt: skip

EXAMPLES = [
    make_faces([axis(0), axis(1)], crops=[JPEG, None]),
    make_faces(),
    make_identifications("ada", None),
    make_sighting(),
    make_person("ada", axis(0), axis(1)),
    make_enrolment("ada", axis(0)),
    make_status(),
    Checkpoint(stream="door", partition=1, next=2, state=b"x"),
    DeadLetter(
        topic="frames", partition=1, offset=2, key=b"door", reason="malformed", detail="", at=3, value=b"x"
    ),
]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, msgspec.Struct):
        return type(one) is type(other) and all(
            same(getattr(one, name), getattr(other, name)) for name in one.__struct_fields__
        )
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@quick
@given(messages)
def test_a_message_survives(message: Any) -> None:
    assert same(decode(type(message), encode(message)), message)


@quick
@given(
    st.builds(
        Frame,
        stream=names,
        seq=counts,
        captured=counts,
        pts=counts,
        width=pixels,
        height=pixels,
        live=st.booleans(),
        jpeg=st.binary(max_size=30).map(lambda rest: JPEG + rest),
    )
)
def test_a_frame_survives(frame: Frame) -> None:
    key, value, headers = encode_frame(frame)
    assert value is frame.jpeg
    assert decode_frame(key, value, dict(headers)) == frame


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(encode(draw(st.sampled_from(EXAMPLES))))
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    start, end = sorted([draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))])
    how = draw(st.sampled_from(["keep", "cut", "remove", "repeat", "insert"]))
    if how == "cut":
        return bytes(data[:end])
    if how == "remove":
        return bytes(data[:start] + data[end:])
    if how == "repeat":
        return bytes(data[:end] + data[start:])
    return (
        bytes(data[:start] + draw(st.binary(max_size=8)) + data[start:]) if how == "insert" else bytes(data)
    )


def reads_or_refuses(data: bytes) -> None:
    for kind in KINDS:
        try:
            message = decode(kind, data)
        except MessageError as error:
            assert error.reason in ("malformed", "unknown-schema")
            assert "\n" not in str(error)
        else:
            assert isinstance(message, kind)
            encode(message)


@settings(deadline=None, max_examples=300)
@given(damaged() | st.binary(max_size=200))
def test_damaged_bytes_are_one_kind_of_error(data: bytes) -> None:
    reads_or_refuses(data)


@quick
@given(
    st.dictionaries(
        st.sampled_from([name for kind in KINDS for name in kind.__struct_fields__]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.binary()
            | st.text(st.characters(exclude_categories=["Cs"])),
            lambda inner: st.lists(inner, max_size=4),
        ),
    )
)  # fmt: skip
def test_maps_of_anything_are_one_kind_of_error(fields: dict[str, Any]) -> None:
    reads_or_refuses(msgspec.msgpack.encode({"v": 1} | fields))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x91" * 100_000,
        b"\x81\xa1x" * 50_000,
        b"\x81\xa5boxes" + b"\x91" * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\x81\xa5crops\xdd\xff\xff\xff\xff",
        b"\x81\xa5crops\xdd\x7f\xff\xff\xff" + b"\xc0" * 10,
        b"\x81\xa7skipped\xdf\xff\xff\xff\xff",
        b"\xa1\xff",
    ],
    ids=[
        "nothing", "deep lists", "deep maps", "deep array", "long list", "long map", "long bytes",
        "long crops", "long crops begun", "long skipped", "not UTF-8",
    ],
)  # fmt: skip
def test_hostile_bytes_are_refused(data: bytes) -> None:
    for kind in KINDS:
        with pytest.raises(MessageError):
            decode(kind, data)


def test_no_value_is_refused() -> None:
    with pytest.raises(MessageError):
        decode(Sighting, None)


def changed(message: Any, **fields: Any) -> bytes:
    """Return the bytes of a message with some fields as they are given, checked by nobody."""
    return msgspec.msgpack.encode(msgspec.msgpack.decode(encode(message)) | fields)


ONE = make_faces([axis(0)])


@pytest.mark.parametrize(
    "boxes",
    [
        ["<f8", [1, 4], struct.pack("<4d", 1, 2, 3, 4)],
        [">f4", [1, 4], struct.pack(">4f", 1, 2, 3, 4)],
        ["|O", [1, 4], b"x" * 32],
        ["<f4", [4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [2, 4], struct.pack("<8f", *range(8))],
        ["<f4", [1, 4], struct.pack("<3f", 1, 2, 3)],
        ["<f4", [1, -4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [1, 4, 1, 1], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [2**62, 2**62], b""],
        ["<f4", [True, 4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [1.0, 4], struct.pack("<4f", 1, 2, 3, 4)],
        ["<f4", [], b"1234"],
        ["<f4", [1, 4], struct.pack("<4f", 1, 2, 3, float("nan"))],
        ["<f4", [1, 4], struct.pack("<4f", 1, 2, 3, float("inf"))],
        ["<f4", [1, 4], "text"],
        ["<f4", [1, 4]],
        {"<f4": 1},
        None,
        7,
        b"bytes",
    ],
)
def test_an_array_of_another_kind_is_refused(boxes: Any) -> None:
    with pytest.raises(MessageError) as caught:
        decode(Faces, changed(ONE, boxes=boxes))
    assert caught.value.reason == "malformed"


def test_a_face_may_be_without_landmarks_but_not_without_some() -> None:
    landmarks = np.zeros((2, 5, 2), np.float32)
    landmarks[1] = np.nan
    faces = make_faces([axis(0), axis(1)], landmarks=landmarks)
    np.testing.assert_array_equal(decode(Faces, encode(faces)).landmarks, landmarks)
    for place, number in (((0, 4, 1), np.nan), ((1, 2, 0), 1.0), ((0, 0, 0), np.inf)):
        wrong = landmarks.copy()
        wrong[place] = number
        with pytest.raises(MessageError):
            decode(Faces, changed(faces, landmarks=["<f4", [2, 5, 2], wrong.tobytes()]))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_no_number_that_json_cannot_say(number: float) -> None:
    for message, field in (
        (make_sighting(), "score"),
        (make_sighting(), "crop_score"),
        (make_status(), "fps"),
        (make_status(), "age"),
        (make_status(), "skipping"),
    ):
        with pytest.raises(MessageError):
            decode(type(message), changed(message, **{field: number}))


@pytest.mark.parametrize(
    ("message", "later"),
    [
        (make_sighting(), {"revision": 0}),
        (make_status(), {"waiting": 0, "arrived": 0, "skipping": 0.0, "counted": {}}),
    ],
    ids=["Sighting", "StreamStatus"],
)
def test_what_was_written_before_a_field_was_there_is_read(message: Any, later: dict[str, Any]) -> None:
    fields = msgspec.msgpack.decode(encode(message))
    old = msgspec.msgpack.encode({name: fields[name] for name in fields.keys() - later.keys()})
    assert msgspec.structs.asdict(decode(type(message), old)).items() >= later.items()


def test_columns_have_one_length() -> None:
    with pytest.raises(MessageError):
        decode(Faces, changed(ONE, crops=[None, None]))
    for column in ("people", "names", "similarities"):
        with pytest.raises(MessageError):
            decode(Identifications, changed(make_identifications("ada"), **{column: [None, None]}))


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_another_schema_is_told_apart(message: Any) -> None:
    with pytest.raises(MessageError) as caught:
        decode(type(message), changed(message, v=2))
    assert caught.value.reason == "unknown-schema"


HEADERS = dict(encode_frame(make_frame(JPEG))[2])


@quick
@given(
    st.none() | st.binary(max_size=80),
    st.none() | st.binary(max_size=20) | st.just(JPEG),
    st.dictionaries(
        st.sampled_from(sorted(HEADERS)) | st.text(max_size=5),
        st.binary(max_size=20) | st.text(max_size=20) | st.sampled_from([b"1", "1"]),
    ),
    st.sets(st.sampled_from(sorted(HEADERS))),
)
def test_any_frame_reads_or_is_refused(
    key: bytes | None, value: bytes | None, headers: dict[str, bytes | str], lost: set[str]
) -> None:
    kept = {name: number for name, number in HEADERS.items() if name not in lost}
    try:
        frame = decode_frame(key, value, kept | headers)
    except MessageError as error:
        assert error.reason in ("malformed", "unknown-schema", "not-an-image")
        assert "\n" not in str(error)
    else:
        assert stream_name(frame.stream) == frame.stream


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("schema", b"2", "unknown-schema"),
        ("schema", b"", "malformed"),
        ("seq", b"-1", "malformed"),
        ("seq", b"1" * 17, "malformed"),
        ("seq", b"9" * 16, "malformed"),
        ("captured", b"1.5", "malformed"),
        ("pts", "١", "malformed"),
        ("width", b"0", "malformed"),
        ("height", b"65536", "malformed"),
        ("live", b"yes", "malformed"),
        ("live", None, "malformed"),
    ],
)
def test_a_wrong_header_is_refused(name: str, value: Any, reason: str) -> None:
    with pytest.raises(MessageError) as caught:
        decode_frame(b"door", JPEG, HEADERS | {name: value})
    assert caught.value.reason == reason


@pytest.mark.parametrize("value", [None, b"", b"GIF89a", b"\xff\xd8"])
def test_a_frame_is_a_jpeg(value: bytes | None) -> None:
    with pytest.raises(MessageError) as caught:
        decode_frame(b"door", value, HEADERS)
    assert caught.value.reason == "not-an-image"


BAD_NAMES = ["", ".", "-a", "a b", "a/b", "a\n", "\na", "ä", "a" * 65, "a\0", "../a"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_stream_name_is_refused_everywhere(name: str) -> None:
    with pytest.raises(MessageError) as caught:
        stream_name(name)
    assert caught.value.reason == "bad-stream-name"
    assert "\n" not in str(caught.value)
    with pytest.raises(MessageError):
        decode_frame(name.encode(), JPEG, HEADERS)
    with pytest.raises(MessageError):
        decode(Sighting, changed(make_sighting(), stream=name))


@pytest.mark.parametrize("name", ["a", "0", "Front.door_2-b", "a" * 64])
def test_a_good_stream_name_is_returned(name: str) -> None:
    assert stream_name(name) == name
