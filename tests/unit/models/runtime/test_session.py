"""Sessions put out what onnxruntime does, whatever they are fed and by how many threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from app.models.onnx_file import NetError
from app.models.runtime import device
from app.models.runtime.device import Device, DeviceError, choose_device
from app.models.runtime.session import Runtime, runtime_for
from app.settings import Settings


def test_outputs_are_chosen_by_name_and_are_those_of_onnxruntime(tiny_net: onnx.ModelProto) -> None:
    session = Runtime().session(tiny_net)
    assert (session.inputs, session.outputs) == (("x",), ("shifted", "halved"))
    assert session.metadata == {"made": "for tests"}
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = ort.InferenceSession(tiny_net.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"x": x}
    )
    for found, wanted in zip(session.run(None, {"x": x}), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    (halved,) = session.run(["halved"], {"x": x})
    np.testing.assert_array_equal(halved, expected[1])


def test_a_view_of_an_array_is_fed_as_it_looks(tiny_net: onnx.ModelProto) -> None:
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)[:, :, ::-1, ::2]
    (halved,) = Runtime().session(tiny_net).run(["halved"], {"x": x})
    np.testing.assert_array_equal(halved, x * 0.5)


def test_outputs_are_kept_when_the_session_runs_again(tiny_net: onnx.ModelProto) -> None:
    session = Runtime().session(tiny_net)
    first = session.run(None, {"x": np.full((1, 1, 1, 1), 2, np.float32)})
    session.run(None, {"x": np.full((1, 1, 1, 1), 8, np.float32)})
    assert [float(output.item()) for output in first] == [3, 1]


def test_threads_do_not_get_in_each_others_way(tiny_net: onnx.ModelProto) -> None:
    session = Runtime().session(tiny_net)

    def half(value: int) -> float:
        fed = np.full((1, 1, 64, 64), value, np.float32)
        (found,) = session.run(["halved"], {"x": fed})
        assert (found == found.flat[0]).all()
        return float(found.flat[0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(half, range(400))) == [value / 2 for value in range(400)]


def test_a_net_is_read_from_a_file_and_its_axes_are_free(tiny_net: onnx.ModelProto, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(tiny_net, path)
    for shape in ((1, 3, 8, 8), (3, 3, 2, 9)):
        (found,) = Runtime().load(path).run(["shifted"], {"x": np.zeros(shape, np.float32)})
        assert found.shape == shape
        assert (found == 1).all()


@pytest.mark.parametrize(("batch", "images"), [(0, 1), (6, 6)])
def test_the_device_says_how_many_frames_go_together_unless_the_settings_do(batch: int, images: int) -> None:
    runtime = runtime_for(Settings(device="cpu", batch=batch, threads=3))
    assert (runtime.device, runtime.images, runtime.threads) == (Device.CPU, images, 3)


@pytest.mark.skipif("AzureExecutionProvider" not in ort.get_available_providers(), reason="no such provider")
def test_work_that_would_be_done_on_the_cpu_is_refused(
    weights: Path, tiny_net: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Azure's provider starts everywhere, and takes no node of a net: as a GPU without kernels for them."""
    monkeypatch.setitem(device.PROVIDERS, Device.CUDA, ("AzureExecutionProvider", "CUDA"))
    with pytest.raises(DeviceError, match=r"would run Conv.* on the CPU, not on cuda"):
        Runtime(Device.CUDA).load(weights / "faceplugin-512.onnx")
    # Sums and products may be done anywhere.
    assert Runtime(Device.CUDA).session(tiny_net).outputs == ("shifted", "halved")


@pytest.fixture(params=["cuda", "tensorrt"])
def gpu(request: pytest.FixtureRequest) -> str:
    try:
        choose_device(request.param)
    except DeviceError as error:
        pytest.skip(str(error))
    return str(request.param)


@pytest.mark.parametrize("count", [1, 3])
def test_a_gpu_puts_out_what_the_cpu_does(gpu: str, count: int, weights: Path, tmp_path: Path) -> None:
    settings = Settings(device=gpu, data_dir=tmp_path, weights_dir=weights)
    random = np.random.default_rng(2)
    for name, size in (("centerface.onnx", (96, 128)), ("faceplugin-512.onnx", (112, 112))):
        there, here = runtime_for(settings).load(weights / name), Runtime().load(weights / name)
        fed = {here.inputs[0]: random.uniform(-1, 1, (count, 3, *size)).astype(np.float32)}
        for found, expected in zip(there.run(None, fed), here.run(None, fed), strict=True):
            np.testing.assert_allclose(found, expected, atol=5e-3 * np.abs(expected).max())


def test_a_net_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, tiny_net: onnx.ModelProto) -> None:
    """Digests guard what is fetched; an entry written by hand may name anything."""
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.SerializeToString()[:-40])
    with pytest.raises(NetError, match="not an ONNX file, or a truncated one"):
        Runtime().load(path)
    broken = onnx.ModelProto()
    broken.CopyFrom(tiny_net)
    broken.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(NetError, match=r"^onnxruntime does not take it: .*NoSuchOperator") as caught:
        Runtime().load(broken)
    assert "\n" not in str(caught.value)
