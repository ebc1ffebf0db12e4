"""`onlooker source`, run as a process: what a person did wrong is one line and exit code 2."""

import os
import subprocess
import sys

import pytest
from machine import SLOWNESS

GOOD = ["--stream", "cam"]


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from app.cli import main; main()", "source", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60 * SLOWNESS,
        env={**os.environ, **variables},
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no/such", *GOOD], "there is no file or folder no/such"),
        (["setup.cfg", *GOOD], "setup.cfg is not a video that can be read"),
        (["webcam", *GOOD], "there is no file or folder"),
        (["ftp://user:geheim@cam/", *GOOD], "no address of a camera"),
        (["rtsp://user:geheim@cam/1", "--stream", "a b"], "a stream's name is"),
        (["docs", *GOOD], "holds no image"),
        (["docs", *GOOD, "--size", "10"], "expected width x height"),
        (["docs", *GOOD, "--fps", "fast"], "expected a number"),
        (["docs", *GOOD, "--fps", "0"], "expected a number"),
        (["docs", *GOOD, "--quality", "101"], "101"),
        (["docs"], "--stream"),
    ],
)
def test_a_mistake_is_one_line(arguments, said):
    done = _run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr and done.stderr.startswith("onlooker: ")
    assert done.stderr.count("\n") == 1 and not done.stdout
    assert "geheim" not in done.stderr


def test_a_broker_that_is_not_there_is_one_line(clip, unused_tcp_port):
    done = _run(str(clip), *GOOD, ONLOOKER_BROKER=f"kafka://127.0.0.1:{unused_tcp_port}")
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("onlooker: ")]
    assert len(errors) == 1 and "does not answer" in errors[0]
    assert "Traceback" not in done.stderr
