"""MXNet checkpoints: read without mxnet, converted to ONNX, checked and put into the local catalogue."""

from app.importers.installation import ImportOptions
from app.importers.mxnet.convert import Conversion, Part, convert
from app.importers.mxnet.errors import CheckpointError
from app.importers.mxnet.importer import import_checkpoint
from app.importers.mxnet.oracle import prepare_oracle
from app.importers.mxnet.params import Parameters, read_params
from app.importers.mxnet.symbol import Symbol, read_symbol
from app.importers.mxnet.verify import LIMIT, compare, is_imported

__all__ = [
    "LIMIT",
    "CheckpointError",
    "Conversion",
    "ImportOptions",
    "Parameters",
    "Part",
    "Symbol",
    "compare",
    "convert",
    "import_checkpoint",
    "is_imported",
    "prepare_oracle",
    "read_params",
    "read_symbol",
]
