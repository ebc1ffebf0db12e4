"""A child is started, started again when it fails, and ended whatever it does."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
from machine import patience

from app.cli import children as module
from app.cli.children import Child, ChildError, end_leftovers
from app.kafka import SHUTDOWN

Make = Callable[..., Child]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    """Return what makes a child that runs this Python text."""
    made: list[Child] = []

    def child(text: str, **more: bool) -> Child:
        folder = tmp_path / "logs"
        made.append(Child("thing", [sys.executable, "-c", text], folder, {"GREETING": "hello"}, **more))
        return made[-1]

    yield child
    for one in made:
        await one.stop()


def process(child: Child) -> psutil.Process:
    assert child._process is not None
    return psutil.Process(child._process.pid)


async def said(child: Child, text: str) -> None:
    """Wait until the child has written something into its log."""
    async with patience(30):
        while not child.log.exists() or text not in child.log.read_text():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


SLEEP = "import os, time; print(os.environ['GREETING'], flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def test_a_worker_has_longer_to_end_than_it_waits_for_kafka() -> None:
    assert module._GRACE >= SHUTDOWN + 5


async def test_a_child_runs_and_is_ended(make: Make) -> None:
    child = make(SLEEP)
    child.start()
    await said(child, "hello")
    running = process(child)
    note = child.log.with_suffix(".json")
    assert note.exists()
    await child.stop()
    assert not running.is_running()
    assert not note.exists()
    await child.stop()


async def test_one_that_does_not_want_to_end_is_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GRACE", 0.2)
    child = make(STUBBORN)
    child.start()
    await said(child, "hello")
    running = process(child)
    await child.stop()
    assert not running.is_running()


async def test_one_that_is_killed_is_started_again(make: Make) -> None:
    child, told = make(SLEEP), list[str]()
    child.start()
    watching = asyncio.create_task(child.watch(told.append))
    first = process(child)
    first.kill()
    async with patience(30):
        while process(child).pid == first.pid:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert len(told) == 1
    assert told[0].startswith("the thing ended with code -9: starting it again")
    assert child.log.with_suffix(".json").exists()
    watching.cancel()


async def test_one_that_fails_again_and_again_is_an_error_with_its_last_words(make: Make) -> None:
    child, told = make("print('so it goes'); raise SystemExit(1)"), list[str]()
    child.start()
    with pytest.raises(ChildError, match=r"^the thing ended with code 1: so it goes \(log: .*thing\.log\)$"):
        await child.watch(told.append)
    assert len(told) == 2


async def test_a_persons_mistake_is_not_tried_again(make: Make) -> None:
    child, told = make("import sys; print('onlooker: no', file=sys.stderr); sys.exit(2)"), list[str]()
    child.start()
    with pytest.raises(ChildError, match="onlooker: no"):
        await child.watch(told.append)
    assert told == []


async def test_a_finite_child_may_come_to_its_end(make: Make) -> None:
    child = make("print('done')", finite=True)
    child.start()
    async with patience(30):
        await child.watch(pytest.fail)
    assert child.last_words() == "done"
    assert not child.log.with_suffix(".json").exists()


async def test_another_child_may_not(make: Make) -> None:
    child = make("")
    child.start()
    with pytest.raises(ChildError, match="it said nothing"):
        await child.watch(lambda _: None)


async def test_what_a_killed_parent_left_is_ended(make: Make, tmp_path: Path) -> None:
    """A parent of its own starts a child and dies at once."""
    parent = (
        "import os, sys; from pathlib import Path; from app.cli.children import Child;"
        "sleep = [sys.executable, '-c', 'import time; time.sleep(600)'];"
        f"Child('thing', sleep, Path({str(tmp_path / 'logs')!r}), {{}}).start(); os._exit(0)"
    )
    done = await asyncio.create_subprocess_exec(sys.executable, "-c", parent)
    assert await done.wait() == 0
    left = end_leftovers(tmp_path / "logs")
    assert len(left) == 1
    assert left[0].startswith("thing (process ")
    assert end_leftovers(tmp_path / "logs") == []


async def test_a_log_that_has_grown_large_is_set_aside(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOG_BYTES", 5)
    # The second line comes when the first one has been set aside.
    script = """
import os, time
print("first", flush=True)
while os.fstat(1).st_size:
    time.sleep(0.01)
print("second")
"""
    child = make(script, finite=True)
    child.start()
    await child.watch(pytest.fail)
    assert child.log.with_suffix(".log.1").read_text() == "first\n"
    assert child.log.read_text() == "second\n"


async def test_watching_what_was_never_started_is_an_error(make: Make) -> None:
    with pytest.raises(ChildError, match="has not been started"):
        await make("").watch(lambda _: None)
