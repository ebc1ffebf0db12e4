"""A worker stands still for a while, and goes on when others may have its streams."""

import time
from collections.abc import Callable

from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage

SIZES = {
    "layout": ([CROWDED], [CROWDED, SPREAD]),
    # The session of a worker runs out after 6 s.
    "pauses": ([(9,)], [(3, 3, 9, 9, 30)]),
}
RATE = 8


def test_a_worker_that_stood_still_does_no_harm(
    stage: Stage, pauses: tuple[int, ...], settle: Callable[[str], None]
) -> None:
    stage.staff(2)
    with stage.writer.writing(RATE):
        for seconds in pauses:
            with stage.crew.paused(stage.owners()[0].worker):
                time.sleep(seconds)
            stage.moved()
            stage.owners()
            stage.crew.until_ready()
    settle("SIGSTOP of a worker")
