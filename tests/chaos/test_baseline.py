"""One worker that nothing is done to: what the account says of disruptions rests on this."""

from collections.abc import Callable

from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage

LONG = True
SIZES = {"layout": ([], [CROWDED, SPREAD])}
BACKLOG = 400


def test_one_worker_that_is_left_alone_loses_nothing(stage: Stage, settle: Callable[[str], None]) -> None:
    stage.staff(1)
    stage.writer.write(stage.script.rounds(BACKLOG))
    settle("nothing")
