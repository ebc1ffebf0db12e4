"""The versions of what figures depend on, beside our own code."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["LIBRARIES", "library_versions"]

LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "numpy", "opencv-python", "opencv-python-headless", "pillow")


def library_versions() -> dict[str, str]:
    """Return those of `LIBRARIES` that are installed, and their versions."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
