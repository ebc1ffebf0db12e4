"""Progress is a bar on a terminal, a line now and then elsewhere, and nothing where nobody looks."""

from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console

from app.progress import SILENT, BarProgress, LineProgress, Progress, Task, Unit, console_progress

SHOWN, HIDDEN = "\x1b[?25h", "\x1b[?25l"


@pytest.fixture
def out() -> StringIO:
    return StringIO()


@pytest.fixture
def lines(out: StringIO) -> LineProgress:
    return LineProgress(Console(file=out, width=20))


@pytest.fixture
def bars(out: StringIO) -> BarProgress:
    return BarProgress(Console(file=out, force_terminal=True, width=100))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return what sets the clock."""
    now = [100.0]
    monkeypatch.setattr("app.progress.time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def test_lines_come_at_both_ends_and_now_and_then(
    lines: LineProgress, out: StringIO, at: Callable[[float], None]
) -> None:
    with Task(lines, "embedding pictures", 5000) as task:
        for seconds in (101.0, 109.9, 110.0, 111.0, 119.9):
            at(seconds)
            task.update(1000)
    assert out.getvalue().splitlines() == [
        "embedding pictures (5,000) ...",
        "embedding pictures: 3,000 of 5,000",
        "embedding pictures: 5,000 of 5,000, 19.9 s",
    ]


@pytest.mark.parametrize(
    ("total", "unit", "done", "said"),
    [
        (300_000, "bytes", 300_000, ["work (0.3 MB) ...", "work: 0.3 MB of 0.3 MB, 0.0 s"]),
        (None, "bytes", 1_250_000, ["work ...", "work: 1.2 MB, 0.0 s"]),
        (None, "items", 0, ["work ...", "work: 0.0 s"]),
    ],
)
def test_lines_say_what_is_known(
    lines: LineProgress,
    out: StringIO,
    at: Callable[[float], None],
    total: int | None,
    unit: Unit,
    done: int,
    said: list[str],
) -> None:
    with Task(lines, "work", total, unit) as task:
        task.update(done)
    assert out.getvalue().splitlines() == said


def test_a_line_is_one_line_as_it_was_given(lines: LineProgress, out: StringIO) -> None:
    with Task(lines, "a folder called [bold] :smile: in a narrow place"):
        pass
    assert out.getvalue().splitlines()[0] == "a folder called [bold] :smile: in a narrow place ..."


def test_each_piece_of_work_is_counted_from_its_beginning(
    lines: LineProgress, out: StringIO, at: Callable[[float], None]
) -> None:
    for seconds in (100.0, 150.0):
        at(seconds)
        with Task(lines, "work", 2) as task:
            task.update(1)
    assert out.getvalue().splitlines() == ["work (2) ...", "work: 1 of 2, 0.0 s"] * 2


def test_what_fails_before_anything_is_done_leaves_the_error_alone(
    lines: LineProgress, out: StringIO
) -> None:
    with pytest.raises(KeyError), Task(lines, "embedding pictures", 12):
        raise KeyError
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("total", "unit", "said"), [(12, "items", "12/12"), (12_000_000, "bytes", "12.0/12.0 MB")]
)
def test_a_bar_shows_how_far_it_is(
    bars: BarProgress, out: StringIO, total: int, unit: Unit, said: str
) -> None:
    with Task(bars, "work [bold]", total, unit) as task:
        task.update(total)
    assert "work [bold]" in out.getvalue()
    assert said in out.getvalue()


def test_a_bar_of_unknown_length_shows_the_time(bars: BarProgress, out: StringIO) -> None:
    with Task(bars, "work"):
        pass
    assert "0:00:00" in out.getvalue()


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_what_fails_is_over_too(request: pytest.FixtureRequest, out: StringIO, kind: str) -> None:
    progress: Progress = request.getfixturevalue(kind)

    def fail() -> None:
        with Task(progress, "work", 12) as task:
            task.update(1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    said = out.getvalue()
    # A bar gives the cursor back.
    assert said.rindex(SHOWN) > said.rindex(HIDDEN) if kind == "bars" else "work: 1 of 12, " in said


def test_without_work_nothing_is_shown() -> None:
    out = StringIO()
    console_progress(Console(file=out, force_terminal=True))
    assert out.getvalue() == ""


@pytest.mark.parametrize(("terminal", "kind"), [(True, BarProgress), (False, LineProgress)])
def test_the_terminal_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, kind: type
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    progress = console_progress()
    assert isinstance(progress, kind)
    with Task(progress, "work"):
        pass
    said = capsys.readouterr()
    assert said.out == ""
    assert "work" in said.err


def test_silence_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Task(SILENT, "work", 1) as task:
        task.update(1)
    assert capsys.readouterr() == ("", "")
