"""What cannot work is refused by a worker as one line and exit code 2, before it looks for Kafka."""

import sys
from pathlib import Path

from cluster import Program, clean_environment

from app.broker import free_port

SAID = (
    "onlooker: boxes finds no landmarks, so that faces can be neither aligned nor embedded:"
    " set ONLOOKER_LANDMARKER=centerface, or another detector that finds them"
)


def test_a_detector_without_landmarks_and_nothing_for_these(boxes_only: Path, tmp_path: Path) -> None:
    port = free_port()
    environment = clean_environment(
        weights_dir=boxes_only,
        detector="boxes",
        data_dir=tmp_path / "data",
        # Nobody is there, and it would be waited for.
        broker=f"kafka://127.0.0.1:{free_port()}",
        broker_wait=600,
    )
    command = [sys.executable, "-m", "faust", "-A", "app", "worker", "--web-port", str(port)]
    worker = Program("worker", command, environment, tmp_path / "worker.log")
    try:
        worker.start()
        assert worker.wait() == 2
    finally:
        worker.end()
    assert [line for line in worker.said().splitlines() if line.startswith("onlooker: ")] == [SAID]
    assert "Traceback" not in worker.said()
