"""The state of a stream is the same when it is read again, and nothing else passes for one."""

from typing import Any

import msgspec
import numpy as np
import pytest
from golden import same, stored
from hypothesis import given
from hypothesis import strategies as st
from makers import EMBEDDER, START, axis, make_sighting

from app.messages import Checkpoint, MessageError, decode, encode, version
from app.tracking.state import Mark, Place, StreamState, Template, Visit, read_state, write_state
from app.tracking.templates import with_face

KNOWN = version(StreamState)


def make_state() -> StreamState:
    open_visit = Visit(
        sighting=make_sighting(crop=b"\xff\xd8\xff crop", crop_score=0.8),
        published=START + 500,
        template=with_face(None, EMBEDDER, axis(0), 0.75),
        tracklets={2**40 + 1: START + 400},
        beside=["b" * 24],
        place=Place(True, 1.5, 2.0, 30.0, 40.0),
        lack=2,
        similarity=0.5,
    )
    return StreamState(
        live=Mark(7, START),
        visits=[
            open_visit,
            Visit(sighting=make_sighting(id="b" * 24, person=None, name=None, score=None), closed=True),
        ],
        pending=[make_sighting(open=False, revision=12)],
    )


def test_a_state_is_the_same_when_it_is_read_again() -> None:
    state = make_state()
    read = read_state(write_state(state))
    assert same(read, state)
    assert (read.live, read.recorded) == (Mark(7, START), None)
    assert [visit.closed for visit in read.visits] == [False, True]


def test_a_stream_of_which_nothing_is_known_is_the_same_too() -> None:
    assert same(read_state(write_state(StreamState())), StreamState())


def test_two_streams_share_nothing() -> None:
    one, other = StreamState(), StreamState()
    one.visits.append(Visit(sighting=make_sighting()))
    one.pending.append(make_sighting())
    assert (other.visits, other.pending) == ([], [])


def test_it_travels_in_a_checkpoint() -> None:
    written = Checkpoint(stream="door", partition=0, next=3, state=write_state(make_state()))
    assert same(read_state(decode(Checkpoint, encode(written)).state), make_state())


def test_a_state_says_its_version() -> None:
    assert msgspec.msgpack.decode(write_state(StreamState()))["v"] == KNOWN


@pytest.mark.parametrize("found", [KNOWN + 1, 2**63, 0, -1])
def test_a_state_of_a_version_that_is_not_known_is_not_read(found: int) -> None:
    fields = msgspec.msgpack.decode(write_state(make_state()))
    with pytest.raises(MessageError, match=f"StreamState of version {found}; .* up to {KNOWN}") as caught:
        read_state(msgspec.msgpack.encode(fields | {"v": found}))
    assert caught.value.reason == "unknown-schema"


@pytest.mark.parametrize("found", ["1", None, 1.5, float(2**70)])
def test_a_state_whose_version_is_none_is_not_read(found: object) -> None:
    fields = msgspec.msgpack.decode(write_state(make_state()))
    with pytest.raises(MessageError) as caught:
        read_state(msgspec.msgpack.encode(fields | {"v": found}))
    assert caught.value.reason == "malformed"


@given(st.sets(st.sampled_from(["live", "recorded", "visits", "pending"])))
def test_a_state_without_a_version_is_none(kept: set[str]) -> None:
    """Everything but the version may be left out, so that nothing at all would pass for a state."""
    fields = msgspec.msgpack.decode(write_state(make_state()))
    with pytest.raises(MessageError) as caught:
        read_state(msgspec.msgpack.encode({name: fields[name] for name in kept}))
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize(
    "fields",
    [
        {"live": [-1, 0]},
        {"live": [1]},
        {"recorded": "x"},
        {"visits": None},
        {"visits": [{}]},
        {"pending": [1]},
        {"visits": [{"sighting": {}}]},
    ],
    ids=str,
)
def test_a_state_with_something_else_in_it_is_not_read(fields: dict[str, object]) -> None:
    whole = msgspec.msgpack.decode(write_state(make_state()))
    with pytest.raises(MessageError):
        read_state(msgspec.msgpack.encode(whole | fields))


@pytest.mark.parametrize(
    "template",
    [
        (np.ones(4, np.float32), np.ones((2, 5), np.float16), np.ones(2, np.float32)),
        (np.ones(4, np.float32), np.ones((2, 4), np.float16), np.ones(3, np.float32)),
        (np.full(4, np.nan, np.float32), np.ones((2, 4), np.float16), np.ones(2, np.float32)),
    ],
    ids=["other lengths", "other counts", "no numbers"],
)
def test_a_template_whose_parts_do_not_belong_together_is_none(template: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match=r"vector|embeddings|quality"):
        Template(EMBEDDER, *template)


def test_a_state_of_a_program_that_knew_names_alone_is_read() -> None:
    """Its visits go on: they have no template, and are found by the name that others get."""
    (visit,) = (one for one in read_state(stored("v1/state")).visits if one.published)
    assert (visit.sighting.person, visit.template, visit.tracklets) == ("ada", None, {})


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_state_or_no_message(data: bytes) -> None:
    _read_or_refuse(data)


@given(
    cut=st.none() | st.integers(0, 600),
    changes=st.dictionaries(st.integers(0, 600), st.integers(0, 255), max_size=4),
    tail=st.binary(max_size=3),
)
def test_a_damaged_state_is_a_state_or_no_message(
    cut: int | None, changes: dict[int, int], tail: bytes
) -> None:
    data = bytearray(write_state(make_state()))
    for place, value in changes.items():
        data[place % len(data)] = value
    _read_or_refuse(bytes(data[:cut]) + tail)


@pytest.mark.parametrize(
    "data",
    [b"", b"\x80", b"\x91" * 100_000, b"\x81" * 100_000, b"\xdf\xff\xff\xff\xff", b"\x81\xa1v\xa1\xff"],
    ids=["nothing", "an empty map", "deep lists", "deep maps", "a huge map", "text that is none"],
)
def test_what_is_made_to_break_a_reader_is_no_message(data: bytes) -> None:
    with pytest.raises(MessageError):
        read_state(data)


def _read_or_refuse(data: bytes) -> None:
    try:
        state = read_state(data)
    except MessageError as error:
        assert error.reason in ("malformed", "unknown-schema")
        assert "StreamState" in str(error)
    else:
        assert write_state(read_state(write_state(state))) == write_state(state)
