"""What decides which embedding comes out of a picture, in one short text: code, nets, settings, libraries."""

import hashlib
import inspect
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from app.evaluation import embeddings
from app.models import Chosen, detection, embedding, feed, images, pipeline, quality, runtime
from app.models.runtime import choose_device
from app.settings import Settings
from app.weights import Entry

__all__ = ["LIBRARIES", "code_digest", "fingerprint", "library_versions"]

LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "numpy", "opencv-python", "opencv-python-headless", "pillow")
#: The code that a picture goes through.
_CODE = (detection, embedding, feed, images, pipeline, quality, runtime, embeddings)


def fingerprint(settings: Settings, nets: Chosen) -> str:
    """Return `code_digest` and the SHA-256 of all else that decides which embedding comes out of a picture.

    Those are the nets' files and how they are fed, the settings of detection and gate, the device, and the
    versions of libraries. An embedding of a former version is never taken for one of this version.

    Raises:
        DeviceError: the device that the settings ask for cannot be used.
    """
    decisive = {
        "nets": {role: entry and _decisive(entry) for role, entry in nets.by_role.items()},
        "settings": [
            settings.detection_side,
            settings.detection_score,
            settings.min_face,
            settings.embed_score,
        ],
        "device": choose_device(settings.device).device,
        "libraries": library_versions(),
    }
    return f"{code_digest()}-{_digest(msgspec.json.encode(decisive))}"


def code_digest() -> str:
    """Return the SHA-256 of the code that a picture goes through."""
    files = [path for module in _CODE for path in _files(Path(inspect.getfile(module)))]
    return _digest(msgspec.json.encode([_digest(path.read_bytes()) for path in files]))


def library_versions() -> dict[str, str]:
    """Return those of `LIBRARIES` that are installed, and their versions."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _decisive(entry: Entry) -> dict[str, Any]:
    """Return an entry without what merely describes it."""
    descriptive = (
        "name",
        "title",
        "source",
        "homepage",
        "licence",
        "note",
        "figures",
        "threshold",
        "pooled_threshold",
        "visit_threshold",
        "confidence",
        "calibration",
    )
    return {key: value for key, value in msgspec.to_builtins(entry).items() if key not in descriptive}


def _files(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
