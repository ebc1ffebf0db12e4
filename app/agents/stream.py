"""What is known of one stream for as long as this worker has it."""

import asyncio
from enum import Enum

from app.agents.monitor import StreamMonitor
from app.tracking import TrackletRules, TrackletTracker, VisitTracker

__all__ = ["OwnedStream", "Step", "Turns"]


class OwnedStream:
    """What is known of one stream for as long as this worker has it."""

    def __init__(
        self, name: str, monitor: StreamMonitor, tracker: VisitTracker, tracklets: TrackletRules
    ) -> None:
        self.name = name
        self.monitor = monitor
        self.tracker = tracker
        #: Of a camera's frames (True) and of a recording's: where they have one name, they show two places.
        self.tracklets = {live: TrackletTracker(tracklets) for live in (True, False)}
        #: The first offset on `faces` that `tracker` does not stand for.
        self.next = 0
        #: When faces of it came last, by the monotonic clock; None where nobody is there to leave.
        self.heard: float | None = None
        #: It is to be written to the checkpoints.
        self.changed = False
        #: Those of the frame that was taken last, of a camera (True) and of a recording: where they have one
        #: name, neither waits for the other.
        self.turns: dict[bool, Turns] = {}


class Step(Enum):
    """What the frames of a stream do one after the other."""

    #: It is decided what is made of the frame.
    DECIDED = "decided"
    #: What was found is on its way to the broker.
    POSTED = "posted"
    #: It has arrived, and the frame is done.
    DONE = "done"


class Turns:
    """The steps of one frame, for the next one of its stream to wait for."""

    __slots__ = ("_steps",)

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self._steps: dict[Step, asyncio.Future[None]] = {step: loop.create_future() for step in Step}

    def of(self, step: Step) -> "asyncio.Future[None]":
        """Return what is done when the frame has taken `step`."""
        return self._steps[step]
