"""Positions on the log as an event's id: the same on every worker, so that any of them can go on."""

from collections.abc import Mapping

__all__ = ["parse_positions", "write_positions"]


def write_positions(positions: Mapping[int, int]) -> str:
    """Return next offsets by partition as text, such as ``0-17.3-4``."""
    return ".".join(f"{partition}-{offset}" for partition, offset in sorted(positions.items()))


def parse_positions(text: str) -> dict[int, int]:
    """Read what `write_positions` wrote.

    Raises:
        ValueError: it did not write that.
    """
    positions: dict[int, int] = {}
    for part in text[:65536].split("."):
        partition, _, offset = part.partition("-")
        if not (partition.isdecimal() and offset.isdecimal() and len(partition) < 6 and len(offset) < 19):
            raise ValueError(text)
        positions[int(partition)] = int(offset)
    return positions
