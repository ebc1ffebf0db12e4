"""What was written by an earlier program, or is by this one, is read for ever."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden import FOLDER, GOLDEN, STATES, bytes_of, same

from app.messages import Checkpoint, Frame, decode, decode_frame
from app.tracking.state import read_state


def read(kind: Any, data: bytes) -> Any:
    if kind is not Frame:
        return decode(kind, data)
    key, value, headers = msgspec.msgpack.decode(data)
    return decode_frame(key, value, dict(headers))


def test_no_file_is_forgotten() -> None:
    assert {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*.bin")} == {*GOLDEN}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_was_written_is_read(name: str) -> None:
    expected = GOLDEN[name]
    message = read(type(expected), Path(FOLDER / f"{name}.bin").read_bytes())
    if isinstance(message, Checkpoint):
        # The state has a version of its own.
        assert read_state(message.state) == STATES[name]
        message = msgspec.structs.replace(message, state=expected.state)
    assert same(message, expected)


@pytest.mark.parametrize("name", GOLDEN)
def test_it_is_written_as_it_was(name: str) -> None:
    """A program that writes other bytes under the same version would be misread by the one before it."""
    assert bytes_of(GOLDEN[name]) == Path(FOLDER / f"{name}.bin").read_bytes()
