"""Among good frames: one on which the nets fail, a source that sends anything, a clock an hour off."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from chaos.scenario import CROWDED, SPREAD, Shot
from chaos.stage import Stage
from chaos.writer import Message, Raw, frame_of

from app.messages import encode_frame

SIZES = {"layout": ([CROWDED], [CROWDED, SPREAD])}
ROUNDS = 120
POISONED = 40
#: Rounds in which a stream's clock is ahead.
WRONG, HOUR = range(60, 80), 3_600_000
SOURCE = "out-of-order"


def test_bad_frames_are_dead_letters_and_good_ones_go_on(stage: Stage, settle: Callable[[str], None]) -> None:
    stage.staff(1)
    stage.writer.write(_spoiled(stage.script.rounds(ROUNDS)))
    settle("bad frames, a wrong clock")


def _spoiled(rounds: Iterable[list[Shot]]) -> Iterator[list[Message]]:
    bad: list[Raw] = []
    for number, (first, second, *others) in enumerate(rounds):
        bad = _bad_messages(first) if not number else bad
        ahead = HOUR if number in WRONG else 0
        clock = replace(first, captured=first.captured + ahead)
        poisoned = replace(second, poisoned=True, people=()) if number == POISONED else second
        yield [clock, *bad[number : number + 1], poisoned, *others]


def _bad_messages(shot: Shot) -> list[Raw]:
    """Return what is written in the place of frames, with the reason of the dead letter that each becomes."""
    _, jpeg, headers = encode_frame(frame_of(shot))
    values = [b"", None, b"GIF89a", jpeg[:3], jpeg[:-200], jpeg[:20] + jpeg[60:]]
    wrong = [
        ("captured", b"soon", "malformed"),
        ("captured", b"-1", "malformed"),
        ("width", b"0", "malformed"),
        ("seq", b"9" * 40, "malformed"),
        ("schema", b"99", "unknown-schema"),
    ]
    return [
        *(Raw(SOURCE, value, tuple(headers), "not-an-image") for value in values),
        *(
            Raw(SOURCE, jpeg, tuple({**dict(headers), name: value}.items()), why)
            for name, value, why in wrong
        ),
        Raw(SOURCE, jpeg, (), "malformed"),
        Raw("../etc", jpeg, tuple(headers), "malformed"),
    ]
