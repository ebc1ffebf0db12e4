"""The turns of frames that are worked on at once: what is done in the order of their stream all the same."""

import asyncio
from enum import Enum

__all__ = ["Step", "Turns"]


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
