"""The identities: a changelog-backed GlobalTable of enrolled people that every worker holds."""

import logging
from typing import TYPE_CHECKING

import msgspec

from app.messages import Enrolment, MessageError, Person, decode, encode
from app.metrics import Metrics
from app.tables.gallery import Gallery

if TYPE_CHECKING:
    import faust

__all__ = ["Identities"]

_log = logging.getLogger(__name__)


class Identities:
    """The table of people, and the gallery that follows it.

    The table is the truth and is written by the enrolment agent alone; the gallery is built from it
    when recovery ends, and follows the changelog on the workers that do not own the partition.
    """

    def __init__(self, app: "faust.App", gallery: Gallery, metrics: Metrics) -> None:
        self.gallery = gallery
        # One partition and one change at a time: what Faust's own documentation asks of a global table.
        self.table = app.GlobalTable(
            "identities",
            partitions=1,
            recovery_buffer_size=1,
            key_type=bytes,
            value_type=bytes,
            options={"driver": "rocksdict"},
            on_changelog_event=self._on_changelog_event,
            help="Enrolled people.",
        )
        self.table.on_recover(self.rebuild)
        metrics.people.set_function(lambda: len(gallery.people))
        metrics.templates.set_function(lambda: gallery.templates)

    async def apply(self, enrolment: Enrolment) -> None:
        """Carry out an enrolment; only inside the agent that owns the table."""
        key = enrolment.person.encode()
        if enrolment.action == "remove":
            self.table.pop(key, None)
            await self.gallery.remove(enrolment.person)
            return
        stored = self._stored(key)
        if stored is None and enrolment.known:
            _log.warning("photographs of somebody who was removed in the meantime are not taken")
        else:
            person = _enrolled(stored, enrolment)
            self.table[key] = encode(person)
            await self.gallery.put(person)

    async def rebuild(self) -> None:
        """Build the gallery from the table."""
        people = [_readable(key, value) for key, value in self.table.items()]
        await self.gallery.load(person for person in people if person)
        if self.gallery.stale:
            _log.warning(
                "%d templates were made by another embedder: enrol those people again", self.gallery.stale
            )

    async def _on_changelog_event(self, event: "faust.EventT[bytes]") -> None:
        key, value = event.message.key or b"", event.message.value
        if value is None:
            await self.gallery.remove(key.decode())
        elif person := _readable(key, value):
            await self.gallery.put(person)

    def _stored(self, key: bytes) -> Person | None:
        value = self.table.get(key)
        return _readable(key, value) if value else None


def _enrolled(person: Person | None, enrolment: Enrolment) -> Person:
    """Return the person as the enrolment leaves them; doing it twice changes nothing."""
    if person is None:
        name = enrolment.name or enrolment.person
        return Person(
            id=enrolment.person,
            name=name,
            created=enrolment.at,
            updated=enrolment.at,
            revision=enrolment.id,
            templates=enrolment.templates,
        )
    known = {template.id for template in person.templates}
    added = [template for template in enrolment.templates if template.id not in known]
    return msgspec.structs.replace(
        person,
        name=enrolment.name or person.name,
        updated=enrolment.at,
        revision=enrolment.id,
        templates=person.templates + added,
    )


def _readable(key: bytes, value: bytes) -> Person | None:
    try:
        return decode(Person, value)
    except MessageError as error:
        _log.error("identity %r cannot be read and is left out: %s", key, error)
        return None
