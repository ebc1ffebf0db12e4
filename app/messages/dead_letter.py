"""What could not be handled."""

from typing import ClassVar

import msgspec

from app.messages.coding import Count, Milliseconds, Text, Upgraders

__all__ = ["DeadLetter"]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """A message that could not be handled, with the reason."""

    upgraders: ClassVar[Upgraders] = ()

    topic: Text
    partition: Count
    offset: Count
    key: bytes | None
    #: For machines, such as ``not-an-image``.
    reason: Text
    #: For people.
    detail: str
    at: Milliseconds
    #: The message itself where it is small; a frame stays where it is.
    value: bytes | None
