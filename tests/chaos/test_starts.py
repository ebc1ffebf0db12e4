"""The first workers of all are started in the same second, over what was written before."""

from collections.abc import Callable

from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage

SIZES = {
    "layout": ([CROWDED], [CROWDED, SPREAD]),
    "many": ([2], [2, 3]),
    "number": (range(1), range(5)),
}
#: Rounds that lie there when the workers come.
BACKLOG = 150


def test_the_first_workers_come_together_and_nothing_is_passed_over(
    stage: Stage, many: int, number: int, settle: Callable[[str], None]
) -> None:
    stage.restore()
    stage.writer.write(stage.script.rounds(BACKLOG))
    for _ in range(many):
        stage.crew.join()
    settle("first workers start together")
