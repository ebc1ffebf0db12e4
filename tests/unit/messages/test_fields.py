"""Fields hold what they say, whoever wrote them."""

from typing import Any

import msgspec
import pytest
from makers import changed, make_frame, make_sighting, make_status

from app.messages import MessageError, Sighting, decode, decode_frame, encode, encode_frame, stream_name
from app.messages.coding import Count, Measure, Milliseconds, Pixels, Similarity, Text

JPEG = b"\xff\xd8\xff"
HEADERS = dict(encode_frame(make_frame(JPEG))[2])
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


@pytest.mark.parametrize(
    ("kind", "value", "allowed"),
    [
        *((kind, value, True) for kind in (Count, Milliseconds) for value in (0, 2**53)),
        *((kind, value, False) for kind in (Count, Milliseconds) for value in (-1, 2**53 + 1)),
        (Pixels, 1, True), (Pixels, 65535, True), (Pixels, 0, False), (Pixels, 65536, False),
        (Text, "", False), (Text, "a", True), (Text, "a" * 200, True), (Text, "a" * 201, False),
        *((Similarity, sign * 1.001, True) for sign in (-1, 1)),
        *((Similarity, sign * 1.0011, False) for sign in (-1, 1)),
        *((Measure, sign * 1e12, True) for sign in (-1, 1)),
        *((Measure, sign * (1e12 + 0.5), False) for sign in (-1, 1)),
    ],
)  # fmt: skip
def test_the_limits_of_a_field_are_what_may_still_be(kind: Any, value: Any, allowed: bool) -> None:
    if allowed:
        assert msgspec.convert(value, kind) == value
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, kind)
