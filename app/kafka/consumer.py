"""Faust's consumer, with the ledger in the place of its own account of offsets.

Faust throws away what it has fetched when a rebalance begins, acknowledges some of that on the way, and
trusts the seek after it to bring it back; but aiokafka does not seek where a partition has no committed
offset, or one of 0, and what is missing then counts as a hole of the log itself, which Faust commits over.
Here every partition is sought explicitly, what comes is compared with what is expected, and only the ledger
is committed.
"""

import logging
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any, ClassVar, Protocol, cast

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as AioTopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.conductor import Conductor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from mode import Service

from app.kafka.clients import make_consumer
from app.kafka.ledger import Ledger, PartitionLedger
from app.kafka.shutdown import ShutdownDeadline
from app.settings import Settings

__all__ = ["LedgerApp", "LedgerConsumer", "LedgerTransport"]

_log = logging.getLogger(__name__)

#: Seconds between two looks for what was fetched and never arrived, and looks that it may take to arrive.
_LOOK_EVERY, _LOOKS = 1.0, 3
#: Seconds between two looks at the clock, and seconds after which a rebalance that is due has begun.
_TICK, _REBALANCE_SHOWS = 0.5, 5.0
#: Seconds to wait for what is fetched before it is asked again what to fetch.
_FETCH_WAIT = 0.1
#: Seconds after which what was sought has come.
_SEEK_SHOWS = 2.0
#: A broker that lost power, or a topic that was made anew: other messages come with offsets that were seen.
_LOST = "%s %d: read up to %d, but the log ends at %d, where reading goes on"
#: Milliseconds to wait for a record that should be there.
_PATIENCE = 5_000


class LedgerApp(Protocol):
    """What the application has for its consumer."""

    ledger: Ledger
    settings: Settings
    deadline: ShutdownDeadline

    def open_state(self, assigned: set[TP]) -> None:
        """Open what is known of the streams of these partitions, and of no others."""


class _Read(defaultdict[TP, int | None]):
    """What Faust has read, and compares with what comes; of topics in the ledger it is to know nothing."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(lambda: None)
        self._ledger = ledger

    def __getitem__(self, partition: TP) -> int | None:
        return None if partition.topic in self._ledger.topics else super().__getitem__(partition)


class _Thread(driver.AIOKafkaConsumerThread):
    """The thread that Faust's consumer reads in."""

    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        # Not Faust's 1.5 s: a fetch that waits for news holds up the one that a seek wants.
        consumer._fetch_max_wait_ms = int(_FETCH_WAIT * 1000)
        return consumer

    async def on_thread_stop(self) -> None:
        """Leave the group, or let it see for itself that this worker has ended."""
        await cast(LedgerApp, self.app).deadline.wait_for(super().on_thread_stop())


class LedgerConsumer(driver.Consumer):
    """Reads each partition from where its ledger says, and commits what its ledger says."""

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ledger: Ledger = cast(LedgerApp, self.app).ledger
        self._read_offset = _Read(self._ledger)
        #: Partitions of the ledger that are assigned, and how often they have been revoked.
        self._assigned: set[TP] = set()
        self._revocations = 0
        #: By partition: the offset that is awaited, and for how many looks; what was sought, and when.
        self._stuck: dict[TP, tuple[int, int]] = {}
        self._sought: dict[TP, tuple[int, float]] = {}

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Take note of what this worker has now; it is opened when its streams are resumed."""
        self._assigned = {tp for tp in assigned if tp.topic in self._ledger.topics}
        await super().on_partitions_assigned(assigned, generation_id)

    @property
    def evicted(self) -> bool:
        """Tell whether the group went on without this worker: others have its partitions."""
        return bool(self._thread._ensure_consumer()._coordinator.generation < 0)

    async def on_stop(self) -> None:
        """Commit what is done since, beside any commit under way: Faust waits for that, whatever happens."""
        await cast(LedgerApp, self.app).deadline.wait_for(self.force_commit())

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let what depends on it finish its work, then forget what this worker had."""
        await super().on_partitions_revoked(revoked)
        self._assigned = set()
        self._close()

    def _close(self) -> None:
        self._revocations += 1
        for partition in self._ledger:
            self._ledger.close(partition)

    async def perform_seek(self) -> None:
        """Open what is newly assigned, and read every partition from where its ledger says."""
        revocations = self._revocations
        new = {tp for tp in self._assigned if tp not in self._ledger}
        begins = await self._begins(new)
        if revocations != self._revocations:
            return
        for tp, begin in begins.items():
            # Another seek may have been quicker, and what it opened is in work.
            if tp not in self._ledger:
                self._ledger.open(tp, begin)
        positions = {tp: self._ledger[tp].next for tp in self._assigned if tp in self._ledger}
        if positions:
            await self.seek_wait(positions)

    async def _begins(self, partitions: set[TP]) -> dict[TP, int]:
        """Return where reading goes on; what has no committed offset, or one beyond its log, gets one."""
        if not partitions:
            return {}
        committed = await self._thread.call_thread(self._committed, partitions)
        ends = await self.highwaters(*partitions)
        missing = [tp for tp, offset in committed.items() if offset is None]
        fresh = dict(await self.earliest_offsets(*missing)) if missing else {}
        for tp, offset in committed.items():
            if offset is not None and offset > ends[tp]:
                _log.warning(_LOST, *tp, offset, ends[tp])
                fresh[tp] = ends[tp]
        if fresh:
            await self._commit(fresh)
        return {tp: fresh[tp] if tp in fresh else cast(int, offset) for tp, offset in committed.items()}

    async def _committed(self, partitions: set[TP]) -> dict[TP, int | None]:
        consumer = self._thread._ensure_consumer()
        return {tp: await consumer.committed(AioTopicPartition(*tp)) for tp in partitions}

    def ack(self, message: Message) -> bool:
        """Pass over Faust's own acknowledgements: they come for what was thrown away, too."""
        if message.topic not in self._ledger.topics:
            return super().ack(message)
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def force_commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Commit what the ledger says, whatever Faust has counted."""
        offsets = {TP(*partition): offset for partition, offset in self._ledger.committable().items()}
        if not offsets or not await self._commit(offsets):
            return False
        for partition, offset in offsets.items():
            self._ledger.committed(partition, offset)
        self.app.monitor.on_tp_commit(offsets)
        return True

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109
        # Faust would wait a second for the changelogs alone, or for nothing: the first of every takeover.
        if self.flow_active and not self._get_active_partitions():
            await self.sleep(_FETCH_WAIT)
            return {}, set()
        return await super()._wait_next_records(min(timeout, _FETCH_WAIT))

    async def read_again(self, partition: TP, ledger: PartitionLedger) -> None:
        """Go back to what was never handed out, or past it where the log itself has nothing there."""
        sought, at = self._sought.get(partition, (-1, 0.0))
        now = time.monotonic()
        # What was fetched before the last seek may still come, and is no reason for another one.
        if ledger.closed or (sought == ledger.next and now - at < _SEEK_SHOWS):
            return
        self._sought[partition] = ledger.next, now
        first = await self._first_on_log(partition, ledger.next)
        if first is None or ledger.closed:
            return
        if skipped := ledger.skip_to(first):
            text = "%s %d: the log holds nothing in the %d offsets before %d: deleted before they were read?"
            _log.warning(text, *partition, skipped, first)
        _log.info("%s %d: reading again from %d", *partition, ledger.next)
        # It may be revoked meanwhile, which the client says in this way.
        with suppress(IllegalStateError):
            await self.seek_wait({partition: ledger.next})

    async def _first_on_log(self, partition: TP, offset: int) -> int | None:
        """Return the offset of the first record at `offset` or after it; None if the broker does not say."""
        place = AioTopicPartition(*partition)
        reader = make_consumer(
            cast(LedgerApp, self.app).settings,
            enable_auto_commit=False,
            # Where the broker deletes what is sought in the very moment, the next that it has is the first.
            auto_offset_reset="earliest",
        )
        try:
            await reader.start()
            reader.assign([place])
            begin = (await reader.beginning_offsets([place]))[place]
            reader.seek(place, max(offset, begin))
            found = await reader.getmany(place, timeout_ms=_PATIENCE, max_records=1)
            return next((int(record.offset) for records in found.values() for record in records), None)
        except KafkaError as error:
            _log.warning("%s %d: cannot be read: %s", *partition, error)
            return None
        finally:
            # Also where it could not start: it holds what it has begun with.
            await reader.stop()

    @Service.task
    async def _notice_absence(self) -> None:
        """Drop what is known when this process stood still for long: others may have gone on meanwhile."""
        last = time.monotonic()
        while not self.should_stop:
            await self.sleep(_TICK)
            away, last = time.monotonic() - last, time.monotonic()
            if away > self.app.conf.broker_session_timeout and self._assigned:
                _log.warning("this worker stood still for %.0f s: what it knew is read again", away)
                await self._begin_anew()
                # Which took some time itself.
                last = time.monotonic()

    async def _begin_anew(self) -> None:
        """Drop what is known; where no rebalance follows, open the same partitions again."""
        app = cast(LedgerApp, self.app)
        app.open_state(set())
        self._close()
        revocations = self._revocations
        await self.sleep(_REBALANCE_SHOWS)
        if revocations == self._revocations and not self.app.rebalancing:
            app.open_state(self._assigned)
            await self.perform_seek()

    @Service.task
    async def _look_for_lost(self) -> None:
        """Read again what was fetched and never arrived, even where nothing comes after it."""
        while not self.should_stop:
            await self.sleep(_LOOK_EVERY)
            for tp in tuple(self._assigned):
                if tp in self._ledger and self.flow_active and self._awaits(tp):
                    # It may be revoked meanwhile, which the client says in this way.
                    with suppress(IllegalStateError):
                        await self._look(tp, self._ledger[tp])

    def _awaits(self, tp: TP) -> bool:
        """Tell whether what is fetched of a partition would be with its agent at once."""
        # In a queue, or paused, it waits for the agent and is not lost.
        queues = (channel.queue for channel in cast(Conductor, self.app.topics)._tp_index[tp])
        return tp not in self._buffered_partitions and all(queue.empty() for queue in queues)

    async def _look(self, tp: TP, ledger: PartitionLedger) -> None:
        position = await self.position(tp)
        awaited, looks = self._stuck.get(tp, (-1, 0))
        if position is not None and position < ledger.next and await self._is_shorter(tp, ledger):
            await self._begin_anew()
        elif position is None or position <= ledger.next:
            self._stuck.pop(tp, None)
        elif awaited == ledger.next and looks >= _LOOKS:
            del self._stuck[tp]
            await self.read_again(tp, ledger)
        else:
            self._stuck[tp] = (ledger.next, looks + 1 if awaited == ledger.next else 1)

    async def _is_shorter(self, tp: TP, ledger: PartitionLedger) -> bool:
        """Tell whether a log, of which the client has gone back by itself, ends before what was read."""
        end = (await self.highwaters(tp))[tp]
        if end < ledger.next:
            _log.warning(_LOST, *tp, ledger.next, end)
        return end < ledger.next


class _Producer(driver.Producer):
    """Faust's producer, which does not wait without limit for a Kafka that is away."""

    @property
    def _deadline(self) -> ShutdownDeadline:
        return cast(LedgerApp, self.app).deadline

    async def flush(self) -> None:
        """Wait for what is on its way; at a rebalance, a worker with an enrolment unwritten ends next."""
        await self._deadline.wait_for(super().flush())

    async def on_stop(self) -> None:
        """Let go of Kafka."""
        await self._deadline.wait_for(super().on_stop())


class LedgerTransport(driver.Transport):
    """Faust's transport with that consumer."""

    Consumer: ClassVar[type[driver.Consumer]] = LedgerConsumer
    Producer: ClassVar[type[driver.Producer]] = _Producer
