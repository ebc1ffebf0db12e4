"""What lies in a weights folder, to be compared before and after."""

from pathlib import Path

__all__ = ["everything"]


def everything(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file in `folder` but locks, by their names."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock")]
    return {path.name: path.read_bytes() for path in files}
