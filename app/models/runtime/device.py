"""The device that nets run on: what was asked for, or what there is, and why."""

import ctypes
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

import numpy as np
import onnxruntime as ort

from app.errors import OnlookerError, one_line

__all__ = ["Choice", "Device", "DeviceError", "all_started", "choose_device", "providers_of"]

#: The driver's library; without it there is no use in asking further.
DRIVER = "libcuda.so.1"
#: Severities of onnxruntime's log.
WARNINGS, NOTHING = 2, 4


class DeviceError(OnlookerError):
    """The device that was asked for cannot be used; the text says why."""


class Device(StrEnum):
    """Where nets run; on a GPU with NVIDIA's CUDA, or with TensorRT on top of it."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


#: Device -> onnxruntime's name for it, and how people call it.
PROVIDERS = {
    Device.CPU: ("CPUExecutionProvider", "CPU"),
    Device.CUDA: ("CUDAExecutionProvider", "CUDA"),
    Device.TENSORRT: ("TensorrtExecutionProvider", "TensorRT"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A device, and why it was chosen."""

    device: Device
    why: str

    def __str__(self) -> str:
        return f"the nets run on {PROVIDERS[self.device][1]}: {self.why}"


@cache
def choose_device(wish: str) -> Choice:
    """Return the device for `wish`: cpu, cuda, tensorrt, or auto for CUDA where that runs and else the CPU.

    TensorRT must be asked for by name: it builds engines for minutes.

    Raises:
        DeviceError: what was asked for cannot be used here; nothing else takes its place.
    """
    if wish != "auto":
        device = Device(wish)
        obstacle = _obstacle(device)
        if obstacle is not None:
            raise DeviceError(f"ONLOOKER_DEVICE={wish}: {obstacle}")
        return Choice(device, "ONLOOKER_DEVICE asks for it")
    obstacle = _obstacle(Device.CUDA)
    if obstacle is None:
        return Choice(Device.CUDA, "CUDA runs here")
    return Choice(Device.CPU, obstacle)


def providers_of(device: Device) -> list[str]:
    """Return onnxruntime's providers for `device`, the wished one first and then what it needs beside it."""
    chosen = [PROVIDERS[device][0]]
    if device is Device.TENSORRT:
        chosen.append(PROVIDERS[Device.CUDA][0])
    if device is not Device.CPU:
        # Shapes are computed on the CPU, whatever the net runs on.
        chosen.append(PROVIDERS[Device.CPU][0])
    return chosen


def all_started(session: ort.InferenceSession, device: Device) -> bool:
    """Tell whether `session` has all the providers of `device`, in their order; what fails is left out."""
    return bool(session.get_providers()[: len(providers_of(device))] == providers_of(device))


def _obstacle(device: Device) -> str | None:
    """Return why `device` cannot be used, or None where a net ran on it just now."""
    provider, name = PROVIDERS[device]
    if device is Device.CPU:
        return None
    if provider not in ort.get_available_providers():
        return f"this onnxruntime has no {name}; `pip install .[gpu]` into a fresh environment brings one"
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return f"no driver of NVIDIA's ({DRIVER}) on this machine"
    # It prints what it cannot find; standard output is for what was asked for.
    with redirect_stdout(sys.stderr):
        ort.preload_dlls()
    return _refusal(device)


def _refusal(device: Device) -> str | None:
    """Run a convolution on `device`; return what onnxruntime says where it cannot.

    Its session would be on the CPU without a word in the result, but for the list of its providers.
    """
    name = PROVIDERS[device][1]
    ort.set_default_logger_severity(NOTHING)
    try:
        options = ort.SessionOptions()
        options.log_severity_level = NOTHING
        session = ort.InferenceSession(
            _convolution(), options, providers=providers_of(device), enable_fallback=0
        )
        if not all_started(session, device):
            return f"onnxruntime cannot start {name}: its libraries, or a GPU, are missing"
        session.run(None, {"x": np.ones((1, 1, 8, 8), np.float32)})
    except Exception as error:
        # onnxruntime's exceptions have no base of their own.
        return f"{name} fails: {one_line(error)}"
    finally:
        ort.set_default_logger_severity(WARNINGS)
    return None


def _convolution() -> bytes:
    """Return a net of one convolution, as ONNX: it needs cuDNN, as all our nets do."""
    # Only where there may be a GPU: others start sooner without.
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, 1, 8, 8]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1])],
        "probe",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.ones((1, 1, 1, 1), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
