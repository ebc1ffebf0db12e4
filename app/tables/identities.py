"""The identities: a changelog-backed GlobalTable of enrolled people that every worker holds."""

import asyncio
import logging
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import msgspec
from aiokafka.errors import KafkaError
from faust.tables.globaltable import GlobalTable
from faust.types.tuples import FutureMessage

from app.messages import Enrolment, MessageError, Person, decode, encode
from app.metrics import Metrics
from app.tables.gallery import Gallery

if TYPE_CHECKING:
    import faust

__all__ = ["AwaitedTable", "Identities"]

_log = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.2, 5.0
#: People who are named in one line of the log.
_SHOWN = 10


class AwaitedTable(GlobalTable):
    """A global table that can be asked whether its changelog has the last change.

    Faust sends changes and does not wait for them, nor does its commit: a crash in between loses them.
    """

    _sent: FutureMessage | None = None

    def send_changelog(self, *arguments: Any, **options: Any) -> FutureMessage:
        """Send a change, and remember it."""
        self._sent = super().send_changelog(*arguments, **options)
        return self._sent

    async def delivered(self) -> None:
        """Wait until the changelog has the last change; raises what the producer does."""
        if self._sent is not None:
            await self._sent


class Identities:
    """The table of people, and the gallery that follows it.

    The table is the truth and is written by the enrolment agent alone; the gallery is built from it
    when recovery ends, and follows the changelog on the workers that do not own the partition.
    """

    def __init__(self, app: "faust.App", gallery: Gallery, metrics: Metrics) -> None:
        self.gallery = gallery
        # One partition and one change at a time: what Faust's own documentation asks of a global table.
        table = app.GlobalTable(
            "identities",
            partitions=1,
            recovery_buffer_size=1,
            key_type=bytes,
            value_type=bytes,
            options={"driver": "rocksdict"},
            on_changelog_event=self._on_changelog_event,
            help="Enrolled people.",
        )
        #: No change is on its way to the changelog.
        self._written = asyncio.Event()
        self._written.set()
        # The settings of the application say so.
        self.table = cast(AwaitedTable, table)
        self.table.on_recover(self.rebuild)
        metrics.people.set_function(lambda: len(gallery.people))
        metrics.unreadable_people.set_function(lambda: len(gallery.unreadable))
        metrics.templates.set_function(lambda: gallery.templates)

    @property
    def writing(self) -> bool:
        """Tell whether a change is on its way to the changelog."""
        return not self._written.is_set()

    async def written(self) -> None:
        """Wait until no change is on its way."""
        await self._written.wait()

    async def apply(self, enrolment: Enrolment) -> None:
        """Carry out an enrolment; only inside the agent that owns the table.

        Raises:
            MessageError: it adds to somebody who cannot be read; they stay what they are. The reason is
                ``unreadable-person``.
        """
        key = enrolment.person.encode()
        if enrolment.action == "remove":
            # Also where they are not in the table: a crash may have kept the changelog from hearing of it.
            await self._write(key, None)
            await self.gallery.remove(enrolment.person)
            return
        stored = self._stored(key)
        if stored is None and enrolment.known:
            _log.warning("photographs of somebody who was removed in the meantime are not taken")
        else:
            person = _enrolled(stored, enrolment)
            await self._write(key, encode(person))
            await self.gallery.put(person)

    async def _write(self, key: bytes, value: bytes | None) -> None:
        """Change the table; returns once its changelog, which all others read, has the change."""
        self._written.clear()
        try:
            await self._insist(key, value)
        finally:
            self._written.set()

    async def _insist(self, key: bytes, value: bytes | None) -> None:
        wait = _FIRST_WAIT
        while True:
            self._change(key, value)
            try:
                await self.table.delivered()
                return
            except KafkaError as error:
                _log.warning("the identities cannot be written: %s; trying again in %.1f s", error, wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _change(self, key: bytes, value: bytes | None) -> None:
        """Change the table, and send the change also where the table has it already."""
        if value is not None:
            self.table[key] = value
        elif key in self.table:
            del self.table[key]
        else:
            self.table.on_key_del(key)

    async def rebuild(self) -> None:
        """Build the gallery from the table; who has not changed is not read again."""
        unreadable: dict[str, MessageError] = {}
        await self.gallery.load(self._people(unreadable), unreadable)
        if unreadable:
            shown = ", ".join([*islice(unreadable, _SHOWN), *(["..."] if len(unreadable) > _SHOWN else [])])
            first = next(iter(unreadable.values()))
            _log.error("%d people cannot be read and are left out: %s (%s)", len(unreadable), shown, first)
        if self.gallery.stale:
            _log.warning(
                "%d templates were made by another embedder: enrol those people again", self.gallery.stale
            )

    async def _on_changelog_event(self, event: "faust.EventT[bytes]") -> None:
        person, value = _id(event.message.key or b""), event.message.value
        if value is None:
            await self.gallery.remove(person)
            return
        try:
            await self.gallery.put(decode(Person, value))
        except MessageError as error:
            await self.gallery.leave_out(person)
            _log.error("the person %s cannot be read and is left out: %s", person, error)

    def _people(self, unreadable: dict[str, MessageError]) -> Iterator[Person]:
        """Give everybody of the table: who is in the gallery as they are in the table, as they are there.

        Who cannot be read goes to `unreadable` instead, with the reason.
        """
        for key, value in self.table.items():
            known = self.gallery.people.get(_id(key))
            try:
                yield known if known and _is_of(known, value) else decode(Person, value)
            except MessageError as error:
                unreadable[_id(key)] = error

    def _stored(self, key: bytes) -> Person | None:
        value = self.table.get(key)
        try:
            return None if value is None else decode(Person, value)
        except MessageError as error:
            text = f"the person {_id(key)} cannot be read, and nothing is added to them: {error}"
            raise MessageError("unreadable-person", text) from None


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


class _TemplateId(msgspec.Struct):
    id: str


class _Revised(msgspec.Struct):
    """The part of a person that changes with each enrolment; the rest is passed over unread."""

    revision: str
    templates: list[_TemplateId]


def _is_of(person: Person, value: bytes) -> bool:
    """Tell whether `value` holds just this version of a person."""
    try:
        stored = msgspec.msgpack.decode(value, type=_Revised)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    ids = [template.id for template in stored.templates]
    return stored.revision == person.revision and ids == [template.id for template in person.templates]


def _id(key: bytes) -> str:
    return key.decode("utf-8", "replace")
