"""A frame travels as its JPEG and headers, and nothing else passes for one."""

from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from makers import make_frame

from app.messages import Frame, MessageError, Upgraders, decode_frame, encode_frame, stream_name
from app.messages import frame as module

JPEG = b"\xff\xd8\xff"

quick = settings(deadline=None, max_examples=60)
counts = st.integers(0, 2**53)
pixels = st.integers(1, 65535)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
HEADERS = dict(encode_frame(make_frame(JPEG))[2])


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


def test_a_newer_frame_says_both_versions() -> None:
    with pytest.raises(MessageError, match=r"^Frame of version 2; this program knows versions up to 1$"):
        decode_frame(b"door", JPEG, HEADERS | {"schema": b"2"})


class Later(Frame, frozen=True, kw_only=True, tag=2):
    """A frame of a later program, which calls the time of capture otherwise."""

    upgraders: ClassVar[Upgraders] = (lambda headers: headers | {"captured": headers["taken"]},)


def test_an_older_frame_is_upgraded_by_its_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Frame", Later)
    captured = {name: value for name, value in HEADERS.items() if name != "captured"}
    assert decode_frame(b"door", JPEG, captured | {"taken": b"7"}).captured == 7
    with pytest.raises(MessageError) as caught:
        decode_frame(b"door", JPEG, captured)
    assert caught.value.reason == "malformed"
    frame = make_frame(JPEG)
    key, value, headers = encode_frame(frame)
    assert dict(headers)["schema"] == b"2"
    assert decode_frame(key, value, dict(headers)).captured == frame.captured
