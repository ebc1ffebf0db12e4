"""A worker joins and leaves, again and again, while others work."""

import time
from collections.abc import Callable

from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage

LONG = True
SIZES = {"layout": ([], [CROWDED, SPREAD])}
#: Seconds in all, and for one coming and going: five a minute.
LASTING, CYCLE = 300, 12
RATE = 6


def test_a_worker_comes_and_goes(stage: Stage, settle: Callable[[str], None]) -> None:
    stage.staff(1)
    guest = None
    with stage.writer.writing(RATE):
        stage.owners()
        end = time.monotonic() + LASTING
        while (started := time.monotonic()) < end:
            guest = stage.crew.join(guest)
            stage.crew.until_ready()
            stage.moved()
            stage.until_has_streams(guest)
            stage.crew.leave(guest)
            stage.moved()
            stage.owners()
            # The pace is the disruption's own.
            time.sleep(max(0, started + CYCLE - time.monotonic()))
    settle("a worker joins and leaves")
