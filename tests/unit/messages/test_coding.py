"""Messages survive the way there and back, older ones too; whatever else arrives is one kind of error."""

from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
from golden import same
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from makers import (
    axis,
    changed,
    make_enrolment,
    make_faces,
    make_identifications,
    make_person,
    make_sighting,
    make_status,
)

from app.messages import (
    Array,
    Checkpoint,
    DeadLetter,
    Enrolment,
    Faces,
    Fields,
    Identifications,
    MessageError,
    Person,
    Sighting,
    StreamStatus,
    Template,
    Upgraders,
    decode,
    encode,
    upgrade,
    version,
)
from app.tracking.state import Mark, StreamState

JPEG = b"\xff\xd8\xff"
KINDS: list[Any] = [
    Faces,
    Identifications,
    Sighting,
    Person,
    Enrolment,
    StreamStatus,
    Checkpoint,
    DeadLetter,
    StreamState,
]

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
        Sighting, id=texts, stream=names, person=st.none() | texts, name=st.none() | texts,
        first=counts, last=counts, frames=counts, offset=counts, score=st.none() | similarities,
        crop=st.binary(max_size=20), crop_score=measures, open=st.booleans(), revision=counts,
    ),
    st.builds(
        Person, id=texts, name=texts, created=counts, updated=counts, revision=texts,
        templates=st.lists(templates, max_size=3),
    ),
    st.builds(
        Enrolment, known=st.booleans(), id=texts,
        action=st.sampled_from(["add", "remove"]), person=texts,
        name=st.none() | texts, at=counts, templates=st.lists(templates, max_size=3),
    ),
    st.builds(
        StreamStatus, stream=names, partition=counts, frame_offset=st.none() | counts,
        faces_offset=st.none() | counts, worker=texts, updated=counts, captured=counts, fps=measures,
        age=measures,
        width=pixels, height=pixels, live=st.booleans(), faces=counts, frames=counts,
        skipped=st.dictionaries(texts, counts, max_size=3), waiting=counts, arrived=counts,
        skipping=measures, counted=st.dictionaries(texts, counts, max_size=3),
    ),
    st.builds(
        Checkpoint, stream=names, partition=counts, next=counts, state=st.binary(max_size=20),
    ),
    st.builds(
        DeadLetter, topic=texts, partition=counts, offset=counts,
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
    StreamState(live=Mark(1, 2), pending=[make_sighting()]),
    DeadLetter(
        topic="frames", partition=1, offset=2, key=b"door", reason="malformed", detail="", at=3, value=b"x"
    ),
]


@quick
@given(messages)
def test_a_message_survives(message: Any) -> None:
    assert same(decode(type(message), encode(message)), message)


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


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_newer_version_is_told_apart_from_damage(message: Any) -> None:
    known = version(type(message))
    for found in (known + 1, known + 2**40, 0, -1):
        with pytest.raises(MessageError, match=rf"{type(message).__name__} of version {found};") as caught:
            decode(type(message), changed(message, v=found))
        assert caught.value.reason == "unknown-schema"
        assert str(caught.value).endswith(f"this program knows versions up to {known}")


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_map_without_a_version_is_no_message(message: Any) -> None:
    fields = msgspec.msgpack.decode(encode(message))
    del fields["v"]
    for odd in (fields, {}, *(fields | {"v": wrong} for wrong in ("1", 1.0, True, None, [1]))):
        with pytest.raises(MessageError) as caught:
            decode(type(message), msgspec.msgpack.encode(odd))
        assert caught.value.reason == "malformed"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_older_version_has_its_upgrader(kind: Any) -> None:
    assert len(kind.upgraders) == version(kind) - 1


class Parcel(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="v", tag=3):
    """A message that has come far: at first it had one name, and was weighed in pounds."""

    upgraders: ClassVar[Upgraders] = (
        lambda fields: {
            **{name: value for name, value in fields.items() if name != "name"},
            "names": fields["name"].split(" "),
        },
        lambda fields: fields | {"grams": fields["pounds"] * 500},
    )

    names: list[str]
    grams: int
    label: bytes
    shape: Array


class Crate(msgspec.Struct, frozen=True, kw_only=True, eq=False, tag_field="v", tag=2):
    """A message that holds others; it was raised when they were."""

    upgraders: ClassVar[Upgraders] = (
        lambda fields: {"parcels": [upgrade(Parcel, one, one["v"]) | {"v": 3} for one in fields["parcels"]]},
    )

    parcels: list[Parcel]


def parcel(found: int, names: list[str], pounds: int, label: bytes, numbers: list[float]) -> Fields:
    """Return a parcel as a program of version `found` said it."""
    array = np.array(numbers, np.float32)
    called = {"name": " ".join(names)} if found == 1 else {"names": names}
    weight = {"grams": pounds * 500} if found == 3 else {"pounds": pounds}
    return {"v": found, "label": label, "shape": ["<f4", [len(array)], array.tobytes()], **called, **weight}


words = st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=4)
contents = st.tuples(words, st.integers(0, 1000), st.binary(max_size=9), st.lists(st.floats(width=32)))


@given(contents)
def test_each_older_version_becomes_todays(content: Any) -> None:
    first, second, third = (
        decode(Parcel, msgspec.msgpack.encode(parcel(found, *content))) for found in (1, 2, 3)
    )
    assert same(first, third) and same(second, third)
    assert same(decode(Parcel, encode(first)), third)
    assert (first.names, first.grams, first.label) == (content[0], content[1] * 500, content[2])


@given(st.lists(st.tuples(st.sampled_from([1, 2, 3]), contents), max_size=3))
def test_what_a_message_holds_is_upgraded_with_it(parcels: Any) -> None:
    held = [parcel(found, *content) for found, content in parcels]
    crate = decode(Crate, msgspec.msgpack.encode({"v": 1, "parcels": held}))
    assert same(crate.parcels, [decode(Parcel, msgspec.msgpack.encode(one)) for one in held])


def test_what_a_message_holds_may_be_newer_than_known() -> None:
    with pytest.raises(MessageError) as caught:
        decode(Crate, msgspec.msgpack.encode({"v": 1, "parcels": [{"v": 4}]}))
    assert caught.value.reason == "unknown-schema"
    assert "Parcel of version 4" in str(caught.value)


@given(
    st.sampled_from([1, 2]), contents, st.dictionaries(st.integers(0, 200), st.integers(0, 255), max_size=4)
)
def test_an_older_version_that_is_damaged_is_one_kind_of_error(
    found: int, content: Any, changes: dict[int, int]
) -> None:
    data = bytearray(msgspec.msgpack.encode(parcel(found, *content)))
    for place, value in changes.items():
        data[place % len(data)] = value
    try:
        message = decode(Parcel, bytes(data))
    except MessageError as error:
        assert error.reason in ("malformed", "unknown-schema")
        assert "\n" not in str(error)
    else:
        assert isinstance(message, Parcel)


@pytest.mark.parametrize(
    "rest",
    [b"\xa1x\xdd\xff\xff\xff\xff", b"\xa1x" + b"\x91" * 100_000, b"\xa1x\xc6\xff\xff\xff\xff", b"\x01\x02"],
    ids=["long list", "deep lists", "long bytes", "a number for a name"],
)
def test_hostile_bytes_of_an_older_version_are_refused(rest: bytes) -> None:
    for found in (b"\x01", b"\x02", b"\x04"):
        with pytest.raises(MessageError):
            decode(Parcel, b"\x82\xa1v" + found + rest)
