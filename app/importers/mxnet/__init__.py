"""MXNet checkpoints: read without mxnet, converted to ONNX, checked and put into the local catalogue."""

from app.importers.installation import ImportOptions
from app.importers.mxnet.convert import Conversion, Part, convert
from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.importer import import_checkpoint
from app.importers.mxnet.params import Parameters, read_params
from app.importers.mxnet.symbol import Symbol, read_symbol

__all__ = [
    "CheckpointError",
    "Conversion",
    "ImportOptions",
    "Parameters",
    "Part",
    "Symbol",
    "convert",
    "import_checkpoint",
    "read_params",
    "read_symbol",
]
