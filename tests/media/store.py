"""Where drawn media is kept: made once, and made anew when what it is made by, or from, has changed."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from uuid import uuid4

from app.locks import locked
from app.settings import ROOT

__all__ = ["kept"]

_SOURCES = [*Path(__file__).parent.glob("*.py"), ROOT / "app" / "sources" / "cutouts.py"]


@cache
def _folder() -> Path:
    """Return the folder of what the code of today makes of the photographs of today."""
    recipe = hashlib.sha256()
    photographs = [*(ROOT / "weights").glob("demo-*/*.jpg")]
    for path in sorted([*_SOURCES, *photographs]):
        recipe.update(hashlib.sha256(path.read_bytes()).digest())
    folder = ROOT / "var" / "media" / recipe.hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def kept(name: str, make: Callable[[Path], None], beside: Sequence[str] = ()) -> Path:
    """Return a file that `make` writes, which is called where it is not there, or is not what was written.

    Args:
        make: is given the path to write to; may write those of `beside` into the same folder.
    """
    folder = _folder()
    names = [name, *beside]
    with locked(folder / ".lock"):
        digests = folder / f"{name}.sha256"
        if not digests.exists() or digests.read_text() != _digest(folder, names):
            work = folder / f".{uuid4().hex}"
            work.mkdir()
            try:
                make(work / name)
                for one in names:
                    (work / one).replace(folder / one)
            finally:
                shutil.rmtree(work)
            digests.write_text(_digest(folder, names))
    return folder / name


def _digest(folder: Path, names: Sequence[str]) -> str:
    paths = [folder / name for name in names]
    return "\n".join(hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "" for path in paths)
