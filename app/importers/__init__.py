"""What brings nets from elsewhere: MXNet checkpoints and ONNX files, checked and put into the catalogue."""

from app.importers.onnx import OnnxImportOptions, import_onnx

__all__ = ["OnnxImportOptions", "import_onnx"]
