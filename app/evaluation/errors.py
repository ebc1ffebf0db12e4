"""What can be wrong with a measurement."""

from app.errors import OnlookerError

__all__ = ["DatasetError", "EvaluationError", "printable"]


def printable(text: str) -> str:
    """Return `text` with what cannot be printed on a line escaped: a file's name may hold anything."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


class EvaluationError(OnlookerError):
    """What was asked for cannot be measured."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


class DatasetError(EvaluationError):
    """A dataset cannot be read; the text names the file and, where there is one, the line."""
