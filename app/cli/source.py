"""`onlooker source`: write a camera, file, folder or the demonstration to a stream."""

import asyncio
import logging
import math
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import click
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.text import Text

from app.messages import stream_name
from app.settings import SOURCE_VARIABLE, Settings, load_settings
from app.sources import JpegOptions, Source, SourceOptions, Summary, open_source, run_source

__all__ = ["source"]

#: Seconds between two progress lines in a log, and between two updates of a terminal.
_LOG_EVERY, _SHOW_EVERY = 5.0, 0.25

_LOG = logging.getLogger("onlooker.source")


class _Fps(click.ParamType):
    """A number of pictures a second, or ``max``."""

    name = "N|max"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; infinity for ``max``."""
        if value == "max":
            return math.inf
        with suppress(TypeError, ValueError):
            if 0 < (fps := float(str(value))) <= 1000:
                return fps
        return self.fail(f"expected a number from 0 to 1000, or max; not {value!r}", param, ctx)


class _Size(click.ParamType):
    """Width and height in pixels, such as ``1280x720``."""

    name = "WxH"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return (width, height)."""
        match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", str(value))
        if match and all(16 <= int(side) <= 16384 for side in match.groups()):
            return int(match[1]), int(match[2])
        return self.fail(
            f"expected width x height in pixels, 16 to 16384, such as 1280x720; not {value!r}", param, ctx
        )


@click.command()
@click.argument("src", metavar="SRC", envvar=SOURCE_VARIABLE)
@click.option("--stream", required=True, metavar="NAME", help="The stream to write to.")
@click.option(
    "--fps",
    type=_Fps(),
    help="Pictures a second, or max (as fast as Kafka takes them); else its own pace (a folder: 1).",
)
@click.option("--loop", is_flag=True, help="Begin a file or folder again at its end.")
@click.option("--size", type=_Size(), help="Scale to this size, in pixels.")
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    default=90,
    show_default=True,
    help="Quality of the JPEGs that are made.",
)
def source(
    src: str, stream: str, fps: float | None, loop: bool, size: tuple[int, int] | None, quality: int
) -> None:
    """Write a source to a stream, until its end or Ctrl-C.

    SRC is a video file, a folder of images, a webcam's number (0), an rtsp://, rtsps://, http:// or
    https:// address, or demo. An address with a password is better given as ONLOOKER_SOURCE: the command
    line can be seen by everybody on the machine.
    """
    settings = load_settings()
    stream_name(stream)
    opened = open_source(src, SourceOptions(fps=fps, loop=loop), settings)
    if loop and opened.live:
        raise click.UsageError("--loop is for files and folders: a live source has no end")
    summary = asyncio.run(_run(settings, opened, stream, JpegOptions(quality, size)))
    click.echo(summary.line())


async def _run(settings: Settings, opened: Source, stream: str, options: JpegOptions) -> Summary:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no such handlers: there Ctrl-C ends the command without its summary.
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    summary = Summary(opened, stream)
    async with _progress(summary):
        return await run_source(settings, opened, stream, options, summary=summary, stop=stop)


@asynccontextmanager
async def _progress(summary: Summary) -> AsyncIterator[None]:
    """Show how it goes: a line that changes on a terminal, log lines elsewhere; on standard error."""
    show = _show if sys.stderr.isatty() else _report
    task = asyncio.create_task(show(summary))
    # One turn of the loop: logging must be set up before anything is logged.
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _report(summary: Summary) -> None:
    _log_to(logging.StreamHandler(), "%(asctime)s %(levelname)s %(message)s")
    while True:
        await asyncio.sleep(_LOG_EVERY)
        _LOG.info("%s", summary.line())


async def _show(summary: Summary) -> None:
    console = Console(stderr=True)
    _log_to(RichHandler(console=console, show_path=False), "%(message)s")
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(Text(summary.line(), overflow="ellipsis", no_wrap=True), refresh=True)
            await asyncio.sleep(_SHOW_EVERY)


def _log_to(handler: logging.Handler, layout: str) -> None:
    logging.basicConfig(level=logging.INFO, format=layout, handlers=[handler], force=True)
    # What matters of it is said in one line by this program; aiokafka's own repeat ten times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)
