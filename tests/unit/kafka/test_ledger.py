"""What may be committed never passes an offset that is not done, whatever comes in whichever order."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.kafka.ledger import Handout, Ledger, PartitionLedger

PLACE = ("frames", 0)


def handed_out(begin: int, count: int) -> PartitionLedger:
    ledger = PartitionLedger(begin)
    for offset in range(begin, begin + count):
        assert ledger.hand_out(offset) is Handout.NEW
    return ledger


def test_offsets_are_handed_out_once_and_in_order() -> None:
    ledger = handed_out(5, 2)
    assert ledger.hand_out(5) is Handout.REPEATED
    assert ledger.hand_out(0) is Handout.REPEATED
    assert ledger.hand_out(8) is Handout.GAP
    assert ledger.hand_out(7) is Handout.NEW
    assert (ledger.next, ledger.in_work) == (8, 3)


def test_what_is_done_is_committed_up_to_the_first_that_is_not() -> None:
    ledger = handed_out(5, 4)
    assert ledger.committable == 5
    ledger.done(6)
    assert ledger.committable == 5
    ledger.done(5)
    assert ledger.committable == 7
    ledger.done(8)
    ledger.done(8)
    assert (ledger.committable, ledger.in_work) == (7, 1)
    ledger.done(7)
    assert (ledger.committable, ledger.in_work) == (9, 0)


def test_a_gap_is_in_nobodys_work() -> None:
    ledger = handed_out(0, 1)
    assert ledger.hand_out(3) is Handout.GAP
    ledger.done(3)
    ledger.done(0)
    assert (ledger.next, ledger.committable) == (1, 1)


def test_what_is_done_before_it_is_handed_out_is_not_done() -> None:
    ledger = PartitionLedger(0)
    ledger.done(0)
    ledger.done_before(10)
    assert ledger.hand_out(0) is Handout.NEW
    assert ledger.committable == 0


def test_what_the_log_does_not_hold_is_left_out() -> None:
    ledger = handed_out(5, 1)
    assert ledger.skip_to(9) == 3
    assert ledger.skip_to(9) == ledger.skip_to(2) == 0
    assert (ledger.next, ledger.committable) == (9, 5)
    ledger.done(5)
    assert ledger.committable == 9


def test_all_before_an_offset_is_done_at_once() -> None:
    ledger = handed_out(0, 6)
    ledger.done_before(4)
    assert (ledger.committable, ledger.in_work) == (4, 2)
    ledger.done_before(100)
    assert (ledger.committable, ledger.next) == (6, 6)


def test_a_partition_that_is_opened_again_has_nothing_to_do_with_the_one_before() -> None:
    ledger = Ledger(["frames"])
    before = ledger.open(PLACE, 0)
    before.hand_out(0)
    after = ledger.open(PLACE, 0)
    assert (before.closed, after.closed) == (True, False)
    after.hand_out(0)
    before.done(0)
    assert ledger.committable() == {}
    ledger.close(PLACE)
    assert after.closed
    assert PLACE not in ledger
    assert (list(ledger), ledger.open_partitions) == ([], 0)
    ledger.close(PLACE)


def test_only_what_moved_is_committed_and_only_once() -> None:
    ledger = Ledger(["frames", "faces"])
    for place in (PLACE, ("faces", 3)):
        ledger.open(place, 7).hand_out(7)
    assert ledger.committable() == {}
    ledger["faces", 3].done(7)
    assert ledger.committable() == {("faces", 3): 8}
    assert ledger.committable() == {("faces", 3): 8}
    ledger.committed(("faces", 3), 8)
    assert ledger.committable() == {}
    # Of a partition that went away while it was being committed.
    ledger.committed(("faces", 4), 8)
    assert ("faces", 4) not in ledger


@pytest.mark.parametrize("partition", ["frames", ("frames",), ("frames", 1), None])
def test_what_is_no_partition_of_it_is_not_in_it(partition: object) -> None:
    ledger = Ledger(["frames"])
    ledger.open(PLACE, 0)
    assert partition not in ledger


class Tenure:
    """One partition, opened once, as the ledger ought to keep it."""

    def __init__(self, ledger: PartitionLedger, begin: int) -> None:
        self.ledger = ledger
        self.begin = begin
        self.new: set[int] = set()
        self.skipped: set[int] = set()
        self.done: set[int] = set()
        #: The furthest that was ever committable, and what was committed.
        self.furthest = begin
        self.committed = begin

    def next(self) -> int:
        return max((*self.new, *self.skipped), default=self.begin - 1) + 1


places = st.sampled_from([PLACE, ("frames", 1), ("faces", 0)])
near = st.integers(-4, 4)


class AnyOrder(RuleBasedStateMachine):
    """A worker to which Kafka gives and takes partitions, and which does its work in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(["frames", "faces"])
        self.open: dict[tuple[str, int], Tenure] = {}
        self.closed: list[Tenure] = []

    @rule(place=places, begin=st.integers(0, 20))
    def assign(self, place: tuple[str, int], begin: int) -> None:
        self._end(place)
        self.open[place] = Tenure(self.ledger.open(place, begin), begin)

    @rule(place=places)
    def revoke(self, place: tuple[str, int]) -> None:
        self.ledger.close(place)
        self._end(place)

    def _end(self, place: tuple[str, int]) -> None:
        if tenure := self.open.pop(place, None):
            self.closed.append(tenure)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), away=near)
    def give(self, data: st.DataObject, away: int) -> None:
        tenure = self._one(data)
        expected = tenure.next()
        offset = max(0, expected + away)
        handout = tenure.ledger.hand_out(offset)
        if offset == expected:
            assert offset not in tenure.new
            assert handout is Handout.NEW
            tenure.new.add(offset)
        else:
            assert handout is (Handout.GAP if offset > expected else Handout.REPEATED)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), count=st.integers(1, 6))
    def give_in_order(self, data: st.DataObject, count: int) -> None:
        tenure = self._one(data)
        for _ in range(count):
            offset = tenure.next()
            assert tenure.ledger.hand_out(offset) is Handout.NEW
            tenure.new.add(offset)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), away=near)
    def skip(self, data: st.DataObject, away: int) -> None:
        tenure = self._one(data)
        expected = tenure.next()
        left_out = range(expected, max(0, expected + away))
        assert tenure.ledger.skip_to(max(0, expected + away)) == len(left_out)
        tenure.skipped.update(left_out)

    @precondition(lambda self: any(tenure.new for tenure in self._all()))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Also of a partition that is gone, and what is done already."""
        tenure = data.draw(st.sampled_from([tenure for tenure in self._all() if tenure.new]))
        offset = data.draw(st.sampled_from(sorted(tenure.new)))
        tenure.ledger.done(offset)
        tenure.done.add(offset)

    @precondition(lambda self: self._all())
    @rule(data=st.data(), offset=st.integers(0, 40))
    def finish_what_was_never_given(self, data: st.DataObject, offset: int) -> None:
        tenure = data.draw(st.sampled_from(self._all()))
        if offset not in tenure.new:
            tenure.ledger.done(offset)

    @precondition(lambda self: self._all())
    @rule(data=st.data(), away=near)
    def checkpoint(self, data: st.DataObject, away: int) -> None:
        tenure = data.draw(st.sampled_from(self._all()))
        before = max(0, tenure.next() + away)
        tenure.ledger.done_before(before)
        tenure.done.update(offset for offset in tenure.new if offset < before)

    @rule(fails=st.booleans())
    def commit(self, fails: bool) -> None:
        offsets = self.ledger.committable()
        expected = {
            place: tenure.ledger.committable
            for place, tenure in self.open.items()
            if tenure.ledger.committable > tenure.committed
        }
        assert offsets == expected
        for place, offset in {} if fails else offsets.items():
            self.ledger.committed(place, offset)
            self.open[place].committed = offset

    def _one(self, data: st.DataObject) -> Tenure:
        return data.draw(st.sampled_from(list(self.open.values())))

    def _all(self) -> list[Tenure]:
        return [*self.open.values(), *self.closed]

    @invariant()
    def nothing_is_committed_that_is_not_done(self) -> None:
        for tenure in self._all():
            committable = tenure.ledger.committable
            assert all(
                offset in tenure.done or offset in tenure.skipped
                for offset in range(tenure.begin, committable)
            )

    @invariant()
    def all_that_is_done_is_committed(self) -> None:
        for tenure in self._all():
            committable = tenure.ledger.committable
            assert committable == tenure.next() or committable in tenure.new - tenure.done
            assert tenure.ledger.in_work == len(tenure.new - tenure.done)

    @invariant()
    def it_never_goes_back_while_the_partition_is_here(self) -> None:
        for tenure in self._all():
            assert tenure.ledger.committable >= tenure.furthest
            tenure.furthest = tenure.ledger.committable

    @invariant()
    def only_what_is_here_is_open(self) -> None:
        assert set(self.ledger) == set(self.open)
        assert self.ledger.open_partitions == len(self.open)
        assert not any(tenure.ledger.closed for tenure in self.open.values())
        assert all(tenure.ledger.closed for tenure in self.closed)


TestAnyOrder = AnyOrder.TestCase
