"""The ledger: which offsets were handed out, are in work, are done; it says what may be committed."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

__all__ = ["Handout", "Ledger", "PartitionLedger", "Received", "TopicPartition"]

#: Name of a topic, number of a partition; Faust's and aiokafka's own are equal to it.
TopicPartition = tuple[str, int]


class Handout(Enum):
    """What to do with an offset that the consumer gives."""

    #: It is the next one: to be worked on.
    NEW = auto()
    #: It was handed out before: to be dropped.
    REPEATED = auto()
    #: Offsets before it were never given: to be dropped, and those to be read first.
    GAP = auto()


class PartitionLedger:
    """One partition for as long as this worker has it.

    Offsets are handed out once and in order, and may be done in any order; the first that is not done is what
    may be committed, as Kafka counts it: where reading goes on.

    Args:
        begin: the first offset that is to be handed out.
    """

    __slots__ = ("_in_work", "closed", "committed", "next")

    def __init__(self, begin: int) -> None:
        #: The offset to be handed out next.
        self.next = begin
        #: What was committed last, as far as this worker knows.
        self.committed = begin
        #: Another worker may have the partition: what is done now is done for nothing.
        self.closed = False
        # In the order in which they were handed out, which is that of the offsets.
        self._in_work: dict[int, None] = {}

    def hand_out(self, offset: int) -> Handout:
        """Take note of an offset that the consumer gives."""
        if offset < self.next:
            return Handout.REPEATED
        if offset > self.next:
            return Handout.GAP
        self._in_work[offset] = None
        self.next = offset + 1
        return Handout.NEW

    def skip_to(self, offset: int) -> int:
        """Go on at `offset`, for the log holds nothing before it; return how many offsets that leaves out."""
        skipped = max(0, offset - self.next)
        self.next += skipped
        return skipped

    def done(self, offset: int) -> None:
        """Take note that an offset needs no more work; doing so twice changes nothing."""
        self._in_work.pop(offset, None)

    def done_before(self, offset: int) -> None:
        """Take note that what was handed out before `offset` needs no more work."""
        for earlier in [one for one in self._in_work if one < offset]:
            del self._in_work[earlier]

    @property
    def committable(self) -> int:
        """The first offset that is not done."""
        return next(iter(self._in_work), self.next)

    @property
    def in_work(self) -> int:
        """How many offsets were handed out and are not done."""
        return len(self._in_work)


@dataclass(frozen=True, slots=True, eq=False)
class Received:
    """A message, and the line of the ledger on which it stands."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes | str]
    ledger: PartitionLedger

    @property
    def revoked(self) -> bool:
        """Tell whether the partition was revoked since: somebody else works on the message."""
        return self.ledger.closed

    def done(self) -> None:
        """Let the message be committed: what was to be written because of it has been delivered."""
        self.ledger.done(self.offset)


class Ledger:
    """The partitions that this worker has.

    Args:
        topics: names of the topics whose offsets are kept here.
    """

    def __init__(self, topics: Collection[str]) -> None:
        self.topics = frozenset(topics)
        self._partitions: dict[TopicPartition, PartitionLedger] = {}

    def __getitem__(self, partition: TopicPartition) -> PartitionLedger:
        return self._partitions[partition]

    def __contains__(self, partition: object) -> bool:
        return partition in self._partitions

    def __iter__(self) -> Iterator[TopicPartition]:
        return iter(tuple(self._partitions))

    @property
    def open_partitions(self) -> int:
        """How many partitions are kept."""
        return len(self._partitions)

    def open(self, partition: TopicPartition, begin: int) -> PartitionLedger:
        """Begin to keep a partition that was assigned."""
        self.close(partition)
        opened = self._partitions[partition] = PartitionLedger(begin)
        return opened

    def close(self, partition: TopicPartition) -> None:
        """Forget a partition that was revoked."""
        ledger = self._partitions.pop(partition, None)
        if ledger is not None:
            ledger.closed = True

    def committable(self) -> dict[TopicPartition, int]:
        """Return what may be committed and is not yet, by partition."""
        return {
            partition: ledger.committable
            for partition, ledger in self._partitions.items()
            if ledger.committable > ledger.committed
        }

    def committed(self, partition: TopicPartition, offset: int) -> None:
        """Take note of what was committed."""
        if partition in self._partitions:
            self._partitions[partition].committed = offset
