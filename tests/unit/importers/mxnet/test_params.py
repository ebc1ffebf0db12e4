"""The reader of parameters takes every version of the format, and names what is wrong with a file."""

import struct
from pathlib import Path

import numpy as np
import pytest
from mxnet_files import VERSIONS, params_bytes

from app.importers.mxnet import CheckpointError, read_params

ARRAYS = {
    "arg:weight": np.arange(24, dtype="f4").reshape(2, 3, 4),
    "arg:bias": np.array([-0.0, np.nan, np.inf], "f4"),
    "aux:mean": np.array([[1.5]], "f2"),
    "arg:counts": np.array([2**40], "i8"),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_read_bit_for_bit(version: str) -> None:
    found = read_params(params_bytes(ARRAYS, version))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        assert found[name].dtype == array.dtype
        assert found[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i4", "i1", "i8"])
def test_every_type_is_read(dtype: str) -> None:
    array = np.array([[0, 1], [100, 7]], dtype)
    found = read_params(params_bytes({"arg:x": array}))["arg:x"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


def test_a_number_without_axes_is_known_to_version_three_only() -> None:
    number = {"arg:x": np.array(3, "f4")}
    assert read_params(params_bytes(number, "3"))["arg:x"].shape == ()
    with pytest.raises(CheckpointError, match="array 0 at byte 24 has 0 axes"):
        read_params(params_bytes(number, "2"))


@pytest.mark.parametrize("name", ["mobilefacenet-y1/model-0000", "mtcnn/det1-0001", "mtcnn/det3-0001"])
def test_real_files_are_read_to_the_last_byte(shared_data: Path, name: str) -> None:
    data = (shared_data / "mxnet" / f"{name}.params").read_bytes()
    found = read_params(data)
    assert params_bytes(found, "oldest" if "mtcnn" in name else "2") == data


def test_every_truncation_is_refused() -> None:
    data = params_bytes(ARRAYS)
    for length in range(len(data)):
        with pytest.raises(CheckpointError, match="byte"):
            read_params(data[:length])


SHAPE = 24 + 8  # of the first array: behind the file's head, the magic number and the storage type


@pytest.mark.parametrize(
    ("at", "layout", "value", "says"),
    [
        (0, "<Q", 0x113, "expected the magic number 0x112 at byte 0"),
        (8, "<Q", 1, "expected 0 at byte 8"),
        (16, "<Q", 2**63, "9223372036854775808 arrays announced at byte 16, "),
        (24, "<I", 0xF993FAC7, "array 0 at byte 24 has 4187224775 axes"),
        (28, "<i", 1, r"array 0 at byte 24 is sparse \(storage type 1\)"),
        (SHAPE, "<i", -1, "array 0 at byte 24 has -1 axes"),
        (SHAPE, "<i", 17, "array 0 at byte 24 has 17 axes"),
        (SHAPE + 4, "<q", -2, r"impossible shape \(-2, 3, 4\)"),
        (SHAPE + 4, "<q", 0, r"impossible shape \(0, 3, 4\)"),
        (SHAPE + 4, "<q", 2**62, "truncated at byte 72: the data of array 0 takes"),
        (SHAPE + 4 + 24 + 8, "<i", 12, "array 0 at byte 24 has the unknown type 12"),
    ],
)
def test_what_is_wrong_is_named(at: int, layout: str, value: int, says: str) -> None:
    data = bytearray(params_bytes(ARRAYS))
    struct.pack_into(layout, data, at, value)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_params(bytes(data))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data + b"x", "expected the end of the file at byte .* found 1 more"),
        (lambda data: data.replace(b"arg:bias", b"out:bias"), "is 'out:bias'; expected arg: or aux: first"),
        (lambda data: data.replace(b"arg:bias", b"arg:\xff\xfe\xfd."), "is not UTF-8"),
        (
            lambda data: data.replace(
                struct.pack("<Q", 8) + b"arg:bias", struct.pack("<Q", 9999) + b"arg:bias"
            ),
            "is 9999 bytes long",
        ),
    ],
)
def test_names_are_checked(change: object, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        read_params(change(params_bytes(ARRAYS)))


def test_as_many_names_as_arrays() -> None:
    data = params_bytes({"arg:x": np.ones(1, "f4")})
    without = data[: -len("arg:x") - 16] + struct.pack("<Q", 0)
    with pytest.raises(CheckpointError, match="expected 1 names at byte 60, found 0"):
        read_params(without)


def test_a_name_stands_once() -> None:
    data = params_bytes({"arg:x": np.ones(1, "f4"), "arg:y": np.ones(1, "f4")})
    with pytest.raises(CheckpointError, match="'arg:x' for the second time"):
        read_params(data.replace(b"arg:y", b"arg:x"))
