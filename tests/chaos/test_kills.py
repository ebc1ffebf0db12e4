"""The worker that has the streams is killed; others go on with them."""

from collections.abc import Callable

from chaos.scenario import CROWDED, SPREAD
from chaos.stage import Stage

SIZES = {"layout": ([SPREAD], [CROWDED, SPREAD]), "kills": ([1], [10])}
RATE = 8


def test_the_worker_that_has_most_streams_is_killed(
    stage: Stage, kills: int, settle: Callable[[str], None]
) -> None:
    stage.staff(2)
    with stage.writer.writing(RATE):
        for _ in range(kills):
            victim = stage.owners()[0]
            stage.kill(victim)
            stage.owners()
            stage.crew.join(victim.worker)
            stage.crew.until_ready()
            stage.moved()
        stage.owners()
    settle("SIGKILL of a worker")
