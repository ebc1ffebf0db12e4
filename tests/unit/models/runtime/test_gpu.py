"""The branches of a GPU, with an onnxruntime in its place that says it has one and computes on the CPU.

What is asked of onnxruntime, and what becomes of its answers, is shown; that CUDA or TensorRT give such
answers, or take these options, is not.
"""

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.models.runtime import device
from app.models.runtime.device import Device, DeviceError, choose_device
from app.models.runtime.session import HEAVY, ON_CPU, ON_GPU, Runtime, runtime_for
from app.settings import Settings

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
#: onnxruntime itself.
SESSION = ort.InferenceSession
RECORD = "session.record_ep_graph_assignment_info"


class GpuSession:
    """A session that is where it was said to be; what it puts out is right."""

    def __init__(self, gpu: "Gpu", real: ort.InferenceSession, providers: list[str]) -> None:
        self._gpu, self._real, self._providers = gpu, real, providers

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def get_providers(self) -> list[str]:
        return self._providers

    def get_provider_graph_assignment_info(self) -> list[Any]:
        # The real one refuses where nothing was recorded.
        assert self._real.get_provider_graph_assignment_info()
        return [
            SimpleNamespace(ep_name=place, get_nodes=lambda kinds=kinds: [*map(_node, kinds)])
            for place, kinds in self._gpu.places.items()
        ]

    def run(self, *arguments: Any) -> Any:
        self._gpu.runs += 1
        if self._gpu.cannot_run:
            raise self._gpu.cannot_run
        return self._real.run(*arguments)


def _node(kind: str) -> Any:
    return SimpleNamespace(op_type=kind)


class Gpu:
    """Stands for onnxruntime built for GPUs, on a machine with a driver."""

    def __init__(self) -> None:
        #: What starts here; onnxruntime leaves out what does not, and says nothing.
        self.starts = {TENSORRT, CUDA, CPU}
        self.cannot_make: Exception | None = None
        self.cannot_run: Exception | None = None
        #: Where a net's nodes came to lie: provider -> operators.
        self.places: dict[str, list[str]] = {}
        #: What was asked for, and how.
        self.asked: list[dict[str, Any]] = []
        self.nets: list[onnx.ModelProto] = []
        self.runs = 0
        self.severities: list[int] = []

    def session(self, net: bytes, options: ort.SessionOptions, **rest: Any) -> GpuSession:
        self.asked.append(rest | {"options": options})
        self.nets.append(onnx.ModelProto.FromString(net))
        if self.cannot_make:
            raise self.cannot_make
        providers = [name for name in rest["providers"] if name in self.starts]
        return GpuSession(self, SESSION(net, options, providers=[CPU]), providers)

    def preload(self) -> None:
        sys.stdout.write("libcudnn.so.9 was not found\n")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gpu]:
    gpu = Gpu()
    monkeypatch.setattr(ort, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(ort, "InferenceSession", gpu.session)
    monkeypatch.setattr(ort, "preload_dlls", gpu.preload)
    monkeypatch.setattr(ort, "set_default_logger_severity", gpu.severities.append)
    # A library that is on every machine takes the driver's place.
    monkeypatch.setattr(device, "DRIVER", "libc.so.6")
    choose_device.cache_clear()
    yield gpu
    choose_device.cache_clear()


def test_what_is_asked_for_is_tried_before_it_is_chosen(gpu: Gpu, capsys: pytest.CaptureFixture[str]) -> None:
    choice = choose_device("cuda")
    assert choice.device is Device.CUDA
    assert str(choice) == "the nets run on CUDA: ONLOOKER_DEVICE asks for it"
    (asked,) = gpu.asked
    assert (asked["providers"], asked["enable_fallback"], gpu.runs) == ([CUDA, CPU], 0, 1)
    assert [node.op_type for node in gpu.nets[0].graph.node] == ["Conv"]
    # Standard output is for what was asked for.
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "libcudnn.so.9 was not found\n")


def test_it_is_tried_once_however_often_it_is_asked_for(gpu: Gpu) -> None:
    assert choose_device("cuda") is choose_device("cuda")
    assert gpu.runs == 1


def test_auto_takes_cuda_where_it_runs_and_never_tensorrt(gpu: Gpu) -> None:
    assert str(choose_device("auto")) == "the nets run on CUDA: CUDA runs here"
    assert [asked["providers"] for asked in gpu.asked] == [[CUDA, CPU]]


def test_tensorrt_stands_on_cuda(gpu: Gpu) -> None:
    assert choose_device("tensorrt").device is Device.TENSORRT
    assert gpu.asked[0]["providers"] == [TENSORRT, CUDA, CPU]


@pytest.mark.parametrize(
    ("wish", "name", "starts"),
    [
        ("cuda", "CUDA", {CPU}),
        ("tensorrt", "TensorRT", {CUDA, CPU}),
        ("tensorrt", "TensorRT", {TENSORRT, CPU}),
    ],
)
def test_a_provider_that_is_left_out_without_a_word_is_noticed(
    gpu: Gpu, wish: str, name: str, starts: set[str]
) -> None:
    gpu.starts = starts
    with pytest.raises(
        DeviceError,
        match=rf"^ONLOOKER_DEVICE={wish}: onnxruntime cannot start {name}: its libraries, or a GPU",
    ):
        choose_device(wish)
    assert gpu.runs == 0
    # Where CUDA itself runs, only TensorRT is refused.
    assert choose_device("auto").device is (Device.CUDA if CUDA in starts else Device.CPU)


@pytest.mark.parametrize("when", ["cannot_make", "cannot_run"])
def test_a_gpu_that_fails_at_the_trial_is_refused_in_one_line(gpu: Gpu, when: str) -> None:
    setattr(gpu, when, RuntimeError("CUDNN_STATUS_NOT_INITIALIZED\n  in line 7\n"))
    with pytest.raises(DeviceError, match=r"^ONLOOKER_DEVICE=cuda: CUDA fails: .*NOT_INITIALIZED") as caught:
        choose_device("cuda")
    assert "\n" not in str(caught.value)
    choice = choose_device("auto")
    assert choice.device is Device.CPU
    assert choice.why.startswith("CUDA fails: ")


@pytest.mark.parametrize("error", [None, RuntimeError("no kernel image")])
def test_onnxruntime_is_silent_for_the_trial_alone(gpu: Gpu, error: Exception | None) -> None:
    gpu.cannot_run = error
    choose_device("auto")
    assert gpu.severities == [device.NOTHING, device.WARNINGS]


@pytest.mark.parametrize(
    ("wish", "batch", "expected"),
    [("cpu", 0, ON_CPU), ("cuda", 0, ON_GPU), ("tensorrt", 0, ON_GPU), ("cuda", 3, (3, ON_GPU[1]))],
)
def test_a_gpu_is_given_more_at_once(
    gpu: Gpu, tmp_path: Path, wish: str, batch: int, expected: tuple[int, int]
) -> None:
    runtime = runtime_for(Settings(device=wish, batch=batch, data_dir=tmp_path))
    assert (runtime.device, (runtime.images, runtime.faces)) == (Device(wish), expected)


def test_the_engines_of_tensorrt_are_kept_where_nobody_else_looks(gpu: Gpu, tmp_path: Path) -> None:
    data = tmp_path / "data"
    assert runtime_for(Settings(device="cuda", data_dir=data)).engines is None
    for _ in range(2):
        assert runtime_for(Settings(device="tensorrt", data_dir=data)).engines == data / "tensorrt"
    assert (data / "tensorrt").is_dir()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_engines_that_cannot_be_kept_are_told_in_one_line(gpu: Gpu, tmp_path: Path) -> None:
    (tmp_path / "tensorrt").write_text("a file is in the way")
    with pytest.raises(DeviceError, match=r"^cannot keep TensorRT's engines in .*tensorrt: .+") as caught:
        runtime_for(Settings(device="tensorrt", data_dir=tmp_path))
    assert "\n" not in str(caught.value)


def test_each_provider_is_given_its_own_options(gpu: Gpu, tiny_net: onnx.ModelProto, tmp_path: Path) -> None:
    heuristic, nothing = {"cudnn_conv_algo_search": "HEURISTIC"}, dict[str, object]()
    engines = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(tmp_path)}
    for runtime, expected in (
        (Runtime(), {CPU: nothing}),
        (Runtime(Device.CUDA), {CUDA: heuristic, CPU: nothing}),
        (Runtime(Device.TENSORRT), {TENSORRT: nothing, CUDA: heuristic, CPU: nothing}),
        (Runtime(Device.TENSORRT, engines=tmp_path), {TENSORRT: engines, CUDA: heuristic, CPU: nothing}),
    ):
        runtime.session(tiny_net)
        asked = gpu.asked[-1]
        # In this order, which is what onnxruntime prefers.
        assert [*zip(asked["providers"], asked["provider_options"], strict=True)] == [*expected.items()]
        assert asked["enable_fallback"] == 0


def test_where_nodes_come_to_lie_is_recorded_on_a_gpu_alone(gpu: Gpu, tiny_net: onnx.ModelProto) -> None:
    Runtime(Device.CUDA).session(tiny_net)
    assert gpu.asked[-1]["options"].get_session_config_entry(RECORD) == "1"
    Runtime().session(tiny_net)
    with pytest.raises(RuntimeError, match=RECORD):
        gpu.asked[-1]["options"].get_session_config_entry(RECORD)


@pytest.mark.parametrize("wish", [Device.CUDA, Device.TENSORRT])
def test_a_net_on_the_device_puts_out_what_it_should(
    gpu: Gpu, tiny_net: onnx.ModelProto, wish: Device
) -> None:
    gpu.places = {CUDA: ["Conv", "Gemm"], TENSORRT: ["TRTKernel_graph"], CPU: ["Shape", "Gather"]}
    (halved,) = Runtime(wish).load(tiny_net).run(["halved"], {"x": np.full((2, 3, 4, 5), 3, np.float32)})
    np.testing.assert_array_equal(halved, np.full((2, 3, 4, 5), 1.5, np.float32))


@pytest.mark.parametrize("wish", [Device.CUDA, Device.TENSORRT])
@pytest.mark.parametrize("operator", sorted(HEAVY))
def test_heavy_work_on_the_cpu_is_refused(
    gpu: Gpu, tiny_net: onnx.ModelProto, wish: Device, operator: str
) -> None:
    gpu.places = {CUDA: ["Conv"], CPU: ["Shape", operator]}
    with pytest.raises(DeviceError, match=rf"^onnxruntime would run {operator} on the CPU, not on {wish}$"):
        Runtime(wish).session(tiny_net)
    # On the CPU it is where it should be.
    assert Runtime().session(tiny_net).outputs == ("shifted", "halved")


@pytest.mark.parametrize(
    ("wish", "starts"),
    [(Device.CUDA, {CPU}), (Device.TENSORRT, {CUDA, CPU}), (Device.TENSORRT, {TENSORRT, CPU})],
)
def test_a_net_that_comes_to_lie_elsewhere_is_refused(
    gpu: Gpu, tiny_net: onnx.ModelProto, wish: Device, starts: set[str]
) -> None:
    """The trial went well, and then the memory of the GPU was full."""
    gpu.starts = starts
    with pytest.raises(DeviceError, match=rf"^onnxruntime does not take the net onto {wish}$"):
        Runtime(wish).session(tiny_net)


def test_a_net_that_the_device_refuses_is_told_in_one_line(gpu: Gpu, tiny_net: onnx.ModelProto) -> None:
    gpu.cannot_make = RuntimeError("CUDA failure 2: out of memory\n GPU=0\n")
    with pytest.raises(DeviceError, match=r"^cannot load a net onto cuda: .*out of memory") as caught:
        Runtime(Device.CUDA).load(tiny_net)
    assert "\n" not in str(caught.value)


def test_prelus_are_split_for_the_cpu_alone(gpu: Gpu) -> None:
    shape = ["n", 2, "h", "w"]
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slope"], ["y"])],
        "prelu",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array([0.25, 0.5], np.float32).reshape(2, 1, 1), "slope")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    outputs = []
    for runtime in (Runtime(Device.CUDA), Runtime()):
        net = onnx.ModelProto()
        net.CopyFrom(made)
        outputs += runtime.load(net).run(None, {"x": np.full((1, 2, 1, 1), -4, np.float32)})
    assert [len(net.graph.node) for net in gpu.nets] == [1, 4]
    assert [output.ravel().tolist() for output in outputs] == [[-1, -2], [-1, -2]]
