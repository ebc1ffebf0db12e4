"""A benchmark that is ended leaves nothing running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from cluster import wait_for
from machine import SLOWNESS

from app.settings import ROOT


def _all_of(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


#: As a script starts what is to run in the background: SIGINT is ignored from the beginning.
_IN_THE_BACKGROUND = ["sh", "-c", 'trap "" INT; exec "$0" "$@"']


@pytest.mark.parametrize(
    ("number", "start"),
    [(signal.SIGTERM, []), (signal.SIGINT, []), (signal.SIGTERM, _IN_THE_BACKGROUND)],
    ids=["SIGTERM", "SIGINT", "background"],
)
def test_what_it_has_started_ends_with_it(
    jars: Path, clip: Path, tmp_path: Path, number: signal.Signals, start: list[str]
) -> None:
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(
            [*start, sys.executable, "benchmarks/run.py", "memory"],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        # The benchmark itself, a broker, a worker and two sources.
        wait_for("everything to run", lambda: len(_all_of(psutil.Process(run.pid))) >= 5)
        started = _all_of(psutil.Process(run.pid))
        os.kill(run.pid, number)
        assert run.wait(120 * SLOWNESS) != 0
        _, alive = psutil.wait_procs(started, timeout=60 * SLOWNESS)
        assert alive == []
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
