"""A device is used because it works, and one that was asked for by name is never replaced by another."""

from collections.abc import Iterator
from typing import Any

import onnxruntime as ort
import pytest

from app.models.runtime import device
from app.models.runtime.device import Device, DeviceError, choose_device, providers_of
from app.models.runtime.session import Runtime

HAS_CUDA = "CUDAExecutionProvider" in ort.get_available_providers()
without_cuda = pytest.mark.skipif(HAS_CUDA, reason="this onnxruntime has CUDA")


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    choose_device.cache_clear()
    yield
    choose_device.cache_clear()


def test_the_cpu_can_always_be_had() -> None:
    assert choose_device("cpu").device is Device.CPU


@without_cuda
@pytest.mark.parametrize("wish", ["cuda", "tensorrt"])
def test_what_was_asked_for_and_is_not_there_is_an_error(wish: str) -> None:
    with pytest.raises(
        DeviceError, match=rf"^ONLOOKER_DEVICE={wish}: this onnxruntime has no .*\[gpu\]"
    ) as caught:
        choose_device(wish)
    assert "\n" not in str(caught.value)


@without_cuda
def test_auto_says_why_it_takes_the_cpu() -> None:
    choice = choose_device("auto")
    assert choice.device is Device.CPU
    assert str(choice).startswith("the nets run on CPU: this onnxruntime has no CUDA")


def with_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let onnxruntime say that it was built for GPUs."""
    known = [name for name, _ in device.PROVIDERS.values()]
    monkeypatch.setattr(ort, "get_available_providers", lambda: known)


def test_no_driver_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with_providers(monkeypatch)
    monkeypatch.setattr(device, "DRIVER", "libthere-is-none.so.1")
    with pytest.raises(DeviceError, match="no driver of NVIDIA's"):
        choose_device("cuda")
    assert choose_device("auto").device is Device.CPU


@without_cuda
@pytest.mark.parametrize("wish", ["cuda", "tensorrt"])
def test_a_provider_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, wish: str) -> None:
    """The driver is there, as far as can be told; the session that is tried is a real one."""
    with_providers(monkeypatch)
    monkeypatch.setattr(device, "DRIVER", "libc.so.6")
    with pytest.raises(DeviceError, match=rf"^ONLOOKER_DEVICE={wish}: .*(fails|cannot start)"):
        choose_device(wish)
    choice = choose_device("auto")
    assert choice.device is Device.CPU
    assert "CUDA" in choice.why


@without_cuda
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_net_is_not_loaded_onto_another_device(tiny_net: Any) -> None:
    with pytest.raises(DeviceError, match="cuda"):
        Runtime(Device.CUDA).session(tiny_net)


def test_what_a_gpu_cannot_do_is_done_beside_it() -> None:
    assert providers_of(Device.CPU) == ["CPUExecutionProvider"]
    assert providers_of(Device.CUDA) == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert providers_of(Device.TENSORRT)[0] == "TensorrtExecutionProvider"
