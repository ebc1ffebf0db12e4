"""The enrolment agent: writes people into the identities table, or takes them out."""

from typing import TYPE_CHECKING

from app.kafka import DeadLetters
from app.kafka.intake import Intake
from app.messages import Enrolment, decode
from app.tables import Identities

if TYPE_CHECKING:
    from faust import StreamT

__all__ = ["Enrol"]


class Enrol:
    """`enrolments` -> `identities`."""

    def __init__(self, identities: Identities, intake: Intake, dead_letters: DeadLetters) -> None:
        self._identities = identities
        self._intake = intake
        self._dead_letters = dead_letters

    async def run(self, stream: "StreamT[bytes]") -> None:
        """Carry out one enrolment after the other; each is done when the table's changelog has it."""
        async for message in self._intake.messages(stream):
            try:
                await self._identities.apply(decode(Enrolment, message.value))
            except Exception as error:
                # Faust would restart the agent and lose the message.
                await self._dead_letters.send_failed(message, error)
            message.done()
