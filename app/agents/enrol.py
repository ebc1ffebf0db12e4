"""The enrolment agent: writes people into the identities table, or takes them out."""

from typing import TYPE_CHECKING

from app.kafka.dead_letters import DeadLetters, received
from app.messages import Enrolment, decode
from app.tables.identities import Identities

if TYPE_CHECKING:
    from faust import StreamT

__all__ = ["Enrol"]


class Enrol:
    """`enrolments` -> `identities`."""

    def __init__(self, identities: Identities, dead_letters: DeadLetters) -> None:
        self._identities = identities
        self._dead_letters = dead_letters

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Carry out one enrolment after the other."""
        async for event in stream.events():
            try:
                await self._identities.apply(decode(Enrolment, event.message.value))
            except Exception as error:
                # Faust would restart the agent and lose the message.
                await self._dead_letters.send_failed(received(event), error)
