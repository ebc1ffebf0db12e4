"""`onlooker up`: broker, topics, workers and a stream, on this machine."""

import asyncio

import click
from rich.console import Console

from app.cli.machine import Machine, Plan
from app.cli.until_stopped import until_stopped
from app.messages import stream_name
from app.settings import load_settings

__all__ = ["up"]

_LAST_PORT = 65535


@click.command()
@click.option(
    "--source", default="demo", show_default=True, help="What to show: see `onlooker source --help`."
)
@click.option("--stream", help="The stream that it is written to; `demo`, or `camera` for another source.")
@click.option("--no-source", is_flag=True, help="Start no stream: sources come from elsewhere.")
@click.option("--loop", is_flag=True, help="Begin a file or folder again at its end.")
@click.option(
    "--workers",
    default=1,
    show_default=True,
    type=click.IntRange(1, 64),
    help="How many workers, on ports from the web port on.",
)
def up(source: str, stream: str | None, no_source: bool, loop: bool, workers: int) -> None:
    """Run it all on this machine until Ctrl-C: broker, topics, workers, a stream.

    With ONLOOKER_BROKER set, that Kafka is used and none is started.
    """
    settings = load_settings()
    if settings.web_port + workers - 1 > _LAST_PORT:
        raise click.UsageError(f"{workers} workers need ports up to {settings.web_port + workers - 1}")
    name = stream_name(stream or ("demo" if source == "demo" else "camera"))
    plan = Plan(None if no_source else source, name, loop, workers)
    machine = Machine(settings, plan, Console(markup=False, emoji=False, highlight=False, soft_wrap=True))
    machine.prepare()
    asyncio.run(until_stopped(machine.run()))
    machine.say("stopped")
