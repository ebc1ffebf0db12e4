"""Where and how nets run: onnxruntime sessions on a device, set up so that several share it well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnx import ModelProto

from app.errors import one_line
from app.models.images import Floats
from app.models.onnx_file import NetError, parse_net
from app.models.runtime.denormals import denormals_as_zero
from app.models.runtime.device import Device, DeviceError, all_started, choose_device, providers_of
from app.models.runtime.rewrite import flush_denormals, free_axes, split_prelu
from app.settings import Settings, private_folder

__all__ = ["Runtime", "Session", "runtime_for"]

ERRORS_ONLY = 3
#: An error of a run is raised; onnxruntime need not write it as well.
SILENT = ort.RunOptions()
SILENT.log_severity_level = 4
#: Frames, and faces, in one run, where the settings do not say. On a CPU more frames bring nothing, and more
#: faces cost memory with the size of the crowd; a GPU is idle between small runs.
ON_CPU, ON_GPU = (1, 4), (8, 64)
#: What nets spend their time on, and whose place it must not be where a GPU was asked for.
HEAVY = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
CPU = providers_of(Device.CPU)[0]


class Session:
    """One net, ready to run; may be run by several threads at once."""

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session
        #: Names, in the net's order.
        self.inputs = tuple(str(value.name) for value in session.get_inputs())
        self.outputs = tuple(str(value.name) for value in session.get_outputs())
        #: What is stored with the graph, as text.
        self.metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Floats]) -> list[Floats]:
        """Return the outputs called `names`, or all; arrays go to the device and come back once each."""
        binding = self._session.io_binding()
        for name, values in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(values))
        for name in names or self.outputs:
            binding.bind_output(name, "cpu")
        with denormals_as_zero():
            self._session.run_with_iobinding(binding, SILENT)
        outputs: list[Floats] = binding.copy_outputs_to_cpu()
        return outputs


@dataclass(frozen=True, slots=True)
class Runtime:
    """A device and what is to be known to use it well.

    threads: of each net, on the CPU.
    images, faces: how many of each go through a net in one run.
    engines: folder in which TensorRT keeps what it has built.
    """

    device: Device = Device.CPU
    threads: int = 1
    images: int = ON_CPU[0]
    faces: int = ON_CPU[1]
    engines: Path | None = None

    def load(self, net: Path | ModelProto) -> Session:
        """Return a session of `net`, with free axes and in the form that is fastest here.

        Raises:
            NetError: it cannot be read, or onnxruntime does not take it.
            DeviceError: the device does not take it.
        """
        model = net if isinstance(net, ModelProto) else parse_net(net)
        try:
            free_axes(model)
            if self.device is Device.CPU:
                split_prelu(model)
            flush_denormals(model)
        except (ValueError, TypeError, IndexError) as error:
            # What onnx says of weights that are not what they claim to be.
            raise NetError(f"not a valid net: {one_line(error)}") from None
        return self.session(model)

    def session(self, model: ModelProto) -> Session:
        """Return a session of `model` as it is.

        Raises:
            NetError: onnxruntime does not take it.
            DeviceError: the device does not take it.
        """
        try:
            # The first session of a process sets the thread that makes it, and that is to be undone.
            with denormals_as_zero():
                made = ort.InferenceSession(
                    model.SerializeToString(),
                    self._options(),
                    providers=providers_of(self.device),
                    provider_options=self._provider_options(),
                    # Where a device fails, that is to be said, not made up for by a slower one.
                    enable_fallback=0,
                )
        except Exception as error:
            # The exceptions of onnxruntime have no base of their own.
            if self.device is not Device.CPU:
                raise DeviceError(f"cannot load a net onto {self.device}: {one_line(error)}") from None
            raise NetError(f"onnxruntime does not take it: {one_line(error)}") from None
        self._check_place(made)
        return Session(made)

    def _check_place(self, session: ort.InferenceSession) -> None:
        """Refuse a session that would do its work on another device; onnxruntime says nothing of that."""
        if not all_started(session, self.device):
            raise DeviceError(f"onnxruntime does not take the net onto {self.device}")
        if self.device is Device.CPU:
            return
        for part in session.get_provider_graph_assignment_info():
            heavy = sorted({node.op_type for node in part.get_nodes()} & HEAVY)
            if heavy and part.ep_name == CPU:
                raise DeviceError(
                    f"onnxruntime would run {', '.join(heavy)} on the CPU, not on {self.device}"
                )

    def _options(self) -> ort.SessionOptions:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = ERRORS_ONLY
        # Sessions that spin while they wait take the cores from each other: 123 CPU ms a frame instead of 56.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # For the threads of the session's own; `Session.run` sees to the one that calls it.
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
        if self.device is not Device.CPU:
            options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        return options

    def _provider_options(self) -> list[dict[str, Any]]:
        """Return the options of each provider."""
        # The exhaustive search, the default, starts again for every new size of image and of batch.
        cuda = {"cudnn_conv_algo_search": "HEURISTIC"}
        tensorrt: dict[str, Any] = {}
        if self.engines is not None:
            tensorrt = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(self.engines)}
        known = {"CUDAExecutionProvider": cuda, "TensorrtExecutionProvider": tensorrt}
        return [known.get(provider, {}) for provider in providers_of(self.device)]


def runtime_for(settings: Settings) -> Runtime:
    """Return the runtime that `settings` ask for.

    Raises:
        DeviceError: the device cannot be used.
    """
    device = choose_device(settings.device).device
    images, faces = ON_CPU if device is Device.CPU else ON_GPU
    engines = None
    if device is Device.TENSORRT:
        engines = _engine_folder(settings)
    return Runtime(device, settings.threads, settings.batch or images, faces, engines)


def _engine_folder(settings: Settings) -> Path:
    folder = private_folder(settings) / "tensorrt"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise DeviceError(f"cannot keep TensorRT's engines in {folder}: {error.strerror}") from None
    return folder
