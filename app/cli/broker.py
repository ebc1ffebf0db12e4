"""`onlooker broker`: the embedded Apache Kafka, alone."""

import asyncio
from pathlib import Path

import click
from rich.console import Console

from app.broker import Broker, prepare_jars
from app.cli.until_stopped import until_stopped
from app.progress import console_progress
from app.settings import Settings, is_loopback, load_settings, private_folder

__all__ = ["broker", "own_port"]


@click.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port on 127.0.0.1; that of ONLOOKER_BROKER where it names this machine, else ONLOOKER_BROKER_PORT.",
)
@click.option("--fetch", is_flag=True, help="Fetch Kafka, check it and end.")
def broker(port: int | None, fetch: bool) -> None:
    """Run the embedded Apache Kafka alone until Ctrl-C."""
    settings = load_settings()
    console = Console(highlight=False, soft_wrap=True)
    jars = private_folder(settings) / "jars"
    # Before there is an event loop, which would not let Ctrl-C interrupt it.
    prepare_jars(jars, console_progress(console))
    if fetch:
        return
    run = _run(settings.data_dir / "broker", port or own_port(settings), jars, console)
    asyncio.run(until_stopped(run))
    console.print("stopped")


def own_port(settings: Settings) -> int:
    """Return the port of the embedded Kafka: that of the settings where they mean this machine."""
    host, _, port = settings.bootstrap[0].rpartition(":")
    return int(port) if is_loopback(host) and port.isdecimal() else settings.broker_port


async def _run(data: Path, port: int, jars: Path, console: Console) -> None:
    console.print(f"starting Apache Kafka on port {port}, data in {data}")
    kafka = Broker(data, port, jars, console_progress(console))
    await kafka.start()
    await _supervise(kafka, console)


async def _supervise(kafka: Broker, console: Console) -> None:
    try:
        while True:
            console.print(f"Apache Kafka is ready at {kafka.url} (Ctrl-C stops it)")
            await kafka.wait()
            console.print(f"{kafka.describe_end()}: starting it again")
            await kafka.start()
    finally:
        console.print("stopping Apache Kafka ...")
        await kafka.stop()
