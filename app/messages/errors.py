"""What is wrong with bytes that are no message."""

from app.errors import OnlookerError

__all__ = ["MessageError"]


class MessageError(OnlookerError):
    """Bytes that are no message of this program; `reason` is for machines.

    ``malformed``: not the bytes of such a message; ``unknown-schema``: of a version that is not known.
    Readers of dead letters go by these words.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason
