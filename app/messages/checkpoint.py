"""What is known of a stream, for whoever has it next."""

from typing import ClassVar

import msgspec

from app.messages.coding import Count, StreamName, Upgraders

__all__ = ["Checkpoint"]


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True, tag_field="v", tag=1):
    """What is known of a stream up to an offset on `faces`, for the worker that has it next."""

    upgraders: ClassVar[Upgraders] = ()

    stream: StreamName
    #: Partition of `faces`, and the first offset of it that is not yet in `state`.
    partition: Count
    next: Count
    #: The state, as `app.tracking.state` writes it.
    state: bytes
