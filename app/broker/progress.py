"""How the slow steps of a first start tell how far they are."""

from typing import Protocol

__all__ = ["Report", "silent"]


class Report(Protocol):
    """Takes what is being done and how many of how many steps of it are done."""

    def __call__(self, text: str, done: int, total: int) -> None:
        """Tell a person."""


def silent(text: str, done: int, total: int) -> None:
    """Tell nobody."""
