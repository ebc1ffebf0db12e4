"""What the fields of messages may hold."""

import re
from typing import Annotated

from msgspec import Meta

from app.messages.errors import MessageError

__all__ = [
    "Count",
    "Measure",
    "Milliseconds",
    "Pixels",
    "Similarity",
    "StreamName",
    "Text",
    "stream_name",
]

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Count = Annotated[int, Meta(ge=0, le=2**53)]
Milliseconds = Annotated[int, Meta(ge=0, le=2**53)]
Pixels = Annotated[int, Meta(ge=1, le=65535)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Similarity = Annotated[float, Meta(ge=-1.001, le=1.001)]
#: Bounds keep out what is no number or infinite, which JSON cannot say.
Measure = Annotated[float, Meta(ge=-1e12, le=1e12)]
StreamName = Annotated[str, Meta(pattern=rf"\A{_STREAM.pattern}\Z")]


def stream_name(text: str) -> str:
    """Return `text` if it can name a stream.

    Raises:
        MessageError: it is not 1 to 64 letters, digits, ``.``, ``_`` or ``-``, a letter or digit first.
    """
    if not _STREAM.fullmatch(text):
        raise MessageError(
            "bad-stream-name",
            f"a stream's name is 1 to 64 letters, digits, '.', '_', '-'; not {text[:80]!r}",
        )
    return text
