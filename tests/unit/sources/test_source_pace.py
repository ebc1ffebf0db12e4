"""When pictures are due, and what times they are given."""

import itertools
import math
import threading
import time

from app.sources.live import Backoff
from app.sources.pace import Clock, Pace, Thinner


def _times(pace: Pace, pts: list[int]) -> tuple[list[int], float]:
    started = time.monotonic()
    return [pace.admit(number) for number in pts], time.monotonic() - started


def test_a_recording_keeps_its_own_pace():
    times, taken = _times(Pace(None, threading.Event()), [0, 40, 120, 160])
    assert 0.155 <= taken < 1
    assert all(a < b for a, b in itertools.pairwise(times))


def test_a_rate_takes_the_place_of_its_pace():
    _, taken = _times(Pace(50, threading.Event()), [0, 1000, 2000, 3000, 4000, 5000])
    assert 0.095 <= taken < 1


def test_without_a_rate_only_the_times_are_kept():
    times, taken = _times(Pace(math.inf, threading.Event()), [0, 1000, 60_000])
    assert taken < 0.5
    assert [time - times[0] for time in times] == [0, 1000, 60_000]


def test_time_lost_is_not_made_up_for_in_a_burst(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("app.sources.pace.time.monotonic", lambda: now[0])
    closing = threading.Event()
    waits: list[float] = []
    monkeypatch.setattr(
        closing, "wait", lambda seconds: (waits.append(seconds), now.__setitem__(0, now[0] + seconds))
    )
    pace = Pace(None, closing)
    pace.admit(0)
    now[0] += 5
    pace.admit(40)
    pace.admit(80)
    assert [round(wait, 3) for wait in waits] == [0.04]


def test_closing_ends_the_wait():
    closing = threading.Event()
    threading.Timer(0.05, closing.set).start()
    _, taken = _times(Pace(None, closing), [0, 60_000])
    assert taken < 5


def test_a_clock_never_repeats_or_goes_back(monkeypatch):
    clock = Clock()
    first = clock.now()
    monkeypatch.setattr("app.sources.pace.time.monotonic", lambda: 0.0)
    assert [clock.now(), clock.now()] == [first + 1, first + 2]


def test_a_live_source_is_thinned_evenly():
    thinner = Thinner(10)
    kept = [number for number in range(100) if thinner.keeps(number / 100)]
    assert kept == list(range(0, 100, 10))
    assert all(Thinner(None).keeps(0.0) for _ in range(3))


def test_waits_double_up_to_a_limit_and_begin_again():
    backoff = Backoff(1, 8)
    waits = [backoff.wait() for _ in range(6)]
    assert all(0.75 * want <= wait <= 1.25 * want for wait, want in zip(waits[:3], (1, 2, 4), strict=True))
    assert all(6 <= wait <= 8 for wait in waits[3:])
    backoff.reset()
    assert backoff.wait() <= 1.25
    assert len({Backoff(1, 8).wait() for _ in range(20)}) > 1
