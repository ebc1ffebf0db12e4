"""When somebody was where: sightings side by side, those with little between them as one."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

__all__ = ["Bar", "join_bars"]


@dataclass(frozen=True, slots=True)
class Bar:
    """A time in which a person, or somebody unknown, was on a stream."""

    stream: str
    person: str | None
    #: Their name, as it was decided last.
    name: str | None
    first: int
    last: int
    #: How many of them it is made of.
    sightings: int
    #: Whether they are there still.
    open: bool


def join_bars(bars: Iterable[Bar], gap: int) -> list[Bar]:
    """Join bars of one person and stream that overlap, or have less than `gap` milliseconds between them.

    People who are unknown are joined like one person: such a bar says that somebody unknown was there. To
    show each of them alone would say no more, for there is nothing to tell them apart by, and would bury a
    street's day in thousands of bars.

    Args:
        bars: by when they begin; what is returned is so too.
    """
    joined: list[Bar] = []
    latest: dict[tuple[str, str | None], int] = {}
    for bar in bars:
        key = bar.stream, bar.person
        number = latest.get(key)
        if number is not None and bar.first - joined[number].last < gap:
            joined[number] = _join(joined[number], bar)
        else:
            latest[key] = len(joined)
            joined.append(bar)
    return joined


def _join(one: Bar, other: Bar) -> Bar:
    return replace(
        one,
        name=max(one, other, key=lambda bar: bar.last).name,
        last=max(one.last, other.last),
        sightings=one.sightings + other.sightings,
        open=one.open or other.open,
    )
