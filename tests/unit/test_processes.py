"""What a killed parent leaves behind is ended, and nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from machine import SLOWNESS

from app.processes import ProcessError, end_leftover, forget_child, record_child

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
import subprocess, sys, time
from pathlib import Path
from app.processes import record_child
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE)
child.stdout.readline()
record_child(Path(sys.argv[1]), child.pid, "sleeper")
print(child.pid, flush=True)
time.sleep(60)
"""
SLEEPER = "import time; print(flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"


def orphan(note: Path, code: str) -> psutil.Process:
    """Return a process whose parent noted it and was killed."""
    command = [sys.executable, "-c", PARENT, str(note), code]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    return child


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a child of this very process."""
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def change(note: Path, whose: str, **changes: float) -> None:
    entry = json.loads(note.read_text("utf-8"))
    entry[whose] |= changes
    note.write_text(json.dumps(entry), "utf-8")


@pytest.mark.parametrize("code", [SLEEPER, STUBBORN])
def test_an_orphan_is_ended_even_if_it_does_not_want_to(tmp_path: Path, code: str) -> None:
    note = tmp_path / "child.json"
    left = orphan(note, code)
    assert not is_gone(left)
    assert end_leftover(note, grace=0.5) == f"sleeper (process {left.pid})"
    assert is_gone(left)
    assert not note.exists()


def test_a_child_whose_parent_lives_is_left_alone(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    note = tmp_path / "child.json"
    record_child(note, child.pid, "sleeper")
    with pytest.raises(ProcessError, match=rf"^sleeper \(process {child.pid}\) .* process {os.getpid()}: "):
        end_leftover(note)
    assert child.poll() is None
    assert note.exists()


@pytest.mark.parametrize("later", [-60.0, 60.0])
def test_another_process_with_the_same_pid_is_left_alone(
    tmp_path: Path, child: subprocess.Popen[bytes], later: float
) -> None:
    note = tmp_path / "child.json"
    record_child(note, child.pid, "sleeper")
    started = psutil.Process(child.pid).create_time()
    change(note, "child", create_time=started + later)
    assert end_leftover(note) is None
    assert child.poll() is None
    assert not note.exists()


def test_a_corrected_clock_does_not_hide_the_parent(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    note = tmp_path / "child.json"
    record_child(note, child.pid, "sleeper")
    change(note, "parent", create_time=psutil.Process().create_time() + 1)
    with pytest.raises(ProcessError):
        end_leftover(note)


def test_a_parent_that_is_gone_makes_an_orphan(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    note = tmp_path / "child.json"
    record_child(note, child.pid, "sleeper")
    change(note, "parent", create_time=1.0)
    assert end_leftover(note) == f"sleeper (process {child.pid})"
    assert child.wait(5 * SLOWNESS) == -signal.SIGTERM


@pytest.mark.parametrize("content", ["", "{", '{"name": "x"}', "[1]"])
def test_an_unreadable_note_is_no_obstacle(tmp_path: Path, content: str) -> None:
    note = tmp_path / "child.json"
    note.write_text(content, "utf-8")
    assert end_leftover(note) is None
    assert not note.exists()


def test_no_note_is_no_leftover(tmp_path: Path) -> None:
    assert end_leftover(tmp_path / "child.json") is None
    forget_child(tmp_path / "child.json")


def test_an_ended_child_leaves_nothing_to_end(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    note = tmp_path / "deeper" / "child.json"
    record_child(note, child.pid, "sleeper")
    child.kill()
    child.wait()
    assert end_leftover(note) is None
    assert list(note.parent.iterdir()) == []
