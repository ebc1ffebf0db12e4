"""MXNet checkpoints: read without mxnet, converted to ONNX, checked and put into the local catalogue."""

from app.models.mxnet.convert import Conversion, Part, convert
from app.models.mxnet.errors import CheckpointError
from app.models.mxnet.importer import import_checkpoint
from app.models.mxnet.params import Parameters, read_params
from app.models.mxnet.symbol import Symbol, read_symbol
from app.models.placing import Wishes

__all__ = [
    "CheckpointError",
    "Conversion",
    "Parameters",
    "Part",
    "Symbol",
    "Wishes",
    "convert",
    "import_checkpoint",
    "read_params",
    "read_symbol",
]
