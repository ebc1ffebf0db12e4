"""Progress is a bar on a terminal, and a line now and then elsewhere."""

from io import StringIO

import pytest
from rich.console import Console

from app.evaluation.progress import Bar, Lines, Silence, console_teller

SHOWN, HIDDEN = "\x1b[?25h", "\x1b[?25l"


def test_lines_come_now_and_then_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, clock = StringIO(), iter([100.0, 101.0, 109.9, 110.0, 111.0])
    monkeypatch.setattr("app.evaluation.progress.time.monotonic", lambda: next(clock))
    with Lines(stream) as lines:
        for done in range(1, 6):
            lines.tell(done, 5)
    # The second and third are told too soon after the first; the last is told in any case.
    assert stream.getvalue().splitlines() == [
        "embedded 1 of 5 pictures",
        "embedded 4 of 5 pictures",
        "embedded 5 of 5 pictures",
    ]


def test_a_bar_shows_how_far_it_is() -> None:
    stream = StringIO()
    with Bar(Console(file=stream, force_terminal=True, width=100)) as bar:
        bar.tell(1, 12)
        bar.tell(12, 12)
    assert "embedding" in stream.getvalue()
    assert "12/12" in stream.getvalue()


def test_a_bar_gives_the_cursor_back_after_a_failure() -> None:
    stream = StringIO()

    def fail() -> None:
        with Bar(Console(file=stream, force_terminal=True, width=100)) as bar:
            bar.tell(1, 12)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert stream.getvalue().rindex(SHOWN) > stream.getvalue().rindex(HIDDEN)


@pytest.mark.parametrize(("terminal", "kind"), [(True, Bar), (False, Lines)])
def test_the_terminal_decides(monkeypatch: pytest.MonkeyPatch, terminal: bool, kind: type) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(console_teller(), kind)


def test_silence_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Silence() as silence:
        silence.tell(1, 1)
    assert capsys.readouterr() == ("", "")
