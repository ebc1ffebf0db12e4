"""What was written by an earlier program, or is by this one, is read for ever."""

from typing import Any

import msgspec
import pytest
from golden import FOLDER, GOLDEN, bytes_of, same, stored

from app.messages import Checkpoint, Frame, decode, decode_frame, version
from app.tracking.state import read_state

TODAY = [name for name, message in GOLDEN.items() if name.startswith(f"v{version(type(message))}/")]


def read(kind: Any, data: bytes) -> Any:
    if kind is not Frame:
        return decode(kind, data)
    key, value, headers = msgspec.msgpack.decode(data)
    return decode_frame(key, value, dict(headers))


def holds(new: Any, old: Any) -> bool:
    """Tell whether plain data says all that older data does; maps may say more."""
    if isinstance(old, dict):
        return old.keys() <= new.keys() and all(holds(new[name], old[name]) for name in old)
    if isinstance(old, list):
        return len(new) == len(old) and all(map(holds, new, old))
    return type(new) is type(old) and bool(new == old)


def test_every_file_has_its_message_and_every_message_its_file() -> None:
    assert {str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*.bin")} == {*GOLDEN}


def test_every_kind_is_there_in_all_its_versions() -> None:
    kinds = {type(message) for message in GOLDEN.values()}
    for kind in kinds:
        names = {name.partition("/")[0] for name, message in GOLDEN.items() if type(message) is kind}
        assert names == {f"v{number}" for number in range(1, version(kind) + 1)}


@pytest.mark.parametrize("name", GOLDEN)
def test_what_was_written_is_read(name: str) -> None:
    assert same(read(type(GOLDEN[name]), stored(name)), GOLDEN[name])


def test_a_state_is_read_from_its_checkpoint() -> None:
    assert same(read_state(decode(Checkpoint, stored("v1/checkpoint")).state), GOLDEN["v1/state"])


@pytest.mark.parametrize("name", TODAY)
def test_what_other_programs_of_the_version_read_is_still_written(name: str) -> None:
    new, old = msgspec.msgpack.decode(bytes_of(GOLDEN[name])), msgspec.msgpack.decode(stored(name))
    if type(GOLDEN[name]) is Frame:
        new[2], old[2] = dict(new[2]), dict(old[2])
    assert holds(new, old)
