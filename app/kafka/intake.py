"""What agents are given: the messages of a Faust stream, each offset once and in order, until it is done."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

from faust.types import TP

from app.kafka.ledger import Handout, Ledger, Received

if TYPE_CHECKING:
    import faust
    from faust import EventT, Stream, StreamT

    from app.kafka.consumer import LedgerConsumer

__all__ = ["Intake"]


class Intake:
    """Hands out messages through the ledger.

    Args:
        app: its consumer reads again what never came.
    """

    def __init__(self, app: "faust.App", ledger: Ledger) -> None:
        self._app = app
        self._ledger = ledger

    async def messages(self, stream: "StreamT[bytes]") -> AsyncIterator[Received]:
        """Yield what comes on `stream`; a message stays in work until it is `done`."""
        # Faust would acknowledge each message when the next one is asked for.
        async for event in cast("Stream[bytes]", stream).noack().events():
            received = await self._receive(event)
            if received is not None:
                yield received

    async def _receive(self, event: "EventT[bytes]") -> Received | None:
        message = event.message
        tp = TP(message.topic, message.partition)
        if tp not in self._ledger:
            return None
        ledger = self._ledger[tp]
        handout = ledger.hand_out(message.offset)
        if handout is Handout.GAP:
            await cast("LedgerConsumer", self._app.consumer).read_again(tp, ledger)
        if handout is not Handout.NEW:
            return None
        headers = dict(message.headers or {})
        return Received(*tp, message.offset, message.key, message.value, headers, ledger)

    def pause(self, topic: str, partition: int) -> None:
        """Fetch no more of a partition until `resume`: enough of it waits already."""
        self._app.consumer.on_buffer_full(TP(topic, partition))

    def resume(self, topic: str, partition: int) -> None:
        """Fetch a partition again."""
        self._app.consumer.on_buffer_drop(TP(topic, partition))
