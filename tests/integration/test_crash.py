"""An agent whose run ends in an error ends the worker: what is not acknowledged goes to another one."""

import os
import subprocess
import sys
from pathlib import Path

from machine import SLOWNESS

from app.broker import Broker, free_port
from app.settings import ROOT

#: The worker as it is, but the run of one agent ends in an error at once.
PROGRAM = """
import sys
from app.agents.recognise import Recognise

async def broken(self, stream):
    raise RuntimeError("the run is over")

Recognise.run = broken
sys.argv = ["faust", "-A", "app", "worker", "--web-port", sys.argv[1]]
from faust.cli.faust import cli
cli()
"""


def test_an_agent_that_fails_ends_the_worker(broker: Broker, weights: Path, tmp_path: Path) -> None:
    port = str(free_port())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ONLOOKER_")}
    environment |= {
        "ONLOOKER_BROKER": f"kafka://{broker.bootstrap}", "ONLOOKER_TOPIC_PREFIX": "crash.",
        "ONLOOKER_PARTITIONS": "1", "ONLOOKER_DATA_DIR": str(tmp_path), "ONLOOKER_WEB_PORT": port,
        "ONLOOKER_WEIGHTS_DIR": str(weights),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, port], cwd=ROOT, env=environment, timeout=90 * SLOWNESS,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "the run is over" in done.stdout + done.stderr
